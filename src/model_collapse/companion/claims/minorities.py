"""Claims about minorities: a group's share, its extinction, the error on it, and what weights can do about them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from model_collapse import theory
from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import NATURE, Claim, Tables, rows, unsettled
from model_collapse.companion.claims.discrete import distribution, shares
from model_collapse.companion.claims.language import NO_EFFECT
from model_collapse.companion.studies import minorities
from model_collapse.theory import groups

MINORITY = 0.1
"""The rarest symbols that have at most this share together are the minority."""

PEOPLE = {"majority": "people/coast", "middle": "people/hill", "minority": "people/island"}
"""Groups of the embedded corpus by their place."""


def first_rare(q: np.ndarray) -> int:
    """How many symbols of shares q (K,), commonest first, are no minority."""
    return len(q) - int(np.count_nonzero(np.cumsum(q[::-1]) <= MINORITY))


def group_share(table: pd.DataFrame) -> pd.DataFrame:
    """Share of the minority by chain (rows) and recorded generation (columns), of a table of the family `discrete`."""
    return _shares(table).loc[:, first_rare(distribution(table)) :].sum(axis=1).unstack("generation")


def group_error(table: pd.DataFrame, minority: bool) -> pd.DataFrame:
    """Part of a group's true mass that is lost, by chain and generation: how often its members are met unprepared."""
    q = distribution(table)
    cut = first_rare(q)
    mine = slice(cut, None) if minority else slice(None, cut)
    lost = (_shares(table).to_numpy()[:, mine] == 0) @ q[mine] / q[mine].sum()
    return pd.Series(lost, _shares(table).index).unstack("generation")


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    """Shares of all symbols, commonest first, by (replicate, generation)."""
    wide = shares(table).pivot(index=["replicate", "generation"], columns="item", values="value")
    return wide.set_axis(range(wide.shape[1]), axis=1)


def variety_inside(table: pd.DataFrame) -> pd.DataFrame:
    """Heterozygosity among the minority's own rows over the true one, by chain and generation; 0 where it is lost."""
    q = distribution(table)[first_rare(distribution(table)) :]
    inside = _shares(table).loc[:, first_rare(distribution(table)) :]
    total = inside.sum(axis=1)
    same = (inside**2).sum(axis=1) / (total**2).where(total > 0, 1)
    return ((total > 0) - same).div(1 - (q**2).sum() / q.sum() ** 2).unstack("generation")


def as_rows(wide: pd.DataFrame) -> pd.DataFrame:
    """A value by chain and generation as the rows of a tidy table."""
    return wide.reset_index().melt(id_vars="replicate").astype({"generation": int}).assign(item="")


def expected_error(n: np.ndarray, q: np.ndarray, M: int, minority: bool) -> np.ndarray:
    """CF-W4 by group: expected part of the group's true mass that n fits have lost, shape of n."""
    cut = first_rare(q)
    mine = q[cut:] if minority else q[:cut]
    return 1 - theory.survival(n, mine, M) @ mine / mine.sum()


def uneven(tables: Tables, level: float) -> Estimate:
    """FAIR-1: share, extinction and error by group in the last generation over their closed forms.

    No interval, unless the error on the minority is surely larger than that on the majority.
    """
    estimates, harder = [], True
    for table in tables.values():
        q, M, last = distribution(table), rows(table), stats.last_of(table)
        cut, n = first_rare(q), np.array([last + 1])
        share = group_share(table)[last]
        minor, major = (group_error(table, which)[last] for which in (True, False))
        ratios = (
            (share, q[cut:].sum()),
            ((share == 0).astype(float), 1 - float(groups.group_survival(n, q[cut:].sum(), M)[0])),
            (minor, float(expected_error(n, q, M, True)[0])),
            (major, float(expected_error(n, q, M, False)[0])),
        )
        estimates += [partial(stats.mean, values / expected) for values, expected in ratios]
        harder &= stats.paired(minor, major, level).low > 0
    worst = testing.farthest(estimates, 1, level)
    return worst if harder else unsettled(worst)


