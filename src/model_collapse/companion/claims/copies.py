"""The claim about the copy of a copy: what is scanned, printed and scanned again keeps getting worse."""

from __future__ import annotations

from functools import partial

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, chains
from model_collapse.companion.studies.copies import STUDY


def lost_per_copy(tables: Tables, level: float) -> Estimate:
    """PSNR of copy g less that of copy g + 1 in dB, chain by chain, for the g that loses least."""
    estimates = []
    for table in tables.values():
        found = chains(table, "psnr")
        lost = found[found.columns[:-1]].to_numpy() - found[found.columns[1:]].to_numpy()
        estimates += [partial(stats.mean, step) for step in lost.T]
    return testing.lowest(estimates, level)


CLAIMS = (
    Claim(
        id="SC-1",
        statement="copies of copies get worse with every step: a scanner and a printer keep adding errors",
        source="the press: Shumailov, quoted in Freethink 2024",
        measured="peak signal-to-noise ratio in dB lost from one copy to the next, the least of 19 steps",
        band=(0.0, float("inf")),
        reason="every copy has to be worse than the one before it",
        runs=STUDY.arguments("verify"),
        check=lost_per_copy,
        chapter="copies",
        figure="copies-digits-psnr",
    ),
)
