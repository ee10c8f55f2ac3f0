"""Scaling laws: what part of the facts a learner knows after a number of rows, and what generated rows do to that.

Functions take the size of the study, or the tables of their runs, and show one figure with the sentence that states
what one sees. The error is always the *lost mass*, {eq}`scaling-loss`: the probability of what a model has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from model_collapse import theory
from model_collapse.analysis import figures, stats
from model_collapse.companion import claims
from model_collapse.companion.book import compare
from model_collapse.companion.book.estimates import below, markdown, points
from model_collapse.companion.book.notebook import runs_folder, say, show
from model_collapse.companion.claims import mixing, rows
from model_collapse.companion.claims.scaling import losses, token_prices
from model_collapse.companion.studies import scaling as study_of
from model_collapse.companion.studies.scaling import RANKS, STUDY, Size
from model_collapse.companion.studies.study import Study
from model_collapse.engine.execute import run_all
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError
from model_collapse.theory import scaling

BETA = 1.5
"""Exponent of Zipf's law where there is one only."""

EXPONENTS = (1.5, 2.0)
LENGTHS = (100, 400, 1600, 6400)

Tables = dict[str, pd.DataFrame]
ByRows = dict[str, dict[int, pd.DataFrame]]
"""Condition -> rows of a training set -> table."""


def checked(size: Size) -> Size:
    """The size, if the chapter can show it."""
    if int(size.n or 0) < 10_000 or size.symbols < 10_000:
        raise InputError("this chapter is written for rows >= 10,000 and symbols >= 10,000")
    return size


def lengths(size: Size) -> list[int]:
    """Rows of training sets, evenly spaced on a logarithmic axis up to the largest."""
    return [int(T) for T in np.unique(np.geomspace(100, int(size.n or 0), size.wide).round().astype(int))]


def by_rows(experiment: Study[Size], size: Size, labels: Iterable[str], of_rows: Callable[[Size, int], Size]) -> ByRows:
    """Tables of conditions for every number of rows; of_rows: the size for one of them."""
    labels = list(labels)
    runs: dict[Any, Run] = {
        (label, T): run for T in lengths(size) for label, run in experiment.runs(of_rows(size, T), labels).items()
    }
    found: dict[Any, pd.DataFrame] = run_all(runs, runs_folder())[0]
    return {label: {T: found[label, T] for T in lengths(size)} for label in labels}


def _replaced(size: Size, sizes: Mapping[Any, Size]) -> dict[Any, pd.DataFrame]:
    """Tables of chains that are trained on what the last model generated, for each of several sizes."""
    runs = {key: STUDY.runs(each, ["nothing cut"])["nothing cut"] for key, each in sizes.items()}
    return run_all(runs, runs_folder())[0]


def _distribution(table: pd.DataFrame) -> np.ndarray:
    """True shares of the facts of a table, commonest first."""
    settings = claims.family(table)
    return theory.zipf_law(settings["symbols"], settings["zipf"])


def _curve(tables: Mapping[int, pd.DataFrame], generation: int | None = None) -> pd.DataFrame:
    """Mean lost mass against rows, at a generation (None: the last)."""
    last = {T: stats.last_of(table) if generation is None else generation for T, table in tables.items()}
    return points({T: stats.mean(stats.per_replicate(t, "lost_mass", last[T])) for T, t in tables.items()})


# Real data, and a tail that is cut ----------------------------------------------------------------------------------


def real_data(size: Size) -> dict[float, dict[int, pd.DataFrame]]:
    """Lost mass on real data against rows, beside {eq}`scaling-law`. Returns the tables by exponent and rows: TT-1."""
    tables = _replaced(
        size, {(beta, T): study_of.of_rows(size, T, 0, beta=beta) for beta in EXPONENTS for T in LENGTHS}
    )
    own = {beta: {T: tables[beta, T] for T in LENGTHS} for beta in EXPONENTS}
    errors = {_beta(beta): _curve(found) for beta, found in own.items()}
    K = size.symbols
    forms: dict[str, Any] = {
        _beta(beta): lambda T, beta=beta: scaling.expected_loss_power_law(T, K, beta) for beta in EXPONENTS
    }
    show(
        figures.laws(errors, forms, xlabel="training rows T", ylabel="lost mass"),
        below(errors),
        "scaling-real-data",
        f"Error of the learner on real data, K = {K} facts, with 95 % intervals over {size.seeds} training sets "
        "(mostly smaller than the points); dashed: {eq}`scaling-law`.",
        "Two falling straight lines on logarithmic axes, points on dashed lines; the one for the thinner tail, beta "
        "= 2, is lower and steeper.",
    )
    ends = {beta: errors[_beta(beta)]["y"].iloc[[0, -1]].to_numpy() for beta in EXPONENTS}
    found = {beta: np.log(last / first) / np.log(LENGTHS[-1] / LENGTHS[0]) for beta, (first, last) in ends.items()}
    end = K**BETA / theory.zipf_law(K, BETA)[0]
    exact = {
        beta: np.diff(np.log(scaling.expected_loss([LENGTHS[0], LENGTHS[-1]], theory.zipf_law(K, beta))))[0]
        / np.log(LENGTHS[-1] / LENGTHS[0])
        for beta in EXPONENTS
    }
    say(
        "On logarithmic axes the lines have the slopes "
        + " and ".join(
            f"{found[b]:.3f} for β = {b:g} (theory {-scaling.loss_exponent(b):.3f}; the sum over these K and T "
            f"{exact[b]:.3f})"
            for b in EXPONENTS
        )
        + ". This is also the **control** of the chapter: on real data the power law continues. With finitely many "
        f"facts it has an end; with β = 1.5 and {K} facts it ends when T comes near {end:.1g}."
    )
    return own


