"""A share of real rows in every training set, and its effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Condition, Study
from model_collapse.theory import mixed


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """What is said of normal distributions, and of what else the chapter runs.

    steady   chains where they have come to rest
    shares   of real rows, for the drift in the long run
    lengths  rows of the regression on biased labels
    quick    whether runs of claims have fewer chains than the claims say
    """

    steady: int
    shares: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0)
    lengths: tuple[int, ...] = (250, 500, 1000, 2000, 4000, 8000)
    quick: bool = False


LAPTOP = Size(n=100, generations=2000, seeds=512, steady=4096, seed=1)

SIZES: Mapping[str, Size] = {
    "smoke": replace(
        LAPTOP, n=20, generations=100, seeds=128, steady=1024, shares=(0.2, 1.0), lengths=(500, 2000, 8000), quick=True
    ),
    "laptop": LAPTOP,
    "paper": replace(LAPTOP, generations=4000, seeds=4096, steady=16384, shares=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)),
}


def _new(title: str, share: float) -> Condition:
    return Condition(title, "fresh", {"regime.real_fraction": share})


CONDITIONS: Mapping[str, Condition] = {
    "none": _new("no real rows", 0.0),
    "0.1 %": _new("one row in a thousand real and new", 0.001),
    "0.5 %": _new("five in a thousand", 0.005),
    "1 %": _new("one in a hundred", 0.01),
    "2 %": _new("two in a hundred", 0.02),
    "5 %": _new("five in a hundred", 0.05),
    # Of these two a size says how many rows they are: `words` and `ill`.
    "1 new row": Condition("one real row, new every time", "fresh"),
    "heal with 1 row": Condition("synthetic data only, then one real row every time", "heal"),
    "10 % new": _new("a tenth, new every time", 0.1),
    "50 % new": _new("half, new every time", 0.5),
    "10 % of one set": Condition(
        "a tenth, drawn from one finite set", "mix", {"regime.real_fraction": 0.1, "family.sampling": "draw"}
    ),
    "replace": Condition("synthetic data only"),
    "heal with 10 %": Condition("synthetic data only, then a tenth real", "heal", {"regime.real_fraction": 0.1}),
    "accumulate": Condition("all rows so far", "accumulate"),
}

STUDY = Study("real_share", SIZES, CONDITIONS, "gaussian")

SMALL = ("none", "0.1 %", "0.5 %", "1 %", "2 %", "5 %")
WORDS = ("none", "1 new row", "10 % new", "50 % new", "10 % of one set")
HEALING = ("replace", "heal with 1 row", "heal with 10 %", "accumulate")

SYMBOLS = 50
"""Words of the discrete chain, whose shares follow Zipf's law with exponent 1."""

SYNTHETIC_LABELS = 0.1
"""Share of labels that are biased in `labels`."""


def thousand(size: Size) -> Size:
    """Normal distributions fitted to training sets of 1000 rows."""
    return replace(size, n=1000, every=max(1, size.generations // 25), metrics=("variance",))


def _discrete(size: Size, generations: int, every: int, metrics: Sequence[str], **settings: Any) -> Size:
    return replace(
        size,
        family="discrete",
        generations=generations,
        every=max(1, every),
        seeds=min(size.seeds, 512),
        metrics=tuple(metrics),
        settings={"family.symbols": SYMBOLS, "family.zipf": 1, **settings},
    )


def words(size: Size) -> Size:
    """The discrete chain for 2 M generations."""
    M = int(size.n or 0)
    measured = ("heterozygosity", "support", "share")
    found = _discrete(size, 2 * M, M // 10, measured)
    one = {"settings": {**found.settings, "regime.real_fraction": 1 / M}}
    return replace(found, own={"1 new row": one, "10 % of one set": {"metrics": measured[:2]}})


def ill(size: Size) -> Size:
    """The discrete chain for 3 M generations; those that heal get real rows after the first M."""
    M = int(size.n or 0)
    found = _discrete(size, 3 * M, M // 10, ("heterozygosity", "support", "share"))
    healing = {**found.settings, "regime.until": M}
    one = {"settings": {**healing, "regime.real_fraction": 1 / M}}
    return replace(found, own={"heal with 1 row": one, "heal with 10 %": {"settings": healing}})


# What follows has numbers that theory gives, and so no conditions: arguments of `plan`, all but the seed. ----------


def _normal(
    regime: str, n: int, generations: int, every: int, chains: int, metric: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "family": "gaussian", "regime": regime, "n": n, "generations": generations, "every": every,
        "replicates": chains, "metrics": [metric], "settings": settings,
    }  # fmt: skip


def plateau(size: Size, regime: str, share: float, variance: Literal["known", "estimated"]) -> dict[str, Any]:
    """A normal distribution that comes to its limit and is then measured two dozen times.

    regime    fresh, mix or fixed
    variance  known or estimated
    """
    M = int(size.n or 0)
    decay = float(mixed.drift_decay(M, share, variance=variance))
    quick = share >= 0.1
    step = max(1, round((2 if quick else 0.5) / decay))
    settings: dict[str, Any] = {"family.variance": variance}
    settings |= {"regime.synthetic": (1 - share) / share} if regime == "fixed" else {"regime.real_fraction": share}
    settings |= {"family.sampling": "draw"} if regime == "mix" else {}
    chains = size.steady if regime == "fresh" and quick else min(size.seeds, 256)
    rows = round(share * M) if regime == "fixed" else M
    return _normal(regime, rows, 24 * step + round(7 / decay), step, chains, "mean", settings)


def island(size: Size, rows: int, real: int) -> dict[str, Any]:
    """A normal distribution with this number of new real rows in every training set, run until it has long settled."""
    decay = float(mixed.drift_decay(rows, real / rows))
    step = max(1, round(1 / decay))
    share = {"regime.real_fraction": real / rows}
    return _normal("fresh", rows, 16 * step + round(7 / decay), step, size.seeds, "variance", share)


def weighed(size: Size, weight: float) -> dict[str, Any]:
    """M new real rows beside M synthetic ones, the real ones with this weight in the fit."""
    settings = {"family.variance": "known", "regime.real_weight": weight}
    return _normal("weigh", int(size.n or 0), 60, 5, size.steady // 2, "mean", settings)


def filling(size: Size, floor: float, half: int) -> dict[str, Any]:
    """A web that fills up: the share of real rows is half after `half` generations, above the floor."""
    last, M = size.generations, int(size.n or 0)
    web = {"regime.floor": floor, "regime.half": half}
    return _normal("fill", M, last, max(1, last // 80), size.seeds, "variance", web)


def wandering(size: Size, floor: float, half: int) -> dict[str, Any]:
    """The same with a known variance and enough rows that there is a real one in every generation."""
    last, web = size.generations, {"family.variance": "known", "regime.floor": floor, "regime.half": half}
    return _normal("fill", 20 * last, last, last, size.seeds, "mean", web)


def labels(size: Size, rows: int, shift: float, chains: int) -> dict[str, Any]:
    """Regression in 20 dimensions, a tenth of whose labels come from weights that are off by `shift`."""
    settings = {"family.dim": 20, "family.shift": shift, "regime.real_fraction": 1 - SYNTHETIC_LABELS}
    return {
        "family": "regression", "regime": "fresh", "n": rows, "generations": 1, "replicates": chains, "given": "fresh",
        "metrics": ["test_error"], "settings": settings,
    }  # fmt: skip
