"""The claim about what synthetic data are worth: they help those who have few real ones, and harm the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables
from model_collapse.companion.claims.language import NO_EFFECT, cross_entropy
from model_collapse.companion.studies.how_much import beside


def amounts(table: pd.DataFrame) -> tuple[int, int]:
    """Real and written rows in the training sets of a run of regime `blend`."""
    settings = json.loads(str(table["regime_args"].iloc[0]))
    return settings["real"], settings["synthetic"]


def loss(table: pd.DataFrame, generation: int = 1) -> pd.Series:
    """Nats per token of the real test text, by chain."""
    return cross_entropy(table)[generation]


def effects(tables: Tables, level: float = 0.95, generation: int = 1) -> dict[tuple[int, int], Estimate]:
    """(real, synthetic) -> nats per token by which synthetic rows raise the loss of a learner with that number of real
    ones.

    Paired over chains with the learner of the same real rows and no others. Below 0 synthetic rows help.
    """
    return {amount: effect(level) for amount, effect in _effects(tables, generation).items()}


def _effects(tables: Tables, generation: int = 1) -> dict[tuple[int, int], testing.Procedure]:
    by_amount = {amounts(table): loss(table, generation) for table in tables.values()}
    return {
        (k, m): partial(stats.paired, by_amount[k, m], by_amount[k, 0])
        for k, m in sorted(by_amount)
        if m and (k, 0) in by_amount
    }


def sign_flips(tables: Tables, level: float) -> Estimate:
    """Nats per token: gain of the fewest real rows by the best amount of synthetic ones, or harm to the most, the less.

    The harm is that of the least harmful amount. The best amount is looked for, so that its gain allows for their
    number (Bonferroni); every amount has to harm those who have the most.
    """
    real = sorted({amounts(table)[0] for table in tables.values()})
    if len(real) < 2:
        raise ValueError("one number of real rows shows no change of sign")
    found = _effects(tables)
    few, most = ([effect for (k, _), effect in found.items() if k == end] for end in (real[0], real[-1]))

    def best(level: float) -> Estimate:
        gains = [mirrored(effect(testing.bonferroni(level, len(few)))) for effect in few]
        return max(gains, key=lambda gain: np.nan_to_num(gain.low, nan=-np.inf))

    return testing.lowest([best, *most], level)


def by_share(tables: Iterable[pd.DataFrame], value: Callable[[pd.DataFrame], pd.Series]) -> pd.DataFrame:
    """A plane for `figures.phase`: x the share of synthetic rows, y the generation, value of each table by generation.

    value  of a table: a series indexed by generation
    """
    parts = []
    for table in tables:
        read = table[table["generation"] > 0].drop_duplicates("generation")
        found = value(table)
        share = round(1 - float(read["share_real"].mean()), 6)
        parts.append(pd.DataFrame({"x": share, "y": found.index, "value": found.to_numpy()}))
    return pd.concat(parts, ignore_index=True)


def closed_form(plane: pd.DataFrame, form: Callable[[float, np.ndarray], np.ndarray]) -> pd.DataFrame:
    """The same plane by a closed form (share of real rows, number of fits n = g + 1)."""
    parts = [part.assign(value=form(1 - float(x), part["y"].to_numpy() + 1)) for x, part in plane.groupby("x")]  # type: ignore[arg-type]
    return pd.concat(parts, ignore_index=True)


def harmful_from(plane: pd.DataFrame, generation: int, level: float) -> float:
    """The share x from which on the value at a generation is at least `level`, interpolated; nan if none is."""
    line = plane[plane["y"] == generation].sort_values("x")
    over = np.flatnonzero(line["value"] >= level)
    if not len(over):
        return float("nan")
    place = slice(max(over[0] - 1, 0), over[0] + 1)
    return float(np.interp(level, line["value"].iloc[place], line["x"].iloc[place]))


def mirrored(estimate: Estimate) -> Estimate:
    """Of minus the number."""
    return Estimate(-estimate.value, -estimate.high, -estimate.low, estimate.n, estimate.level)


CLAIMS = (
    Claim(
        id="MIX-4",
        statement="synthetic text helps a language model that has little real text and harms one that has much",
        source="Kazdan et al. 2025, arXiv:2410.16713",
        measured="nats per token of real test text, gained with the fewest real blocks by the best amount of generated "
        "text or lost with the most by the least harmful one, the smaller",
        band=(0.0, np.inf),
        reason="the effect has to change its sign with the number of real rows; in the source it does at 1,024",
        # What is written differs from chain to chain even where all that is read is real; real text has no spread.
        margin=NO_EFFECT,
        runs=beside((128, 12_288), (0, 1024, 4096)).arguments("verify"),
        larger=beside((128, 12_288), (0, 1024, 4096)).arguments("verify-gpu"),
        recorded=("how-much",),
        check=sign_flips,
        chapter="how_much",
        figure="how-much-worth-ngram",
        ends=lambda table: 1,
        definition=(2,),
        scale="small",
    ),
)
