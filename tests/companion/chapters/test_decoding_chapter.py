"""Chapter `decoding`: the exact chain against closed forms, and the sentence that names the steepest way."""

from __future__ import annotations

import numpy as np
import pytest
from toy_page import opened, tidy

from model_collapse.analysis import stats
from model_collapse.companion.chapters import decoding as chapter
from model_collapse.errors import InputError
from model_collapse.theory import decoding


def test_temperatures_multiply_and_sampling_does_not_move() -> None:
    cold, pure = (
        stats.pick(chapter.exact_chain(way, 3), "entropy")["value"] for way in ("temperature 0.3", "sampling")
    )
    distribution = decoding.sharpened(chapter.TRUTH, 0.3**3)
    assert cold.iloc[3] == pytest.approx(decoding.next_entropy(distribution, chapter.CONTEXTS), abs=1e-9)
    assert np.ptp(pure) == 0 and pure.iloc[0] > 2


def test_a_penalty_on_log_probabilities_is_a_power(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(monkeypatch)
    chapter.two_penalties()
    # 0.9^2 / (0.9^2 + 0.1) and 0.9^3 / (0.9^3 + 0.1)
    assert "(beam search) | 0.89 | 0.88 |" in page.text


def test_ways_that_differ_from_sampling_beyond_the_noise_of_seeds_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(monkeypatch)
    slopes = dict(zip((*chapter.OWN, "A", "control"), (0.1, 0.1, 0.4, 0.2, 0.2, 0.05, 0.5, 0.0), strict=True))
    tables = {label: tidy({"perplexity": np.exp([[1, 1 + s, 1 + 2 * s]] * 2)}) for label, s in slopes.items()}
    noisy = {"top-k": (0.1, 0.3)}
    tables |= {
        label: tidy({"perplexity": np.exp([[1, 1 + s, 1 + 2 * s] for s in own])}) for label, own in noisy.items()
    }
    chapter.by_way(tables | {"zero-shot": tidy({"perplexity": np.exp([[2.5], [2.5]])})})
    said = "*five beams (A)*, *sampled, temperature 0.3* and *sampled, top 95 %*; more slowly: *repetition penalty 2* "
    assert f"Degrade faster than sampling: {said}" in page.text
    assert "| sampled, temperature 0.3 | 0.400 [0.400, 0.400] | 0.300 [0.300, 0.300] |" in page.text
    assert "before any fine-tuning, 2.50" in page.figures["decoding-perplexity"]["caption"]


@pytest.mark.parametrize("generations", [0, 10])
def test_generations_are_those_of_the_conditions_that_are_shared(generations: int) -> None:
    with pytest.raises(InputError, match="generations must be 1 to 9, and seeds at least 1"):
        chapter.sized("laptop", generations)


def test_the_runs_with_a_constant_are_those_of_the_claim() -> None:
    labels = {"sampled", "sampled, penalty", "beams, penalty"}
    for profile, n in (("smoke", 8), ("laptop", 16)):
        runs = chapter.constant_runs(profile, 1)
        assert set(runs) == labels | {f"{label}, shifted" for label in labels}
        assert {run.n for run in runs.values()} == {n}
