"""Claims about keeping old data, the yardstick of collapse and biased shares: regression, Gaussian and KDE chains."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, family, rows, unsettled
from model_collapse.theory import regression as theory

_REUSED, _FRESH = "accumulate", "accumulate, new x"

_LABELS: Mapping[str, Any] = {
    "family": "regression",
    "n": 111,
    "generations": 9,
    "every": 9,
    "replicates": 16_384,
    "metrics": ["test_error"],
}

_RISKS: Mapping[str, Mapping[str, Any]] = {
    "gaussian": {"n": 100, "replicates": 1024, "metrics": ["w2_squared"]},
    "kde": {"n": 50, "replicates": 256, "metrics": ["kl_density"], "settings": {"family.bandwidth": 0.25}},
    "regression": {"n": 60, "replicates": 512, "metrics": ["test_error"]},
}
_REGIMES = ("accumulate", "subsample", "replace")


def _risk(family: str, regime: str) -> Mapping[str, Any]:
    """Fifty fits. Subsample has to have rows to choose from."""
    run = {"family": family, "regime": regime, "generations": 49, "every": 49, **_RISKS[family]}
    return run | {"settings": {"family.sampling": "draw"}} if regime == "subsample" and family != "kde" else run


def _growth_of_labels(tables: Tables, level: float) -> Estimate:
    """Mean error over its closed form at the last generation of each condition.

    No interval, if the error of a condition that keeps its data is not surely below pi^2/6 times that of its first fit.
    """
    ratios, bounded = [], True
    for label, table in tables.items():
        settings = family(table)
        T = int(table.loc[table["generation"] == 0, "n_train"].iloc[0])
        n = stats.last_of(table) + 1
        size = (n, T, settings["dim"], settings["noise"])
        if label == "replace":
            expected = theory.replaced_error(*size)
        else:
            expected = theory.accumulated_error(*size, given="fresh" if label == _FRESH else "original")
        errors = stats.per_replicate(table, "test_error", n - 1)
        ratios.append(partial(stats.mean, errors / float(expected)))
        if label != "replace":
            growth = stats.log_ratio(errors, stats.per_replicate(table, "test_error", 0), level)
            bounded &= growth.high < np.log(np.pi**2 / 6)
    worst = testing.farthest(ratios, 1, level)
    return worst if bounded else unsettled(worst)


def _order_of_regimes(tables: Tables, level: float) -> Estimate:
    """ln(subsample / accumulate) and ln(replace / subsample) of the mean risk, all families: the smallest of them."""
    families = sorted({label.rpartition(" ")[0] for label in tables})
    gaps = []
    for kind in families:
        kept, taken, replaced = (_last(tables[f"{kind} {regime}"]) for regime in _REGIMES)
        gaps += [partial(stats.log_ratio, taken, kept), partial(stats.log_ratio, replaced, taken)]
    return testing.lowest(gaps, level)


def _two_yardsticks(tables: Tables, level: float) -> Estimate:
    """ln growth of one distance minus that of the other over the second half of the chain, the smaller of two toys."""
    narrow, wide = tables["narrowing"], tables["widening"]
    found = []
    for table, sign in ((narrow, 1), (wide, -1)):
        last = stats.last_of(table)
        early, late = (_distances(table, g) for g in (last // 2, last))
        # A distance that is not above 0 has no logarithm: no interval, and no verdict in the claim's favour.
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = np.log(late) - np.log(early)
        found.append(partial(stats.mean, sign * (growth["kl"] - growth["w2"])))
    return testing.lowest(found, level)


def _distances(table: pd.DataFrame, generation: int) -> pd.DataFrame:
    """KL(true || model) and W2^2 of every chain; for fitted normal distributions KL from mean and variance."""
    if "kl_density" in set(table["metric"]):
        kl = stats.per_replicate(table, "kl_density", generation)
        return pd.DataFrame({"kl": kl, "w2": stats.per_replicate(table, "w2_marginal", generation)})
    mean, v = (stats.per_replicate(table, name, generation) for name in ("mean", "variance"))
    kl = 0.5 * (np.log(v) + (1 + mean**2) / v - 1)
    return pd.DataFrame({"kl": kl, "w2": stats.per_replicate(table, "w2_squared", generation)})


PLATEAU = 32_000
"""Rows from which on the error of MIX-3 has levelled off."""


def _plateau(tables: Tables, level: float) -> Estimate:
    """Mean error with the most rows over that with the next fewer.

    No interval from fewer than PLATEAU rows, or where the quotient before it is not surely farther from 1.
    """
    ordered = sorted(tables.values(), key=rows)
    errors = [_last(table) for table in ordered]
    logs = [stats.log_ratio(more, fewer, level) for fewer, more in pairwise(errors)]
    last = logs[-1]
    value, low, high = np.exp([last.value, last.low, last.high]).tolist()
    found = Estimate(value, low, high, last.n, level)
    far = rows(ordered[-2]) >= PLATEAU and all(one.high < other.low for one, other in pairwise(logs))
    return found if far else unsettled(found)


def _last(table: pd.DataFrame) -> pd.Series:
    """The table's only metric at its last generation, by replicate."""
    (metric,) = table["metric"].unique()
    return stats.per_replicate(table, str(metric), stats.last_of(table))


