"""A base for every chain, or one for all of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_collapse.engine import mirror
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.engine.unit import Unit

pytest.importorskip("torch")

QUICK: dict[str, Any] = {
    "family.pretrain": "web",
    "family.pretrain_blocks": 4,
    "family.pretrain_epochs": 1,
    "family.block": 8,
    "family.vocabulary": 300,
    "family.evaluate": 4,
}


def units(**settings: Any) -> list[Unit]:
    run = plan("lm", n=4, replicates=2, seed=3, settings=QUICK | settings, metrics=["perplexity"])
    return [Unit(run, Path("unused"), block) for block in range(2)]


def test_chains_share_a_base_unless_each_has_its_own() -> None:
    shared, own = units(), units(**{"family.own_base": True})
    assert shared[0].base_key == shared[1].base_key and own[0].base_key != own[1].base_key
    assert own[0].base_key == shared[0].base_key, "the first chain's is the one that all would share"


def test_all_bases_of_a_run_are_saved_elsewhere() -> None:
    """One for a run whose chains share it; in their order, so that a session that is lost lacks none."""
    own, shared = units(**{"family.own_base": True}), units()
    assert mirror._bases(Path("unused"), own[0].run) == [unit.base_folder for unit in own]
    assert mirror._bases(Path("unused"), shared[0].run) == [shared[0].base_folder]


def test_bases_differ_and_are_drawn_again_alike() -> None:
    own = units(**{"family.own_base": True})
    one, two, again = (
        unit.family.base(unit.source(pretraining=True), unit.base_rng).weights for unit in (own[0], own[1], own[0])
    )
    name = next(name for name in one if name.endswith("embed_tokens.weight"))
    assert not np.allclose(one[name], two[name]) and np.array_equal(one[name], again[name])


def test_models_that_read_each_other_have_parts_of_one_draw() -> None:
    """With articles drawn for each chain no block is of two models."""
    settings = QUICK | {"family.draw": "articles", "family.pretrain": "none"}
    run = plan("lm", n=4, models=2, reads="deal", replicates=2, settings=settings, metrics=["perplexity"])
    one, two = (agent.source().train.x for agent in Unit(run, Path("unused"), 0).agents)
    other = Unit(run, Path("unused"), 1).agents[0].source().train.x
    assert not {*map(bytes, one)} & {*map(bytes, two)} and not np.array_equal(one, other)


def test_the_text_to_pre_train_on_is_part_of_what_a_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever kind of file it lies in, and whatever lies in the present folder under the name of a corpus."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine"
    folder.mkdir()
    settings = QUICK | {"family.pretrain": str(folder)}

    def planned() -> Run:
        return plan("lm", n=4, settings=settings, metrics=["perplexity"])

    found = []
    for text in ("one", "another"):
        lines = [json.dumps({"text": f"This is {text} sentence, number {i}."}) for i in range(40)]
        (folder / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
        found.append((planned().run_id, Unit(planned(), Path("unused"), 0).base_key))
    assert found[0][0] != found[1][0] and found[0][1] != found[1][1]

    web = plan("lm", n=4, settings=QUICK, metrics=["perplexity"]).run_id
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.txt").write_text("anything", encoding="utf-8")
    (tmp_path / "auto").mkdir()
    (tmp_path / "auto" / "a.txt").write_text("anything", encoding="utf-8")
    assert plan("lm", n=4, settings=QUICK, metrics=["perplexity"]).run_id == web
