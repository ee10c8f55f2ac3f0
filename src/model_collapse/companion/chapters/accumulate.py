"""Keep the old data: regression on labels that models generate, normal distributions and kernels that accumulate.

Functions take the tables of their runs, or the size of the study and make the runs; each shows one figure, with the
sentence that states what one sees. Closed forms are those of the chapter's equations, see `theory.regression`,
`theory.gaussian`, `theory.subsample` and `theory.kde`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from model_collapse import theory
from model_collapse.analysis import figures, stats
from model_collapse.companion import claims
from model_collapse.companion.book import compare
from model_collapse.companion.book.estimates import markdown, points
from model_collapse.companion.book.notebook import runs_folder, say, show
from model_collapse.companion.claims import projection, rows
from model_collapse.companion.studies import accumulate as study_of
from model_collapse.companion.studies.accumulate import STUDY, Size
from model_collapse.engine.execute import run_all
from model_collapse.errors import InputError
from model_collapse.theory import kde, regression
from model_collapse.theory.subsample import subsample_moments

Tables = Mapping[str, pd.DataFrame]
Curve = Callable[[np.ndarray], Any]
Given = Literal["original", "fresh"]

LIMIT, TAKEN = np.pi**2 / 6, np.pi**2 / 2 - 2
"""Error over that of one fit, in the long run, where all rows are read and where a constant number of them is."""


def checked(size: Size) -> Size:
    """The size, if the chapter can show it."""
    if size.generations < 10 or size.seeds < 200:
        raise InputError("this chapter is written for generations >= 10 and replicates >= 200")
    return size


def _run(size: Size) -> dict[str, pd.DataFrame]:
    return run_all(STUDY.runs(size), runs_folder())[0]


def _dimensions(table: pd.DataFrame) -> int:
    return int(claims.family(table)["dim"])


# Regression ---------------------------------------------------------------------------------------------------------


def _errors(table: pd.DataFrame) -> pd.DataFrame:
    """Test errors over the expected error of one fit, {eq}`accumulate-first`."""
    found = stats.pick(table, "test_error")
    return found.assign(value=found["value"] / float(regression.first_error(rows(table), _dimensions(table))))


def _growth(table: pd.DataFrame, given: Given) -> Curve | None:
    """{eq}`accumulate-regression` for what made a table; None for subsample, which has no exact form."""
    n, d, regime = rows(table), _dimensions(table), str(table["regime"].iloc[0])
    start = float(regression.first_error(n, d))
    forms: dict[str, Curve] = {
        "replace": lambda g: regression.replaced_error(g + 1, n, d) / start,
        "accumulate": lambda g: regression.accumulated_error(g + 1, n, d, given=given) / start,
        "fresh": lambda g: np.ones(np.shape(g)),
    }
    return forms.get(regime)


def _exact(tables: Tables, given: Given) -> dict[str, Curve]:
    return {label: form for label, table in tables.items() if (form := _growth(table, given))}


def regression_error(same: Tables, new: Tables) -> None:
    """Test error over that of one fit, beside {eq}`accumulate-regression` and, first order, {eq}`accumulate-subsample`.

    same, new  tables by condition where the same inputs are labelled in every generation, and where new ones are
    """
    again, fresh = "the same inputs again", "new inputs"
    panels = {
        title: {label: _errors(table) for label, table in tables.items()}
        for title, tables in ((again, same), (fresh, new))
    }
    exact = {again: _exact(same, "original"), fresh: _exact(new, "fresh")}
    first_order: dict[str, Curve] = {"subsample": lambda g: regression.pathway(g + 1, "subsample")}
    table = same["replace"]
    last = stats.last_of(table)
    show(
        figures.against_theory(
            panels,
            {title: {**forms, **first_order} for title, forms in exact.items()},
            ylabel="test error over that of one fit",
            yscale="log",
            limits={title: [LIMIT, TAKEN] for title in panels},
        ),
        compare.listed(panels),
        "accumulate-regression-error",
        f"Relabelled regression, d = {_dimensions(table)}, T = {rows(table)} rows per generation, means with 95 % "
        "bands over chains. Dashed: {eq}`accumulate-regression` and, for subsample, {eq}`accumulate-subsample`; "
        "dotted: their limits.",
        "Two panels with a logarithmic axis. Replace rises without bound; subsample levels off near three, "
        "accumulate near 1.6, the control stays at one. The panels hardly differ.",
    )
    worst, end = compare.farthest(panels, exact), compare.ends(panels[again], last)
    say(
        f"At generation {last} the error has grown by a factor of {end['replace'].value:.3g} when data are replaced "
        f"(exact: {last + 1}), {end['subsample'].value:.3g} when a constant number of rows is taken from all, and "
        f"{end['accumulate'].value:.3g} when all data are read (exact: "
        f"{float(exact[again]['accumulate'](np.array(last))):.4g}, below $\\pi^2/6$). The control is "
        f"at {end['control'].value:.3g}. No mean lies more than {worst:.1f} standard errors from an exact form. Under "
        f"accumulate only {1 / (last + 1):.1%} of the rows are real by then: it is not the share of real data that "
        "keeps the error bounded."
    )
    assert worst < 5, "regression left its closed forms"
    assert end["accumulate"].high < end["subsample"].low and end["subsample"].high < end["replace"].low


def new_inputs(size: Size) -> None:
    """Both forms of {eq}`accumulate-regression` where all rows are kept and there are few of them."""
    labels: dict[str, Given] = {"same inputs": "original", "new inputs": "fresh"}
    tables = {label: _run(study_of.few_labels(size, given))["accumulate"] for label, given in labels.items()}
    table = tables["same inputs"]
    title = f"d = {_dimensions(table)}, T = {rows(table)}, all data kept"
    pair = {label: _errors(own) for label, own in tables.items()}
    forms = {label: form for label, own in tables.items() if (form := _growth(own, labels[label]))}
    show(
        figures.against_theory(
            {title: pair}, {title: forms}, ylabel="test error over that of one fit", limits={title: [LIMIT]}
        ),
        compare.listed({title: pair}),
        "accumulate-new-inputs",
        "Accumulating with few rows: means with 95 % bands; dashed: both exact forms of {eq}`accumulate-regression`; "
        "dotted: $\\pi^2/6$.",
        "Two rising curves that level off: the one for the same inputs approaches the dotted line at 1.645, the one "
        "for new inputs stays clearly below it.",
    )
    last, worst = stats.last_of(table), compare.farthest({title: pair}, {title: forms})
    more, less = (stats.per_replicate(pair[label], "test_error", last) for label in labels)
    gap = stats.paired(more, less)
    exact = [float(forms[label](np.array(last))) for label in labels]
    say(
        f"At generation {last} the error with the same inputs is larger by {gap:.3f} than with new ones, in units of "
        f"$E_1$ (95 % interval over chains; exact: {exact[0] - exact[1]:.3f}). All means lie within {worst:.1f} "
        "standard errors of theory. For $T \\gg d$ the two are equal."
    )
    assert worst < 5


def projected(size: Size) -> None:
    """Error of the shortest fit to fewer rows than dimensions, without noise, beside {eq}`accumulate-projected`."""
    counts = {f"{T} rows in 10 dimensions": T for T in (4, 8)}
    changes = {"generations": 8, "replicates": min(size.seeds, 512)}
    runs = claims.planned({label: projection.projected(T, **changes) for label, T in counts.items()}, size.seed)
    title = "the shortest fit, no noise"
    found = {label: stats.pick(table, "test_error") for label, table in run_all(runs, runs_folder())[0].items()}
    forms: dict[str, Any] = {
        label: lambda g, T=T: regression.projected_error(g + 1, T, 10) for label, T in counts.items()
    }
    end = compare.ends(found, 8)
    show(
        figures.against_theory({title: found}, {title: forms}, ylabel="test error over that of w = 0"),
        compare.listed({title: found}),
        "accumulate-projected",
        "Relabelling with fewer rows than dimensions and without noise, means with 95 % bands over chains; dashed: "
        "{eq}`accumulate-projected`.",
        "Two curves that rise towards one. At generation 8: "
        + ", ".join(f"{end[label].value:.2f} with {label}" for label in counts)
        + ".",
    )
    say(
        "Part of $|w^*|^2$ that is lost at generation 8: "
        + ", ".join(
            f"{end[label].value:.3f} with {label} (exact: {float(forms[label](np.array(8))):.3f})" for label in counts
        )
        + "."
    )


# Normal distributions -----------------------------------------------------------------------------------------------


def _variance(table: pd.DataFrame) -> Curve:
    """Expected fitted variance by generation, {eq}`accumulate-gaussian` and -subsample, for what made a table."""
    M = rows(table)
    forms: dict[str, Curve] = {
        "replace": lambda g: theory.expected_variance(g + 1, M),
        "subsample": lambda g: subsample_moments(g + 1, M)[1],
        "accumulate": lambda g: theory.accumulated_variance(g + 1, M),
        "fresh": lambda g: np.full(np.shape(g), 1 - 1 / M),
    }
    return forms[str(table["regime"].iloc[0])]


def gaussian_variance(size: Size) -> None:
    """Mean fitted variance under all conditions, with 15 and 60 rows, beside the closed forms."""
    tables = {f"M = {M}": _run(study_of.normal(size, M)) for M in (15, 60)}
    curves = {title: {label: stats.pick(t, "variance") for label, t in own.items()} for title, own in tables.items()}
    forms = {title: {label: _variance(t) for label, t in own.items()} for title, own in tables.items()}
    limits = {title: float(theory.accumulated_variance_limit(rows(own["replace"]))) for title, own in tables.items()}
    show(
        figures.against_theory(
            curves,
            forms,
            ylabel="mean of the fitted variance",
            limits={title: [limit] for title, limit in limits.items()},
        ),
        compare.listed(curves),
        "accumulate-gaussian-variance",
        "Variance of a refitted normal distribution, means with 95 % bands over chains; dashed: closed forms; "
        "dotted: the limit of {eq}`accumulate-gaussian`.",
        "Two panels, fifteen and sixty rows. Replace falls, faster with fewer rows. Accumulate levels off at the "
        "dotted line, subsample a little lower, the control stays highest and flat.",
    )
    # The mean over chains of the replaced variance gets heavy tails after n = M fits; up to there it can be tested.
    early = {
        title: {
            label: found[(found["generation"] < rows(tables[title][label])) | (label != "replace")]
            for label, found in own.items()
        }
        for title, own in curves.items()
    }
    worst, title = compare.farthest(early, forms), "M = 15"
    last = stats.last_of(tables[title]["replace"])
    end = compare.ends(curves[title], last)
    say(
        f"With 15 rows, generation {last} has a mean variance of {end['replace'].value:.2g} under replace, "
        f"{end['subsample'].value:.3f} under subsample and {end['accumulate'].value:.3f} under accumulate (limit "
        f"{limits[title]:.3f}). The control has {end['control'].value:.3f} (exact: {1 - 1 / 15:.3f}). No tested mean "
        f"lies more than {worst:.1f} standard errors from its closed form. These are means over chains: under replace "
        "half of the chains lie far below it."
    )
    assert worst < 5, "the Gaussian chain left its closed forms"


def sine_distribution(size: Size) -> None:
    """Variance that is lost for good by accumulating, against the rows of a generation: one minus the sine limit."""
    sizes = (2, 5, 10, 30, 100)
    tables = {M: _run(study_of.long(size, M))["accumulate"] for M in sizes}
    last = stats.last_of(tables[2])
    kept = points({M: stats.mean(stats.per_replicate(t, "variance", last)) for M, t in tables.items()})
    lost = kept.assign(y=1 - kept["y"], low=1 - kept["high"], high=1 - kept["low"])
    show(
        figures.points(
            lost,
            lambda M: 1 - theory.accumulated_variance_limit(M),
            xlabel="rows per generation, M",
            ylabel="share of the variance lost for good",
            scale="log",
        ),
        lost,
        "accumulate-sine-law",
        f"Variance lost after {last} generations of accumulating, with 95 % intervals; dashed: one minus the limit of "
        "{eq}`accumulate-gaussian`.",
        "Points on a falling curve, nearly straight on logarithmic axes: two thirds of the variance are lost with "
        "two rows per generation, about two per cent with a hundred.",
    )
    expected = 1 - theory.accumulated_variance_limit(np.array(sizes))
    worst = compare.off(lost, expected)
    say(
        f"The loss falls from {lost['y'].iloc[0]:.2f} with two rows (theory {expected[0]:.2f}) to "
        f"{lost['y'].iloc[-1]:.4f} with a hundred (theory {expected[-1]:.4f}; $\\pi^2/(6M)$ = {LIMIT / 100:.4f}). The "
        f"largest deviation is {worst:.1f} standard errors. The first sample alone loses $1/M$, which is no collapse."
    )
    assert worst < 5


# Kernels ------------------------------------------------------------------------------------------------------------


def kernel_variance(size: Size) -> None:
    """Mean variance of resampled kernel density estimates, fixed and by Scott's rule, beside {eq}`accumulate-kde`."""
    M, h = 50, 0.5
    fixed, scott = f"fixed width h = {h}", "Scott's rule"
    tables = {
        fixed: _run(study_of.kernels(size, {"family.bandwidth": h})),
        scott: _run(study_of.kernels(size, {"family.rule": "scott"})),
    }
    curves = {
        title: {str(t["regime"].iloc[0]): stats.pick(t, "variance") for t in own.values()}
        for title, own in tables.items()
    }
    forms: dict[str, dict[str, Any]] = {
        fixed: {regime: lambda g, regime=regime: kde.kde_variance(g + 1, M, h, regime) for regime in curves[fixed]},
        scott: {
            regime: lambda g, regime=regime: kde.kde_rule_variance(g + 1, M, "scott", regime)
            for regime in ("replace", "accumulate")
        },
    }
    show(
        figures.against_theory(
            curves, forms, ylabel="mean variance of the density", yscale="log", limits={fixed: [M * h**2]}
        ),
        compare.listed(curves),
        "accumulate-kde-variance",
        f"Resampled kernel density estimates of N(0, 1), M = {M}, means with 95 % bands; dashed: closed forms (none "
        "is known for subsample by rule); dotted: $M h^2$.",
        "Two panels with a logarithmic axis. Fixed width: replace climbs towards the dotted line at 12.5; accumulate "
        "and subsample creep up together, slower and slower. Scott's rule: replace grows exponentially, accumulate "
        "is nearly flat, subsample lies between.",
    )
    early = {label: found[found["generation"] <= 4] for label, found in curves[scott].items()}
    worst, last = compare.farthest({fixed: curves[fixed], scott: early}, forms), stats.last_of(tables[fixed]["replace"])
    constant, by_rule = compare.ends(curves[fixed], last), compare.ends(curves[scott], last)
    say(
        f"At generation {last} the variance, truly 1, is {constant['replace'].value:.3g} under replace and "
        f"{constant['accumulate'].value:.3g} under accumulate with fixed kernels. By Scott's rule it is "
        f"{by_rule['replace'].value:.3g} under replace, {by_rule['subsample'].value:.3g} under subsample and "
        f"{by_rule['accumulate'].value:.3g} under accumulate. Means lie within {worst:.1f} standard errors of theory "
        "(by rule: up to generation 4, because later ones are carried by few chains). A density estimate is wrong "
        "from the start, by its kernels; a model without such an error would not widen."
    )
    assert worst < 5, "kernel estimates left their closed forms"


