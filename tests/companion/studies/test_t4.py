"""The profiles for a free graphics card, on a stand-in for it: plan, minutes, memory and precision, at toy size.

The card is a T4 of 15 GB as torch describes one; what it computes this machine's processor does. How fast a real one
is, and what its kernels round, is seen on a real one only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from model_collapse import hardware
from model_collapse.companion.book.chapter import find
from model_collapse.companion.studies.language_model import GRID, PAPERS, STUDY
from model_collapse.corpora import tokens
from model_collapse.engine import cost
from model_collapse.engine.execute import execute
from model_collapse.engine.spec import Run
from model_collapse.errors import ExternalError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    from transformers import OPTConfig, OPTForCausalLM

ROOM = 15e9
SPEED = 6.5e12
"""Operations a second: a tenth of a T4's peak in fp16, by which the chapters' minutes were estimated."""

PROFILES = ("t4", "t4-10min")


@dataclass
class Card:
    """What the stand-in says of itself.

    peak  the most bytes that were ever allocated
    """

    peak: float = 2e9
    total_memory: float = ROOM


@pytest.fixture
def t4(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card()
    for name, answer in {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "get_device_name": lambda device=None: "Tesla T4",
        "get_device_capability": lambda device=None: (7, 5),
        "get_device_properties": lambda device=None: card,
        "mem_get_info": lambda device=None: (ROOM - card.peak, ROOM),
        "max_memory_allocated": lambda device=None: card.peak,
    }.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    precision = hardware.precision
    monkeypatch.setattr(hardware, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(hardware, "precision", lambda setting, device: precision(setting, torch.device("cuda")))
    monkeypatch.setenv("MODEL_COLLAPSE_JOBS", "1")
    return card


@pytest.fixture
def opt(once: Callable[..., Path]) -> Path:
    """An OPT in the hub's layout, tiny and random, with a tokenizer of its own."""

    def make(folder: Path) -> None:
        tokenizer = tokens.trained(["one two three four five six seven"] * 20, 300)
        tokenizer.save(folder)
        sizes = {"hidden_size": 16, "word_embed_proj_dim": 16, "ffn_dim": 32, "num_hidden_layers": 2}
        config = OPTConfig(vocab_size=300, num_attention_heads=2, max_position_embeddings=256, **sizes)
        torch.manual_seed(0)
        OPTForCausalLM(config).save_pretrained(folder)

    return once("tiny-opt", make)


def planned(profile: str, opt: Path, **changes: Any) -> dict[str, Run]:
    """What a chapter runs at the profile, of the tiny model instead of the published one."""
    size = STUDY.at(profile, preset=str(opt), corpus="embedded", **changes)
    return {str(label): run for label, run in STUDY.runs(size, ("A", "B", "control")).items()}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_plan_names_the_card_and_what_it_has_not_the_memory_for(
    profile: str, t4: Card, opt: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(cost, "LIGHT", 0.0)
    monkeypatch.setattr(cost, "BUDGET", 0.5)
    runs = planned(profile, opt)
    found = cost.predict(runs.values(), 1)
    assert found is not None and found.seconds > 0
    assert (found.device, found.room, found.memory) == ("Tesla T4", ROOM, t4.peak)
    assert " on Tesla T4, 2 GB of memory, " in str(found)
    found.check(tmp_path)
    t4.peak = 16e9
    lines: list[str] = []
    with pytest.raises(ExternalError, match=r"need about 16 GB of memory, and there are 15 GB on Tesla T4; lower "):
        execute(runs["A"], tmp_path / "run.parquet", progress=lines.append)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("profile", PROFILES)
def test_a_chain_in_the_precision_of_the_card(profile: str, t4: Card, opt: Path, monkeypatch, tmp_path: Path):
    """fp16 with loss scaling; the same rows and metrics as anywhere."""
    used = set()
    mixed = hardware.mixed
    monkeypatch.setattr(hardware, "mixed", lambda dtype, device: used.add(dtype) or mixed(dtype, device))
    run = planned(profile, opt, n=6, generations=1, seeds=1)["B"]
    table, texts = execute(run, tmp_path / "run.parquet")
    assert used == {torch.float16}
    assert set(table["device"]) == {"Tesla T4"}
    assert texts is not None and len(texts) == 6 * 2
    losses = table[table["metric"] == "perplexity"].value
    assert len(losses) and losses.between(1, 1000).all()


def test_a_step_that_does_not_fit_is_halved(
    t4: Card, opt: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
):
    """Rows that go through the model at a time; the numbers of a step are those of the whole batch."""
    forward = OPTForCausalLM.forward

    def small(self: Any, input_ids: Any = None, **more: Any) -> Any:
        if self.training and len(input_ids) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, input_ids=input_ids, **more)

    monkeypatch.setattr(OPTForCausalLM, "forward", small)
    run = planned("t4-10min", opt, n=16, generations=0, seeds=1)["A"]
    table, _ = execute(run, tmp_path / "run.parquet")
    assert "out of GPU memory" not in capsys.readouterr().out
    assert table.attrs["chosen"]["chunk"] == 8


@pytest.mark.parametrize("profile", PROFILES)
def test_foreseen_minutes_are_operations_by_speed(profile: str):
    """The chapter says what its main conditions take at that speed, within a factor of two."""
    (chapter,) = [each for each in find() if each.slug == "language_model"]
    size = STUDY.at(profile, corpus="embedded")
    runs = {run.run_id: run for run in STUDY.runs(size, (*PAPERS, *GRID)).values()}
    minutes = sum(cost._operations(run) * run.replicates for run in runs.values()) / SPEED / 60
    said = chapter.cost[profile]
    assert said.device == "T4" and said.minutes / 2 < minutes < 2 * said.minutes
