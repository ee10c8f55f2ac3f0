"""Claims about the cost of the same quality: how many times the rows a chain takes for the error of a fit to real rows.

The price of generation g at n rows is n' / n, where chains with n' rows in every training set, the real one of
generation 0 included, have at generation g the loss that one fit to n real rows has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, chains, rows
from model_collapse.companion.claims.language import cross_entropy
from model_collapse.companion.studies.cost import PRICED, STUDY
from model_collapse.errors import InputError
from model_collapse.theory import cost as theory

Loss = Callable[[pd.DataFrame], pd.DataFrame]
Losses = Mapping[int, pd.DataFrame]
"""Size of the training sets -> loss by chain (rows) and generation (columns)."""


def lost(table: pd.DataFrame) -> pd.DataFrame:
    """ln of the probability of all symbols that a training set lacks, by chain and generation."""
    return chains(table, "lost_mass").transform(np.log)


def by_size(tables: Tables, arm: str, loss: Loss = cross_entropy) -> dict[int, pd.DataFrame]:
    """Losses of the tables "ARM, SIZE" of one condition."""
    found = {rows(table): loss(table) for label, table in tables.items() if label.rpartition(", ")[0] == arm}
    return dict(sorted(found.items()))


def price(losses: Losses, size: int, generation: int, confidence: float = 0.95) -> Estimate:
    """The price of a generation at `size` rows; the real losses are those of generation 0.

    The loss of the generation less the real one is a curve over the sizes tried, with an interval at each, paired by
    chain. Where it passes 0, linear in ln rows, is the price; its interval is where the ends of those intervals do. inf
    means that no number of rows tried is enough, and low is then at least as many times; an end of 0 means that the
    fewest rows tried are too many. No interval from a single chain.
    """
    real = losses[size][0]
    tried = np.array(sorted(losses))
    gaps = [stats.paired(losses[n][generation], real, confidence) for n in tried]
    value, low, high = (
        _crossing(np.log(tried), np.array([getattr(gap, end) for gap in gaps]), last)
        for end, last in (("value", True), ("low", False), ("high", True))
    )
    if np.isnan(gaps[0].low):
        low = high = np.nan
    elif gaps[0].low < 0:
        low = -np.inf  # fewer rows than were tried might be enough
    ends = np.exp(np.array([value, low, high]) - np.log(size))
    if ends[1] == np.inf:
        ends[1] = tried[-1] / size
    return Estimate(float(ends[0]), float(ends[1]), float(ends[2]), gaps[0].n, confidence)


def _crossing(x: np.ndarray, gap: np.ndarray, last: bool) -> float:
    """Where a curve passes from above 0 to 0 or below, the last or the first time; inf if it ends above."""
    above = gap > 0
    if not above.any():
        return float(x[0])
    if above.all() or (last and above[-1]):
        return np.inf
    # The gap after the last point above 0, or before the first one that is not.
    right = int(np.flatnonzero(above)[-1] + 1 if last else np.flatnonzero(~above)[0])
    if right == 0:
        return float(x[0])
    left = right - 1
    return float(x[left] + (x[right] - x[left]) * gap[left] / (gap[left] - gap[right]))


def prices(
    tables: Tables, arms: Mapping[str, str], size: int, confidence: float = 0.95, loss: Loss = cross_entropy
) -> pd.DataFrame:
    """Prices by arm and generation from 1 on: columns arm, x = generation, y, low, high, most = the largest tried.

    arms  condition -> title
    """
    found = []
    for arm, title in arms.items():
        losses = by_size(tables, arm, loss)
        last = min(int(table.columns[-1]) for table in losses.values())
        for g in range(1, last + 1):
            paid = price(losses, size, g, confidence)
            found.append((title, g, paid.value, paid.low, paid.high, max(losses) / size))
    return pd.DataFrame(found, columns=["arm", "x", "y", "low", "high", "most"])


def curve(losses: Losses, generation: int, spent: Mapping[int, float], confidence: float = 0.95) -> pd.DataFrame:
    """Loss of one generation over what was spent, one row per size: columns x, y, low, high."""
    found = [(spent[n], stats.mean(losses[n][generation], confidence)) for n in sorted(losses)]
    return pd.DataFrame([(x, e.value, e.low, e.high) for x, e in found], columns=["x", "y", "low", "high"])


def all_spent(tables: Tables, arm: str, generation: int, kind: str, passes: int = 1) -> dict[int, float]:
    """Tokens "trained" on or "written" in all up to a generation, by size of one condition; see `tokens`."""
    found = {}
    for label, table in tables.items():
        if label.rpartition(", ")[0] == arm:
            counted = tokens(table, passes)
            found[rows(table)] = float(counted.loc[counted["generation"] == generation, kind].iloc[0])
    return found


def said(paid: Estimate) -> str:
    """A price in words."""
    if paid.value == np.inf:
        least = "" if np.isnan(paid.low) else f" (more than {paid.low:.2g} times)"
        return f"no number of rows tried is enough{least}"
    if np.isnan(paid.low):
        return f"{paid.value:.3g} times in one chain"
    return f"{paid:.3g} times" if np.isfinite(paid.high) else f"{paid.value:.3g} times, at least {paid.low:.3g}"


def tokens(table: pd.DataFrame, passes: int = 1, block: int = 64) -> pd.DataFrame:
    """Tokens of a chain up to each generation, all training sets and samples together: generation, trained, written.

    trained  passes times the training sets;  written  by generations before it, which is what it took to get there

    InputError where not every generation is recorded: the sums would lack what the others read.
    """
    turns = table[table["replicate"] == table["replicate"].min()].drop_duplicates("generation")
    read = turns.sort_values("generation")["n_train"].to_numpy()
    written = rows(table) * np.arange(len(read))
    g = np.sort(turns["generation"].to_numpy())
    if not np.array_equal(g, np.arange(len(g))):
        raise InputError("--every: tokens are counted over every generation; take metrics at each of them")
    return pd.DataFrame({"generation": g, "trained": np.cumsum(read) * passes * block, "written": written * block})


def bought(tables: Tables, level: float) -> Estimate:
    """Error after the last fit over that which row_price buys with these rows; the condition farthest from 1."""
    found = []
    for table in tables.values():
        regime, n = str(table["regime"].iloc[0]), stats.last_of(table) + 1
        share = json.loads(str(table["regime_args"].iloc[0])).get("real_fraction", 0.0)
        expected = float(theory.row_price(n, regime, share)) / rows(table)  # type: ignore[arg-type]
        error = stats.per_replicate(table, "mean", n - 1) ** 2
        found.append(partial(stats.mean, error / expected))
    return testing.farthest(found, 1, level)


def replaced_price(tables: Tables, level: float) -> Estimate:
    """Price of the last generation at the fewest rows, of the first condition."""
    (arm,) = {label.rpartition(", ")[0] for label in tables}
    losses = by_size(tables, arm)
    return price(losses, min(losses), min(int(table.columns[-1]) for table in losses.values()), level)


SHARE, FITS, REAL = 0.1, 10, 100
"""Real share of fresh, fits, and real rows of the one fit whose error is bought."""


def _bought(regime: str) -> dict[str, Any]:
    share = SHARE if regime == "fresh" else 0.0
    return {
        "family": "gaussian",
        "regime": regime,
        # Ten more or less, so that the real share is a whole number of rows.
        "n": int(round(float(theory.row_price(FITS, regime, share)) * REAL, -1)),  # type: ignore[arg-type]
        "generations": FITS - 1,
        "every": FITS - 1,
        "replicates": 65_536,
        "metrics": ["mean"],
        "settings": {"family.variance": "known"} | ({"regime.real_fraction": share} if share else {}),
    }


CLAIMS = (
    Claim(
        id="COST-1",
        statement="after ten generations, the number of generated rows that reach the error of one fit to real rows "
        "is the one that theory predicts",
        source="derived from Dey & Donoho 2024, arXiv:2410.22812, and from the drift of means; CF-C1",
        measured="mean squared error of the estimated mean after ten fits, with as many times the rows as theory "
        "asks for, over the error of one fit to real rows; of three regimes, the one farthest from 1",
        band=(0.95, 1.05),
        target=1,
        reason="5 % on either side of the same error",
        runs={regime: _bought(regime) for regime in ("replace", "accumulate", "fresh")},
        check=bought,
        chapter="cost",
        figure="cost-theory",
        ends=lambda table: FITS - 1,
        definition=(5,),
    ),
    Claim(
        id="COST-2",
        statement="an n-gram model needs at least twice the text for the same loss after five generations on "
        "generated text",
        source="after the press: 'the cost of making them will increase'; derived",
        measured="rows per generation over rows of real text for the same cross-entropy, generated text replaces the "
        "data, generation 5",
        band=(2, np.inf),
        reason="twice the text; set before its own runs, after a shorter run had shown that the loss rises",
        runs=STUDY.arguments("verify-words"),
        check=replaced_price,
        chapter="cost",
        figure="cost-ngram-prices",
        ends=lambda table: 5,
        definition=(5,),
    ),
    Claim(
        id="COST-3",
        statement="a small language model needs at least twice the text for the same loss after five generations on "
        "generated text",
        source="after the press: 'the cost of making them will increase'; derived",
        measured="rows per generation over rows of real text for the same cross-entropy, no real text after "
        "generation 0, generation 5",
        band=(2, np.inf),
        reason="twice the text, as for the n-gram model of COST-2; set after two generations of one seed",
        runs=STUDY.arguments("verify", PRICED),
        recorded=("cost",),
        check=replaced_price,
        chapter="cost",
        figure="cost-opt-prices",
        ends=lambda table: 5,
        definition=(5,),
        scale="small",
    ),
)
