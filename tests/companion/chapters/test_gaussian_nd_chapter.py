"""Chapter "The Gaussian chain in many dimensions": what it says is what the tables hold, or it stops."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse import theory
from model_collapse.companion.chapters import gaussian_nd
from model_collapse.companion.studies.gaussian_nd import FEW, STUDY, by_dim, few_rows, first_order, kept
from model_collapse.errors import InputError
from model_collapse.theory import mixed

RNG = np.random.default_rng(3)


def table(metric: str, values: np.ndarray, M: int, d: int) -> pd.DataFrame:
    """One metric of chains, (chains, generations)."""
    chain, generation = np.indices(values.shape).reshape(2, -1)
    columns = {"replicate": chain, "generation": generation, "value": values.ravel()}
    settings = json.dumps({"dim": d})
    return pd.DataFrame(columns).assign(metric=metric, item="", n_train=M, family_args=settings)


def log_dets(M: int, d: int, divisor: int, fits: int) -> np.ndarray:
    """ln det of 200 chains, by hand: determinants of scatters of M drawn rows, multiplied."""
    drawn = RNG.normal(size=(200, fits, M, d))
    drawn -= drawn.mean(axis=2, keepdims=True)
    scatter = np.swapaxes(drawn, 2, 3) @ drawn / divisor
    return np.linalg.slogdet(scatter)[1].cumsum(axis=1)


def chains(M: int, divisor: int) -> dict[tuple[Any, int], pd.DataFrame]:
    found: dict[tuple[Any, int], pd.DataFrame] = {}
    for name, own in (("mle", divisor), ("unbiased", M - 1)):
        for d in (1, 3):
            found[name, d] = table("log_det", log_dets(M, d, own, 8), M, d)
    return found


def test_the_volume_shrinks_as_drawn_rows_say(shown: list[Any]) -> None:
    tables = chains(8, 8)
    gaussian_nd.volume(tables)
    (_, listed, name, *_), sentence = shown
    assert name == "gaussian-nd-log-det"
    last = listed.query("generation == 7 and condition == 'd = 3'").set_index("panel")["mean"]
    by_hand = tables["unbiased", 3].query("generation == 7")["value"].mean() / 3
    assert last["unbiased, c = M - 1"] == pytest.approx(by_hand)
    many = -float(mixed.expected_log_det(1, 8, 3, "unbiased")) / 3 * 8
    assert f"and {many:.2f}/M on average when it is one of 3" in sentence


def test_a_wrong_divisor_is_an_error(shown: list[Any]) -> None:
    with pytest.raises(AssertionError, match="log-determinant"):
        gaussian_nd.volume(chains(8, 7))


def test_a_distance_outside_its_bounds_is_counted_in_standard_errors() -> None:
    low, high = theory.w2_squared_bounds(np.arange(1, 5), 20, 3, "mle")
    noise = np.array([[-0.1], [0.1]] * 50)
    error = noise.std(ddof=1) / 10
    above = table("w2_squared", high + 0.2 * error + noise, 20, 3)
    inside = table("w2_squared", (low + high) / 2 + noise, 20, 3)
    assert gaussian_nd._beyond(above, 20, 3, "mle") == pytest.approx(0.2)
    assert gaussian_nd._beyond(inside, 20, 3, "mle") < 0


def test_flat_fits_are_said_to_be_flat(shown: list[Any]) -> None:
    tables = {}
    for M in (2, 5):
        variance = RNG.normal(1, 0.1, (100, 3))
        logs = np.full((100, 3), -np.inf) if M <= 2 else log_dets(5, 2, 4, 3)[:100]
        tables[M] = pd.concat([table("log_det", logs, M, 2), table("variance", variance, M, 2)])
    gaussian_nd.few_rows(tables)
    assert "With M = 2 all chains are flat at generation 0" in shown[1]
    with pytest.raises(AssertionError):
        gaussian_nd.few_rows({5: tables[5], 2: tables[5]})


def test_what_is_run_follows_the_size() -> None:
    size = STUDY.at("smoke", n=30, dims=[1, 4])
    assert set(by_dim(STUDY, size)) == {(name, d) for name in ("mle", "unbiased") for d in (1, 4)}
    assert {run.n for run in first_order(STUDY, size).values()} == {1600}
    assert {M: run.n for M, run in few_rows(STUDY, size).items()} == {M: M for M in FEW}
    mine = STUDY.vary("replace", estimator="unbiased")
    runs = mine.runs(kept(mine, size))
    assert list(runs) == ["replace", "control: new real rows", "replace, estimator=unbiased"]
    assert {run.family_args["dim"] for run in runs.values()} == {4} and runs["replace"].generations == 60


@pytest.mark.parametrize("changes", [{"dims": [11]}, {"dims": []}, {"dims": [0]}, {"seeds": 99}])
def test_sizes_that_it_cannot_show_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^this chapter needs rows of at least twice the largest of dims, and "):
        gaussian_nd.check(STUDY.at("smoke", **changes))
