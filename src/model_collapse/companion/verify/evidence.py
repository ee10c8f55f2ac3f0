"""Which claims a recorded run can answer."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from model_collapse.companion import claims, records
from model_collapse.companion.claims import Claim
from model_collapse.companion.records import Recorded, manifest, serves, settings
from model_collapse.errors import ExternalError, InputError

Arms = Mapping[str, settings.Flat]


def unserved(claim: Claim, recorded: Recorded) -> str:
    """Why a record does not serve a claim, in a few words; "" if it does."""
    return _unserved(claim, _arms(recorded))


def unserved_by(claim: Claim, tables: Mapping[str, pd.DataFrame]) -> str:
    """As `unserved`, of tables of which some may be a record's; "" where none is."""
    kept = {label: table.attrs for label, table in tables.items() if "record" in table.attrs}
    if not kept:
        return ""
    arms: dict[str, settings.Flat] = {
        label: settings.of_table(table) for label, table in tables.items() if label not in kept
    }
    return _unserved(claim, arms | {label: place["run"] for label, place in kept.items()})


def speaks_to(recorded: Recorded) -> list[str]:
    """Ids of the claims that a record serves, and that name it or whose metrics it has."""
    arms = _arms(recorded)
    return [
        claim.id
        for claim in claims.known().values()
        if (recorded.name in claim.recorded or _measured(claim, arms)) and not _unserved(claim, arms)
    ]


def named(claim: Claim) -> dict[str, str]:
    """Record that a claim names -> "serves", why it does not, or that it is not here; by its manifest alone."""
    found = {}
    for name in claim.recorded:
        try:
            here = records.begun(name)
            found[name] = (_unserved(claim, _manifest(name)) or "serves") if here else "not here"
        except (InputError, ExternalError) as error:
            found[name] = str(error)
    return found


def _manifest(name: str) -> Arms:
    about = manifest.renamed(manifest.read(records.where() / f"{name}.json", name))
    return {arm: described["run"] for arm, described in about["arms"].items()}


def _arms(recorded: Recorded) -> Arms:
    return {arm: described["run"] for arm, described in recorded.about["arms"].items()}


def _measured(claim: Claim, arms: Arms) -> bool:
    """Whether conditions have what a claim's own runs measure."""
    metrics = {label: set(arguments.get("metrics") or ()) for label, arguments in claim.runs.items()}
    return bool(metrics) and all(label in arms and own <= set(arms[label]["metrics"]) for label, own in metrics.items())


def _unserved(claim: Claim, arms: Arms) -> str:
    """Why conditions are neither a claim's runs nor its larger ones."""
    whys = [serves.unlike(runs, arms) for runs in (claim.runs, claim.larger) if runs]
    return "" if not all(whys) else whys[0] if whys else "it is read, not run"
