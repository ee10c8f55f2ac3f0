"""Claims of the paper and of its follow-ups, each with the runs that test it and a pure function of their tables.

    claim = known()["GA-1"]
    tables, _ = study(arms(claim, seed), folder)       the runs, from seeds
    print(claim.judge(tables))                         estimate, interval, allowed band, verdict

A module of this folder holds the claims of one part of the book, as `CLAIMS`. Needs no torch.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from model_collapse.analysis import stats
from model_collapse.analysis.stats import Estimate
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError

Tables = Mapping[str, pd.DataFrame]
Scale = Literal["full", "small", "none"]

NATURE = "Shumailov et al. 2024, doi:10.1038/s41586-024-07566-y"
"""The paper, as `source` of a claim."""

LEVEL = 0.9999
"""Level of every interval that a verdict rests on: a true value inside the band is missed once in 10,000 or less."""


DEFINITIONS: Mapping[int, str] = {
    1: "risk grows catastrophically",
    2: "risk grows at all",
    3: "risk grows without bound",
    4: "variance collapses",
    5: "scaling laws change",
    6: "modes of the real data merge or vanish",
    7: "tails of the real data vanish",
    8: "data appear that are nothing like the real ones",
}
"""What collapse is said to be, after Schaeffer et al. 2025 (arXiv:2503.03150)."""


@dataclass(frozen=True)
class Claim:
    """A statement that a number settles.

    measured    the quantity and its unit, as `check` returns it
    band        where it has to lie; a claim counts as reproduced if the whole interval lies inside, ends excluded
    reason      why this band: fixed before the run
    runs        label -> arguments of `plan`, all but the seed: what `verify` runs, and needs no data from outside
    check       tables by label -> estimate with an interval of level LEVEL. Sizes are read from the tables, so that a
                chapter can put its own runs to the same question.
    ends        generation that each table has to reach; a chain that stops before it settles nothing
    published   the value in the source, if it has one
    definition  which of DEFINITIONS it is about
    chapter     slug of the chapter that shows it
    scale       simulation: the runs are what the claim is about; small: they are smaller than the source's; gpu: they
                need a GPU and pre-trained weights, and no other runs can settle it; review: people read, nothing runs
    figure      name of the figure of that chapter that shows it, if one does
    larger      runs of the source's size, for a GPU; {} where `runs` are as large, or nobody said how large
    recorded    names of the recorded runs in `records/` that have the same arms
    target      what `check` returns, chance aside, where that is known exactly and not only to be inside the band
    """

    id: str
    statement: str
    source: str
    measured: str
    band: tuple[float, float]
    reason: str
    runs: Mapping[str, Mapping[str, Any]]
    check: Callable[[Tables], Estimate]
    chapter: str
    ends: Callable[[pd.DataFrame], float] = lambda table: 0
    published: str = ""
    definition: tuple[int, ...] = ()
    scale: Literal["simulation", "small", "gpu", "review"] = "simulation"
    figure: str = ""
    larger: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    recorded: tuple[str, ...] = ()
    target: float | None = None

    @property
    def command(self) -> str:
        """What runs it again, or who does."""
        if self.scale == "review":
            return "read the page In the wild and its sources"
        return f"model-collapse verify {self.id}" + " --scale gpu" * (self.scale == "gpu")

    @property
    def allowed(self) -> str:
        """The band in words."""
        low, high = self.band
        if high == np.inf:
            return f"at least {low:g}"
        return f"at most {high:g}" if low == -np.inf else f"{low:g} to {high:g}"

    def judge(self, tables: Tables) -> Verdict:
        """The verdict that these tables give; one without interval where rows that the check needs are missing.

        A whole run that is missing was not run. Arms that are another claim's are left out.
        """
        if self.runs and set(self.runs) <= set(tables):
            tables = {label: tables[label] for label in self.runs}
        nothing = Estimate(np.nan, np.nan, np.nan, 0, LEVEL)
        try:
            scale = self._scale_of(tables)
            with warnings.catch_warnings():
                # What has no logarithm or mean becomes nan, and with it the interval.
                warnings.simplefilter("ignore", RuntimeWarning)
                estimate = self.check(tables) if scale != "none" else nothing
            reached = all(table["generation"].max() >= self.ends(table) for table in tables.values())
            if self.scale != "simulation":
                # Chains that are the same number for number are one chain, and have no interval.
                reached &= not any(map(_all_the_same, tables.values()))
        except (LookupError, ValueError, ZeroDivisionError):
            absent = any(label not in tables or tables[label].empty for label in self.runs)
            return Verdict(self, nothing, "none" if absent else "full")
        return Verdict(self, estimate if reached else unsettled(estimate), scale)

    def _scale_of(self, tables: Tables) -> Scale:
        """How these runs compare with the source's: as large, or smaller."""
        if all(table.empty for table in tables.values()):
            return "none"
        if self.scale == "simulation" or all(map(_as_published, tables.values())):
            return "full"
        return "small" if self.scale == "small" else "none"


