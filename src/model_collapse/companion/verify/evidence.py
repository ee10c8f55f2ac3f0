"""Which claims a recorded run can answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    """As `unserved`, of tables: a record's, or a chapter's own, which may be of some of the conditions, or of further
    ones of the same kind."""
    arms = {label: _run_of(table, claim.runs.get(label)) for label, table in tables.items()}
    kept = any("record" in table.attrs for table in tables.values())
    return _unserved(claim, arms, part=not kept)


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


def _run_of(table: pd.DataFrame, wanted: Mapping[str, Any] | None) -> settings.Flat:
    """The settings that made a table. Where only its columns are left of them, the others count as wanted."""
    if "run" in table.attrs:
        return table.attrs["run"]
    return {**(settings.asked(wanted) if wanted else {}), **settings.of_table(table)}


def _measured(claim: Claim, arms: Arms) -> bool:
    """Whether conditions have what a claim's own runs measure."""
    metrics = {label: set(arguments.get("metrics") or ()) for label, arguments in claim.runs.items()}
    return bool(metrics) and all(label in arms and own <= set(arms[label]["metrics"]) for label, own in metrics.items())


def _unserved(claim: Claim, arms: Arms, part: bool = False) -> str:
    """Why conditions are neither a claim's runs nor its larger ones; see `unserved_by` for `part`."""
    unlike = serves.unlike_in_part if part else serves.unlike
    whys = [unlike(runs, arms) for runs in (claim.runs, claim.larger) if runs]
    return "" if not all(whys) else whys[0] if whys else "it is read, not run"