def _beta(beta: float) -> str:
    return f"β = {beta:g}"


def tail_cut(tables: ByRows) -> None:
    """Lost mass of generation 1 against rows, if models generate their k commonest facts, beside {eq}`scaling-cut`."""
    first = next(iter(next(iter(tables.values())).values()))
    distribution, chains = _distribution(first), first["replicate"].nunique()
    kept = {label: int(claims.family(next(iter(own.values())))["top_k"]) for label, own in tables.items()}
    errors = {label: _curve(own) for label, own in tables.items()}
    worth = float(theory.survival_rate(2))
    forms: dict[str, Any] = {
        label: (lambda T, k=k: scaling.cut_loss(worth * T, k, distribution))
        if k
        else (lambda T: scaling.recursive_loss_bound(2, T, distribution))
        for label, k in kept.items()
    }
    cuts = [k for k in kept.values() if k]
    show(
        figures.laws(
            errors,
            forms,
            xlabel="training rows T",
            ylabel="lost mass",
            limits=list(scaling.tail_mass(cuts, distribution)),
        ),
        below(errors),
        "scaling-tail-cut",
        f"Error of generation 1 after a model that samples its k commonest facts, β = {BETA}, with 95 % intervals over "
        f"{chains} chains; dashed: "
        "{eq}`scaling-cut`; dotted: its plateaus.",
        "Four falling curves on logarithmic axes. Those with a cut bend and end on horizontal dotted lines, which "
        "lie higher where fewer facts are generated; the one without a cut keeps falling as a straight line.",
    )
    most = max(next(iter(tables.values())))
    end = {
        label: losses(tables[label][most]).mean() / float(scaling.tail_mass(k, distribution))
        for label, k in kept.items()
        if k
    }
    say(
        f"With {most} rows the errors are "
        + ", ".join(f"{ratio:.3f} ({label})" for label, ratio in end.items())
        + " times their plateaus."
    )


def equivalent_cut(real: Mapping[float, Mapping[int, pd.DataFrame]]) -> None:
    """Rank of the cut that loses as much as a finite sample, from its lost mass, beside {eq}`scaling-equivalent`."""
    K = int(claims.family(real[BETA][LENGTHS[0]])["symbols"])
    ranks = {_beta(beta): _as_rank(_curve(own), theory.zipf_law(K, beta)) for beta, own in real.items()}
    forms: dict[str, Any] = {
        _beta(beta): lambda T, beta=beta: scaling.equivalent_cut_power_law(T, K, beta) for beta in real
    }
    show(
        figures.laws(ranks, forms, xlabel="rows that the model has read, T₀", ylabel="rank at which its tail is cut"),
        below(ranks),
        "scaling-equivalent-cut",
        "The rank at which a cut loses as much as a finite sample, from the simulated lost mass, with 95 % "
        "intervals; dashed: {eq}`scaling-equivalent`.",
        "Two rising straight lines on logarithmic axes with points on them; the line for beta = 1.5 is higher and "
        "steeper.",
    )
    growth = {
        beta: np.log(own["y"].iloc[-1] / own["y"].iloc[0]) / np.log(LENGTHS[-1] / LENGTHS[0])
        for beta, own in zip(real, ranks.values(), strict=True)
    }
    say(
        "The ranks grow with the exponents "
        + " and ".join(f"{found:.3f} ($1/\\beta$ = {1 / beta:.3f})" for beta, found in growth.items())
        + f". A model of {LENGTHS[-1]:,} rows knows, in effect, the {ranks[_beta(BETA)]['y'].iloc[-1]:.0f} commonest "
        f"of {K:,} facts (β = 1.5). The edge of what it knows is not sharp; this is the rank of a sharp one that "
        "costs as much."
    )