PUBLISHED_BLOCKS = 30_000
"""Blocks that a run of the paper's size has at least: WikiText-2 has some 37,000."""


def _as_published(table: pd.DataFrame) -> bool:
    """Whether a run is of the source's size: a language model with its weights, its text, all of it, or the VAE itself
    with new latents in every batch of as many images as MNIST has."""
    settings, kind, corpus = family(table), str(table["family"].iloc[0]), str(table["corpus"].iloc[0])
    if kind == "vae":
        published = settings["preset"] == "paper" and settings["latents"] == "fresh" and corpus == "mnist"
        # Half a batch more or less in each of 30 passes; with steps of their own all arms of a study have as many.
        return published and rows(table) >= 30 * 60_000 and not 0 < settings["steps"] < 7000
    large = rows(table) >= PUBLISHED_BLOCKS and corpus.startswith("wikitext-2")
    return kind == "lm" and large and settings.get("start") == "pretrained"


def _all_the_same(table: pd.DataFrame) -> bool:
    """Whether there are several replicates, and all have the same values."""
    places = ["generation", "metric", "item"]
    wide = table.astype({"metric": str, "item": str}).pivot_table("value", places, "replicate", dropna=False)
    return wide.shape[1] > 1 and bool(wide.sub(wide.iloc[:, 0], axis=0).abs().max(axis=None) == 0)


@dataclass(frozen=True)
class Verdict:
    """A claim and what was measured.

    scale  of the runs: full, as the source's or what the claim is about; small, smaller ones; none, no such run
    """

    claim: Claim
    estimate: Estimate
    scale: Scale = "full"

    @property
    def verdict(self) -> Literal["reproduced", "reproduced_small", "not_reproduced", "not_run"]:
        """The verdict in one word, for machines."""
        if self.scale == "none":
            return "not_run"
        if not self.holds:
            return "not_reproduced"
        return "reproduced_small" if self.scale == "small" else "reproduced"

    @property
    def holds(self) -> bool:
        """Whether the whole interval lies inside the band; never where there is no interval.

        An end of the band is outside it: no effect at all, an interval of [0, 0], is not "at least 0".
        """
        low, high = self.claim.band
        inside = low < self.estimate.low and (self.estimate.high < high or high == np.inf)
        return bool(inside and not np.isnan(self.estimate.value))

    def __str__(self) -> str:
        allowed = self.claim.allowed
        said = f"{self.claim.id}, {self.claim.statement}: {self.claim.measured}"
        if self.verdict == "not_run":
            return f"{said}, allowed {allowed}: not run here"
        # Where several intervals have to hold at once each has a higher level; together they have this one.
        level = f"{min(self.estimate.level, LEVEL):.2%}"
        outcome = {"reproduced": "reproduced", "reproduced_small": "reproduced at small scale"}
        return (
            f"{said} {self.estimate:.3g} ({level} interval), "
            f"allowed {allowed}: {outcome.get(self.verdict, f'not reproduced ({self.why})')}"
        )

    @property
    def why(self) -> str:
        """What keeps the claim from being reproduced: few chains are no evidence against it, a whole interval is."""
        if self.verdict == "not_run":
            return "not run here"
        if self.holds:
            return ""
        low, high = self.claim.band
        found = self.estimate
        if np.isnan(found.value) or np.isnan(found.low):
            return "these runs do not settle it"
        if found.high <= low or found.low >= high:
            return "the whole interval lies outside"
        # A value without bound, as the price of what nothing buys, lies inside a band without end.
        if low < found.value and (found.value < high or high == np.inf):
            return "the value lies inside, its interval is too wide"
        return "the value lies outside, its interval reaches inside"


