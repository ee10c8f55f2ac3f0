"""How much real data is enough? Chains of normal distributions, words and labels with real rows in every training set.

Functions take the tables of their runs, or the size of the study and make the runs; each shows one figure, with the
sentence that states what one sees. Those that return tables return what claims ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from model_collapse import theory
from model_collapse.analysis import figures, stats
from model_collapse.analysis.figures import Curves
from model_collapse.companion.book import compare
from model_collapse.companion.book.estimates import below, points
from model_collapse.companion.book.notebook import runs_folder, say, show
from model_collapse.companion.claims import mixing, named, planned, rows
from model_collapse.companion.claims.minorities import as_rows
from model_collapse.companion.claims.real_share import best_weight, drift_by_weight, stationary_drift
from model_collapse.companion.studies import real_share as study_of
from model_collapse.companion.studies.real_share import SYMBOLS, SYNTHETIC_LABELS, Size
from model_collapse.engine.execute import run_all
from model_collapse.errors import InputError
from model_collapse.theory import mixed, real_share, regression, temperature

Tables = dict[str, pd.DataFrame]

Variance = Literal["known", "estimated"]

DIVERSITY, PRESENCE = "heterozygosity, over the true one", "symbols present, of all"
"""Titles of the panels of the discrete chain."""

WEBS: Mapping[str, tuple[float, int]] = {
    "no floor, h = 5": (0.0, 5),
    "no floor, h = 20": (0.0, 20),
    "floor 5 %, h = 5": (0.05, 5),
}
"""Floor of the share of real rows, and the generation at which the rest is halved."""


def checked(size: Size) -> Size:
    """The size, if the chapter can show it."""
    if int(size.n or 0) < 20 or size.generations < 100:
        raise InputError("this chapter is written for rows >= 20 and generations >= 100")
    return size


def _run(size: Size, arguments: Mapping[Any, Mapping[str, Any]]) -> dict[Any, pd.DataFrame]:
    """Tables by label of runs from the size's seed."""
    return run_all(planned(arguments, size.seed), runs_folder())[0]


def _of_claim(claim: str, size: Size, **changes: Any) -> Tables:
    """Tables of a claim's own runs, with other settings."""
    return _run(size, {label: {**run, **changes} for label, run in named(claim).runs.items()})


def _kept(M: int, share: float) -> Callable[[np.ndarray], np.ndarray]:
    """Part of a variance, or of a heterozygosity, that is kept by generation with this share of new real rows."""
    return lambda g: mixed.fresh_moments(g + 1, M, share)[1]


# One row in a thousand ----------------------------------------------------------------------------------------------


def few_real_rows(tables: Tables) -> None:
    """Mean of the fitted variance by generation for small shares of new real rows, beside {eq}`real-share-recursion`.

    The conditions "none" and "0.1 %" have to be among them.
    """
    kept = {label: stats.pick(table, "variance") for label, table in tables.items()}
    share = {label: float(mixing.regime(table)["real_fraction"]) for label, table in tables.items()}
    expected: Curves = {label: _kept(rows(table), share[label]) for label, table in tables.items()}
    first = next(iter(tables.values()))
    M, last, chains = rows(first), stats.last_of(first), first["replicate"].nunique()
    title = f"training sets of {M} rows"
    show(
        figures.against_theory({title: kept}, {title: expected}, ylabel="variance kept"),
        compare.listed({title: kept}),
        "real-share-small",
        "Variance of the fitted distribution by generation for small shares of new real rows, means with 95 % bands "
        "over chains; dashed: {eq}`real-share-recursion`.",
        "Six curves that start at one. Without real rows the variance decays towards zero. With one real row in a "
        "thousand it would level off at two thirds, and with more real rows at higher levels, which it reaches "
        "sooner.",
    )
    measured, exact = (
        compare.ends(kept, last),
        {label: float(curve(np.array(last))) for label, curve in expected.items()},
    )
    wait = {label: 1 / float(mixed.drift_decay(rows(tables[label]), share[label])) for label in tables}
    say(
        f"Variance at generation {last}, mean over {chains} chains (theory in brackets): "
        + "; ".join(f"{label} {measured[label].value:.3f} ({exact[label]:.3f})" for label in tables)
        + f". A single real row in {M} keeps {measured['0.1 %'].value:.0%} of the variance; without it "
        f"{measured['none'].value:.0%} are left. The gap to the final level shrinks by a factor of e in "
        f"{wait['0.1 %']:.0f} generations with one row in a thousand, and in {min(wait.values()):.0f} with the "
        "largest share. These are means: many chains have much less for long stretches, and a variance says nothing "
        "about tails."
    )
    for label, found in kept.items():
        inside = stats.mean(found[found["generation"] == last]["value"], level=0.99999)
        # Without real rows the mean of the variance is carried by few chains once n exceeds M.
        assert share[label] == 0 or inside.low < exact[label] < inside.high, label


