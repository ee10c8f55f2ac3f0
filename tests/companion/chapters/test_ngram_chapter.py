"""Chapter "Words that follow words": what it says is what tables hold, and a control that moves stops it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from model_collapse.companion.chapters import ngram
from model_collapse.companion.studies.ngram import STUDY, words
from model_collapse.engine.execute import run_all
from model_collapse.errors import InputError

Tables = dict[str, pd.DataFrame]


@pytest.fixture
def shown(shown: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """As for every chapter, and texts among the rest."""
    monkeypatch.setattr(ngram, "written", lambda texts, caption: shown.append(texts))
    return shown


def rows(metric: str, values: dict[int, tuple[float, float]], item: str = "") -> pd.DataFrame:
    """Two chains with these values by generation."""
    found = [(r, g, value) for g, chains in values.items() for r, value in enumerate(chains)]
    return pd.DataFrame(found, columns=["replicate", "generation", "value"]).assign(metric=metric, item=item)


def test_perplexities_are_compared_chain_by_chain(shown: list[Any]) -> None:
    still = rows("perplexity", {0: (10.0, 20.0), 2: (10.0, 20.0)})
    moved = rows("perplexity", {0: (10.0, 20.0), 2: (20.0, 20.0)})
    ngram.by_regime({"order 2": moved, "order 2, control": still})
    (_, listed, name, *_), sentence = shown
    assert name == "ngram-perplexity-by-regime" and set(listed["condition"]) == {"replace", "control: real text only"}
    # The mean of 2 and 1, and not 20 / 15.
    assert "replace 1.50; control: real text only 1.00" in sentence
    with pytest.raises(AssertionError, match="must not move"):
        ngram.by_regime({"order 2": still, "order 2, control": moved})


def test_shares_of_facts_are_means_over_chains(shown: list[Any]) -> None:
    shares = {"common": {0: (0.2, 0.4), 3: (0.1, 0.1)}, "medium": {0: (0.1, 0.1), 3: (0.1, 0.1)}}
    shares["rare"] = {0: (0.0, 0.02), 3: (0.0, 0.0)}
    table = pd.concat([rows("rare_coverage", own, item) for item, own in shares.items()])
    ngram.facts({"order 2": table})
    assert "order 2 common 30.0% and 10.0%, rare 1.0% and 0.0%" in shown[1]
    assert set(shown[0][1]["panel"]) == {"common", "medium", "rare"}


def test_words_are_counted_beside_the_closed_form(tmp_path: Path, shown: list[Any]) -> None:
    size = replace(words(STUDY.at("smoke", n=20, generations=2)), seeds=4)
    table = run_all(STUDY.runs(size), tmp_path)[0]["order 1"]
    ngram.vocabulary(table)
    counted = table.query("metric == 'vocabulary'")
    first, last = (counted[counted["generation"] == g]["value"].mean() for g in (0, 2))
    assert (
        f"The first model generates {first:.0f} of them" in shown[1] and f"generation 2 {last:.0f} (theory" in shown[1]
    )
    assert set(table["metric"].astype(str)) == {"vocabulary"}


def test_three_generations_of_one_prompt(shown: list[Any]) -> None:
    texts = pd.DataFrame(
        [(row, r, g, f"real {row}", f"text {row} {r} {g}") for row in (7, 9) for r in (0, 1) for g in range(5)],
        columns=["row", "replicate", "generation", "prompt", "text"],
    )
    ngram.one_prompt(texts)
    wanted = {f"generation {g}": f"text 7 0 {g}" for g in (0, 2, 4)}
    assert shown == [{"prompt": "real 7", **wanted}]


@pytest.mark.parametrize("changes", [{"seeds": 1}, {"generations": 1}])
def test_sizes_that_it_cannot_show_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"^this chapter is written for at least 2 replicates and 2 generations$"):
        ngram.checked(STUDY.at("smoke", **changes))