def _as_rank(curve: pd.DataFrame, distribution: np.ndarray) -> pd.DataFrame:
    """Lost masses as the ranks of the cuts that lose as much: the lower the loss, the higher the rank."""
    others = {"y": "y", "low": "high", "high": "low"}
    return curve.assign(**{column: scaling.cut_of_loss(curve[other], distribution) for column, other in others.items()})


# Generations --------------------------------------------------------------------------------------------------------


def _bound(table: pd.DataFrame) -> Callable[[np.ndarray], Any]:
    """{eq}`scaling-floor` by generation, for what made a table."""
    T, distribution = rows(table), _distribution(table)
    return lambda g: scaling.recursive_loss_bound(g + 1, T, distribution)


def floor(size: Size) -> Tables:
    """Lost mass by generation when data are replaced, beside {eq}`scaling-floor`. Returns the tables of TT-3."""
    fits = 40
    most = int(size.n or 0)
    starts = [T for T in (200, 2000, 20_000) if most >= T]
    chosen = [(BETA, T) for T in starts] + [(2.0, 2000)]
    tables = _replaced(size, {(beta, T): study_of.of_rows(size, T, fits - 1, beta=beta) for beta, T in chosen})
    panels = {_beta(beta): {f"T₀ = {T}": tables[beta, T] for b, T in chosen if b == beta} for beta in (BETA, 2.0)}
    forms = {title: {label: _bound(table) for label, table in own.items()} for title, own in panels.items()}
    show(
        figures.against_theory(panels, forms, ylabel="lost mass", yscale="log"),
        compare.listed(panels),
        "scaling-floor",
        f"Lost mass by generation when data are replaced, means with 95 % bands over {size.seeds} chains; dashed: "
        "{eq}`scaling-floor`.",
        "Two panels with a logarithmic vertical axis. All curves rise quickly in the first generations and more "
        "slowly after; larger training sets lie lower; dashed lines coincide with the simulated ones.",
    )
    same = {_beta(beta): tables[beta, 2000] for beta in (BETA, 2.0)}
    grown = {
        label: losses(table).mean() / stats.per_replicate(table, "lost_mass", 0).mean() for label, table in same.items()
    }
    price = scaling.token_price(fits)
    due = {_beta(beta): price ** scaling.loss_exponent(beta) for beta in (BETA, 2.0)}
    say(
        f"With T₀ = 2000 the error after {fits} fits is that of generation 0 times "
        + " and ".join(f"{grown[label]:.1f} ({label}, theory {due[label]:.1f})" for label in same)
        + ". The approximation counts a fact as lost too often once some facts take over, which takes some T₀ fits."
    )
    return same


def shifted_laws(size: Size) -> dict[int, pd.DataFrame]:
    """Lost mass against the rows of every generation after several fits: {eq}`scaling-law` moved to the right."""
    largest = int(size.n or 0)
    ladder = [T for T in (300, 1000, 3000, 10_000, 30_000) if largest >= T]
    tables: dict[int, pd.DataFrame] = _replaced(size, {T: study_of.of_rows(size, T, 19) for T in ladder})
    after, K = {f"fit {n}": _curve(tables, n - 1) for n in (1, 2, 5, 20)}, size.symbols
    forms: dict[str, Any] = {
        f"fit {n}": lambda T, n=n: scaling.expected_loss_power_law(theory.survival_rate(n) * T, K, BETA)
        for n in (1, 2, 5, 20)
    }
    show(
        figures.laws(after, forms, xlabel="rows in every generation, T₀", ylabel="lost mass"),
        below(after),
        "scaling-shifted-laws",
        f"Lost mass against the rows of every generation, β = {BETA}, with 95 % intervals; dashed: "
        "{eq}`scaling-law` moved to the right by the factor {eq}`scaling-price`.",
        "Four parallel falling lines on logarithmic axes: fit 1 lowest, then fits 2, 5 and 20, each further to the "
        "right.",
    )
    most = max(ladder)
    end = {label: own.set_index("x")["y"][most] for label, own in after.items()}
    say(f"Lost mass with {most} rows: " + ", ".join(f"{label} {value:.4f}" for label, value in end.items()) + ".")
    return tables


