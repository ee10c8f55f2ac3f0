"""Chapter `cost`: how many times the rows the same quality costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion import claims
from model_collapse.companion.book.estimates import below, listed, markdown
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.claims import Tables, cost, rows
from model_collapse.companion.studies.cost import REGIMES, STUDY, Size
from model_collapse.companion.studies.gate import gate, said
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError
from model_collapse.theory import cost as theory

BLOCK = 64
"""Words or tokens in a block."""

PASSES = 5
"""Passes over the training set of the recorded language models."""

RECORDED: Mapping[str, str] = {
    "sampled": "replace",
    "accumulate": "accumulate",
    "mixed": "10 % of the first real rows",
    "control": "real only",
}
"""Conditions of the recorded run, by the names of the word models' conditions."""

Curves = Mapping[str, Mapping[str, pd.DataFrame]]


def size(
    profile: str,
    *,
    blocks: Sequence[int] | None = None,
    generations: int | None = None,
    replicates: int | None = None,
    chains: int | None = None,
    seed: int | None = None,
) -> Size:
    """The size of the chapter, with the reader's changes. InputError lists the allowed values."""
    found = STUDY.at(profile, blocks=blocks, generations=generations, seeds=replicates, chains=chains, seed=seed)
    enough = found.generations >= 1 and found.seeds >= 2 and found.chains >= 64
    if len(found.blocks) < 2 or min(found.blocks) < 10 or not enough:
        raise InputError("this chapter needs two sizes of blocks from 10 up, a generation, 2 replicates and 64 chains")
    return found


def claimed_runs(size: Size) -> dict[str, Run]:
    """The runs of claim COST-1, with the chains of the size."""
    runs = claims.runs_of(claims.named("COST-1"), size.seed)
    return {label: replace(run, replicates=size.chains) for label, run in runs.items()}


def in_theory(means: Tables, tails: Tables) -> None:
    """Figure: prices of errors that average out ({eq}`cost-rows`) and of things never seen ({eq}`cost-tail`)."""
    sizes = sorted(cost.by_size(tails, "replace", cost.lost))
    titles = "errors that average out", "things never seen"
    paid = {
        titles[0]: pd.concat([_of_mean(means[regime], regime) for regime in REGIMES]),
        titles[1]: cost.prices(tails, {regime: regime for regime in REGIMES}, sizes[0], loss=cost.lost),
    }
    forms = {
        title: {regime: _price(form, regime) for regime in REGIMES}
        for title, form in zip(titles, (theory.row_price, theory.tail_price), strict=True)
    }
    show(
        figures.prices(paid, theory=forms),
        below(paid, "error"),
        "cost-theory",
        "Times the rows that the same error costs, by generation, with 95 % intervals over chains; dashed: "
        "{eq}`cost-rows` and {eq}`cost-tail`; dotted: real rows only. Left: the mean of a normal distribution, "
        f"{rows(means['replace'])} rows. Right: the probability of all symbols never seen, {sizes[0]} real rows of a "
        f"Zipf distribution, chains of {sizes[0]} to {sizes[-1]} rows.",
        "Two panels with a logarithmic axis. Under replace the price climbs in both, to ten on the left and near six "
        "on the right. With a tenth of new real rows it bends and levels off. Under accumulate it stays below two on "
        "the left and at one on the right.",
    )
    last = stats.last_of(means["replace"])
    lines = []
    for regime in REGIMES:
        own = [table[(table["x"] == last) & (table["arm"] == regime)].iloc[0] for table in paid.values()]
        exact = [float(forms[title][regime](np.array([last]))[0]) for title in titles]
        cells = [
            f"{_said(Estimate(row['y'], row['low'], row['high'], 0), row['most'])} (theory {form:.3g})"
            for row, form in zip(own, exact, strict=True)
        ]
        lines.append([regime, *cells])
    say(markdown((f"price of generation {last}", *titles), lines))


def _said(paid: Estimate, most: float) -> str:
    """A price with its interval, the ends of which are never beyond what was tried: from 1 to `most` times the rows."""
    if np.isnan(paid.low):
        return f"{paid:.3g}"
    beyond = f"more than {most:.3g}"
    value = beyond if paid.value == np.inf else f"{paid.value:.3g}"
    low = "below 1" if paid.low == 0 else f"{paid.low:.3g}"
    return f"{value} [{low}, {beyond if paid.high == np.inf else f'{paid.high:.3g}'}]"


def _times(paid: Estimate, most: float) -> str:
    """A price in words."""
    return cost.said(paid) if paid.value == np.inf else f"{_said(paid, most)} times"


def _of_mean(table: pd.DataFrame, regime: str) -> pd.DataFrame:
    """Squared error of the mean times the rows by generation: the price itself, for this error falls as 1 / rows."""
    found = []
    for g in range(1, stats.last_of(table) + 1):
        e = stats.mean(rows(table) * stats.per_replicate(table, "mean", g) ** 2)
        found.append((regime, g, e.value, e.low, e.high, np.inf))
    return pd.DataFrame(found, columns=["arm", "x", "y", "low", "high", "most"])