def two_distances(size: Size) -> dict[str, pd.DataFrame]:
    """ln KL and ln W2^2 of a chain that narrows and of one that widens, {eq}`accumulate-distances`: tables of MET-1."""
    fewer = {
        label: {**run, "every": run["generations"] // 10, "replicates": min(run["replicates"], size.seeds // 4)}
        for label, run in claims.named("MET-1").runs.items()
    }
    toys = run_all(claims.planned(fewer, size.seed), runs_folder())[0]
    curves = {
        "narrowing: Gaussian, M = 20": _distances(toys["narrowing"]),
        "widening: kernels by Scott's rule, M = 100": _distances(toys["widening"]),
    }
    show(
        figures.against_theory(curves, {}, ylabel="mean of ln distance"),
        compare.listed(curves),
        "accumulate-two-distances",
        "Two distances to the truth on a logarithmic scale under replace, means over chains with 95 % bands.",
        "Left: the logarithm of KL rises steadily to about ten while that of W2 squared is flat near zero. Right: "
        "the logarithm of W2 squared rises in a straight line while that of KL bends and falls behind.",
    )
    grown = {
        title: {
            name: found[found["generation"] == stats.last_of(found)]["value"].mean()
            - found[found["generation"] == stats.last_of(found) // 2]["value"].mean()
            for name, found in own.items()
        }
        for title, own in curves.items()
    }
    say(
        "Growth of the logarithm over the second half of the chain: "
        + "; ".join(
            f"{title.partition(':')[0]}, " + " and ".join(f"{name} {value:.2f}" for name, value in own.items())
            for title, own in grown.items()
        )
        + "."
    )
    return toys


def _distances(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """ln KL and ln W2^2 of every chain; KL of fitted normal distributions by {eq}`accumulate-distances`."""
    if "kl_density" in set(table["metric"]):
        kl, w2 = stats.pick(table, "kl_density"), stats.pick(table, "w2_marginal")
    else:
        w2, mean, kl = (stats.pick(table, name) for name in ("w2_squared", "mean", "variance"))
        v, square = kl["value"].to_numpy(), mean["value"].to_numpy() ** 2
        kl = kl.assign(value=0.5 * (np.log(v) + (1 + square) / v - 1))
    # A KL estimated from test rows may come out below 0 where it is small.
    above = {"KL(true || model)": kl[kl["value"] > 0], "W2 squared": w2[w2["value"] > 0]}
    return {name: found.assign(value=np.log(found["value"])) for name, found in above.items()}


# All three, and a bias ----------------------------------------------------------------------------------------------


def three_models(tables: Tables) -> None:
    """Mean risk at the last generation of three families under three regimes, tables of ACC-3 ("FAMILY REGIME")."""
    lines, regimes = [], ("accumulate", "subsample", "replace")
    for family, risk in (("gaussian", "$W_2^2$"), ("kde", "KL, nats"), ("regression", "excess risk")):
        found = [tables[f"{family} {regime}"] for regime in regimes]
        ends = [stats.mean(table[table["generation"] == stats.last_of(table)]["value"]) for table in found]
        lines.append((family, risk, *(f"{end:.3g}" for end in ends)))
    last = stats.last_of(tables["gaussian replace"])
    say(
        markdown(("model", "risk", *regimes), lines)
        + f"\n\nMeans at generation {last} with 95 % intervals over chains."
    )


def biased_labels(size: Size) -> None:
    """Test error where the labeller has a constant bias, beside exact forms with the drift {eq}`accumulate-bias`."""
    biased = study_of.biased(size)
    tables = _run(biased)
    n, d, c = int(biased.n or 0), int(biased.settings["family.dim"]), float(biased.settings["family.shift"])
    real = "fresh: 90% real"
    curves = {real if label == "90 % real" else label: stats.pick(t, "test_error") for label, t in tables.items()}
    title = f"biased labels, c = {c}, d = {d}, T = {n}"
    forms: dict[str, Curve] = {
        "replace": lambda g: regression.replaced_error(g + 1, n, d, shift=c),
        "accumulate": lambda g: regression.accumulated_error(g + 1, n, d, shift=c),
        real: lambda g: regression.biased_error(g + 1, n, d, 0.9, c),
    }
    show(
        figures.against_theory({title: curves}, {title: forms}, ylabel="test error", yscale="log"),
        compare.listed({title: curves}),
        "accumulate-biased-labels",
        "A labeller with a constant bias: means with 95 % bands over chains; dashed: exact forms with the drift "
        "{eq}`accumulate-bias`.",
        "Three curves on a logarithmic axis. Replace rises steeply, accumulate slowly but without end, and the chain "
        "with new real rows in every generation is flat.",
    )
    worst, last = compare.farthest({title: curves}, {title: forms}), stats.last_of(tables["replace"])
    end = compare.ends(curves, last)
    say(
        f"At generation {last} the error is {end['replace'].value:.3g} under replace, {end['accumulate'].value:.3g} "
        f"under accumulate and {end[real].value:.3g} with 90% new real rows; one fit to real rows has "
        f"{regression.first_error(n, d):.3g}. All means lie within {worst:.1f} standard errors of their exact forms. A "
        "bias in a constant direction is the worst case; one that changes its direction at random is noise."
    )
    assert worst < 5, "biased labels left their closed forms"


def of_claims(size: Size) -> dict[str, dict[str, pd.DataFrame]]:
    """Tables of the claims whose own runs the chapter makes; none at a quick size."""
    names = () if size.quick else ("ACC-1", "ACC-3", "ACC-7")
    if size.quick:
        say("*Claims* ACC-1, ACC-3 and ACC-7 need more chains than this profile runs.")
    return {name: run_all(claims.runs_of(claims.named(name), size.seed), runs_folder())[0] for name in names}
