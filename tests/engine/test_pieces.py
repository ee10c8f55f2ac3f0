"""Inside a generation: a kill costs a shard at most, a full memory halves the batch once, models do not pile up."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from toy_runs import added, killed_at, same

from model_collapse import families
from model_collapse.engine import checkpoint
from model_collapse.engine.choices import Choices
from model_collapse.engine.execute import execute
from model_collapse.engine.layout import state_folder
from model_collapse.engine.locks import locked
from model_collapse.engine.plan import plan
from model_collapse.errors import ExternalError, OutOfMemory

SHARDED = '''
"""A toy that writes in shards of two rows and whose memory can be full."""
from dataclasses import dataclass
from functools import partial
import numpy as np
from model_collapse.data import Rows
from model_collapse.errors import OutOfMemory
from toy_runs import Toy

made = []
FULL = {"fit": 0, "sample": 0}
CHOSEN = [8]

def _full(use):
    if FULL[use]:
        FULL[use] -= 1
        raise OutOfMemory(f"out of memory in {use}: less of it")

@dataclass(frozen=True)
class Sharded(Toy):
    """A number that walks."""
    continued: bool = False
    many: int = 8
    few: int = 4
    metrics = ("place",)

    def base_settings(self):
        return None

    def base(self, source, rng):
        return np.zeros(1)

    def choose(self, model):
        return {"many": CHOSEN[0]}

    def halved(self, use):
        return {"fit": {"few": self.few // 2}, "sample": {"many": self.many // 2}}[use]

    def fit(self, data, rng, *, start=None, validation=None):
        made.append("fit")
        drawn = rng.standard_normal(1)
        _full("fit")
        return start + data.rows.x.mean(keepdims=True) + drawn

    def shards(self, model, n, rng, *, given=None):
        noise = rng.standard_normal(n)
        for i in range(0, n, 2):
            yield partial(self._write, model + noise[i:i + 2])

    def _write(self, x):
        made.append("shard")
        _full("sample")
        return Rows(x)

    def sample(self, model, n, rng, *, given=None):
        return Rows(np.concatenate([shard().x for shard in self.shards(model, n, rng)]))
'''
PLACE = """
def place(m):
    return {"model": m.model.item(), "row": m.sample.x.mean()}