def repaired(tables: Tables, level: float) -> Estimate:
    """FAIR-2: share of chains that still have the minority over its closed form, both conditions.

    No interval, if a group that was gone ever comes back, or if weights do not surely keep it in more chains.
    """
    alive, estimates, back = {}, [], False
    for arm in ("replace", "reweigh"):
        table = tables[arm]
        there = group_share(table) > 0
        last, q = stats.last_of(table), distribution(table)
        share, weighed = q[first_rare(q) :].sum(), arm == "reweigh"
        expected = float(groups.group_survival(np.array([last + 1]), share, rows(table), reweighed=weighed)[0])
        alive[arm] = there[last].astype(float)
        estimates.append(partial(stats.mean, alive[arm] / expected))
        back |= bool((there.astype(int).diff(axis=1) > 0).any(axis=None))
    gained = stats.paired(alive["reweigh"], alive["replace"], level)
    worst = testing.farthest(estimates, 1, level)
    return unsettled(worst) if back or not gained.low > 0 else worst


def rise(table: pd.DataFrame, item: str) -> pd.Series:
    """Nats per token of true articles about a group, last generation less generation 0, by chain."""
    last = stats.last_of(table)
    return stats.per_replicate(table, "group_loss", last, item) - stats.per_replicate(table, "group_loss", 0, item)


def minority_pays(tables: Tables, level: float) -> Estimate:
    """FAIR-1b: rise of the loss on the minority less that on the majority, paired over chains."""
    table = tables["replace"]
    return stats.paired(rise(table, PEOPLE["minority"]), rise(table, PEOPLE["majority"]), level)


def minority_spared(tables: Tables, level: float) -> Estimate:
    """FAIR-2b: rise of the loss on the minority without weights less that with them, paired over chains."""
    item = PEOPLE["minority"]
    return stats.paired(rise(tables["replace"], item), rise(tables["reweigh"], item), level)


WYLLIE = "Wyllie, Shumailov & Papernot 2024, arXiv:2403.07857"

CLAIMS = (
    Claim(
        id="FAIR-1",
        statement="with only synthetic data a minority keeps its share on average over chains, while more and more "
        "chains lose it, and errors about it grow more than those about the majority",
        source=f"{NATURE}, on low-probability events and marginalised groups; CF-W1, CF-W3, CF-W4",
        measured="mean share of the minority, share of chains without it, and lost probability mass by group, each "
        "over its closed form, the one farthest from 1",
        band=(0.95, 1.05),
        target=1,
        reason="5 % about the exact values, set before any run",
        runs={"groups": minorities.STUDY.arguments("numbers")["replace"]},
        check=uneven,
        chapter="minorities",
        figure="minorities-average",
        ends=lambda table: 0.3 * rows(table),
        definition=(7,),
    ),
    Claim(
        id="FAIR-1b",
        statement="models of text forget articles about a minority more than those about the majority when they "
        "train on generated text",
        source=f"{NATURE}, on low-probability events and marginalised groups",
        measured="rise of the nats per token of true articles about the minority, less that about the majority",
        band=(0.0, np.inf),
        reason="the minority loses more. Word models are used because six seeds of a tiny OPT had been undecided; "
        "the chapter shows twelve others",
        margin=NO_EFFECT,
        runs=minorities.STUDY.arguments("laptop", ["replace"]),
        recorded=("minorities",),
        check=minority_pays,
        chapter="minorities",
        figure="minorities-ngram",
        ends=lambda table: 1,
        definition=(7,),
        scale="small",
    ),
    Claim(
        id="FAIR-2",
        statement="reweighting generated rows so that each group has its true share keeps a minority for longer, but "
        "does not bring back one that is lost",
        source=f"{WYLLIE}; closed form derived",
        measured="share of chains that still have the minority over its closed form, with and without weights, the "
        "one farther from 1",
        band=(0.95, 1.05),
        target=1,
        reason="5 % about the exact values, set before any run",
        runs=minorities.STUDY.arguments("weighed"),
        check=repaired,
        chapter="minorities",
        figure="minorities-weights",
        ends=lambda table: 0.4 * rows(table),
        definition=(7,),
    ),
    Claim(
        id="FAIR-2b",
        statement="models of text forget less about a minority if weights give it its true share of the generated "
        "training text",
        source=WYLLIE,
        measured="rise of the nats per token of true articles about the minority, without weights less with them",
        band=(0.0, np.inf),
        reason="the rise must be smaller with weights; word models are used for the reason that FAIR-1b gives",
        margin=NO_EFFECT,
        runs=minorities.STUDY.arguments("laptop", ["replace", "reweigh"]),
        recorded=("minorities",),
        check=minority_spared,
        chapter="minorities",
        figure="minorities-ngram",
        ends=lambda table: 1,
        definition=(7,),
        scale="small",
    ),
)
