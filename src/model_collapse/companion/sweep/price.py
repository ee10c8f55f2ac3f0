"""The cost of a sweep of the paper's experiment, by the number of GPUs: computed from operations, not run here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from model_collapse.companion import records, studies
from model_collapse.companion.verify import pricing
from model_collapse.engine.cost import makespan

CONDITIONS = ("A", "B", "control")
"""The paper's two, without and with a tenth of real text, and the negative control."""

MEASURED = "pretrained", "A"
"""The record, and its condition, of a model about as large as OPT-125m: one process, one thread of a CPU."""


@dataclass(frozen=True)
class Price:
    """Of 5 seeds of three conditions, generations 0 to 9 of OPT-125m on all of WikiText-2.

    chains  seconds of each chain on one large GPU (`pricing.SPEED`), in the order in which a sweep hands them out
    """

    chains: tuple[float, ...]

    def hours(self, gpus: int) -> float:
        """Wall clock with one chain on each GPU at a time."""
        return makespan(self.chains, gpus) / 3600

    @property
    def core_years(self) -> float:
        """On one core that computes as fast as the one of the record."""
        return sum(self.chains) * pricing.SPEED / core_speed() / (365.25 * 86400)


def paper() -> Price:
    """The sweep `--study language_model --size paper`, of CONDITIONS alone."""
    study = studies.find("language_model")
    size = study.at("paper")
    runs = study.arguments(size, CONDITIONS)
    one = [pricing.estimated({label: {**given, "replicates": 1}}) for label, given in runs.items()]
    return Price(tuple(one * size.seeds))


def core_speed() -> float:
    """Operations per second of one process of the record, counted as `pricing` counts: metrics take time and count for
    nothing."""
    name, condition = MEASURED
    table = records.read(name).tables[condition]
    turns = table.drop_duplicates(["replicate", "generation"])
    run = records.read(name).about["arms"][condition]["run"]
    read = 3 * run["family.steps"] * run["family.batch"] + run["family.beams"] * run["n"]
    return len(turns) * 2 * pricing.WEIGHTS * read * run["family.block"] / float(turns["seconds"].sum())


def table(gpus: Iterable[int] = (1, 2, 4, 8, 15)) -> str:
    """Markdown of it."""
    found = paper()
    lines = ["| GPUs | hours of wall clock, computed | GPU hours paid for |", "|---|---|---|"]
    lines += [f"| {count} | {found.hours(count):.2g} | {found.hours(count) * count:.2g} |" for count in gpus]
    said = (
        f"Computed, not run: {len(found.chains)} chains, one on each GPU at a time. Operations are counted from the "
        f"study; {pricing.SPEED:.0e} of them a second on a large graphics card are assumed, and nobody measured them "
        f"here. Measured is a CPU: {core_speed():.1e} operations a second of one core, of which other work took a part "
        f"(record `{MEASURED[0]}`); at that rate the same sweep takes one core {found.core_years:.2g} years."
    )
    return "\n".join([*lines, "", said])