def drift(size: Size) -> dict[tuple[str, str, float], pd.DataFrame]:
    """Stationary drift M V of the mean against the share of real rows, beside {eq}`real-share-limit` and -old.

    Returns the tables by title of the panel, regime and share.
    """
    M = int(size.n or 0)
    panels: dict[str, Variance] = {"variance known": "known", "variance fitted": "estimated"}
    shares = [g for g in size.shares if round(g * M) >= 1]
    tables: dict[tuple[str, str, float], pd.DataFrame] = _run(
        size,
        {
            (title, regime, g): study_of.plateau(size, regime, g, variance)
            for title, variance in panels.items()
            for regime in ("fresh", "mix", "fixed")
            for g in shares
            if regime != "fixed" or g < 1
        },
    )
    found = []
    for (title, regime, g), table in tables.items():
        own, limit = stationary_drift(table)
        estimate = stats.mean(M * own)
        found.append((title, regime, g, estimate.value, estimate.low, estimate.high, M * limit, len(own)))
    drifts = pd.DataFrame(found, columns=["panel", "regime", "x", "y", "low", "high", "theory", "chains"])
    limits: dict[str, Callable[[Any, Variance], Any]] = {
        "fresh": lambda g, variance: mixed.fresh_drift_limit(M, g, variance=variance),
        "mix": lambda g, variance: mixed.mix_drift_limit(M, g, variance=variance),
        "fixed": lambda g, variance: mixed.fixed_drift_limit(g * M, (1 - g) / g, variance=variance),
    }
    show(
        figures.points_by_arm(
            {t: dict(list(part.groupby("regime", sort=False))) for t, part in drifts.groupby("panel", sort=False)},
            {t: {r: lambda g, f=f, v=v: M * f(g, v) for r, f in limits.items()} for t, v in panels.items()},
            xlabel="share of real rows, g",
            ylabel="drift of the mean, M V",
            scale="log",
            yscale="log",
        ),
        drifts,
        "real-share-drift",
        f"Drift in the long run against the share of real rows in training sets of {M} rows, with 95 % intervals over "
        "chains; dashed: {eq}`real-share-limit` and {eq}`real-share-old`. One means: as good as a fit to M real rows.",
        "Two panels with three falling lines each, on logarithmic axes. New real rows give the least drift, a finite "
        "set that is drawn from again a little more, a small fixed set the most. All meet at one where every row is "
        "real.",
    )
    tenth = min(shares, key=lambda g: abs(g - 0.1))
    at = drifts[(drifts["x"] == tenth) & (drifts["panel"] == "variance fitted")].set_index("regime")
    worst = compare.off(drifts, drifts["theory"])
    say(
        f"With a share of {tenth:.0%} and a fitted variance the drift is "
        + ", ".join(f"{row.y:.2f} (theory {row.theory:.2f}) for *{regime}*" for regime, row in at.iterrows())
        + ", in units of the error of one fit to M real rows. **Any share of new real data bounds the drift.** Old "
        f"data bound it too, but at the error of the set they come from. All {len(drifts)} points lie within "
        f"{worst:.1f} standard errors of theory; a share of one is the control."
    )
    assert worst < 4.5, "stationary drift left its closed form"
    return tables


