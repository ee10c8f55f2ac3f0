"""The checks of MIX-5 to MIX-9, GA-8, ACC-7, FAIR-3 and DEC-2 say no where the run or the table is not what is claimed.

Seeded; that the true runs are reproduced is tested with all other claims. What is changed moves the estimate by many
interval widths, so no test here depends on chance.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.claims import known, luck, mixing, planned, projection, selection
from model_collapse.companion.studies.minorities import STUDY
from model_collapse.engine.execute import execute

KNOWN = known()


def tables(runs: dict[str, dict[str, Any]]) -> dict[str, pd.DataFrame]:
    return {label: execute(run)[0] for label, run in planned(runs, 4).items()}


def changed(run: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """The run with other settings, written "family__bias"."""
    more = {name.replace("__", "."): value for name, value in settings.items()}
    return {**run, "settings": {**run["settings"], **more}}


def relabelled(table: pd.DataFrame, column: str, **settings: Any) -> pd.DataFrame:
    """The table as if it came from other settings."""
    found = json.loads(str(table[column].iloc[0]))
    return table.assign(**{column: json.dumps({**found, **settings})})


def test_the_curve_is_told_from_the_golden_ratio():
    """Weights of k = 1/2 read as those of k = 1: 0.5 is not 0.618."""
    right = tables(mixing.weights_of(0.5, replicates=1024))
    assert KNOWN["MIX-5"].judge(right).holds
    wrong = {label: relabelled(table, "regime_args", ratio=1.0) for label, table in right.items()}
    found = KNOWN["MIX-5"].judge(wrong)
    assert not found.holds and found.estimate.value == pytest.approx(-0.118, abs=0.03)


def test_models_that_write_too_wide_leave_the_curve():
    """Written rows of four times the variance deserve less weight."""
    wide = {label: changed(run, family__bias=4.0) for label, run in mixing.weights_of(0.5, replicates=1024).items()}
    assert not KNOWN["MIX-5"].judge(tables(wide)).holds


def test_labels_whose_written_half_has_no_noise_are_not_golden():
    """w^2 / (1 - (1-w)^2) has its least value at 0: there is no minimum among the weights."""
    runs = {
        label: changed(run, family__written_noise=0.0)
        for kind in ("shortest", "ridge")
        for label, run in mixing.labels_of(kind, replicates=128).items()
    }
    assert not KNOWN["MIX-6"].judge(tables(runs)).holds


def test_the_error_by_weight_is_that_of_late_generations():
    made = tables({"w": mixing.labels_of("shortest", replicates=2)["shortest, w = 0.4"]})["w"]
    late = made[made["generation"] >= 9]  # 0.6^18 = 1e-4, 0.6^12 = 2e-3
    expected = late.groupby("replicate")["value"].mean().to_numpy()
    np.testing.assert_allclose(mixing.error_by_weight({"w": made})[0.4], expected)


@pytest.mark.parametrize("regime", ["accumulate", "fresh"])
def test_a_pool_without_its_inflow_or_without_its_past_has_another_rate(regime):
    run = mixing.inflow(0.5, replicates=2048)
    settings = {"family.variance": "known"} | ({"regime.real_fraction": 0.5} if regime == "fresh" else {})
    made = tables({"a = 0.5": {**run, "regime": regime, "settings": settings}})
    wrong = {label: relabelled(table, "regime_args", real_fraction=0.5) for label, table in made.items()}
    assert abs(KNOWN["MIX-7"].judge(wrong).estimate.value - 1) > 0.5


def test_the_drift_of_a_pool_is_compared_at_recorded_generations():
    table = tables({"a": mixing.inflow(0.25, replicates=3, generations=6, every=3)})["a"]
    square, expected = mixing.drift_of_pool(table)
    assert square.columns.tolist() == [0, 3, 6] and len(expected) == 3 and expected[0] == 0.25
    assert np.all(np.diff(expected) < 0)


def test_a_fork_on_the_other_side_of_the_line_is_seen():
    """A table of T = 0.5 with 60 % real rows, read as one of 40 %: equal shares, where one symbol should lead."""
    table = tables({"fork": mixing.fork(2, 0.5, 0.6, replicates=4)})["fork"]
    assert mixing.largest_share(table)[160].max() < 0.51
    wrong = relabelled(table, "regime_args", real_fraction=0.4)
    assert not KNOWN["MIX-8"].judge({"fork": wrong}).holds
    warm = tables({"warm": changed(mixing.fork(2, 0.5, 0.4, replicates=4), family__temperature=1.0)})["warm"]
    assert not KNOWN["MIX-8"].judge({"warm": relabelled(warm, "family_args", temperature=0.5)}).holds


def test_own_errors_are_measured_from_the_training_distribution():
    """One chain by hand, and a chain whose written share is not what the sum is discounted by."""
    run = {**KNOWN["MIX-9"].runs["10% real"], "replicates": 512}
    table = tables({"a": run})["a"]
    own, damage = mixing.own_errors(table)
    q = 1 / np.arange(1, 9) / np.sum(1 / np.arange(1, 9))
    one = table[table["replicate"] == 0]
    p = {
        g: each.assign(rank=each["item"].astype(int)).sort_values("rank")["value"].to_numpy()
        for g, each in one.groupby("generation")
    }
    distribution = 0.1 * q + 0.9 * p[4]
    assert own.loc[0, 5] == pytest.approx(np.sum((p[5] - distribution) ** 2 / distribution))
    assert damage.loc[0, 5] == pytest.approx(np.sum((p[5] - q) ** 2 / q))
    assert own.loc[0, 0] == damage.loc[0, 0]
    wrong = relabelled(table, "regime_args", real_fraction=0.3)
    assert not KNOWN["MIX-9"].judge({"a": wrong}).holds


@pytest.mark.parametrize(
    "settings", [{"family__bias": 4.0}, {"family__noise": 1.0}], ids=["too wide", "noisy training"]
)
def test_luck_is_less_where_models_err_more(settings):
    runs = {"equal sets": changed(luck.luck("replace", 3, replicates=8192), **settings)}
    assert not KNOWN["GA-8"].judge(tables(runs)).holds


def test_luck_counts_chains_nearer_than_the_first():
    table = tables({"a": luck.luck("grow", 3, replicates=5)})["a"]
    nearer, expected = luck.better(table)
    mean = table.pivot(index="replicate", columns="generation", values="value").abs()
    assert nearer[2].tolist() == (mean[2] < mean[0]).tolist()
    # Sets of 10, 40, 90 rows: added 1/40 + 1/90 to 1/10.
    assert expected[1] == pytest.approx(np.arctan(2 * np.sqrt(0.1 / (1 / 40 + 1 / 90))) / np.pi)


@pytest.mark.parametrize(
    "settings", [{"family__noise": 0.5}, {"family__real_weight": 0.2}], ids=["noise", "real labels"]
)
def test_a_projection_with_anything_else_loses_something_else(settings):
    runs = {"4 rows": changed(projection.projected(4, replicates=2048), **settings)}
    assert not KNOWN["ACC-7"].judge(tables(runs)).holds


def test_the_same_x_every_time_lose_nothing_more():
    runs = {"4 rows": {**projection.projected(4, replicates=2048), "given": "original"}}
    assert not KNOWN["ACC-7"].judge(tables(runs)).holds


def test_selections_the_other_way_round_are_seen():
    right = tables(selection.by_way(STUDY.arguments(STUDY.at("selected", seeds=256))))
    assert selection.part(right["at random"]) == 0.8
    swapped = {**right, "likeliest": right["least likely"], "least likely": right["likeliest"]}
    for found in (swapped, {**right, "likeliest": right["at random"]}, {**right, "least likely": right["at random"]}):
        assert not KNOWN["FAIR-3"].judge(found).holds


@pytest.mark.parametrize(("rises", "least"), [((3.0, 2.0, 1.0), 1.0), ((2.0, 3.0, 1.0), -1.0), ((3.0, 1.0, 2.0), -1.0)])
def test_the_order_of_three_in_text(rises, least):
    """Losses that rise by these, likeliest first, alike but for a little in eight chains."""
    made = {}
    for label, by in zip(("likeliest", "at random", "least likely"), rises, strict=True):
        rows = [
            (chain, g, g * by + 0.01 * chain * g, "group_loss", "people/island") for chain in range(8) for g in (0, 1)
        ]
        made[label] = pd.DataFrame(rows, columns=["replicate", "generation", "value", "metric", "item"]).assign(
            family="ngram", corpus="embedded", n_train=100, family_args="{}"
        )
    verdict = KNOWN["FAIR-3b"].judge(made)
    assert verdict.estimate.value == pytest.approx(least) and verdict.holds is (least > 0)


@pytest.mark.parametrize(
    ("moved", "value"),
    [((0.0, 0.3, 0.0), 0.3), ((0.0, 0.0, 0.0), None), ((0.1, 0.3, 0.0), None), ((0.0, 0.3, 0.1), None)],
    ids=["as claimed", "nothing moves", "without a penalty", "beams"],
)
def test_a_constant_must_move_what_is_sampled_with_a_penalty_alone(moved, value):
    made = {}
    for way, by in zip(("sampled", "sampled, penalty", "beams, penalty"), moved, strict=True):
        for label, shift in ((way, 0.0), (f"{way}, shifted", by)):
            rows = [(chain, 0, 2 + 0.1 * chain + shift * (1 + 0.01 * chain), "written_loss", "") for chain in range(6)]
            made[label] = pd.DataFrame(rows, columns=["replicate", "generation", "value", "metric", "item"]).assign(
                family="lm", corpus="embedded", n_train=16, family_args="{}"
            )
    verdict = KNOWN["DEC-2"].judge(made)
    assert verdict.holds is (moved == (0.0, 0.3, 0.0))
    assert bool(np.isnan(verdict.estimate.low)) is (value is None)