"""


@pytest.fixture
def toy(tmp_path, monkeypatch) -> Iterator[ModuleType]:
    """The family `sharded`: its module, with what it made and what it finds full."""
    with added("sharded", SHARDED, PLACE, tmp_path, monkeypatch) as module:
        yield module


@pytest.mark.parametrize("continued", [False, True])
@pytest.mark.parametrize(
    ("where", "again"),
    [
        ("model-0002", ["fit", "shard", "shard", "shard"]),
        ("shards-0002/00000", ["shard", "shard", "shard"]),
        ("shards-0002/00002", ["shard"]),
        ("generation-0002", []),
    ],
)
def test_a_kill_inside_a_generation_costs_one_piece(toy, tmp_path, monkeypatch, continued, where, again):
    planned = plan("sharded", generations=3, settings={"family.continued": continued})
    undisturbed, _ = execute(planned)
    out = tmp_path / "c.parquet"
    killed_at(monkeypatch, where, planned, out)
    toy.made.clear()
    resumed, _ = execute(planned, out)
    assert toy.made == [*again, "fit", "shard", "shard", "shard"]
    same(resumed, undisturbed)
    assert os.listdir(tmp_path / "cache") == ["locks"] and not state_folder(out).exists()


@pytest.mark.parametrize("piece", ["model-0002/model.json", "shards-0002/00000/rows.safetensors"])
def test_a_damaged_piece_is_reported_and_made_again(toy, tmp_path, monkeypatch, capsys, piece):
    planned, out = plan("sharded", generations=3), tmp_path / "c.parquet"
    undisturbed, _ = execute(planned)
    killed_at(monkeypatch, "shards-0002/00001", planned, out)
    file = state_folder(out) / "block-0000" / piece
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    same(execute(planned, out)[0], undisturbed)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{file.name} is damaged; computed again" in said


@pytest.mark.parametrize("piece", ["model-0002", "shards-0001/00001", "generation-0002"])
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(toy, tmp_path, monkeypatch, piece):
    planned, out = plan("sharded", generations=3), tmp_path / "c.parquet"
    undisturbed, _ = execute(planned)
    real = os.replace

    def full(source, target):
        if str(target).endswith(piece):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(
            ExternalError, match=r"^no space left for [^\n]*: free some and run the same command again$"
        ):
            execute(planned, out)
    before = [name for name in os.listdir(state_folder(out) / "block-0000") if name.startswith("generation")]
    toy.made.clear()
    same(execute(planned, out)[0], undisturbed)
    assert before and toy.made.count("fit") == 4 - len(before) - (piece != "model-0002"), "no finished fit is lost"


@pytest.mark.parametrize("use", ["fit", "sample"])
def test_a_full_memory_halves_the_batch_once(toy, tmp_path, capsys, use):
    """Said, recorded, and the same numbers; full again, it is one line and the generations before are whole."""
    planned, out = plan("sharded", generations=3), tmp_path / "c.parquet"
    undisturbed, _ = execute(planned)
    toy.FULL[use] = 1
    table, _ = execute(planned, out)
    same(table, undisturbed)
    setting = {"fit": "few=2", "sample": "many=4"}[use]
    assert f"out of memory in {use}: going on with family.{setting}\n" in capsys.readouterr().err
    name, value = setting.split("=")
    assert table.attrs["chosen"] == {"many": 8} | {name: int(value), "halved": [use]}

    out = tmp_path / "d.parquet"
    toy.FULL[use] = 2
    with pytest.raises(OutOfMemory, match=f"^out of memory in {use}: less of it$"):
        execute(planned, out)
    resumed, _ = execute(planned, out)
    same(resumed, undisturbed)


def test_chains_whose_memory_is_full_at_the_same_time_halve_the_batch_once(toy, tmp_path, capsys):
    """The second finds that the first has halved it since it began, and tries that."""
    choices, family = Choices(tmp_path / "choices.json"), toy.Sharded()
    tried = choices.read()
    assert choices.halve(family, "sample", tried) and choices.halve(family, "sample", tried)
    halved = choices.read()
    assert halved == {"many": 4, "halved": ["sample"]}
    assert capsys.readouterr().err.count("out of memory") == 1
    assert not choices.halve(family, "sample", halved), "half was too much as well"


def test_what_was_chosen_for_the_machine_is_frozen(toy, tmp_path, monkeypatch):
    planned, out = plan("sharded", generations=3), tmp_path / "c.parquet"
    killed_at(monkeypatch, "generation-0002", planned, out)
    monkeypatch.setattr(toy, "CHOSEN", [2])
    table, _ = execute(planned, out)
    assert table.attrs["chosen"] == {"many": 8}
    assert "sharded.many" not in table.attrs["run"] and table.attrs["run"]["family.many"] == 8


@pytest.mark.parametrize("continued", [False, True])
def test_models_do_not_pile_up_unless_asked(toy, tmp_path, monkeypatch, continued):
    planned = plan("sharded", generations=5, settings={"family.continued": continued})
    out = tmp_path / "c.parquet"
    killed_at(monkeypatch, "block-0000.done", planned, out)
    left = {name for name in os.listdir(state_folder(out) / "block-0000") if not name.startswith("generation")}
    assert left == {"model-0000", *(["model-0005"] if continued else [])}
    table, _ = execute(planned, tmp_path / "all.parquet", keep_models=True)
    kept = tmp_path / "all.parquet.models" / "block-0000"
    assert sorted(os.listdir(kept)) == [f"model-{t:04d}" for t in range(6)]
    for t, (value,) in table.query("item == 'model'")[["generation", "value"]].set_index("generation").iterrows():
        assert families.sharded.Sharded().load(kept / f"model-{t:04d}").item() == value


def test_models_left_by_another_run_are_not_taken_for_ones_own(toy, tmp_path):
    out, other = tmp_path / "c.parquet", plan("sharded", generations=2, seed=1)
    execute(plan("sharded", generations=2), out, keep_models=True)
    out.unlink()
    same(execute(other, out, keep_models=True)[0], execute(other)[0])


def test_a_continued_chain_whose_last_model_is_lost_goes_back_to_one_that_is_there(toy, tmp_path, monkeypatch):
    planned, out = plan("sharded", generations=4, settings={"family.continued": True}), tmp_path / "c.parquet"
    undisturbed, _ = execute(planned)
    killed_at(monkeypatch, "generation-0004", planned, out)
    shutil.rmtree(state_folder(out) / "block-0000" / "model-0003")
    shutil.rmtree(state_folder(out) / "block-0000" / "model-0004")
    toy.made.clear()
    same(execute(planned, out)[0], undisturbed)
    assert toy.made.count("fit") == 4, "generation 0 is there, all others are computed again"


def test_continued_means_from_the_weights_before(toy):
    """Here a model is its start, plus the mean of what it read, plus noise that does not depend on either."""
    tables = {
        continued: execute(plan("sharded", generations=1, settings={"family.continued": continued}))[0]
        for continued in (False, True)
    }
    value = {key: table.query("item == 'model'").set_index("generation")["value"] for key, table in tables.items()}
    assert value[True][0] == value[False][0]
    assert value[True][1] - value[False][1] == pytest.approx(value[True][0])


# Two processes -----------------------------------------------------------------------------------------------------


def test_two_that_want_the_same_run_compute_it_once(toy, tmp_path):
    planned, other = plan("sharded", generations=3), plan("sharded", generations=2)
    out, said = tmp_path / "c.parquet", []
    with locked(out):
        waiting = threading.Thread(target=lambda: said.append(execute(planned, out, progress=said.append)[0]))
        waiting.start()
        while not said:
            waiting.join(0.01)
        assert said == ["waiting for another process that works on c.parquet"] and not toy.made
        execute(other, tmp_path / "d.parquet")
        assert toy.made.count("fit") == 3, "another run does not wait"
    waiting.join()
    assert toy.made.count("fit") == 3 + 4
    same(said[-1], execute(planned)[0])


def test_a_lock_is_free_again_when_its_owner_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path))
    with (
        locked(tmp_path / "x"),
        locked(tmp_path / "x", wait=False) as mine,
        locked(tmp_path / "y", wait=False) as other,
    ):
        assert not mine and other
    with locked(tmp_path / "x", wait=False) as mine:
        assert mine
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "file" / "no"))
    (tmp_path / "file").write_text("")
    with locked(tmp_path / "x", wait=False) as mine:
        assert mine, "without a place for locks everybody goes on"


# OPT ---------------------------------------------------------------------------------------------------------------


def test_shards_of_opt_are_its_sample(monkeypatch):
    """Any shard size, in any order: the same tokens."""
    pytest.importorskip("torch")
    from model_collapse.families.lm import Lm, decoding, model

    family = Lm(block=8, decoding="sample", vocabulary=260, sample_batch=3)
    fitted = model.LmModel(
        (blank := model.blank("tiny", 260, 16)).config, model.unbuild(model.build(blank, 0, decoding.hardware.device()))
    )
    given = checkpoint.Rows(np.random.default_rng(0).integers(4, 260, (11, 8)).astype(np.int32))
    whole = family.sample(fitted, 11, np.random.default_rng(1), given=given).x
    monkeypatch.setattr(decoding, "SHARD", 4)
    shards = list(family.shards(fitted, 11, np.random.default_rng(1), given=given))
    assert len(shards) == 3
    written = {i: shards[i]().x for i in (2, 0, 1)}
    np.testing.assert_array_equal(np.concatenate([written[i] for i in range(3)]), whole)
    assert family.choose(fitted) == {"sample_batch": 3} and family.halved("sample") == {"sample_batch": 1}
    assert Lm(batch=1).halved("fit") is None and Lm(batch=16).halved("fit") == {"chunk": 8}
