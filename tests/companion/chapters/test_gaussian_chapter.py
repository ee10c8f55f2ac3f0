"""Chapter "The Gaussian chain": what it says is what the tables hold, and what leaves theory stops it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.chapters import gaussian
from model_collapse.companion.studies.gaussian import KEPT, STUDY, by_rows, growing, half_times, kept, tempered
from model_collapse.errors import InputError

RNG = np.random.default_rng(1)


def tidy(values: dict[str, np.ndarray], M: int) -> pd.DataFrame:
    """A table of these metrics, (chains, generations)."""
    parts = []
    for metric, own in values.items():
        chain, generation = np.indices(own.shape).reshape(2, -1)
        columns = {"replicate": chain, "generation": generation, "value": own.ravel()}
        parts.append(pd.DataFrame(columns).assign(metric=metric, item="", n_train=M))
    return pd.concat(parts, ignore_index=True)


def chains(M: int, fits: int, chi: int) -> np.ndarray:
    """ln s^2 of 300 chains of maximum-likelihood fits, by hand: each adds the log of a chi-square number over M."""
    return np.log(RNG.chisquare(chi, (300, fits)) / M).cumsum(axis=1)


def test_the_typical_chain_is_the_mean_of_the_logarithm(shown: list[Any]) -> None:
    logs = {"mle": chains(10, 20, 9), "unbiased": chains(10, 20, 9) + np.log(10 / 9) * np.arange(1, 21)}
    gaussian.typical({(name, 10): tidy({"log_det": own}, 10) for name, own in logs.items()})
    (_, listed, name, *_), sentence = shown
    assert name == "gaussian-log-variance"
    last = listed.query("generation == 19 and panel == 'maximum likelihood, c = M'")["mean"].item()
    assert last == pytest.approx(logs["mle"][:, -1].mean())
    assert "halves every 3.1 generations (maximum likelihood) or every 6.0 (unbiased)" in sentence


def test_a_chain_that_falls_too_slowly_is_an_error(shown: list[Any]) -> None:
    logs = {name: chains(10, 20, 10) for name in ("mle", "unbiased")}
    with pytest.raises(AssertionError, match="typical chain"):
        gaussian.typical({(name, 10): tidy({"log_det": own}, 10) for name, own in logs.items()})


def test_half_times_are_where_the_median_crosses(shown: list[Any]) -> None:
    tables = {M: tidy({"log_det": chains(M, M, M - 1)}, M) for M in (10, 40)}
    gaussian.half_times(tables)
    (_, wait, *_), sentence = shown
    median = np.median(tables[40].pivot(index="replicate", columns="generation", values="value"), axis=0)
    after = int(np.argmax(median < np.log(1 / 4)))
    assert after < wait["y"].iloc[1] <= after + 1, "n = g + 1 fits"
    assert f"{wait['y'].iloc[1] / 40:.2f} M for M = 40" in sentence


def test_the_sentence_on_kept_data_has_the_means(shown: list[Any]) -> None:
    means = dict(zip(KEPT, ([0.9, 0.81, 0.729], [0.9, 0.8775, 0.86775], [0.9, 0.9, 0.9]), strict=True))
    noise = RNG.normal(0, 0.01, (300, 1))
    tables = {label: tidy({"variance": np.array(own) + noise - noise.mean()}, 10) for label, own in means.items()}
    gaussian.kept(tables)
    assert "the mean variance is 0.868 [" in shown[1] and "and 0.73 when data are replaced" in shown[1]
    moved = tables | {KEPT[1]: tables[KEPT[1]].assign(value=tables[KEPT[1]]["value"] + 0.05)}
    with pytest.raises(AssertionError):
        gaussian.kept(moved)


def test_what_is_run_follows_the_size() -> None:
    size = STUDY.at("smoke", sizes=[20, 40], seeds=200)
    assert set(by_rows(STUDY, size)) == {(name, M) for name in ("mle", "unbiased") for M in (20, 40)}
    assert {M: run.generations for M, run in half_times(STUDY, size).items()} == {10: 12, 30: 36, 100: 120}
    assert growing(STUDY, size)["growing"].regime_args == {"power": 2}
    below, same, cure = tempered(STUDY, size)
    assert (below, same) == (0.9, 1.0) and 1 < cure < 1.1
    mine = STUDY.vary("replace", bias=0.9)
    assert list(mine.runs(kept(mine, size))) == [*KEPT, "replace, bias=0.9"]


@pytest.mark.parametrize("changes", [{"sizes": [9]}, {"seeds": 99}, {"generations": 9}, {"sizes": []}])
def test_sizes_that_it_cannot_show_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^sizes must be 10 or more each, replicates at least 100, generations "):
        gaussian.check(STUDY.at("smoke", **changes))