CLAIMS = (
    Claim(
        id="ACC-1",
        statement="in a linear regression whose labels are generated anew by the model before, the test error grows "
        "linearly with the generations if data are replaced, and by a factor of at most π²/6 if they accumulate",
        source="Gerstgrasser et al. 2024, arXiv:2404.01413; CF-L1, CF-L2",
        measured="mean test error of the tenth fit over its closed form; of all conditions, the one farthest from 1",
        band=(0.97, 1.03),
        target=1,
        reason="3 % on either side of the exact growth: n times if data are replaced, Σ 1/k² (1.550 at n = 10) if "
        "they accumulate. The upper end is 1.596 times the error of the first fit, below the bound of 1.645, which "
        "the conditions that accumulate have to keep as well; new x in every generation have a slightly smaller "
        "exact form",
        runs={
            "replace": {**_LABELS, "regime": "replace"},
            _REUSED: {**_LABELS, "regime": "accumulate"},
            _FRESH: {**_LABELS, "regime": "accumulate", "given": "fresh"},
        },
        check=_growth_of_labels,
        chapter="accumulate",
        figure="accumulate-regression-error",
        ends=lambda table: 9,
        published="1 to n, and 1.645 at most",
        definition=(3,),
    ),
    Claim(
        id="ACC-3",
        statement="training on n rows drawn from all data so far gives a test risk between those of accumulating and "
        "of replacing the data",
        source="Kazdan et al. 2025, arXiv:2410.16713",
        measured="ln of the ratio of mean test risks after 50 fits, subsample over accumulate and replace over "
        "subsample, for three families; the smallest of the six",
        band=(0.01, np.inf),
        reason="accumulate < subsample < replace, by 1 % or more each, for Gaussians (W₂²), kernel density estimates "
        "(KL divergence) and regression",
        runs={f"{family} {regime}": _risk(family, regime) for family in _RISKS for regime in _REGIMES},
        check=_order_of_regimes,
        chapter="accumulate",
        ends=lambda table: 49,
        definition=(2, 3),
    ),
    Claim(
        id="MET-1",
        statement="which of two distances to the truth reveals a collapse depends on the direction: KL divergence "
        "where the models get narrower, W₂ distance where they get wider",
        source="after Borji 2024, arXiv:2410.12954; derived in the chapter",
        measured="ln of how many times more one distance grew than the other over the second half of the chain, the "
        "smaller of two examples",
        band=(np.log(1.5), np.inf),
        reason="one distance has to grow by half as much again as the other, in the direction of theory. Where "
        "models get narrower (Gaussian, maximum likelihood), the mean of W₂² stays below 2 and KL(true ‖ model) "
        "grows exponentially; where they get wider (kernels with Scott's rule), W₂² grows exponentially and KL only "
        "like its logarithm, without levelling off. The source says more generally that KL levels off while W₂ grows",
        runs={
            "narrowing": {
                "family": "gaussian",
                "regime": "replace",
                "n": 20,
                "generations": 100,
                "every": 50,
                "replicates": 2048,
                "metrics": ["mean", "variance", "w2_squared"],
            },
            "widening": {
                "family": "kde",
                "regime": "replace",
                "n": 100,
                "generations": 24,
                "every": 12,
                "replicates": 256,
                "metrics": ["kl_density", "w2_marginal"],
                "settings": {"family.rule": "scott"},
            },
        },
        check=_two_yardsticks,
        chapter="accumulate",
        figure="accumulate-two-distances",
    ),
    Claim(
        id="MIX-3",
        statement="if a fixed share of the labels is biased, the test error of a regression levels off, however many "
        "rows there are",
        source="Dohmatob et al. 2025, arXiv:2410.04840; CF-L4",
        measured="mean test error of the second fit with 128,000 rows over that with 32,000",
        band=(0.9, 1.0),
        reason="unbiased data would leave a quarter of the error; with 10 % of labels off by c = 1 the exact form "
        "has 0.952, after 0.837 from 8000 rows to 32,000. Each ratio also has to be above the one before",
        runs={
            label: {
                "family": "regression",
                "regime": "fresh",
                "n": n,
                "generations": 1,
                "replicates": 512,
                "given": "fresh",
                "metrics": ["test_error"],
                "settings": {"family.dim": 20, "family.shift": 1.0, "regime.real_fraction": 0.9},
            }
            for label, n in (("few rows", 8000), ("many rows", 32_000), ("most rows", 128_000))
        },
        check=_plateau,
        chapter="real_share",
        figure="real-share-strong-collapse",
        ends=lambda table: 1,
        definition=(5,),
    ),
)
