"""Claims about scaling laws in Hutter's model: what a lost tail costs, and what clean data give back."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import scipy

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, family, rows, unsettled
from model_collapse.companion.claims.discrete import distribution
from model_collapse.theory import scaling


def losses(table: pd.DataFrame) -> pd.Series:
    """Lost mass of the chains at the last generation."""
    return stats.per_replicate(table, "lost_mass", stats.last_of(table))


def slope(x: np.ndarray, values: list[pd.Series], level: float = 0.95) -> Estimate:
    """Least-squares slope of ln mean(values) against ln x; the logs have the errors std / (mean sqrt(chains)).

    The interval is Student's with the degrees of freedom of Welch (1947, doi:10.1093/biomet/34.1-2.28).
    """
    weight = np.log(x) - np.log(x).mean()
    weight = weight / (weight @ weight)
    means = np.array([value.mean(skipna=False) for value in values])  # a chain without a value is not passed over
    y = np.log(means)
    error = np.array([value.std() / np.sqrt(len(value)) for value in values]) / means
    parts, free = (weight * error) ** 2, np.array([len(value) - 1 for value in values])
    # One chain alone has no error, and with it no interval.
    degrees = parts.sum() ** 2 / (parts**2 / np.maximum(free, 1)).sum()
    half = scipy.stats.t.isf((1 - level) / 2, degrees) * np.sqrt(parts.sum())
    found = float(weight @ y)
    return Estimate(found, found - half, found + half, min(map(len, values)), level)


def _by_exponent(tables: Tables) -> dict[float, list[pd.DataFrame]]:
    """Tables by the exponent beta of their true distribution."""
    groups = defaultdict(list)
    for table in tables.values():
        groups[family(table)["zipf"]].append(table)
    return groups


def exponent(tables: Tables, level: float) -> Estimate:
    """TT-1: slope of ln lost mass against ln T, minus -(beta - 1) / beta; all beta."""
    groups = _by_exponent(tables)
    return testing.farthest(
        [
            testing.less(
                partial(slope, np.array([rows(t) for t in own]), [losses(t) for t in own]),
                -float(scaling.loss_exponent(beta)),
            )
            for beta, own in groups.items()
        ],
        0,
        level,
    )


def plateau_exponent(tables: Tables, level: float) -> Estimate:
    """TT-2: slope of ln lost mass against ln k, minus -(beta - 1), for models that write their k commonest symbols."""
    groups = _by_exponent(tables)
    return testing.farthest(
        [
            testing.less(
                partial(slope, np.array([family(t)["top_k"] for t in own]), [losses(t) for t in own]), 1 - beta
            )
            for beta, own in groups.items()
        ],
        0,
        level,
    )


def floor(tables: Tables, level: float) -> Estimate:
    """TT-3: lost mass over sum p exp(-T0 p g_n), at up to four generations spread over each table."""
    estimates = []
    for table in tables.values():
        recorded = np.sort(table["generation"].unique())
        chosen = recorded[np.unique(np.geomspace(1, len(recorded), 4).round().astype(int)) - 1]
        for g in chosen:
            expected = float(scaling.recursive_loss_bound(g + 1, rows(table), distribution(table)))
            lost = stats.per_replicate(table, "lost_mass", int(g))
            estimates.append(partial(stats.mean, lost / expected))
    return testing.farthest(estimates, 1, level)


def below_plateau(tables: Tables, level: float) -> Estimate:
    """TT-4: lost mass over the plateau of the cut, sum_(i > k) p_i, at the last generation of the largest run.

    No interval, unless the smallest run is surely not below: it is the rows that bring the error there.
    """
    few, many = (
        stats.mean(losses(table) / float(scaling.tail_mass(family(table)["top_k"], distribution(table))), level)
        for table in (min(tables.values(), key=rows), max(tables.values(), key=rows))
    )
    return many if few.low > 1 else unsettled(many)


def token_prices(tables: Tables, level: float = 0.95) -> pd.DataFrame:
    """How many times the rows the same lost mass costs after n fits: columns x = n, y, low, high; chains of `replace`.

    Runs differ in their rows only. The curve of ln lost mass over ln rows of fit n is moved against that of fit 1; the
    distance is averaged over the runs whose lost mass lies on the first curve. The interval is over groups of chains.
    """
    sizes = np.array(sorted({rows(table) for table in tables.values()}))
    own = {rows(table): table for table in tables.values()}
    lost = np.array(
        [stats.pick(own[M], "lost_mass").pivot(index="generation", columns="replicate", values="value") for M in sizes]
    )
    fits = np.sort(next(iter(own.values()))["generation"].unique()) + 1
    groups = np.array_split(np.arange(lost.shape[2]), 8)
    curves = np.log([lost[:, :, group].mean(axis=2) for group in groups])
    found = []
    for j, n in enumerate(fits):
        prices = []
        for curve in curves:
            # np.interp wants rising x: the loss falls with the rows.
            same = np.interp(-curve[:, j], -curve[:, 0], np.log(sizes), left=np.nan, right=np.nan)
            prices.append(np.exp(np.nanmean(np.log(sizes) - same)))
        price = stats.mean(prices, level)
        found.append((n, price.value, price.low, price.high))
    return pd.DataFrame(found, columns=["x", "y", "low", "high"])


def _run(n: int, zipf: float, generations: int, replicates: int, **more: Any) -> dict[str, Any]:
    settings = {"family.zipf": zipf, "family.symbols": more.pop("symbols", 10**5), **more.pop("settings", {})}
    return {
        "family": "discrete",
        "n": n,
        "generations": generations,
        "replicates": replicates,
        "metrics": ["lost_mass"],
        "settings": settings,
        **more,
    }


TALES = "Dohmatob et al. 2024 (A tale of tails), arXiv:2402.07043"
EXPONENTS = (1.5, 2.0)

CLAIMS = (
    Claim(
        id="TT-1",
        statement="the error of a model that memorises its training rows (Hutter's learner) falls as a power of "
        "their number if the data follow Zipf's law",
        source=f"Hutter 2021, arXiv:2102.04074; {TALES}",
        measured="exponent of the number of rows less −(β − 1) / β, for β = 1.5 and 2 the one farther from 0",
        band=(-0.02, 0.02),
        reason="two hundredths of an exponent",
        runs={
            f"beta = {beta:g}, T = {T}": _run(T, beta, 0, 640, symbols=10**6)
            for beta in EXPONENTS
            for T in (100, 400, 1600, 6400)
        },
        check=exponent,
        chapter="scaling",
        figure="scaling-real-data",
        definition=(5,),
    ),
    Claim(
        id="TT-2",
        statement="training data whose tail is cut off after the k commonest symbols stop the fall of the error at a "
        "plateau, which is itself a power of k",
        source=f"{TALES}, theorem 2.1",
        measured="exponent of k less −(β − 1), for β = 1.5 and 2 the one farther from 0",
        band=(-0.03, 0.03),
        reason="three hundredths of an exponent, for k much larger than 1 and much smaller than the number of "
        "symbols K",
        runs={
            f"beta = {beta:g}, k = {k}": _run(2_000_000, beta, 1, 16, settings={"family.top_k": k})
            for beta in EXPONENTS
            for k in (20, 80, 320)
        },
        check=plateau_exponent,
        chapter="scaling",
        figure="scaling-tail-cut",
        ends=lambda table: 1,
        definition=(5,),
    ),
    Claim(
        id="TT-3",
        statement="the lowest error that a chain of models can reach rises with the generations as the loss of rare "
        "symbols predicts",
        source=f"derived from Suresh et al. 2025, arXiv:2412.17646, and {TALES}",
        measured="lost probability mass over its approximation, fits 1 to 40, the one farthest from 1",
        band=(0.9, 1.1),
        reason="within 10 %",
        runs={f"beta = {beta:g}": _run(2000, beta, 39, 512) for beta in EXPONENTS},
        check=floor,
        chapter="scaling",
        figure="scaling-floor",
        ends=lambda table: 39,
        definition=(5,),
    ),
    Claim(
        id="TT-4",
        statement="a tenth of real data in the training set brings the error below the plateau of data without their "
        "tail",
        source=f"{TALES}, theorem 3.2",
        measured="lost probability mass over the plateau of the truncated data, generation 5, largest training set",
        band=(-np.inf, 1),
        reason="below the plateau, which data without their tail never pass; with the fewest rows the error has to "
        "be above it",
        runs={
            f"T = {T}": _run(
                T, 1.5, 5, 64, every=5, regime="fresh", settings={"family.top_k": 20, "regime.real_fraction": 0.1}
            )
            for T in (100, 1000, 10_000, 100_000)
        },
        check=below_plateau,
        chapter="scaling",
        figure="scaling-clean-share",
        ends=lambda table: 5,
        definition=(5,),
    ),
)