def token_price(tables: Mapping[int, pd.DataFrame]) -> None:
    """How many times the tokens the same lost mass costs after n fits, beside 1/g_n ({eq}`scaling-price`)."""
    prices = token_prices({str(T): table for T, table in tables.items()})
    last = int(prices["x"].max())
    every = np.arange(1, last + 1)
    show(
        figures.points(
            prices,
            lambda n: np.interp(n, every, scaling.token_price(every), left=np.nan),
            xlabel="fits n",
            ylabel="times as many tokens for the same error",
        ),
        prices,
        "scaling-token-price",
        f"How far the curves are apart: tokens for the same lost mass, over those of real data, β = {BETA}, with 95 % "
        "intervals over groups of chains; dashed: $1/g_n$.",
        "Points with error bars on a line that rises from one at the first fit, nearly straight, to about eleven at "
        "fit 20.",
    )
    found = {n: prices[prices["x"] == n].iloc[0] for n in (2, 5, 10, last)}
    lines = []
    for n, at in found.items():
        price = float(scaling.token_price(n))
        worse = [f"{price ** scaling.loss_exponent(beta):.2f} times" for beta in EXPONENTS]
        lines.append([str(n), f"{at['y']:.2f} [{at['low']:.2f}, {at['high']:.2f}]", f"{price:.2f}", *worse])
    errors = [f"error with the same tokens, {_beta(beta)}" for beta in EXPONENTS]
    head = ("fits n", "tokens for the same error: simulated", "theory $1/g_n$", *errors)
    say(markdown(head, lines))
    say(
        f"A chain of ten generations, as in the paper, would need **{found[10]['y']:.1f} times the tokens** in each of "
        f"its generations for the error of a single fit to real data (theory {scaling.token_price(10):.1f}). This is "
        "the price of finite samples alone. If models also cut their tails there is a plateau, and no number of "
        "tokens is enough."
    )


# Clean data ---------------------------------------------------------------------------------------------------------


def clean_share(tables: ByRows) -> None:
    """Lost mass of generation 5 against rows where a share of them is real and new, beside {eq}`scaling-clean`."""
    first = next(iter(tables["0% real"].values()))
    distribution, k, chains = _distribution(first), int(claims.family(first)["top_k"]), first["replicate"].nunique()
    share = {label: float(mixing.regime(next(iter(own.values())))["real_fraction"]) for label, own in tables.items()}
    errors, plateau = {label: _curve(own) for label, own in tables.items()}, float(scaling.tail_mass(k, distribution))
    forms: dict[str, Any] = {
        label: lambda T, a=a: scaling.clean_share_loss(T, a * T, k, distribution) for label, a in share.items()
    }
    show(
        figures.laws(errors, forms, xlabel="training rows T", ylabel="lost mass", limits=[plateau]),
        below(errors),
        "scaling-clean-share",
        f"Error of generation 5 when every model generates its {k} commonest facts and a share of each training set is "
        f"real and new, β = {BETA}, with 95 % intervals over {chains} chains; dashed: {{eq}}`scaling-clean`; dotted: "
        "the plateau. In a few hundred rows five generations lose more than the formula says, which takes the k "
        "commonest facts for known.",
        "Four curves on logarithmic axes. Without real data the curve ends on the dotted plateau. With one per cent "
        "it stays near the plateau for long and then falls below it; with ten per cent it crosses it early; with "
        "real data only it is a straight line.",
    )
    most = max(tables["0% real"])
    crossed = {
        label: next((T for T, t in own.items() if losses(t).mean() < plateau), None) for label, own in tables.items()
    }
    none = stats.mean(losses(tables["0% real"][most]) / plateau, level=0.9999)
    tenth = losses(tables["10% real"][most]).mean() / float(scaling.expected_loss(most // 10, distribution))
    say(
        f"With {most:,} rows the error without clean data is {none.value:.3f} times the plateau. With a tenth of clean "
        f"data it is {tenth:.3f} times the error of those clean rows alone, E(πT): the nine tenths from models add "
        f"nothing. The error is first below the plateau at {_at(crossed['10% real'])} with ten per cent of clean data, "
        f"and at {_at(crossed['1% real'])} with one per cent."
    )
    assert none.low > 0.98, "data without a tail went below their plateau"


def _at(found: int | None) -> str:
    return f"{found:,} rows" if found else "none of these numbers of rows"


def of_claims(
    size: Size, real: Mapping[float, Mapping[int, pd.DataFrame]], floors: Tables, clean: ByRows
) -> dict[str, Tables]:
    """Tables of the claims, from those of `real_data`, `floor` and `clean_share`; of TT-2 its own runs.

    Where chains are too few for a verdict, none.
    """
    if size.quick:
        say("*Claims* TT-1 to TT-4 need more chains than this profile runs.")
        return {}
    most = 20 * int(size.n or 0)
    labels = [f"k = {k}" for k in RANKS]
    cut: Tables = {}
    for beta in EXPONENTS:
        runs = STUDY.runs(study_of.of_rows(size, most, 1, beta=beta, seeds=8), labels)
        cut |= {f"{beta}, {label}": table for label, table in run_all(runs, runs_folder())[0].items()}
    return {
        "TT-1": {f"{beta}, {T}": table for beta, own in real.items() for T, table in own.items()},
        "TT-2": cut,
        "TT-3": floors,
        "TT-4": {str(T): table for T, table in clean["10% real"].items()},
    }
