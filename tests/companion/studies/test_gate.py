"""The gate of studies on text, by hand: nats that generation 0 gains over the untouched model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model_collapse.companion import studies
from model_collapse.companion.studies.gate import GATE, UNTOUCHED, gate, passed, said
from model_collapse.errors import InputError

TEXT = ("language_model", "curation", "provenance", "other_ai", "remedies", "pretrained")
"""Studies whose models are all pre-trained; in `cost` and `minorities` those of some sizes are."""


def table(*perplexities: float) -> pd.DataFrame:
    """Generation 0 of each seed, and a generation 1 that the gate must not look at."""
    rows = [(r, g, "perplexity", value * (1 + 9 * g)) for r, value in enumerate(perplexities) for g in (0, 1)]
    rows += [(r, 0, "repeated_3", 0.5) for r in range(len(perplexities))]
    return pd.DataFrame(rows, columns=["replicate", "generation", "metric", "value"])


def test_the_gain_is_the_difference_of_losses_by_seed():
    found = gate({"zero-shot": table(np.e, np.e), "A": table(1.0, np.e**0.95)})
    assert np.allclose(found, [1.0, 0.05]) and (found >= GATE).tolist() == [True, False]
    assert not passed(found) and passed(found[:1])


def test_it_is_said_in_one_sentence_whether_every_seed_passes():
    both = gate({"zero-shot": table(3.0, 4.0), "M1": table(2.0, 2.0)}, "M1")
    assert said(both).startswith("Gate passed: in all 2 seeds ") and "0.41 to 0.69 nats per token" in said(both)
    assert said(both[:1]).startswith("Gate passed: in the one seed ") and "by 0.41 nats" in said(both[:1])
    one = gate({"zero-shot": table(3.0, 2.0), "A": table(2.0, 2.0)})
    assert said(one).startswith("Gate not passed: in 1 of 2 seeds ")


def test_what_is_missing_is_said():
    with pytest.raises(InputError, match=r"^gate: needs condition zero-shot; there are A$"):
        gate({"A": table(2.0)})
    with pytest.raises(InputError, match=r"^gate: zero-shot has seeds \[0\], and A has \[0, 1\]$"):
        gate({"zero-shot": table(2.0), "A": table(2.0, 2.0)})


@pytest.mark.parametrize("name", TEXT)
def test_every_study_of_pretrained_models_has_the_untouched_one(name):
    """At every size but that of the negative control, which is one run, and those of models of words."""
    study = studies.find(name)
    for size, about in study.sizes.items():
        if size != "verify-control" and (about.family or study.family) == "lm":
            run = study.arguments(size)[UNTOUCHED]
            assert run["generations"] == 0 and run["settings"]["family.steps"] == 1, size
            assert run["metrics"] is None or "perplexity" in run["metrics"], size
