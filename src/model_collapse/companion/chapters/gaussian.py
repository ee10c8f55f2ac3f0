"""The Gaussian chain: every figure beside a closed form, mean over chains and typical chain kept apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from model_collapse import theory
from model_collapse.analysis import figures, stats
from model_collapse.companion.book import compare
from model_collapse.companion.book.estimates import below, points
from model_collapse.companion.book.fits import FAR, Form, after, trusted
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.claims import named, planned, rows
from model_collapse.companion.claims.gaussian import crossing
from model_collapse.companion.claims.luck import better
from model_collapse.companion.studies.gaussian import ESTIMATORS, KEPT, STUDY, Size
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError
from model_collapse.theory import Estimator, mixed

Chains = Mapping[tuple[Estimator, int], pd.DataFrame]
"""(estimator, M) -> table."""

TITLES: Mapping[Estimator, str] = {name: STUDY.condition(name).title for name in ESTIMATORS}

ClosedForm = Callable[[ArrayLike, ArrayLike, Estimator], np.ndarray]
"""Of fits n, rows M and the estimator."""


def check(size: Size) -> None:
    """InputError unless the chapter's figures can be drawn from chains of this size."""
    if min(size.sizes, default=0) < 10 or size.seeds < 100 or size.generations < 10:
        raise InputError("sizes must be 10 or more each, replicates at least 100, generations at least 10")


def fitted(table: pd.DataFrame) -> None:
    """The normal distributions that twelve chains have fitted, each scaled to height 1."""
    M, last = rows(table), stats.last_of(table)
    seen = [g for g in (0, 10, 30, 90) if g <= last]
    variance = stats.median(stats.per_replicate(table, "variance", last))
    places = stats.per_replicate(table, "mean", last)
    show(
        figures.fitted_densities(table, seen),
        pd.concat([stats.pick(table, metric) for metric in ("mean", "variance")]),
        "gaussian-densities",
        f"Normal distributions fitted by twelve chains with M = {M}, each scaled to height 1. Dashed: the real "
        "distribution.",
        f"Density curves of twelve chains at generations {seen}. At generation 0 all lie near the dashed standard "
        f"normal curve. Later each is narrower and lies at a place of its own; at generation {last} most are "
        "needles.",
    )
    say(
        f"At generation {last} the median variance of these chains is {variance:.2g} (95 % interval); at the start it "
        f"was about 1. The means have spread out, with a standard deviation of {places.std():.2f}. A single chain's "
        "own data do not show what it has forgotten: they look perfectly normal."
    )


def typical(chains: Chains) -> None:
    """Mean of ln s_n^2, which follows the typical chain ({eq}`gaussian-log`)."""
    panels, forms = _panels(chains, "log_det"), _forms(chains, theory.expected_log_variance)
    z = compare.farthest(panels, forms)
    assert z < FAR, "the typical chain left its closed form"
    M = _smallest(chains)
    half = {e: float(np.log(2) / -theory.expected_log_variance(1, M, e)) for e in ESTIMATORS}
    show(
        figures.against_theory(panels, forms, ylabel="mean of ln variance"),
        compare.listed(panels),
        "gaussian-log-variance",
        "Mean log-variance by generation, with 95 % bands over chains; dashed: {eq}`gaussian-log`.",
        "Two panels of straight falling lines, one for each estimator. Small samples fall fastest, and the lines of "
        "the maximum-likelihood estimator fall twice as fast as those of the unbiased one.",
    )
    say(
        "For all sizes, estimators and generations the simulated mean is within "
        f"{z:.1f} standard errors of the closed form. With M = {M} a typical variance halves every {half['mle']:.1f} "
        f"generations (maximum likelihood) or every {half['unbiased']:.1f} (unbiased)."
    )


