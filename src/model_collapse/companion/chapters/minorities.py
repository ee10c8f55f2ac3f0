"""Chapter `minorities`: who is forgotten first, and what weights can do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.book.estimates import below, curves, listed, share
from model_collapse.companion.book.notebook import changes, say, show
from model_collapse.companion.claims import Tables, minorities, rows, selection
from model_collapse.companion.claims.discrete import distribution
from model_collapse.companion.studies.minorities import STUDY, Size
from model_collapse.errors import InputError
from model_collapse.theory import groups

PLACES: Mapping[str, tuple[str, str]] = {
    item.partition("/")[2]: ("group_loss", item) for item in minorities.PEOPLE.values()
}
"""Groups of people in the embedded corpus -> metric and item of the loss on true articles about them."""

TRIED = (15, 30, 50)
"""Rows per generation with which weights are tried."""


def size(
    profile: str,
    *,
    chains: int | None = None,
    blocks: int | None = None,
    generations: int | None = None,
    seeds: int | None = None,
    seed: int | None = None,
) -> Size:
    """The size of the chapter, with the reader's changes. InputError lists the allowed values."""
    found = STUDY.at(profile, chains=chains, n=blocks, generations=generations, seeds=seeds, seed=seed)
    if found.chains < 2 or found.seeds < 2 or found.generations < 2:
        raise InputError("this chapter needs at least 2 chains, 2 seeds and 2 generations")
    return found


def minority(table: pd.DataFrame) -> float:
    """True share of the minority: the rarest symbols that have a tenth at most together."""
    q = distribution(table)
    return float(q[minorities.first_rare(q) :].sum())


def _ended(wide: pd.DataFrame) -> Estimate:
    """Mean over chains in the last generation."""
    return stats.mean(wide.iloc[:, -1])


def _there(table: pd.DataFrame) -> pd.DataFrame:
    """Whether the minority is left, by chain and generation."""
    return (minorities.group_share(table) > 0).astype(float)


def average(table: pd.DataFrame) -> None:
    """Figure: mean share of the minority, chains that have lost it, and lost mass of both groups.

    Closed forms by {eq}`minorities-forms` (CF-W1, CF-W3, CF-W4).
    """
    few, M, q = minority(table), rows(table), distribution(table)
    part, gone = minorities.group_share(table), 1 - _there(table)
    lost = {name: minorities.group_error(table, name == "minority") for name in ("minority", "majority")}
    found = {
        "mean share over the true one": part / few,
        "minority extinct": gone,
        **{f"error, {name}": each for name, each in lost.items()},
    }
    forms: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "mean share over the true one": lambda g: np.ones(len(g)),
        "minority extinct": lambda g: 1 - groups.group_survival(g + 1, few, M),
        "error, minority": lambda g: minorities.expected_error(g + 1, q, M, True),
        "error, majority": lambda g: minorities.expected_error(g + 1, q, M, False),
    }
    title = f"minority of {few:.0%}, {M} rows"
    measured = {label: minorities.as_rows(each) for label, each in found.items()}
    show(
        figures.against_theory({title: measured}, {title: forms}, ylabel="share"),
        curves(measured),
        "minorities-average",
        "Mean share of the minority over its true share, share of chains that have lost it, and part of each group's "
        f"true mass that is lost; means with 95 % bands over {len(part)} chains, closed forms dashed "
        "({eq}`minorities-forms`).",
        "The mean share stays level at 1. Meanwhile the share of chains without the minority and the error on the "
        "minority rise steeply, the error on the majority only a little.",
    )
    last = stats.last_of(table)
    say(
        f"After {last} generations the minority has {_ended(part / few):.3f} of its true share on average, and is gone "
        f"in {share(_ended(gone)):.1%} of the chains. {share(_ended(lost['minority'])):.1%} of its true mass is lost, "
        f"against {share(_ended(lost['majority'])):.1%} of the majority's (95 % intervals)."
    )