def _price(form: Callable[..., np.ndarray], regime: str) -> Callable[[np.ndarray], np.ndarray]:
    """A closed form of the price by generation, for one of the regimes."""
    condition = REGIMES[regime]
    share = condition.settings.get("regime.real_fraction", 0.0)
    return lambda g: form(np.asarray(g) + 1, condition.regime, share)


def paid_in_all(last: int) -> None:
    """Show in a table the rows read, generated and real in total up to a generation (`theory.cost.spent`)."""
    fits = last + 1
    counted: dict[str, tuple[theory.Regime, float, int]] = {
        "real data once": ("replace", 0.0, 1),
        "replace": ("replace", 0.0, fits),
        "subsample": ("subsample", 0.0, fits),
        "accumulate": ("accumulate", 0.0, fits),
        "10 % of the first real rows": ("mix", 0.1, fits),
        "10 % new real rows": ("fresh", 0.1, fits),
    }
    lines = []
    for name, (regime, share, n) in counted.items():
        price = float(theory.row_price(n, regime, share))
        sums = theory.spent(n, regime, price, share)
        lines.append([name, f"{price:.3g}", *(f"{float(sums[kind]):.3g}" for kind in ("read", "written", "real"))])
    head = ("regime", "price per training set", "read in all", "generated by models", "real rows")
    say(markdown(head, lines) + f"\n\nBy theory to first order, {fits} fits, errors that average out.")


