"""The repetition penalty: a constant in all logits, and what it does to the probabilities exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from model_collapse.theory.decoding import penalised_distribution

LOGITS = np.array([[1.2, 0.4, -0.3, -2.0, 0.9], [-1.0, -1.5, -0.2, -3.0, -0.7]])
SEEN = np.array([[True, False, True, True, False], [False, True, True, False, False]])


@pytest.mark.parametrize("constant", [-20.0, -0.5, 0.5, 7.0])
def test_a_constant_changes_what_is_written_only_where_logits_are_penalised(constant):
    moved = LOGITS + constant
    np.testing.assert_allclose(softmax(moved, axis=-1), softmax(LOGITS, axis=-1))
    one, other = (penalised_distribution(each, SEEN, 2.0, of_logits=False) for each in (LOGITS, moved))
    np.testing.assert_allclose(one, other, rtol=1e-10)
    one, other = (penalised_distribution(each, SEEN, 2.0) for each in (LOGITS, moved))
    assert np.max(np.abs(one - other)) > 0.05


def test_the_odds_move_by_the_closed_form():
    """Of seen against unseen, by c (theta - 1) below zero and by -c (1 - 1 / theta) above it."""
    theta, c = 1.7, 2.5
    for start, end, moved in ((-9.0, -9 + c, c * (theta - 1)), (4.0, 4 + c, -c * (1 - 1 / theta))):
        seen = np.array([True, False])
        before, after = (penalised_distribution([x, x - 1.0], seen, theta) for x in (start, end))
        assert np.log(after[0] / after[1]) - np.log(before[0] / before[1]) == pytest.approx(moved)