def weights(tables: Mapping[int, Tables]) -> None:
    """Figure: share of chains that have the minority, with and without weights ({eq}`minorities-weights`, exact).

    tables  rows per generation -> tables of "replace" and "reweigh"
    """
    panels, forms = {}, {}
    for M, own in tables.items():
        few = minority(own["replace"])
        title = f"{M} rows, {M * few:.1f} of the minority"
        panels[title] = {label: minorities.as_rows(_there(table)) for label, table in own.items()}
        forms[title] = {label: _survival(M, few, label) for label in own}
    most = max(tables)
    chains = tables[most]["replace"]["replicate"].nunique()
    show(
        figures.against_theory(panels, forms, ylabel="share of chains that have the minority"),
        below({title: curves(each, "arm") for title, each in panels.items()}, "panel"),
        "minorities-weights",
        "Share of chains in which the minority is left, with and without weights; means with 95 % bands over chains, "
        f"{chains} of them at {most} rows; dashed: the closed forms behind {{eq}}`minorities-weights`, exact.",
        "Panels for more and more rows. With few rows the minority is lost sooner with weights than without. With "
        "more rows the two curves cross. With most rows the minority stays in most chains with weights, and is lost "
        "in most without.",
    )
    last = stats.last_of(tables[most]["replace"])
    left = {
        f"{M} rows": [share(_ended(_there(own[label]))) for label in ("replace", "reweigh")]
        for M, own in tables.items()
    }
    say(
        f"Share of chains that have the minority after {last} generations, without and with weights: "
        + listed({name: f"{without:.2f} and {with_:.2f}" for name, (without, with_) in left.items()})
        + f". By the closed forms weights make the half-life of a small group longer from about {_worth_it():.1f} rows "
        "per generation on, and shorter below."
    )


def _survival(M: int, few: float, label: str) -> Callable[[np.ndarray], np.ndarray]:
    """Closed form of the share of chains that have the minority."""
    return lambda g: groups.group_survival(g + 1, few, M, reweighed=label == "reweigh")


def _worth_it() -> float:
    """Expected rows of a small group from which on weights make its half-life longer (`theory.groups.half_life`)."""
    counts = np.arange(1, 5, 0.1)
    gain = np.array([groups.half_life(c / 200, 200, reweighed=True) - groups.half_life(c / 200, 200) for c in counts])
    worse = np.flatnonzero(gain <= 0)
    return float(counts[worse[-1] + 1] if len(worse) else counts[0])


def inside(tables: Tables) -> None:
    """Figure: variety inside the minority, with and without weights between groups ({eq}`minorities-inside`)."""
    first = tables["replace"]
    M, few = rows(first), minority(first)
    found = {label: minorities.variety_inside(table) for label, table in tables.items()}
    measured = {label: minorities.as_rows(each) for label, each in found.items()}
    title = f"inside the minority, {M} rows"
    show(
        figures.against_theory(
            {title: measured},
            {title: {label: _variety(M, few, label) for label in measured}},
            ylabel="variety over the true one",
        ),
        curves(measured),
        "minorities-inside",
        "Probability that two rows of the minority are of different kinds, over the true one, 0 where it is lost; "
        f"means with 95 % bands over {first['replicate'].nunique()} chains, dashed: {{eq}}`minorities-inside`.",
        "Two falling curves. With weights variety inside the minority is lost sooner than without; both go towards 0.",
    )
    last = stats.last_of(first)
    say(
        f"Variety inside the minority after {last} generations, over the true one: "
        + listed({label: f"{share(_ended(each)):.3f}" for label, each in found.items()})
        + " (95 % intervals over chains)."
    )


def _variety(M: int, few: float, label: str) -> Callable[[np.ndarray], np.ndarray]:
    """Closed form of the variety inside the minority."""
    return lambda g: groups.group_variety(g + 1, few, M, reweighed=label == "reweigh")


def selected(tables: Tables) -> None:
    """Figure: share of the minority by which rows are kept, against {eq}`minorities-selected`.

    tables  "likeliest", "at random" and "least likely" -> table
    """
    few, part = minority(tables["at random"]), selection.part(tables["at random"])
    found = {label: minorities.group_share(table) for label, table in tables.items()}
    measured = {label: minorities.as_rows(each) for label, each in found.items()}
    title = f"{part:.0%} of the generated rows kept"
    show(
        figures.against_theory(
            {title: measured},
            {title: {label: _kept(few, part, label) for label in measured}},
            ylabel="share of the minority",
        ),
        curves(measured),
        "minorities-selected",
        "Share of the minority by generation, by which rows are kept; means with 95 % bands over chains, dashed: "
        "{eq}`minorities-selected`.",
        f"Three curves that start at {few:.0%}. Where the likeliest rows are kept the minority is gone in one "
        "generation. At random its share stays level. Where the least likely are kept it rises.",
    )
    last = stats.last_of(tables["at random"])
    say(
        f"Share of the minority in generation {last}: "
        + listed({label: f"{share(_ended(each)):.1%}" for label, each in found.items()})
        + " (95 % intervals over chains)."
    )


