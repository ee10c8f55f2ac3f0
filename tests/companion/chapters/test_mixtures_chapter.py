"""Chapter "Gaussian mixtures": what it says is what the tables hold, and what leaves theory stops it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion.chapters import mixtures
from model_collapse.companion.studies.mixtures import KEPT, STUDY, by_rows, floors, kept, published
from model_collapse.errors import InputError

RNG = np.random.default_rng(4)


def table(values: dict[str, np.ndarray], generations: list[int], N: int) -> pd.DataFrame:
    """Metrics of chains, (chains, generations)."""
    parts = []
    for metric, own in values.items():
        chain, place = np.indices(own.shape).reshape(2, -1)
        columns = {"replicate": chain, "generation": np.array(generations)[place], "value": own.ravel()}
        parts.append(pd.DataFrame(columns).assign(metric=metric, item=""))
    return pd.concat(parts, ignore_index=True).assign(n_train=N)


def needles(N: int, last: int) -> pd.DataFrame:
    """Chains whose distance rises and whose components narrow, at generations 0, 50 and the last."""
    factors = RNG.uniform(0.5, 2, (11, 1))
    means = {"l2": [1e-9, 0.05, 200.0], "component_sd": [0.9, 0.8, 0.02], "pooled_sd": [1.0, 1.0, 0.1]}
    return table({metric: factors * np.array(own) for metric, own in means.items()}, [0, 50, last], N)


def test_the_authors_chain_stands_beside_ours_only_at_its_size(shown: list[Any]) -> None:
    ours = needles(1000, 2000)
    mixtures.collapse({"blob": ours})
    far = ours.query("metric == 'l2' and generation == 2000")["value"]
    narrow = ours.query("metric == 'component_sd' and generation == 2000")["value"]
    assert f"At generation 2000 the median distance is {far.median():.2g} [" in shown[1]
    assert (
        f"Of our 11 chains {(far >= 536.3).sum()} end higher than that and {(narrow <= 0.0106).sum()} narrower"
        in shown[1]
    )
    assert f"They range from {far.min():.3g} to {far.max():.3g}" in shown[1]
    mixtures.collapse({"blob": needles(100, 2000)})
    assert "authors' single chain" not in shown[3]


def test_a_single_component_has_the_floor_that_the_recursion_gives(shown: list[Any]) -> None:
    M, rho, v, means = 10, 0.01, 1.0, []
    for _ in range(8):
        v = (1 - 1 / M) * v + rho
        means.append(v)
    noise = RNG.normal(0, 0.02, (400, 1))
    variance = np.array(means) + noise - noise.mean()
    blobs = {label: needles(100, 2000) for label in ("blob", "clusters")}
    mixtures.floor({rho: table({"component_sd": np.sqrt(variance)}, list(range(8)), M)}, blobs)
    (_, listed, name, *_), sentence = shown
    assert name == "mixtures-floor" and listed["mean"].iloc[-1] == pytest.approx(means[-1])
    assert f"= {np.sqrt(100 / 2 * 1e-6):.3f}. At generation 2000" in sentence
    with pytest.raises(AssertionError, match="standard errors"):
        mixtures.floor({rho: table({"component_sd": np.sqrt(variance + 0.01)}, list(range(8)), M)}, blobs)


def test_what_replacing_costs_is_the_paired_difference(shown: list[Any]) -> None:
    start, noise = 0.9 + RNG.normal(0, 0.01, 16), RNG.normal(0, 0.01, 16)
    ends = dict(zip(KEPT, (start - 0.3 + noise, start, start), strict=True))
    tables = {}
    for label, end in ends.items():
        widths = np.column_stack([start, start, end])
        tables[label] = table({"l2": widths, "component_sd": widths, "pooled_sd": widths}, [0, 5, 10], 50)
    mixtures.kept(tables)
    assert f"replacing changes the component sd by {np.mean(noise - 0.3):.2f} [" in shown[1]
    with pytest.raises(AssertionError, match="no width"):
        mixtures.kept(tables | {"replace": tables["accumulate"]})


def test_claims_about_the_papers_size_are_judged_at_it_alone() -> None:
    few, three = {"N = 50": needles(50, 14)}, {f"N = {n}": needles(n, 350) for n in (500, 1500, 5000)}
    assert list(mixtures.judged({"blob": needles(60, 50)}, few)) == []
    assert list(mixtures.judged({"blob": needles(1000, 2000)}, three)) == ["GM-1", "GM-2"]


def test_what_is_run_follows_the_size() -> None:
    size = STUDY.at("smoke", n=80, sizes=[40, 60])
    assert {run.n for run in STUDY.runs(published(STUDY, size)).values()} == {80}
    assert {label: run.n for label, run in by_rows(STUDY, size).items()} == {"N = 40": 40, "N = 60": 60}
    assert {rho: run.family_args["reg_covar"] for rho, run in floors(STUDY, size).items()} == {
        rho: rho for rho in (1e-2, 3e-3, 1e-6)
    }
    mine = STUDY.vary("replace", components=4)
    assert list(mine.runs(kept(mine, size))) == [*KEPT, "replace, components=4"]


@pytest.mark.parametrize(
    "changes", [{"n": 19}, {"generations": 49}, {"seeds": 7}, {"sizes": [50]}, {"sizes": [19, 50]}]
)
def test_sizes_that_it_cannot_show_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(
        InputError, match=r"^(n must be at least 20, generations|sizes must be two or more, 20 or more)"
    ):
        mixtures.check(STUDY.at("smoke", **changes))