def word_curves(tables: Tables, size: Size) -> None:
    """Figure: cross-entropy of word models on real test text over the size of the training set, by generation."""
    shown = sorted({0, 1, (size.generations + 1) // 2, size.generations})
    panels = _learning(tables, {label: label for label in word_conditions(tables)}, shown)
    show(
        figures.learning_curves(panels, xlabel="words in a training set", ylabel="nats per word"),
        below(_flat(panels), "arm", "curve"),
        "cost-ngram-curves",
        "Word pairs: cross-entropy of real test text over the size of the training sets (accumulate: of one batch), "
        f"means with 95 % intervals over {size.seeds} chains.",
        "Four panels with falling lines, the first generation lowest. Under replace later generations lie far above "
        "and fall more steeply. Under accumulate they lie close to the first.",
    )


def word_conditions(tables: Tables) -> list[str]:
    """Conditions of the word models without their sizes, all but real text only."""
    return list(dict.fromkeys(label.rpartition(", ")[0] for label in tables if not label.startswith("real only")))


def _learning(tables: Tables, titles: Mapping[str, str], shown: Sequence[int]) -> dict[str, dict[str, pd.DataFrame]]:
    """Learning curves of some generations, one panel for each condition."""
    found = {}
    for label, title in titles.items():
        losses = cost.by_size(tables, label)
        words = {n: float(BLOCK * n) for n in losses}
        found[title] = {
            "generation 0: real" if g == 0 else f"generation {g}": cost.curve(losses, g, words) for g in shown
        }
    return found


def _flat(panels: Curves) -> dict[tuple[str, str], pd.DataFrame]:
    """Curves by panel and label."""
    return {(title, label): table for title, own in panels.items() for label, table in own.items()}


def word_prices(tables: Tables, size: Size) -> None:
    """Figure: times the rows that the loss of the fewest real blocks costs word models, by generation."""
    fewest, most = min(size.blocks), max(size.blocks)
    labels = [*word_conditions(tables), "real only"]
    own = cost.prices(tables, {label: label for label in labels}, fewest)
    show(
        figures.prices({f"word pairs, loss of {fewest} real blocks": own}),
        own,
        "cost-ngram-prices",
        f"Times the rows that the loss of {fewest} real blocks costs, by generation, with 95 % intervals over chains. "
        f"An arrow: not even {most / fewest:.3g} times are enough. Dotted: real text only.",
        "A logarithmic axis. Under replace the price rises generation by generation. With a tenth of real text it "
        "rises less. Under accumulate it stays below two, and the control lies on the dotted line at one.",
    )
    last = size.generations
    paid = {label: _times(cost.price(cost.by_size(tables, label), fewest, last), most / fewest) for label in labels}
    control = own[own["arm"] == "real only"]
    assert np.allclose(control[["y", "low", "high"]], 1), "real text only must cost what it costs"
    alone, together = (float(theory.row_price(last + 1, regime)) for regime in ("replace", "accumulate"))
    say(
        f"Rows per training set for the loss of {fewest} real blocks in generation {last}, 95 % intervals over chains: "
        + "; ".join(f"{label}: {words}" for label, words in paid.items())
        + f". If errors only averaged out, replace would cost {alone:.3g} times the rows and accumulate {together:.3g} "
        "times."
    )


def language_curves(tables: Tables) -> None:
    """The gate, and the figure: learning curves of the recorded language models."""
    if "zero-shot" in tables:
        say(said(gate(tables, f"sampled, {min(cost.by_size(tables, 'sampled'))}")))
    panels = _learning(tables, _without_control(), sorted({0, 1, _last(tables)}))
    show(
        figures.learning_curves(panels, xlabel="tokens in a training set", ylabel="nats per token"),
        below(_flat(panels), "arm", "curve"),
        "cost-opt-curves",
        "Recorded run `cost`: cross-entropy of real test text over the size of the training sets (accumulate: of one "
        "batch), means with 95 % intervals over seeds.",
        "Three panels. The first generation falls slowly to the right. Under replace the later ones lie higher and "
        "rise with more text. With real text among it they are nearly flat. Under accumulate they fall, closest to "
        "the first.",
    )


def _without_control() -> dict[str, str]:
    """Titles of the recorded conditions that read generated text."""
    return {label: title for label, title in RECORDED.items() if label != "control"}


def _last(tables: Tables) -> int:
    """The last generation that all conditions of the recorded run have."""
    return int(min(table["generation"].max() for label, table in tables.items() if label != "zero-shot"))


def language_prices(tables: Tables) -> None:
    """Figure: times the rows that the loss of the fewest real blocks costs the recorded language models."""
    sizes, last = sorted(cost.by_size(tables, "sampled")), _last(tables)
    own = cost.prices(tables, RECORDED, sizes[0])
    show(
        figures.prices({f"tiny OPT, loss of {sizes[0]} real blocks": own}),
        own,
        "cost-opt-prices",
        f"Recorded run `cost`: times the rows that the loss of {sizes[0]} real blocks costs, by generation, with 95 % "
        f"intervals over seeds. An arrow: not even {sizes[-1] / sizes[0]:.3g} times are enough.",
        "A logarithmic axis, with an arrow at its top wherever no number of rows was enough: for replace in every "
        "generation. The control stays about one.",
    )
    paid = {title: cost.price(cost.by_size(tables, label), sizes[0], last) for label, title in RECORDED.items()}
    say(
        f"Rows per training set for the loss of {sizes[0]} real blocks in generation {last}, 95 % intervals over "
        "seeds: "
        + "; ".join(f"{title}: {_times(price, sizes[-1] / sizes[0])}" for title, price in paid.items())
        + ". The control is trained again on the same text in every generation, so its losses differ a little from "
        "those of generation 0."
    )


def word_spending(tables: Tables, size: Size) -> None:
    """Figure: loss of word models over all words trained on and generated up to the last generation."""
    labels, last = word_conditions(tables), size.generations
    panels = _spending(tables, {label: label for label in labels}, "replace", last, 1)
    show(
        figures.learning_curves(panels, xlabel="words", ylabel="nats per word"),
        below(_flat(panels), "arm", "curve"),
        "cost-ngram-spent",
        f"Word pairs at generation {last}: loss over what the whole chain was trained on (left) and what its models "
        "generated (right); means with 95 % intervals over chains.",
        "Falling lines. Left, one fit to real text reaches a lower loss than all chains, with far fewer words; "
        "accumulate reads most for its low loss. Right, accumulate has the lowest loss for the same amount generated.",
    )
    n = max(size.blocks)
    spent = {label: cost.all_spent(tables, label, last, "trained")[n] for label in labels}
    loss = {label: stats.mean(cost.by_size(tables, label)[n][last]) for label in labels}
    say(
        f"Word pairs, {n} blocks per training set, generation {last}: "
        + listed({f"{label}:": f"{spent[label]:,.0f} words read for {loss[label]:.3g} nats" for label in labels})
        + f". One fit to {n} real blocks reads {BLOCK * n:,} words for "
        f"{stats.mean(cost.by_size(tables, 'replace')[n][0]):.3g} nats (95 % intervals over chains)."
    )


def language_spending(tables: Tables) -> None:
    """Figure: loss of the recorded language models over all tokens trained on and generated."""
    last = _last(tables)
    panels = _spending(tables, _without_control(), "sampled", last, PASSES)
    show(
        figures.learning_curves(panels, xlabel="tokens", ylabel="nats per token"),
        below(_flat(panels), "arm", "curve"),
        "cost-opt-spent",
        f"Recorded run `cost` at generation {last}: loss over tokens trained on in the whole chain, {PASSES} passes "
        "(left), and generated (right); means with 95 % intervals over seeds.",
        "Left, one fit to real text has a lower loss than all chains. Replace has the highest and does not fall. "
        "Right, accumulate has the lowest loss for the same amount generated.",
    )


def _spending(
    tables: Tables, titles: Mapping[str, str], real: str, last: int, passes: int
) -> dict[str, dict[str, pd.DataFrame]]:
    """Loss of the last generation over tokens trained on and generated in all, by condition; of real text over one fit.

    real    condition whose generation 0 is that fit
    passes  over each training set
    """
    trained, written = "tokens trained on in all", "tokens generated by models in all"
    first = cost.by_size(tables, real)
    panels = {
        trained: {
            "real text, one fit": cost.curve(first, 0, cost.all_spent(tables, real, 0, "trained", passes)),
        },
        written: {},
    }
    for label, title in titles.items():
        losses = cost.by_size(tables, label)
        for panel, kind in ((trained, "trained"), (written, "written")):
            panels[panel][title] = cost.curve(losses, last, cost.all_spent(tables, label, last, kind, passes))
    return panels