def _kept(few: float, part: float, label: str) -> Callable[[np.ndarray], np.ndarray]:
    """Closed form of the minority's share under selection."""
    return lambda g: groups.selected_share(g, few, part, selection.KEEP[label])


def people(tables: Tables, size: Size) -> None:
    """Figure: loss of word models on articles about three groups of people, and a table of what changed."""
    control = stats.pick(tables["control"], "group_loss")
    level = control.groupby(["replicate", "item"], observed=True)["value"].nunique()
    assert (level == 1).all(), "the control must not move"
    rises = _rises(tables["replace"])
    chains, still = (tables[label]["replicate"].nunique() for label in ("replace", "control"))
    show(
        figures.side_by_side(tables, PLACES, shared=True),
        stats.listing(tables, PLACES),
        "minorities-ngram",
        f"n-gram models of pairs, {size.n} blocks: nats per token of true articles about people of the three groups; "
        f"means with 95 % bands over {chains} chains. The control has {still} chains, which are all the same.",
        f"Panels for coast, hill and island. Without real text the loss rises, by {rises}. The control is level.",
    )
    changes(tables, {f"{name}, nats per token": place for name, place in PLACES.items()})


def _rises(table: pd.DataFrame) -> str:
    """Mean rise of the loss by group, in words."""
    found = {name: stats.mean(minorities.rise(table, item)).value for name, (_, item) in PLACES.items()}
    return ", ".join(f"{value:.2g} nats ({name})" for name, value in found.items())


def selected_people(tables: Tables, size: Size) -> None:
    """Figure: the same by which half of the generated blocks is kept.

    tables  "likeliest", "at random" and "least likely" -> table
    """
    rises = {
        label: stats.mean(minorities.rise(table, minorities.PEOPLE["minority"])) for label, table in tables.items()
    }
    show(
        figures.side_by_side(tables, PLACES, shared=True),
        stats.listing(tables, PLACES),
        "minorities-selected-text",
        f"n-gram models of pairs, half of {size.n} generated blocks kept: nats per token of true articles about people "
        f"of the three groups; means with 95 % bands over {size.seeds} chains.",
        "Panels for coast, hill and island, with three curves each. The loss on the island rises by "
        + ", ".join(f"{e.value:.2g} nats ({label})" for label, e in rises.items())
        + ".",
    )
    changes(tables, {f"{name}, nats per token": place for name, place in PLACES.items()})
    say(
        "Rise of the loss on the island in nats, the least first: "
        + listed({label: f"{rises[label]:.2f}" for label in sorted(rises, key=lambda by: rises[by].value)})
        + " (95 % intervals over chains)."
    )


def language_models(runs: Mapping[str, Tables]) -> None:
    """Figure: loss of language models on the three groups, of the recorded run if there is one, and tables.

    runs  "recorded" and "this run" -> tables; {} for a run that is not there
    """
    shown = runs["recorded"] or runs["this run"]
    source = "Recorded run `minorities`" if runs["recorded"] else "This run"
    show(
        figures.side_by_side(shown, PLACES),
        stats.listing(shown, PLACES),
        "minorities-opt",
        f"{source}: nats per token of true articles about people of the three groups; means with 95 % bands over "
        "seeds.",
        "Panels for coast, hill and island, one line per condition. Where models read generated text the loss rises, "
        f"by {_rises(shown['replace'])}. Where they read real text it stays.",
    )
    for name, tables in runs.items():
        if tables:
            asked = {f"{name}, {place}, nats per token": pair for place, pair in PLACES.items()}
            if name == "recorded":
                asked |= {
                    f"{name}, {place}, share of statements": ("groups", item) for place, (_, item) in PLACES.items()
                }
            changes(tables, asked)
