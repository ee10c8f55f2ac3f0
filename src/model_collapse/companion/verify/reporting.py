"""A verification in lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from model_collapse.companion import claims
from model_collapse.companion.verify.falls import fallen, retired
from model_collapse.engine.cost import clock


def words(entry: Mapping[str, Any]) -> str:
    """The outcome of an entry in words."""
    return claims.in_words(entry["outcome"], entry["at_small_scale"])


def report(
    found: Mapping[str, Any],
    earlier: Mapping[str, Mapping[str, Any]],
    *,
    every: bool = False,
    needed: bool = False,
) -> int:
    """Print a verification and return the exit status: 1 if a claim that passed before now fails, else 0.

    every   also a line for each claim that was not run; else they are counted
    needed  status 1 also if no earlier verification of this scale was kept
    """
    counts = Counter(words(entry) for entry in found["claims"])
    for entry in found["claims"]:
        if every or entry["verdict"] != "not_run":
            print(line(entry))
    said = [claims.in_words(outcome, small) for outcome in claims.OUTCOMES for small in (False, True)]
    print(", ".join(f"{counts[one]} {one}" for one in dict.fromkeys(said) if counts[one]))
    if counts[claims.in_words("not_run")] and not every:
        print("model-collapse claims lists what was not run, with its command and cost")
    if unknown := without_baseline(found, earlier):
        print(f"{unknown} of them were never recorded at this scale: the exit status does not cover them")
    for name, about in retired(found, earlier).items():
        print(f"{name} passed when it was last recorded; retired on {about.date}: {about.reason}")
    fell = fallen(found, earlier)
    for name, became in fell.items():
        print(f"{name} passed when it was last recorded, and {became}")
    lacking = found["scale"] is not None and found["scale"] not in earlier
    if lacking:
        print(f"records/verify-{found['scale']}.json is not there: there is nothing to compare with")
    return 1 if fell or (lacking and needed) else 0


def without_baseline(found: Mapping[str, Any], earlier: Mapping[str, Mapping[str, Any]]) -> int:
    """How many of the claims that were run are in no earlier verification of their scale."""
    ran = [(found["scale"] or e["scale"], e["id"]) for e in found["claims"] if e["verdict"] != "not_run"]
    known = {(scale, e["id"]) for scale, old in earlier.items() for e in old["claims"] if e["verdict"] != "not_run"}
    return sum(one not in known for one in ran)


def line(entry: Mapping[str, Any]) -> str:
    """One claim: verdict, estimate with interval, band and run time; or how to run it, and the time that takes."""
    claim = claims.named(entry["id"])
    said = f"{claim.id:8} {words(entry)}"
    if entry["verdict"] == "not_run":
        return f"{said}: {how(entry)}"
    why = f" ({entry['why']})" if entry["why"] else ""
    p = "" if entry.get("p_adjusted") is None else f", p {entry['p']:.2g}, adjusted {entry['p_adjusted']:.2g}"
    looks = f", {entry['looks']} looks" if entry.get("looks", 1) > 1 else ""
    took = clock(entry["seconds"])
    return f"{said}: {span(entry)}{p}, allowed {claim.allowed}{why}, {took}{looks}: {claim.statement}"


def span(entry: Mapping[str, Any]) -> str:
    """Estimate and interval."""
    # Neither a number that is not there nor one without bound has a place in JSON.
    value, low, high = ("-" if entry[key] is None else f"{entry[key]:z.3g}" for key in ("estimate", "low", "high"))
    return f"{value} [{low}, {high}]"


def how(entry: Mapping[str, Any]) -> str:
    """The command that runs a claim, and what it costs."""
    if entry["scale"] == "review":
        return str(entry["command"])
    cost = entry["cost"]
    takes = "not timed yet" if cost["seconds"] is None else f"{clock(cost['seconds'])} on {cost['device']}"
    return f"{entry['command']}, {takes}{'' if cost['measured'] else ' (estimated)'}"