def half_times(tables: Mapping[int, pd.DataFrame]) -> None:
    """Fits until the median standard deviation over chains is one half ({eq}`gaussian-half`), by rows M."""
    wait = pd.DataFrame([(M, *_half_time(table)) for M, table in tables.items()], columns=["x", "y", "low", "high"])
    show(
        figures.points(
            wait,
            lambda M: -np.log(4) / theory.expected_log_variance(1, M),
            xlabel="rows per generation, M",
            ylabel="fits until the median sd is 1/2",
            scale="log",
        ),
        wait,
        "gaussian-half-times",
        "Fits until the median standard deviation over chains is one half, with 95 % intervals; dashed: "
        "{eq}`gaussian-half`.",
        "Points on a straight rising line with both axes logarithmic: ten times the rows take ten times the fits.",
    )
    first, *_, last = (wait["y"] / wait["x"]).tolist()
    say(
        f"The number of fits is {first:.2f} M for M = {wait['x'].iloc[0]} and {last:.2f} M for M = "
        f"{wait['x'].iloc[-1]}; $\\ln 2$ is {np.log(2):.2f}. This says nothing yet about language models: how many of "
        "their rows it takes to determine one parameter is not known."
    )


def average(chains: Chains) -> None:
    """Mean variance ({eq}`gaussian-variance`), which for unbiased fits is not that of a typical chain."""
    panels, forms = _panels(chains, "variance"), _forms(chains, theory.expected_variance)
    z = trusted(panels, forms)
    M = _smallest(chains)
    last = stats.last_of(chains["unbiased", M])
    wide = stats.per_replicate(chains["unbiased", M], "variance", last)
    show(
        figures.against_theory(panels, forms, ylabel="mean variance"),
        compare.listed(panels),
        "gaussian-mean-variance",
        "Mean variance by generation, with 95 % bands over chains; dashed: {eq}`gaussian-variance`.",
        "Two panels. Left, maximum likelihood: mean variance decays exponentially, fastest for small samples. Right, "
        "unbiased: the closed form is flat at one; the simulated means scatter about it, most for the smallest sample.",
    )
    say(
        f"Up to M/2 fits the simulated mean is within {z:.1f} standard errors of theory. After that a mean over "
        f"chains cannot be trusted. With M = {M}, unbiased, at generation {last} theory says 1. The {len(wide)} "
        f"chains have a mean of {wide.mean():.2g} and a median of {stats.median(wide):.1g}. The chains that would "
        "bring the mean up to 1 are too rare to be among those simulated. So this book tests means only early, and "
        "logarithms at any time."
    )


