"""What the modules of several chapters share: sizes, values over seeds, words for them, and the table of claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion import claims
from model_collapse.companion.book.estimates import at, markdown
from model_collapse.companion.book.notebook import say, show, verdicts
from model_collapse.companion.studies.study import Size, Study
from model_collapse.errors import InputError

Tables = Mapping[str, pd.DataFrame]
"""Label of a condition, or its title -> tidy table."""

S = TypeVar("S", bound=Size)


def sized(study: Study[S], profile: str, **changes: int | str | None) -> S:
    """The size of a study with the parameters of a notebook. InputError where there is nothing to compare."""
    scale = study.at(profile, **changes)
    if scale.generations < 2 or scale.seeds < 1:
        raise InputError("generations must be at least 2, and seeds at least 1")
    return scale


def chosen(tables: Tables, labels: Iterable[str], known: Iterable[str]) -> dict[str, pd.DataFrame]:
    """The tables of these conditions, as far as they are there, and of those that a reader added to the known ones."""
    known = set(known)
    added = (label for label in tables if label not in known)
    return {label: tables[label] for label in dict.fromkeys((*labels, *added)) if label in tables}


def ends(arms: Tables, metric: str, item: str = "") -> str:
    """Mean in generation 0 and in the last, for an alternative text: "A 2.28 to 4.21; control 2.28 to 2.3".

    Conditions without a value are left out.
    """
    said = []
    for label, table in arms.items():
        values = [at(table, metric, g, item).value for g in sorted({0, stats.last_of(table)})]
        if not np.isnan(values).any():
            said.append(f"{label} {' to '.join(f'{value:.3g}' for value in values)}")
    return "; ".join(said)


def show_panels(arms: Tables, metrics: figures.Metrics, name: str, caption: str, *, shared: bool = False) -> None:
    """Show a panel over generations for each metric, a line for each condition, and say where the lines begin and end.

    metrics  {title: (metric, item)}
    name     of the figure
    shared   whether the panels have one vertical axis
    """
    said = " ".join(f"{title}, {ends(arms, *metric)}." for title, metric in metrics.items())
    show(
        figures.side_by_side(arms, metrics, shared=shared),
        stats.listing(arms, metrics),
        name,
        caption,
        f"Panels over generations, one line for each condition. In generation 0 and in the last: {said}",
    )


def run_of(record: str) -> str:
    """Which run tables are of, in a caption: the recorded one of that name, or, for "", this one."""
    return f"Recorded run `{record}`" if record else "This run"


def moves(change: Estimate) -> str:
    """In words what a change over seeds says: whether its interval lies above 0, below, or on both sides."""
    if np.isnan(change.value):
        return "has no value"
    if np.isnan(change.low):
        return "rises in the one seed" if change.value > 0 else "does not rise in the one seed"
    if change.low > 0:
        return "rises"
    return "falls" if change.high < 0 else "shows no clear change"


def counted(count: int, noun: str) -> str:
    """ "1 seed", "3 seeds"."""
    return f"{count} {noun if count == 1 else f'{noun}s'}"


def from_to(arms: Tables, metrics: Mapping[str, tuple[str, str]], *, relative: bool = False) -> None:
    """Show what became of metrics: a row for each, a column for each condition, mean in generation 0 and in the last.

    metrics   {quantity: (metric, item)}
    relative  the change over generation 0, seed by seed, with its interval, beside it
    """
    lines = [(name, *(_from_to(own, *metric, relative) for own in arms.values())) for name, metric in metrics.items()]
    say(markdown(("generation 0 to the last", *arms), lines))


def _from_to(table: pd.DataFrame, metric: str, item: str, relative: bool) -> str:
    begin, end = (stats.per_replicate(table, metric, g, item) for g in (0, stats.last_of(table)))
    change = f", {stats.mean(end / begin - 1):.0%}" if relative else ""
    return f"{begin.mean():.3g} to {end.mean():.3g}{change}"


def judged(names: Iterable[str], tables: Tables, *, of: str = "") -> None:
    """Show in one table the verdicts on those of the claims all whose conditions are among the tables.

    names  ids of claims
    of     which run the tables are of
    """
    runs = {name: claims.named(name).runs for name in names}
    there = {name: labels for name, labels in runs.items() if {*labels} <= {*tables}}
    if there:
        verdicts({name: {label: tables[label] for label in labels} for name, labels in there.items()}, of=of)
