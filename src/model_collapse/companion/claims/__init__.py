"""Claims of the paper and of its follow-ups, each with the runs that test it and a pure function of their tables.

    claim = known()["GA-1"]
    tables, _ = run_all(runs_of(claim, seed), folder)  the runs, from seeds
    print(claim.judge(tables))                         estimate, interval, allowed band, verdict
    together(verdicts)                                 corrected for how many experiments are judged at once

A module of this folder holds the claims of one part of the book, as `CLAIMS`. To find one by its id:

    grep -rn 'id="GA-1"' src/model_collapse/companion/claims

but NC-*, which `controls` and `controls_models` make for each chapter, and RE-* and PT-*, in `recursion`.

Needs no torch.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.records.scale import as_published
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError

Tables = Mapping[str, pd.DataFrame]
Coverage = Literal["full", "small", "none"]
Kind = Literal["theory", "primary", "secondary", "review"]
Outcome = Literal["supported", "contradicted", "equivalent", "undecided", "not_run"]

NATURE = "Shumailov et al. 2024, doi:10.1038/s41586-024-07566-y"
"""The paper, as `source` of a claim."""

LEVEL = 0.9999
"""Level at which exact theory is tested: where the truth lies outside the band, the whole interval lies inside once in
10,000 times or less."""

LEVELS: Mapping[Kind, float] = {"theory": LEVEL, "primary": 0.99, "secondary": 0.95, "review": LEVEL}
"""Level of the interval that a verdict rests on, by the kind of evidence. Half of what it leaves out is the one-sided
error: 0.005 for a primary endpoint, 0.025 for a secondary one. Bands with two ends are tests of equivalence."""

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
"""Definitions of collapse, after Schaeffer et al. 2025 (arXiv:2503.03150)."""


@dataclass(frozen=True)
class Claim:
    """A statement that a measured number can support or contradict.

    statement   a sentence that stands alone
    measured    the quantity and its unit, as `check` returns it
    band        the values that support the claim: the whole interval has to lie inside, ends excluded
    reason      why this band: fixed before the run
    runs        label -> arguments of `plan`, all but the seed: what `verify` runs, and needs no data from outside
    check       (tables by label, level) -> estimate with an interval of that level. Sizes are read from the tables, so
                that a chapter can test the claim on its own runs.
    ends        generation that each table has to reach; a chain that stops before it decides nothing
    published   the value in the source, if it has one
    definition  which of DEFINITIONS it is about
    chapter     slug of the chapter that shows it
    scale       simulation: the runs are what the claim is about; small: they are smaller than the source's; gpu: they
                need a GPU and pre-trained weights, and no other runs can settle it; review: people read, nothing runs
    figure      name of the figure of that chapter that shows it, if one does
    larger      runs of the source's size, for a GPU; {} where `runs` are as large, or nobody said how large
    recorded    names of the recorded runs in `records/` that have the same conditions
    target      the exact value of what `check` estimates, where it is known
    primary     the study in whose entry of `records/endpoints.md` the claim is a primary endpoint; "": it is in none
    no_effect   value of the quantity where there is no effect at all
    margin      an interval within so much of `no_effect` says that no effect of that size is there; None: none
    constant    runs that are read as a constant, so that all their chains may be the same
    any_weights whether runs of any published, pre-trained model count for it too, at small scale
    """

    id: str
    statement: str
    source: str
    measured: str
    band: tuple[float, float]
    reason: str
    runs: Mapping[str, Mapping[str, Any]]
    check: Callable[[Tables, float], Estimate]
    chapter: str
    ends: Callable[[pd.DataFrame], float] = lambda table: 0
    published: str = ""
    definition: tuple[int, ...] = ()
    scale: Literal["simulation", "small", "gpu", "review"] = "simulation"
    figure: str = ""
    larger: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    recorded: tuple[str, ...] = ()
    target: float | None = None
    primary: str = ""
    no_effect: float = 0.0
    margin: float | None = None
    constant: tuple[str, ...] = ()
    any_weights: bool = False

    @property
    def kind(self) -> Kind:
        """The kind of evidence that decides it: theory, chains against a closed form or a bound; primary or secondary,
        an experiment; review, a reader."""
        if self.scale in ("simulation", "review"):
            return "theory" if self.scale == "simulation" else "review"
        return "primary" if self.primary else "secondary"

    @property
    def level(self) -> float:
        """Level of its interval where it is judged alone."""
        return LEVELS[self.kind]

    @property
    def command(self) -> str:
        """The command that runs it again, or what a reader does."""
        if self.scale == "review":
            return "read the page In the wild and its sources"
        return f"model-collapse verify {self.id}" + (" --scale gpu" if self.scale == "gpu" else "")

    @property
    def allowed(self) -> str:
        """The band in words."""
        low, high = self.band
        if high == np.inf:
            return f"above {low:.4g}"
        return f"below {high:.4g}" if low == -np.inf else f"{low:.4g} to {high:.4g}"

    def judge(self, tables: Tables, level: float | None = None) -> Verdict:
        """The verdict that these tables give, alone; one without interval where rows that the check needs are missing.

        A whole run that is missing was not run. Conditions that belong to another claim are left out.

        level  of the interval; None: that of the claim's kind
        """
        level = self.level if level is None else level
        if self.runs and set(self.runs) <= set(tables):
            tables = {label: tables[label] for label in self.runs}
        nothing = Estimate(np.nan, np.nan, np.nan, 0, level)
        try:
            coverage = self._coverage_of(tables)
            reached = all(table["generation"].max() >= self.ends(table) for table in tables.values())
            if self.scale != "simulation":
                # Chains that are the same number for number are one chain, and have no interval.
                reached &= not any(_all_the_same(t) for label, t in tables.items() if label not in self.constant)
            estimate = self._estimate(tables, level) if coverage != "none" else nothing
            # One number in every seed, as where all models are back at the one that they started from, refutes nothing.
            same = self.scale != "simulation" and estimate.low == estimate.high
            reached &= not same or self.room("supported", estimate) > 0
            verdict = Verdict(self, estimate if reached else unsettled(estimate), coverage)
            if self.kind in ("primary", "secondary") and not np.isnan(verdict.estimate.low):
                room = partial(self.room, verdict.answer)
                verdict = replace(verdict, p=testing.p_value(partial(self._estimate, tables), room))
            return verdict
        except (LookupError, ValueError, ZeroDivisionError) as error:
            absent = any(label not in tables or tables[label].empty for label in self.runs)
            if not absent and self._complete(tables):
                # No row is missing, so the check is at fault. A chapter goes on; under a test a warning is an error.
                warnings.warn(f"claim {self.id} was not judged: {error!r}", RuntimeWarning, stacklevel=2)
            return Verdict(self, nothing, "none" if absent else "full")

    def _complete(self, tables: Tables) -> bool:
        """Whether every table goes as far, and has as many chains and metrics, as the claim's own run."""
        return all(
            tables[label]["generation"].max() >= run.get("generations", np.inf)
            and tables[label]["replicate"].nunique() >= run.get("replicates", 1)
            and set(run.get("metrics") or ()) <= set(tables[label]["metric"].astype(str))
            and tables[label]["value"].nunique() > 1
            for label, run in self.runs.items()
        )

    def _estimate(self, tables: Tables, level: float) -> Estimate:
        with warnings.catch_warnings():
            # What has no logarithm or mean becomes nan, and with it the interval.
            warnings.simplefilter("ignore", RuntimeWarning)
            return self.check(tables, level)

    def room(self, answer: Outcome, found: Estimate) -> float:
        """By how much an interval gives an answer: above 0 if it does, nan if there is no interval.

        An end of the band is outside it: no effect at all, an interval of [0, 0], is not "above 0".
        """
        low, high = self.band
        if np.isnan([found.value, found.low, found.high]).any():
            return np.nan
        if answer == "supported":
            return min(found.low - low if low > -np.inf else np.inf, high - found.high if high < np.inf else np.inf)
        if answer == "equivalent" and self.margin is not None:
            return min(self.no_effect + self.margin - found.high, found.low - self.no_effect + self.margin)
        if answer == "contradicted":
            above, below = (found.above, found.below) if isinstance(found, testing.Hull) else (found.low, found.high)
            beyond = max(above - high if high < np.inf else -np.inf, low - below if low > -np.inf else -np.inf)
            # Exact theory says so of no effect at all; of an experiment it may come from seeds without any difference.
            return TOUCHING if beyond == 0 and self.kind == "theory" else beyond
        return -np.inf

    def _coverage_of(self, tables: Tables) -> Coverage:
        """How large these runs are compared with the source's: as large, or smaller."""
        if all(table.empty for table in tables.values()):
            return "none"
        sized = self.larger or (self.runs if self.scale == "gpu" and not self.any_weights else {})
        if self.scale == "simulation" or all(as_published(table, sized.get(arm)) for arm, table in tables.items()):
            return "full"
        real = self.any_weights and all(family(table).get("start") == "pretrained" for table in tables.values())
        return "small" if self.scale == "small" or real else "none"