def migrants(size: Size) -> None:
    """Variance in the long run against the number of new real rows, two sizes of training sets: 1 - 1 / (M D)."""
    M = int(size.n or 0)
    sizes, counts = sorted({M // 2, 5 * M}), (1, 2, 5, 10)
    tables = _run(size, {(n, k): study_of.island(size, n, k) for n in sizes for k in counts})
    expected = {f"M = {n}": lambda k, n=n: 1 - mixed.fresh_drift_limit(n, k / n) for n in sizes}
    found: dict[str, pd.DataFrame] = {}
    for n in sizes:
        settled = {k: tables[n, k][tables[n, k]["generation"] > 7 / float(mixed.drift_decay(n, k / n))] for k in counts}
        own = points({k: stats.mean(t.groupby("replicate")["value"].mean()) for k, t in settled.items()})
        found[f"M = {n}"] = own.assign(theory=[float(expected[f"M = {n}"](k)) for k in counts])
    together = below(found, "size")
    show(
        figures.points_by_arm(
            {"variance in the long run": found},
            {"variance in the long run": expected},
            xlabel="new real rows per generation, k",
            ylabel="variance kept",
            scale="log",
        ),
        together,
        "real-share-migrants",
        "Variance kept in the long run against the number of new real rows per generation, for two sizes of training "
        "sets, 95 % intervals over chains; dashed: $1 - 1/(MD)$, nearly {eq}`real-share-rows`.",
        "Rising points of two sizes of training sets, nearly on top of each other: about two thirds at one real row "
        "per generation, more than nine tenths at ten.",
    )
    worst = compare.off(together, together["theory"])
    say(
        f"Training sets differ by a factor of {sizes[1] / sizes[0]:.0f} in size. One real row per generation keeps "
        + " and ".join(f"{own['y'].iloc[0]:.3f} ({label})" for label, own in found.items())
        + f" of the variance; $2k/(2k+1)$ is {2 / 3:.3f}. The largest deviation from theory is {worst:.1f} standard "
        "errors."
    )
    assert worst < 4.5, "the stationary variance left its closed form"


# Words --------------------------------------------------------------------------------------------------------------

_Q = theory.zipf_law(SYMBOLS, 1)
_HETEROZYGOSITY = 1 - np.sum(_Q**2)


def _of_words(tables: Tables) -> dict[str, Tables]:
    """Heterozygosity and support over what the truth has."""
    return {
        title: {
            label: rows_of.assign(value=rows_of["value"] / truth)
            for label, table in tables.items()
            if not (rows_of := stats.pick(table, metric)).empty
        }
        for title, metric, truth in ((DIVERSITY, "heterozygosity", _HETEROZYGOSITY), (PRESENCE, "support", SYMBOLS))
    }


def _present(schedule: Sequence[tuple[int, int]], M: int) -> Callable[[np.ndarray], np.ndarray]:
    """Expected share of symbols that are present, where `schedule` says how many rows of each training set are real."""
    return lambda g: real_share.expected_presence(g + 1, _Q, M, schedule) / SYMBOLS


def words(tables: Tables) -> None:
    """Heterozygosity and words present by generation, beside {eq}`real-share-discrete` and exact counts."""
    panels = _of_words(tables)
    first = tables["10 % new"]
    M, last = rows(first), stats.last_of(first)
    shares = {
        label: float(mixing.regime(table)["real_fraction"])
        for label, table in tables.items()
        if table["regime"].iloc[0] == "fresh"
    }
    expected: dict[str, dict[str, Any]] = {
        DIVERSITY: {label: _kept(M, a) for label, a in shares.items()}
        | {"10 % of one set": lambda g: mixed.mix_moments(g + 1, M, 0.1)[1]},
        PRESENCE: {label: _present(real_share.fresh_schedule(M, a), M) for label, a in shares.items()},
    }
    seen = float(theory.expected_support(1, _Q, M)) / SYMBOLS
    show(
        figures.against_theory(panels, expected, ylabel="mean over chains", limits={PRESENCE: [seen]}),
        compare.listed(panels),
        "real-share-words",
        f"Diversity of {SYMBOLS} words (Zipf's law) in training sets of M = {M} rows, means with 95 % bands over "
        "chains; dashed: {eq}`real-share-discrete` and the exact chain of one count (no closed form is given for "
        "words under the finite set). Dotted: what one real sample of M rows shows.",
        "Two panels by generation. Left: heterozygosity falls without real rows and levels off with them, near one "
        "for a tenth or more. Right: the share of words present levels off much lower, in order of the share of new "
        "real rows; a tenth drawn from one finite set gives less than a tenth of new rows.",
    )
    worst = compare.farthest(panels, expected)
    still, final = (compare.ends(panels[title], last) for title in (DIVERSITY, PRESENCE))
    spread = stats.mean((stats.per_replicate(first, "share", last, "1") - _Q[0]) ** 2)
    exact = float(theory.stationary_variance(_Q[0], M, round(0.1 * M) / M, "fresh"))
    say(
        f"With 10 % of new rows the chain keeps {still['10 % new']:.3f} of the heterozygosity but shows only "
        f"{final['10 % new']:.3f} of the words; one real sample of {M} rows shows {seen:.3f}. With 10 % from one "
        f"finite set it shows {final['10 % of one set']:.3f}, because words that the set lacks never come. **A share "
        "that is enough for common things is not enough for rare ones**, and heterozygosity hardly sees rare ones. "
        f"The commonest word's variance is {1e4 * spread.value:.2f} × 10⁻⁴ (theory {1e4 * exact:.2f}). No mean lies "
        f"more than {worst:.1f} standard errors from theory."
    )
    assert worst < 5, "the discrete chain left its closed forms"


def healing(tables: Tables) -> None:
    """The same where real data return after generation M, beside `mixed.heal_moments` and `heal_schedule`."""
    panels = _of_words(tables)
    M = rows(tables["replace"])
    last, back = stats.last_of(tables["replace"]), M
    schedules = {
        "replace": real_share.fresh_schedule(M, 0),
        "heal with 1 row": real_share.heal_schedule(M, back, 1 / M),
        "heal with 10 %": real_share.heal_schedule(M, back, 0.1),
    }
    seen = float(theory.expected_support(1, _Q, M)) / SYMBOLS
    kept: dict[str, Any] = {
        "replace": _kept(M, 0),
        "heal with 1 row": lambda g: mixed.heal_moments(g + 1, M, back, 1 / M)[1],
        "heal with 10 %": lambda g: mixed.heal_moments(g + 1, M, back, 0.1)[1],
        "accumulate": lambda g: theory.accumulated_heterozygosity(g + 1, M, _Q) / _HETEROZYGOSITY,
    }
    there: dict[str, Any] = {label: _present(schedule, M) for label, schedule in schedules.items()}
    there["accumulate"] = lambda g: np.full(len(g), seen)
    expected = {DIVERSITY: kept, PRESENCE: there}
    show(
        figures.against_theory(panels, expected, ylabel="mean over chains"),
        compare.listed(panels),
        "real-share-healing",
        f"Real data return at generation {back + 1}: heterozygosity and words present, M = {M}, means with 95 % bands "
        "over chains; dashed: closed forms. Accumulate never lost its real data.",
        "Two panels by generation. Both measures fall alike until real data return. Left: with a tenth of real rows "
        "heterozygosity is back near one at once, with one row slowly and not all the way. Right: the words come "
        "back to a lower level than accumulate kept all along.",
    )
    # Under replace the mean is carried by few chains in the end.
    healed = {
        title: {label: curve for label, curve in own.items() if label != "replace"} for title, own in expected.items()
    }
    worst = compare.farthest(panels, healed)
    diverse, present = (compare.ends(panels[title], last) for title in (DIVERSITY, PRESENCE))
    never = float(mixed.fresh_moments(last + 1, M, 0.1)[1])
    say(
        f"**What returns:** with 10 % of real rows the heterozygosity had fallen to {float(kept['replace'](back)):.2f} "
        f"of the true one and is {diverse['heal with 10 %']:.3f} at the end (theory for a chain that was never "
        f"damaged: {never:.3f}); one row brings it to {diverse['heal with 1 row'].value:.3f}. **What does not:** "
        f"{present['heal with 10 %'].value:.3f} of all words are present, and {present['heal with 1 row'].value:.3f} "
        f"with one row, where accumulate kept {present['accumulate'].value:.3f}. The largest deviation from theory is "
        f"{worst:.1f} standard errors."
    )
    assert worst < 5, "healing left its closed forms"


def returning_words(table: pd.DataFrame) -> None:
    """Share of chains with a word of some ranks, before and after a tenth of real rows returns; exact, dashed."""
    M = back = rows(table)
    last, k = stats.last_of(table), round(0.1 * M)
    schedule = real_share.heal_schedule(M, back, 0.1)
    ranks = {"common words": (1, 5), "rare words": (20, SYMBOLS)}
    share = stats.pick(table, "share").astype({"item": str})
    there = share.assign(value=(share["value"] > 0).astype(float))
    shown = {title: {f"rank {rank}": there[there["item"] == str(rank)] for rank in own} for title, own in ranks.items()}
    exact: dict[str, dict[str, Any]] = {
        title: {f"rank {rank}": lambda g, q=_Q[rank - 1]: real_share.presence(g + 1, q, M, schedule) for rank in own}
        for title, own in ranks.items()
    }
    show(
        figures.against_theory(shown, exact, ylabel="share of chains with the word"),
        compare.listed(shown),
        "real-share-returning-words",
        f"Words by rank before and after {k} real rows of {M} return at generation {back + 1}, with 95 % bands over "
        "chains; dashed: exact.",
        "Two panels with two curves each, by generation. All fall while there are no real rows. When real rows "
        "return, the commonest word is back at once, and the rarest rises slowly to a level well below one.",
    )
    rare, wait = _Q[-1], [float(real_share.first_return(_Q[-1], each)) for each in (k, 1)]
    say(
        f"The rarest word, once lost, waits {wait[0]:.0f} generations on average to be among {k} real rows "
        f"({wait[1]:.0f} for one row). In the end it is present in "
        f"{float(real_share.presence(last + 1, rare, M, schedule)):.0%} of the chains; a real sample of {M} rows has "
        f"it in {float(1 - theory.loss_probability(rare, M)):.0%}. Healing as here needs to know which rows are real."
    )


# Weights ------------------------------------------------------------------------------------------------------------

_INNER = (0.45, 0.55, 0.65, 0.75, 0.85)


def golden(size: Size) -> Tables:
    """Stationary drift against the weight of real rows, beside {eq}`real-share-weight`. Returns those of MIX-2."""
    M = int(size.n or 0)
    tables: dict[float, pd.DataFrame] = _run(size, {w: study_of.weighed(size, w) for w in (0.3, *_INNER, 1.0)})
    drifts = drift_by_weight({str(w): table for w, table in tables.items()})
    weights = points({w: stats.mean(drifts[w]) for w in drifts})
    title, expected = "M new real rows and M synthetic ones", lambda w: M * mixed.weigh_drift_limit(M, w)
    show(
        figures.points_by_arm(
            {title: {"simulated": weights}},
            {title: {"simulated": expected}},
            xlabel="weight of real rows, w",
            ylabel="drift of the mean, M V",
        ),
        weights,
        "real-share-golden",
        "Drift in the long run against the weight of real rows, with 95 % intervals over chains; dashed: "
        "{eq}`real-share-weight`.",
        "A curve with its minimum a little above 0.6, rising steeply to the left and gently to one at weight one.",
    )
    inner, worst = {str(w): tables[w] for w in _INNER}, compare.off(weights, expected(weights["x"]))
    best, alone = best_weight(inner, 0.9999), stats.mean(drifts[1.0])
    say(
        f"The drift is least at a weight of {best:.3f} (minimum of a cubic through five weights, 99.99 % interval over "
        f"chains). Real rows alone have a drift of {alone.value:.3f}. The largest deviation from theory is {worst:.1f} "
        "standard errors. With a fitted variance and small M, a little more weight on synthetic rows is best."
    )
    assert worst < 4.5, "the weighted chain left its closed form"
    return inner


def weights_by_ratio(size: Size, golden: Tables) -> Tables:
    """Best weight against the number of new real rows per synthetic row, beside {eq}`real-share-curve`: MIX-5.

    golden  the tables for one real row per synthetic row
    """
    fewer = {"replicates": size.steady} if size.quick else {}
    tables = {k: _run(size, mixing.weights_of(k, **fewer)) for k in mixing.CURVE}
    best: dict[Hashable, stats.Estimate] = {k: best_weight(own) for k, own in tables.items()}
    curve = points(best | {1.0: best_weight(golden, 0.9999)})
    title = "weight with the least drift"
    show(
        figures.points_by_arm(
            {title: {"best weight": curve.sort_values("x")}},
            {title: {"best weight": mixed.best_real_weight}},
            xlabel="new real rows per synthetic row, k",
            ylabel="best weight of real rows",
            scale="log",
        ),
        curve,
        "real-share-curve",
        "Weight of real rows at which the drift is least in the long run, with intervals over chains (99.99 % at k = "
        "1, else 95 %); dashed: {eq}`real-share-curve`.",
        "Four points on a rising curve: about 0.30 at one real row for eight synthetic ones, 0.50 at one for two, "
        "0.62 at one for one, 0.73 at two for one.",
    )
    worst = float(np.max(np.abs(curve["y"] - mixed.best_real_weight(curve["x"].to_numpy()))))
    say(f"The measured best weights differ from {{eq}}`real-share-curve` by at most {worst:.3f}.")
    return {label: table for own in tables.values() for label, table in own.items()}


def labels(size: Size) -> Tables:
    """Late test error of regression against the weight of real labels (Garg et al. 2025, arXiv:2509.22341): MIX-6."""
    fewer = {"replicates": 128} if size.quick else {}
    tables = {
        title: _run(size, mixing.labels_of(kind, **fewer))
        for title, kind in (("shortest fit", "shortest"), ("ridge", "ridge"))
    }
    error = {title: mixing.error_by_weight(own) for title, own in tables.items()}
    # Chains differ much in how hard their rows are, and not in which weight is best.
    shown = {
        title: points({float(w): stats.mean(own[w] / own.mean(axis=1).mean()) for w in own.columns})
        for title, own in error.items()
    }
    show(
        figures.points_by_arm(
            {title: {"simulated": found} for title, found in shown.items()},
            {},
            xlabel="weight of real labels, w",
            ylabel="test error over its mean",
        ),
        below(shown, "fit"),
        "real-share-labels",
        "Late test error of regression on 5 rows in 10 dimensions against the weight of real labels, over its mean "
        "over weights, with 95 % intervals over chains.",
        "Two panels, each with a shallow curve: the shortest fit has its least error a little above 0.6, ridge a "
        "little below, above one half.",
    )
    best = {title: best_of["x"].iloc[int(best_of["y"].argmin())] for title, best_of in shown.items()}
    say("Least error among these weights: " + ", ".join(f"{title} at {w:g}" for title, w in best.items()) + ".")
    return {label: table for own in tables.values() for label, table in own.items()}


# Shares that are not constant ---------------------------------------------------------------------------------------


def filling(size: Size) -> None:
    """A web that fills up with synthetic rows: share of real rows and variance, beside {eq}`real-share-fill`."""
    M, last = int(size.n or 0), size.generations
    tables = _run(size, {label: study_of.filling(size, *web) for label, web in WEBS.items()})
    later: Tables = {label: table[table["generation"] > 0] for label, table in tables.items()}
    share, kept = "share of real rows", "variance kept"
    panels = {share: {label: t.assign(value=t["share_real"]) for label, t in later.items()}, kept: later}
    expected: dict[str, dict[str, Any]] = {
        share: {label: lambda g, web=web: real_share.fill_share(g, *web) for label, web in WEBS.items()},
        kept: {label: lambda g, web=web: mixed.fill_moments(g + 1, M, *web)[1] for label, web in WEBS.items()},
    }
    measured = compare.ends(later, last)
    show(
        figures.against_theory(panels, expected, ylabel="mean over chains", xscale="log"),
        compare.listed(panels),
        "real-share-fill",
        f"A web that fills up: share of real rows and variance kept, M = {M}, means with 95 % bands over chains; "
        "dashed: {eq}`real-share-fill` and {eq}`real-share-recursion` in whole rows, hence the steps.",
        "Two panels by generation, on a logarithmic axis. Left: the share of real rows falls quickly in all "
        "conditions and stays at five per cent in one. Right: the variance stays high for long in all conditions. "
        f"In generation {last} it is " + "; ".join(f"{measured[label].value:.2f} with {label}" for label in WEBS) + ".",
    )
    exact = {label: float(curve(np.array(last))) for label, curve in expected[kept].items()}
    slow, due = _pace(size)
    say(
        f"At generation {last} the variance is "
        + "; ".join(f"{measured[label].value:.3f} (theory {exact[label]:.3f}) with {label}" for label in WEBS)
        + f". With {20 * last} rows and a known variance the mean wanders more slowly than in a chain without any real "
        "rows, by the factor "
        + "; ".join(
            f"{slow[label].value:.3f} (theory {due[label]:.3f}, {{eq}}`real-share-slow` "
            f"{1 / (1 + 2 * WEBS[label][1]):.3f}) with {label}"
            for label in slow
        )
        + ". **Without a floor, collapse is only delayed.** A floor of a few real rows stops it. Nobody knows whether "
        "the share of real text on the web falls like this."
    )
    for label in WEBS:
        inside = stats.mean(later[label].query("generation == @last")["value"], level=0.99999)
        # Once the last real row is gone, the mean is carried by few chains.
        assert exact[label] < 0.2 or inside.low < exact[label] < inside.high, label
    assert all(found.low < due[label] < found.high for label, found in slow.items())


def _pace(size: Size) -> tuple[dict[str, stats.Estimate], dict[str, float]]:
    """Mean square of the mean at the last generation over that of a chain without real rows: measured, and theory."""
    last, webs = size.generations, {label: web for label, web in WEBS.items() if web[0] == 0}
    tables = _run(size, {label: study_of.wandering(size, *web) for label, web in webs.items()})
    slower = 20 * last / last
    found = {
        label: stats.mean(slower * stats.per_replicate(table, "mean", last) ** 2, level=0.999)
        for label, table in tables.items()
    }
    due = {
        label: slower * float(mixed.fill_moments(last + 1, 20 * last, *web, variance="known")[0])
        for label, web in webs.items()
    }
    return found, due


def inflow(size: Size) -> Tables:
    """Mean square of a pool's mean by generation, beside {eq}`real-share-inflow`: the tables of MIX-7."""
    fewer = {"replicates": 512} if size.quick else {}
    shares = {f"a = {a:g}": a for a in (0.25, 0.5, 0.75)}
    tables = _run(size, {label: mixing.inflow(a, every=2, **fewer) for label, a in shares.items()})
    square = {
        label: stats.pick(t, "mean").assign(value=lambda found: found["value"] ** 2) for label, t in tables.items()
    }
    title = "four rows added in every generation"
    expected: dict[str, dict[str, Any]] = {
        title: {
            label: lambda g, a=a: mixed.inflow_moments(g + 1, 4, a, variance="known")[0] for label, a in shares.items()
        }
    }
    show(
        figures.against_theory(
            {title: square}, expected, ylabel="mean square of the pool's mean", yscale="log", xscale="log"
        ),
        compare.listed({title: square}),
        "real-share-inflow",
        "Error of a pool's mean by generation for three shares of real rows among those added, with 95 % bands over "
        "chains; dashed: {eq}`real-share-inflow`.",
        "Three falling lines on logarithmic axes, steeper with more real rows: a slope of about a half with a "
        "quarter, nearly one with three quarters.",
    )
    left = {label: found.value for label, found in compare.ends(square, 40).items()}
    say(
        f"After 41 fits the mean square error is {left['a = 0.25']:.4f} where a quarter of each batch is real, "
        f"{left['a = 0.5']:.4f} with a half and {left['a = 0.75']:.4f} with three quarters."
    )
    return tables


def fork(size: Size) -> Tables:
    """Share of the commoner of two symbols at two temperatures, beside mean field {eq}`real-share-fork`: MIX-8."""
    cold = {"T = 0.5": 0.5, "T = 0.8": 0.8}
    shares = [0.05, 0.1, 0.15, 0.25, 0.3, 0.4, 0.45, 0.55, 0.6]
    chains = 4 if size.quick else 16
    tables = _run(
        size, {(label, a): mixing.fork(2, T, a, replicates=chains) for label, T in cold.items() for a in shares}
    )
    found = {
        label: points({a: stats.mean(mixing.largest_share(tables[label, a]).iloc[:, -1]) for a in shares})
        for label in cold
    }
    title = "two symbols of equal true share"
    show(
        figures.points_by_arm(
            {title: found},
            {title: {label: partial(_at_rest, T) for label, T in cold.items()}},
            xlabel="share of new real rows, a",
            ylabel="share of the commoner symbol",
            marks={label: 1 - T for label, T in cold.items()},
        ),
        below(found, "temperature"),
        "real-share-fork",
        "Share of the commoner of two symbols after 160 generations of 100,000 rows, with 95 % intervals over "
        "chains; dashed: fixed point by mean field; dotted: {eq}`real-share-fork`.",
        "Two falling curves that meet one half at a share of 0.2 for temperature 0.8 and at 0.5 for temperature 0.5, "
        "and stay there.",
    )
    worst = max(np.max(np.abs(own["y"] - _at_rest(cold[label], own["x"].to_numpy()))) for label, own in found.items())
    say(f"The largest distance from mean field is {worst:.3f}.")
    return _of_claim("MIX-8", size, **({"replicates": 4} if size.quick else {}))


def _at_rest(T: float, shares: np.ndarray) -> np.ndarray:
    """Share of the commoner of two symbols at the mean-field fixed point, for each share of real rows."""
    return np.array([temperature.resting(2, T, a)[0] for a in np.atleast_1d(shares)])


def own_errors(size: Size) -> Tables:
    """Chi-square distance to the truth by generation, and the sum {eq}`real-share-own` of own errors: MIX-9."""
    tables = _of_claim("MIX-9", size, **({"replicates": 256} if size.quick else {}))
    both = {
        label: {
            "damage": as_rows(mixing.own_errors(table)[1]),
            "discounted sum of own errors": as_rows(mixing.summed(table)),
        }
        for label, table in tables.items()
    }
    show(
        figures.against_theory(both, {}, ylabel="chi-square distance"),
        compare.listed(both),
        "real-share-own-errors",
        "Chi-square distance of 8 symbols' shares to the truth, and the sum {eq}`real-share-own` of measured errors, "
        "means with 95 % bands over chains.",
        "Two panels. In each two rising curves that lie nearly on each other and level off, lower and sooner with 30 "
        "% real rows.",
    )
    damage, summed = (
        {label: compare.ends({name: own[name]}, 20)[name].value for label, own in both.items()}
        for name in ("damage", "discounted sum of own errors")
    )
    say(
        "Damage at generation 20, and the discounted sum: "
        + "; ".join(f"{label} {damage[label]:.4f} and {summed[label]:.4f}" for label in both)
        + "."
    )
    return tables


# Labels with a bias -------------------------------------------------------------------------------------------------


def strong_collapse(size: Size) -> Tables:
    """Error of a regression with a tenth of biased labels against its rows, beside {eq}`real-share-strong`.

    Returns the tables of MIX-3: sizes that are shown are too small to tell a plateau, and the claim's take a second.
    """
    shifts = {"10 % biased": 1.0, "10 % unbiased": 0.0}
    lengths = size.lengths
    chains = {n: size.steady // 2 if n in (2000, 8000) else size.seeds for n in lengths}
    tables = _run(
        size,
        {(name, n): study_of.labels(size, n, shift, chains[n]) for name, shift in shifts.items() for n in lengths},
    )
    exact = {name: partial(_biased_error, shift) for name, shift in shifts.items()}
    found = {
        name: points({n: stats.mean(stats.per_replicate(tables[name, n], "test_error", 1)) for n in lengths}).assign(
            theory=exact[name](np.array(lengths))
        )
        for name in shifts
    }
    together, title = below(found), "10 % of labels synthetic, d = 20"
    show(
        figures.points_by_arm(
            {title: found},
            {title: exact},
            xlabel="rows, T",
            ylabel="error of the weights",
            scale="log",
            yscale="log",
        ),
        together,
        "real-share-strong-collapse",
        "Error of a regression with a tenth of synthetic labels against the number of rows, with 95 % intervals over "
        "chains; dashed: exact, nearly {eq}`real-share-strong`. The unbiased condition is the control.",
        "Two falling lines on logarithmic axes. With unbiased synthetic labels the error keeps falling in proportion "
        "to one over the number of rows; with biased ones it levels off near one hundredth.",
    )
    worst, (biased, unbiased) = compare.off(together, together["theory"]), (found[name].iloc[-1] for name in shifts)
    say(
        f"At {lengths[-1]} rows the error is {biased['y']:.4f} with a tenth of biased labels (theory "
        f"{biased['theory']:.4f}, of which $p^2c^2$ = {SYNTHETIC_LABELS**2:g}) and {unbiased['y']:.4f} with unbiased "
        f"ones. The largest deviation from theory is {worst:.1f} standard errors. Here the loop turns only once."
    )
    assert worst < 4.5, "the biased regression left its closed form"
    return _of_claim("MIX-3", size)


def _biased_error(shift: float, lengths: np.ndarray) -> np.ndarray:
    """`regression.biased_error` of the second fit for any numbers of rows."""
    return np.array([float(regression.biased_error(2, round(n), 20, 1 - SYNTHETIC_LABELS, shift)) for n in lengths])


def of_claims(drifts: Mapping[tuple[str, str, float], pd.DataFrame]) -> dict[str, Tables]:
    """MIX-1, from the tables of `drift`."""
    fresh = {f"{title}, {g:.0%}": t for (title, regime, g), t in drifts.items() if regime == "fresh" and g >= 0.1}
    return {"MIX-1": fresh}