def known() -> dict[str, Claim]:
    """All claims by id, found by scanning this folder."""
    found: dict[str, Claim] = {}
    for module in pkgutil.iter_modules(__path__):
        for claim in importlib.import_module(f"{__name__}.{module.name}").CLAIMS:
            if claim.id in found:
                raise ValueError(f"two claims are called {claim.id}")
            found[claim.id] = claim
    return dict(sorted(found.items()))


def named(name: str) -> Claim:
    """The claim of this id. InputError lists the known ones."""
    claims = known()
    if name not in claims:
        raise InputError(f"claim {name}: no such claim; known: {', '.join(claims)}")
    return claims[name]


def arms(claim: Claim, seed: int) -> dict[str, Run]:
    """The runs of a claim, for `study`."""
    return planned(claim.runs, seed)


def planned(runs: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, Run]:
    """Label -> checked run, from arguments that lack the seed."""
    return {label: plan(**arguments, seed=seed) for label, arguments in runs.items()}


def unsettled(estimate: Estimate) -> Estimate:
    """The estimate without its interval, so that no band holds it: the tables do not show what the claim needs."""
    return replace(estimate, low=np.nan, high=np.nan)


def farthest(estimates: Iterable[Estimate], target: float) -> Estimate:
    """The estimate whose interval reaches farthest from `target`: the worst of several settings.

    Every interval must have been made at a level that allows for their number.
    """
    return max(estimates, key=lambda e: np.nan_to_num(max(abs(e.low - target), abs(e.high - target)), nan=np.inf))


def lowest(estimates: Iterable[Estimate]) -> Estimate:
    """The estimate whose interval reaches lowest, the worst where more is better; one without an interval comes first.

    Levels as in `farthest`.
    """
    return min(estimates, key=lambda e: np.nan_to_num(e.low, nan=-np.inf))


def family(table: pd.DataFrame, column: str = "family_args") -> dict[str, Any]:
    """The settings of the family that made a table; of the regime, filters included, with column="regime_args"."""
    return json.loads(str(table[column].iloc[0]))


def rows(table: pd.DataFrame) -> int:
    """M, the number of real rows that generation 0 was fitted to."""
    return int(table.loc[table["generation"] == 0, "n_train"].iloc[0])


def chains(table: pd.DataFrame, metric: str, item: str = "") -> pd.DataFrame:
    """A metric by chain (rows) and generation (columns 0, 1, ... to the table's last); nan for what is not there."""
    wide = stats.pick(table, metric, item=item).pivot(index="replicate", columns="generation", values="value")
    return wide.reindex(index=np.unique(table["replicate"]), columns=range(int(table["generation"].max()) + 1))


def times(a: pd.Series, b: pd.Series, confidence: float) -> Estimate:
    """How many times as large a is as b: geometric mean of a / b over the replicates that both have."""
    log = stats.paired(np.log(a), np.log(b), confidence)
    value, low, high = np.exp([log.value, log.low, log.high]).tolist()
    return replace(log, value=value, low=low, high=high)


def level(comparisons: int) -> float:
    """Level of each of so many intervals that together miss once in 10,000 or less (Bonferroni)."""
    return 1 - (1 - LEVEL) / comparisons