def _all_the_same(table: pd.DataFrame) -> bool:
    """Whether there are several replicates, and all have the same values."""
    places = ["generation", "metric", "item"]
    wide = table.astype({"metric": str, "item": str}).pivot_table("value", places, "replicate", dropna=False)
    return wide.shape[1] > 1 and bool(wide.sub(wide.iloc[:, 0], axis=0).abs().max(axis=None) == 0)


TOUCHING = 5e-324
"""Smallest number above 0: an interval that ends where the band begins lies outside."""

OUTCOMES: Mapping[Outcome, str] = {
    "supported": "supported",
    "contradicted": "contradicted",
    "equivalent": "equivalent",
    "undecided": "undecided",
    "not_run": "not run here",
}
"""Outcomes in words."""


@dataclass(frozen=True)
class Verdict:
    """A claim and its measured estimate.

    coverage    of the runs: full, as the source's or what the claim is about; small, smaller ones; none, no such run
    p           one-sided p of `answer`, by inversion of the interval; None for theory, which is tested at a fixed level
    p_adjusted  the same after Holm's or Benjamini and Hochberg's correction; None: judged alone
    among       how many claims were judged together for that
    looks       how often chains were looked at, more of them each time
    """

    claim: Claim
    estimate: Estimate
    coverage: Coverage = "full"
    p: float | None = None
    p_adjusted: float | None = None
    among: int = 1
    looks: int = 1

    @property
    def answer(self) -> Outcome:
        """The outcome that the numbers favour, whether or not they decide it.

        What the interval decides, else where the value lies. An interval within the margin of no effect comes first: an
        effect was claimed, and none of that size is there.
        """
        answers: tuple[Outcome, ...] = ("equivalent", "supported", "contradicted")
        point = replace(self.estimate, low=self.estimate.value, high=self.estimate.value)
        if isinstance(point, testing.Hull):
            point = replace(point, above=point.value, below=point.value)
        for found in (self.estimate, point):
            for answer in answers:
                if self.claim.room(answer, found) > 0:
                    return answer
        return "undecided"

    @property
    def alone(self) -> Outcome:
        """The outcome before any correction for other claims."""
        if self.coverage == "none":
            return "not_run"
        return self.answer if self.claim.room(self.answer, self.estimate) > 0 else "undecided"

    @property
    def outcome(self) -> Outcome:
        """supported: the whole interval inside the band; contradicted: the whole interval outside; equivalent: the
        whole interval within the claim's margin of no effect; undecided: anything else; not_run."""
        return "undecided" if self._corrected_away else self.alone

    @property
    def _corrected_away(self) -> bool:
        decided = self.alone in ("supported", "contradicted", "equivalent")
        alpha = (1 - self.claim.level) / 2
        return decided and self.p_adjusted is not None and self.p_adjusted > alpha

    @property
    def at_small_scale(self) -> bool:
        """Whether the runs are smaller than those that the claim is about."""
        return self.coverage == "small"

    @property
    def words(self) -> str:
        """The outcome in words."""
        return in_words(self.outcome, self.at_small_scale)

    @property
    def verdict(self) -> Literal["reproduced", "reproduced_small", "not_reproduced", "undecided", "not_run"]:
        """The outcome in the words that files have always had; not_reproduced: contradicted or equivalent."""
        if self.outcome == "supported":
            return "reproduced_small" if self.at_small_scale else "reproduced"
        return self.outcome if self.outcome in ("undecided", "not_run") else "not_reproduced"

    @property
    def holds(self) -> bool:
        """Whether the claim is supported."""
        return self.outcome == "supported"

    def __str__(self) -> str:
        said = f"{self.claim.id}, {self.claim.statement}: {self.claim.measured}"
        if self.outcome == "not_run":
            return f"{said}, allowed {self.claim.allowed}: {self.words}"
        why = f" ({self.why})" if self.why else ""
        level = f"{100 * self.estimate.level:g}%"
        return f"{said} {self.estimate:.3g} ({level} interval), allowed {self.claim.allowed}: {self.words}{why}"

    @property
    def why(self) -> str:
        """What keeps the claim from being supported, and for an experiment about how many seeds would decide."""
        found, (low, high) = self.estimate, self.claim.band
        if self.outcome == "not_run":
            return "not run here"
        if self.outcome == "contradicted":
            # Of several quantities one is enough.
            whole = found.high <= low or found.low >= high
            return "the whole interval lies outside" if whole else "the whole interval of a part lies outside"
        if self.outcome == "equivalent":
            return f"the whole interval lies within {self.claim.margin:g} of no effect, {self.claim.no_effect:g}"
        if self.outcome == "supported":
            return ""
        if self._corrected_away:
            return f"{OUTCOMES[self.alone]} alone, not among the {self.among} claims that were judged together"
        if np.isnan(found.value) or np.isnan(found.low):
            return "these runs do not settle it"
        # A value without bound, as the price of what nothing buys, lies inside a band without end.
        inside = low < found.value and (found.value < high or high == np.inf)
        where = "inside, its interval reaches out" if inside else "outside, its interval reaches inside"
        return f"the value lies {where}{self._seeds}"

    @property
    def _seeds(self) -> str:
        """About how many seeds would decide."""
        if self.claim.kind == "theory":
            return ""
        found = self.estimate
        bounds = [end for end in self.claim.band if np.isfinite(end)]
        if self.answer == "equivalent" and self.claim.margin is not None:
            bounds = [self.claim.no_effect - self.claim.margin, self.claim.no_effect + self.claim.margin]
        # The nearer end decides: from inside a band both are to be shown, and from outside it is the one between.
        seeds = max(testing.enough(found, bound) for bound in bounds)
        if seeds > MANY:
            return f"; more than {MANY:,} seeds would be needed"
        return f"; about {seeds:.0f} seeds would decide, if the value stays"


