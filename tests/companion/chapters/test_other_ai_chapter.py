"""Chapter `other_ai`: numbers in its sentences against direct computation, and what it refuses."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from model_collapse.companion.chapters import other_ai as chapter
from model_collapse.companion.studies.other_ai import STUDY, of_numbers
from model_collapse.engine.execute import execute
from model_collapse.errors import InputError


def pair(first: tuple[float, float], second: tuple[float, float]) -> pd.DataFrame:
    """Symbols of two models in generations 0 and 1, in two equal replicates."""
    rows = [
        {"replicate": r, "generation": g, "metric": "support", "item": f"model {k + 1}", "value": values[g]}
        for r in range(2)
        for g in range(2)
        for k, values in enumerate((first, second))
    ]
    return pd.DataFrame(rows)


def test_the_first_mover_is_compared_with_the_latecomer(shown: list[Any]) -> None:
    chapter.first_mover({"M2": pair((10, 4), (10, 4)), "first": pair((10, 8), (10, 5))})
    figure, sentence = shown
    assert figure[2] == "exchange-first-mover"
    assert "nobody keeps real data 60%" in sentence and "the latecomer 50%" in sentence
    assert "3.0 [3.0, 3.0] symbols more than the latecomer" in sentence
    assert "latecomer has 1.0 [1.0, 1.0] more" in sentence


def test_a_condition_of_a_reader_gets_its_closed_form(shown: list[Any]) -> None:
    own = STUDY.vary("half", others=0.0)
    size = of_numbers("symbols", chapter.size("smoke"))
    runs = own.runs(size, ["M1", "half, others=0.0"])
    chapter.variety({label: execute(run)[0] for label, run in runs.items()}, own)
    lines = shown[1].splitlines()[2:]
    # Two models that read nothing of each other are as one alone.
    assert lines[0].split("|")[3:5] == lines[1].split("|")[3:5] and " 100 " in lines[1]


def test_models_that_read_real_rows_only_must_not_move(shown: list[Any]) -> None:
    still = pair((10, 10), (9, 9))
    chapter.controls(still, chapter.size("smoke"))
    assert "keep every symbol" in shown[0]
    with pytest.raises(AssertionError, match="must not move"):
        chapter.controls(pair((10, 9), (9, 9)), chapter.size("smoke"))


def perplexities(*models: tuple[float, ...]) -> pd.DataFrame:
    """Perplexity by generation of one model, or of several that read each other, in two equal replicates."""
    rows = [
        {"replicate": r, "generation": g, "metric": "perplexity", "value": value}
        | {"item": f"model {k + 1}" if len(models) > 1 else ""}
        for r in range(2)
        for k, values in enumerate(models)
        for g, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_no_number_of_models_is_best_where_all_are_at_the_untouched_model(
    shown: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    tables = {
        "M1": perplexities((4.0, 5.5, 6.0, 6.0)),
        "M2": perplexities((4.5, 5.0, 5.9, 6.0), (4.5, 5.0, 6.0, 6.0)),
    }
    chapter.language_models({**tables, "zero-shot": perplexities((6.0,))}, "exchange-opt", "This run")
    assert shown[-1].endswith(
        "The best number of models: 1 in generation 0, 2 in generation 1. From generation 2 on no number is better "
        "than the untouched model by more than 0.02 nats per token, so that there is nothing left to compare."
    )
    assert "**Back at the untouched model** in every seed: 1 model from generation 2 on" in capsys.readouterr().out
    chapter.language_models(tables, "exchange-opt", "This run")
    assert shown[-1].endswith(
        "The best number of models: 1 in generation 0, 2 in generations 1 to 2, 1 in generation 3."
    )


@pytest.mark.parametrize("name", ["replicates", "seeds"])
def test_one_chain_is_too_few(name: str) -> None:
    with pytest.raises(InputError, match=f"^{name} must be at least 2$"):
        chapter.size("smoke", **{name: 1})