def heavy_tails(chains: Chains) -> None:
    """Quantiles of the variance over chains beside its lognormal limit ({eq}`gaussian-lognormal`)."""
    M = _smallest(chains)
    spread = {TITLES[e]: stats.pick(chains[e, M], "variance") for e in ESTIMATORS}
    show(
        figures.fans(
            spread,
            {TITLES[e]: _quantile(M, e) for e in ESTIMATORS},
            {TITLES[e]: after(theory.expected_variance, M, e) for e in ESTIMATORS},
            ylabel=f"variance, M = {M}",
            bottom=1e-9,
        ),
        below({title: _quantiles(own).reset_index() for title, own in spread.items()}, "estimator"),
        "gaussian-heavy-tails",
        f"Variance over {chains['mle', M]['replicate'].nunique()} chains of M = {M} rows. Dashed: 5 %, 50 % and 95 % "
        "quantiles by {eq}`gaussian-lognormal`, with the skewness of the steps; dotted: the mean, "
        "{eq}`gaussian-variance`.",
        "Two panels with a logarithmic axis, each a fan of quantiles that falls and widens. Left, maximum "
        "likelihood: the mean lies above the median and falls too. Right, unbiased: the dotted mean is flat at one, "
        "the simulated mean leaves it and follows the largest chains down.",
    )  # fmt: skip
    fits = np.unique(chains["unbiased", M]["generation"]) + 1
    n = int(fits[np.argmin(np.abs(fits - (4 * M if fits[-1] > 4 * M else fits[-1])))])
    late = stats.per_replicate(chains["unbiased", M], "variance", n - 1)
    middle, limit = stats.median(late, level=0.9999), float(theory.variance_quantile(0.5, n, M, "unbiased"))
    assert middle.low < limit * 1.01 and middle.high > limit * 0.99, "the median left its limit"
    top = float(late.nlargest(len(late) // 100).sum() / late.sum())
    markov = min(float(theory.expected_deviation(n, M, "unbiased")) / 0.5, 1)
    suresh = min(float(theory.deviation_tail_bound(0.5, n, M)), 1)
    say(
        f"After {n} unbiased fits the mean variance is 1 in theory, but the median is {middle} (99.99 % interval; the "
        f"limit gives {limit:.3g}). The widest 1 % of the chains hold {top:.0%} of the variance. "
        f"{(np.sqrt(late) > 0.5).mean():.1%} of the chains have a standard deviation above one half; the two bounds "
        f"in {{eq}}`gaussian-tail` allow {markov:.0%} and {suresh:.0%}. **The average chain is not a typical one.** "
        "The lognormal distribution is a limit for many fits; far out in its tails it is not exact."
    )


def drift(chains: Chains) -> None:
    """Mean squared distance of the fitted mean from the true one ({eq}`gaussian-drift`)."""
    panels, forms = _panels(chains, "mean", square=True), _forms(chains, theory.mean_drift)
    show(
        figures.against_theory(panels, forms, ylabel="mean of squared drift", yscale="log"),
        compare.listed(panels),
        "gaussian-drift",
        "Squared distance of the fitted mean from the true one, with 95 % bands over chains; dashed: "
        "{eq}`gaussian-drift`.",
        "Two panels with a logarithmic vertical axis. Left, maximum likelihood: drift rises and levels off at one. "
        "Right, unbiased: the closed form rises in proportion to the number of generations.",
    )
    say(
        f"Up to M/2 fits the squared drift is within {trusted(panels, forms):.1f} standard errors of theory. With the "
        "unbiased estimator, late drift is carried by a few rare chains, as the variance is. So claims GA-2 and GA-3 "
        "below are tested with more chains of 100 rows, and early."
    )


def distance(chains: Chains) -> None:
    """Mean squared Wasserstein distance to the real distribution ({eq}`gaussian-w2`)."""
    panels, forms = _panels(chains, "w2_squared"), _forms(chains, theory.expected_w2_squared)
    z = trusted(panels, forms)
    M = _smallest(chains)
    last = stats.last_of(chains["mle", M])
    end = stats.mean(stats.per_replicate(chains["mle", M], "w2_squared", last), level=0.9999)
    bound = float(theory.expected_w2_squared(last + 1, M, "mle"))
    assert end.low < bound < end.high, "the distance left its closed form"
    middle = stats.median(stats.per_replicate(chains["unbiased", M], "w2_squared", last))
    show(
        figures.against_theory(
            panels, forms, ylabel="mean squared W2 distance", yscale="log", limits={TITLES["mle"]: [2.0]}
        ),
        compare.listed(panels),
        "gaussian-w2",
        "Mean squared Wasserstein distance to the real distribution, with 95 % bands over chains; dashed: "
        "{eq}`gaussian-w2`; dotted: the bound 2.",
        "Two panels with a logarithmic vertical axis. Left, maximum likelihood: curves rise towards the bound two, "
        "soonest for small samples. Right, unbiased: the closed forms rise without bound.",
    )
    say(
        f"Up to M/2 fits the distance is within {z:.1f} standard errors of theory. With maximum likelihood and M = "
        f"{M} the mean distance at generation {last} is {end:.2f} (99.99 % interval; theory {bound:.2f}), and it can "
        "never pass 2. With unbiased fits theory says "
        f"{float(theory.expected_w2_squared(last + 1, M, 'unbiased')):.0f} on average, while the median chain is at "
        f"{middle:.2g}. To first order the unbiased mean is $3n/(2M)$: 0.15 after ten fits of a hundred rows. The "
        f"exact value is {float(theory.expected_w2_squared(10, 100, 'unbiased')):.4f}."
    )


def growing_samples(tables: Mapping[str, pd.DataFrame]) -> None:
    """Mean squared distance at a constant and at a growing number of rows ({eq}`gaussian-grow`)."""
    M, last = rows(tables["constant"]), stats.last_of(tables["constant"])
    sizes = {"constant": [M] * (last + 1), "growing": [M * fit**2 for fit in range(1, last + 2)]}
    distances = {label: stats.pick(tables[label], "w2_squared") for label in sizes}
    title = f"M = {M}, unbiased"
    show(
        figures.against_theory(
            {title: distances},
            {title: {label: _grown(size) for label, size in sizes.items()}},
            ylabel="mean squared W2 distance",
            yscale="log",
            limits={title: [np.pi**2 / (4 * M)]},
        ),
        compare.listed({title: distances}),
        "gaussian-growing-samples",
        f"Mean squared distance with M = {M} rows in every fit, and with $M i^2$ rows in fit $i$, with 95 % bands over "
        "chains; dashed: {eq}`gaussian-grow`; dotted: its limit to first order.",
        "Two curves, logarithmic vertical axis. At constant size the distance rises without end. With growing "
        "samples it levels off after a few generations close to the dotted line.",
    )
    late = {label: stats.mean(stats.per_replicate(tables[label], "w2_squared", last)) for label in sizes}
    total = {label: sum(size) for label, size in sizes.items()}
    say(
        f"At generation {last} the mean distance is {late['growing']:.3f} with growing samples and "
        f"{late['constant']:.3f} with constant ones (95 % intervals). Stability has its price: {total['growing']:,} "
        f"rows in all instead of {total['constant']:,}."
    )


def lucky(size: Size) -> dict[str, Run]:
    """The runs of claim GA-8, with the chains of this size."""
    runs = planned(named("GA-8").runs, size.seed)
    return {label: replace(run, replicates=size.lucky) for label, run in runs.items()}


def luck(tables: Mapping[str, pd.DataFrame]) -> None:
    """Share of chains whose mean is nearer to the truth than that of generation 0 ({eq}`gaussian-luck`)."""
    panels, forms = {}, {}
    for label, table in tables.items():
        nearer, expected = better(table)
        panels[label] = points({g: stats.proportion(nearer[g]) for g in nearer})
        forms[label] = _between(nearer.columns.to_numpy(), expected)
    title = "ten real rows at first"
    show(
        figures.points_by_arm(
            {title: panels}, {title: forms}, xlabel="generation", ylabel="nearer to the truth than generation 0"
        ),
        below(panels, "sets"),
        "gaussian-luck",
        "Share of chains whose mean is nearer to the truth than that of generation 0, with 95 % intervals; dashed: "
        "{eq}`gaussian-luck`, straight between generations.",
        "Two falling curves below one half: from 0.35 to 0.19 in nine generations of equal sets, and level near 0.4 "
        "with growing sets.",
    )
    ends = ", ".join(
        f"{own['y'].iloc[-1]:.2f} in generation {own['x'].iloc[-1]} of {label}" for label, own in panels.items()
    )
    say(f"The share of chains that are nearer to the truth than at first is {ends}. It is always below one half.")


def tempered(tables: Mapping[float, pd.DataFrame]) -> None:
    """Mean log-variance where samples are narrower or wider than the model ({eq}`gaussian-bias`)."""
    first = next(iter(tables.values()))
    M, until = rows(first), stats.last_of(first)
    names = {factor: f"λ = {factor:.4g}" for factor in tables}
    logs = {names[factor]: stats.pick(table, "log_det") for factor, table in tables.items()}
    title = f"M = {M}, unbiased"
    show(
        figures.against_theory(
            {title: logs},
            {title: {names[f]: after(mixed.expected_log_det, M, 1, "unbiased", f) for f in tables}},
            ylabel="mean of ln variance",
        ),
        compare.listed({title: logs}),
        "gaussian-sampling-bias",
        "Mean log-variance when samples are drawn with λ times the model's variance, with 95 % bands over chains; "
        "dashed: {eq}`gaussian-bias`.",
        "Three straight lines from zero: with λ = 0.9 the log-variance falls fastest, with λ = 1 more slowly, and "
        "with the λ chosen to keep it, it stays level.",
    )
    fits = np.unique(first["generation"]) + 1
    n = int(fits[np.searchsorted(fits, M // 2)])
    said = []
    for factor, table in tables.items():
        mean = stats.mean(stats.per_replicate(table, "variance", n - 1), level=0.9999)
        expected = float(mixed.biased_variance(n, M, factor, "unbiased"))
        assert mean.low < expected < mean.high, "the mean variance left its closed form"
        said.append(f"{mean:.2f} for {names[factor]} (theory {expected:.2f})")
    cure, last = list(tables.items())[-1]
    end = stats.per_replicate(last, "variance", until)
    say(
        f"After {n} fits the mean variances are {', '.join(said)}, with 99.99 % intervals. With {names[cure]} the "
        f"typical chain keeps its width, but the chains move apart: at generation {until} a tenth of them have a "
        f"variance below {end.quantile(0.1):.1g} and a tenth above {end.quantile(0.9):.1g}. **It is no cure.** A "
        "random walk without drift is still a random walk."
    )


def kept(tables: Mapping[str, pd.DataFrame]) -> None:
    """Mean variance where data are replaced, accumulate ({eq}`gaussian-accumulate`), or stay real."""
    M, last = rows(tables["replace"]), stats.last_of(tables["replace"])
    title = f"M = {M}, maximum likelihood"
    variances = {label: stats.pick(table, "variance") for label, table in tables.items()}
    limit, target, one = theory.accumulated_variance_limit(M), theory.accumulated_variance(last + 1, M), 1 - 1 / M
    replace, accumulate, control = (
        stats.mean(stats.per_replicate(tables[label], "variance", last), level=0.9999) for label in KEPT
    )
    assert accumulate.low < target < accumulate.high and control.low < one < control.high
    show(
        figures.against_theory(
            {title: variances},
            {
                title: {
                    "replace": after(theory.expected_variance, M),
                    "accumulate": after(theory.accumulated_variance, M),
                    "control: real data only": lambda g: theory.expected_variance(np.ones_like(g), M),
                }
            },
            ylabel="mean variance",
            limits={title: [float(limit)]},
        ),
        compare.listed({title: variances}),
        "gaussian-accumulate",
        "Replace, accumulate and the control; dashed: closed forms; dotted: the limit in {eq}`gaussian-accumulate`.",
        "Mean variance by generation. Replace decays towards zero, accumulate levels off a little below the control, "
        "and the control stays flat.",
    )
    say(
        f"At generation {last} the mean variance is {accumulate:.3f} when data accumulate (99.99 % interval; theory "
        f"{float(target):.3f}, limit {float(limit):.3f}) and {replace.value:.2g} when data are replaced. The control "
        f"has {control:.3f} (theory {one:.3f}, the bias of one fit). Accumulating stops the loss but does not undo "
        f"it. Its training set grows by {M} rows in every generation."
    )


def _smallest(chains: Chains) -> int:
    return next(iter(chains))[1]


def _panels(chains: Chains, metric: str, square: bool = False) -> dict[str, dict[str, pd.DataFrame]]:
    """Rows of a metric by estimator and number of rows; square: of its squares."""
    found: dict[str, dict[str, pd.DataFrame]] = {TITLES[e]: {} for e in ESTIMATORS}
    for (estimator, M), table in chains.items():
        own = stats.pick(table, metric)
        found[TITLES[estimator]][f"M = {M}"] = own.assign(value=own["value"] ** 2) if square else own
    return found


def _forms(chains: Chains, closed_form: ClosedForm) -> dict[str, dict[str, Form]]:
    found: dict[str, dict[str, Form]] = {TITLES[e]: {} for e in ESTIMATORS}
    for estimator, M in chains:
        found[TITLES[estimator]][f"M = {M}"] = after(closed_form, M, estimator)
    return found


def _half_time(table: pd.DataFrame) -> tuple[float, float, float]:
    """Fits after which the median over chains is below one half, and after which either end of its interval is."""
    seen = np.unique(table["generation"])
    medians = [stats.median(stats.per_replicate(table, "log_det", g)) for g in seen]
    fits = seen + 1
    value, low, high = np.array([(m.value, m.low, m.high) for m in medians]).T
    return crossing(fits, value), crossing(fits, low), crossing(fits, high)


def _quantiles(table: pd.DataFrame) -> pd.DataFrame:
    return table.groupby("generation")["value"].describe(percentiles=[0.05, 0.25, 0.5, 0.75, 0.95])


def _quantile(M: int, estimator: Estimator) -> Callable[[float, np.ndarray], np.ndarray]:
    return lambda p, g: theory.variance_quantile(p, g + 1, M, estimator)


def _grown(sizes: Sequence[int]) -> Form:
    return lambda g: mixed.grow_expected_w2_squared(sizes)[g]


def _between(at: np.ndarray, values: list[float]) -> Form:
    return lambda g: np.interp(g, at, values)