MANY = 1000
"""From this number of seeds on, which nobody will run, the exact number that would decide is not given."""


def in_words(outcome: Outcome, at_small_scale: bool = False) -> str:
    """An outcome in words."""
    decided = outcome in ("supported", "contradicted", "equivalent", "undecided")
    return OUTCOMES[outcome] + (" at small scale" if at_small_scale and decided else "")


def together(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The same verdicts, corrected for how many experiments are judged at once.

    Primary endpoints by Holm within their study; all secondary claims by Benjamini and Hochberg, with the direction of
    each as its value says: of the answers given at 95 % one in 20 is wrong at most, on average (Benjamini & Yekutieli
    2005, doi:10.1198/016214504000001907). An experiment that was run and has no interval counts as one of them, with
    p = 1: it was asked, whatever came out. Exact theory is left as it is.
    """
    verdicts = list(verdicts)
    groups: dict[str, list[int]] = defaultdict(list)
    for i, verdict in enumerate(verdicts):
        if verdict.claim.kind in ("primary", "secondary") and verdict.outcome != "not_run":
            groups[verdict.claim.primary].append(i)
    for study, members in groups.items():
        correct = testing.holm if study else testing.benjamini_hochberg
        found = [1.0 if (p := verdicts[i].p) is None else p for i in members]
        for i, p in zip(members, correct(found), strict=True):
            adjusted = None if verdicts[i].p is None else float(p)
            verdicts[i] = replace(verdicts[i], p_adjusted=adjusted, among=len(members))
    return verdicts


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


def runs_of(claim: Claim, seed: int) -> dict[str, Run]:
    """The runs of a claim, for `run_all`."""
    return planned(claim.runs, seed)


def planned(runs: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, Run]:
    """Label -> checked run, from arguments that lack the seed."""
    return {label: plan(**arguments, seed=seed) for label, arguments in runs.items()}


def unsettled(estimate: Estimate) -> Estimate:
    """The estimate without its interval, so that no band holds it: the tables do not show what the claim needs."""
    return Estimate(estimate.value, np.nan, np.nan, estimate.n, estimate.level)


def family(table: pd.DataFrame, column: str = "family_args") -> dict[str, Any]:
    """The settings of the family that made a table; of the regime, filters included, with column="regime_args"."""
    return json.loads(str(table[column].iloc[0]))


def rows(table: pd.DataFrame) -> int:
    """M, the number of real rows that generation 0 was fitted to."""
    return int(table.loc[table["generation"] == 0, "n_train"].iloc[0])


def chains(table: pd.DataFrame, metric: str, item: str = "") -> pd.DataFrame:
    """A metric by chain (rows) and generation (columns 0, 1, ... to the table's last); nan for what is not there."""
    wide = stats.pick(table, metric, item=item).pivot(index="replicate", columns="generation", values="value")
    return wide.reindex(index=np.unique(table["replicate"]), columns=range(stats.last_of(table) + 1))
