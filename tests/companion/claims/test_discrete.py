"""Each check of the discrete claims refuses where the claim is false: wrong regime, wrong table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion import claims
from model_collapse.companion.claims import exchange, minorities, mixing, real_share
from model_collapse.companion.claims.discrete import half_life, takeover
from model_collapse.engine.execute import run_all
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError


def tables(name: str, folder, settings: dict[str, Any] | None = None, **changes: Any) -> dict[str, pd.DataFrame]:
    """The claim's own runs with other arguments."""
    runs = {
        label: plan(
            **{**own, **changes, "settings": {**own["settings"], **(settings or {})}}
            if "settings" in own
            else {**own, **changes},
            seed=3,
        )
        for label, own in claims.named(name).runs.items()
    }
    return run_all(runs, folder, jobs=1)[0]


def judged(name: str, made: dict[str, pd.DataFrame]) -> claims.Verdict:
    return claims.named(name).judge(made)


REGIMES = {
    # Real rows in every training set keep several symbols alive.
    "WF-1": {"regime": "fresh", "settings": {"regime.real_fraction": 0.1}, "replicates": 256},
    "WF-3": {"regime": "accumulate", "replicates": 2048},
    "WF-5": {"regime": "accumulate", "replicates": 32},
    "WF-6": {"regime": "accumulate", "replicates": 32},
    # With twenty symbols draws are equal without a common ancestor.
    "INB-1": {"settings": {"family.symbols": 20}, "replicates": 2048},
    "ACC-6": {"regime": "replace"},
}


@pytest.mark.parametrize("name", REGIMES)
def test_another_regime_is_not_reproduced(name: str, tmp_path):
    verdict = judged(name, tables(name, tmp_path, **REGIMES[name]))
    assert not verdict.holds, str(verdict)


def test_a_chain_that_is_too_short_says_nothing_about_the_end(tmp_path):
    verdict = judged("WF-1", tables("WF-1", tmp_path, generations=190, every=190, replicates=256))
    assert not verdict.holds and np.isnan(verdict.estimate.low)


def test_wrong_symbols_win(tmp_path):
    """The winners of WF-2 under each other's name: the commonest symbol's wins go to the rarest."""
    made = tables("WF-2", tmp_path, replicates=2048)
    swapped = {
        label: table.assign(item=table["item"].astype(str).map({"": "", **{str(i): str(6 - i) for i in range(1, 6)}}))
        for label, table in made.items()
    }
    assert not judged("WF-2", swapped).holds


def test_an_order_that_is_not_by_share(tmp_path):
    """WF-4 with the names of neighbouring ranks exchanged in pairs of ten."""
    made = tables("WF-4", tmp_path, replicates=512)
    other = {str(i): str((i + 9) % 20 + 1) for i in range(1, 21)}
    moved = {label: table.assign(item=table["item"].astype(str).map(other)) for label, table in made.items()}
    assert not judged("WF-4", moved).holds


def test_forgetting_that_is_not_linear(tmp_path):
    """WF-6 with time squared."""
    made = tables("WF-6", tmp_path, replicates=32)
    assert judged("WF-6", made).holds
    bent = {label: table.assign(generation=table["generation"] ** 2) for label, table in made.items()}
    assert not judged("WF-6", bent).holds


def test_breeds_that_grow_alike_first(tmp_path):
    """WF-5 with the two moments exchanged: the spread is gone when one breed is left, and the other way round."""
    made = tables("WF-5", tmp_path, replicates=256)
    exchanged = {}
    for label, table in made.items():
        left = table["metric"] == "breeds_left"
        alone = table["value"].where(~left, table["value"] == 1)
        value = alone.where(left, 1 + (alone >= 0.01))
        value = value.where(~left, 1 - value)
        names = table["metric"].astype(str).map({"breeds_left": "within_deviation", "within_deviation": "breeds_left"})
        exchanged[label] = table.assign(metric=names, value=value)
    for label in made:
        np.testing.assert_array_equal(takeover(exchanged[label]), takeover(made[label])[::-1])
    assert not judged("WF-5", exchanged).holds


def test_half_life_by_hand():
    assert half_life(pd.Series([0.9, 0.7, 0.3], index=[0, 1, 2])) == pytest.approx(2.5)
    assert half_life(pd.Series([0.8, 0.2], index=[0, 4])) == pytest.approx(3)
    assert np.isnan(half_life(pd.Series([0.9, 0.8], index=[0, 1])))
    assert np.isnan(half_life(pd.Series([0.4, 0.3], index=[0, 1])))


def test_takeover_by_hand():
    rows = [(g, r, "breeds_left", n) for g, r, n in ((0, 0, 3), (2, 0, 1), (4, 0, 1), (0, 1, 2), (2, 1, 2), (4, 1, 2))]
    rows += [
        (g, r, "within_deviation", s)
        for g, r, s in ((0, 0, 1), (2, 0, 0.5), (4, 0, 0.001), (0, 1, 1), (2, 1, 0), (4, 1, 0))
    ]
    table = pd.DataFrame(rows, columns=["generation", "replicate", "metric", "value"])
    alone, alike = takeover(table)
    np.testing.assert_array_equal(alone, [2, np.nan])
    np.testing.assert_array_equal(alike, [4, 2])


def test_sums_over_symbols_need_all_of_them(tmp_path):
    """Of 30 symbols ranks 1 to 20 and 30 are recorded."""
    settings = {"family.symbols": 30, "regime.real_fraction": 0.5}
    run = plan("discrete", "fresh", n=8, generations=2, replicates=2, metrics=["share"], settings=settings)
    (table,) = run_all({"a": run}, tmp_path, jobs=1)[0].values()
    sums = (minorities.group_share, mixing.largest_share, mixing.own_errors, exchange.concepts)
    for each in (*sums, real_share.stationary_drift):
        with pytest.raises(InputError, match=r"^family.symbols=30: not the share of every symbol is recorded"):
            each(table)


def test_own_errors_need_every_generation(tmp_path):
    settings = {"family.symbols": 5, "regime.real_fraction": 0.5}
    run = plan("discrete", "fresh", n=8, generations=4, every=2, metrics=["share"], settings=settings)
    (table,) = run_all({"a": run}, tmp_path, jobs=1)[0].values()
    with pytest.raises(ValueError, match="every generation from 0 on"):
        mixing.own_errors(table)
