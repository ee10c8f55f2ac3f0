"""A text that every generation continues beside its training set: it is kept, repeats, and changes nothing else."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from toy_runs import killed_at, same

from model_collapse import store
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families.lm import Lm

TINY = {
    "family.preset": "tiny",
    "family.pretrain": "none",
    "family.block": 8,
    "family.evaluate": 4,
    "family.epochs": 1,
    "family.decoding": "greedy",
    "family.vocabulary": 300,
}
PROBE = "The lighthouse on the northern shore was built in a year that nobody remembers."


def _run(probe: str, seed: int = 0):
    settings = {**TINY, **({"family.probe": probe} if probe else {})}
    return plan("lm", "replace", n=6, generations=2, seed=seed, settings=settings, metrics=["perplexity"])


def _texts(out: Path) -> pd.DataFrame:
    return pd.concat([store.read(file) for file in store.written_files(out)], ignore_index=True)


def test_every_generation_continues_the_end_of_the_probe(tmp_path: Path):
    out = tmp_path / "probed.parquet"
    probed, _ = execute(_run(PROBE), out)
    texts = _texts(out)
    of_probe = texts[texts["row"] == -1]
    assert of_probe["generation"].tolist() == [0, 1, 2]
    (prompt,) = set(of_probe["prompt"].astype(str))
    assert prompt and PROBE.endswith(prompt) and prompt != PROBE  # a block has 8 tokens
    assert (of_probe["text"].astype(str).str.len() > 0).all()

    plain = tmp_path / "plain.parquet"
    unprobed, _ = execute(_run(""), plain)
    same(unprobed.drop(columns=["run_id", "family_args"]), probed.drop(columns=["run_id", "family_args"]))
    rest = texts[texts["row"] >= 0].drop(columns="run_id").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        rest.astype({"prompt": str, "text": str}),
        _texts(plain).drop(columns="run_id").astype({"prompt": str, "text": str}),
    )


def test_a_killed_run_keeps_what_followed_the_probe(tmp_path: Path, monkeypatch):
    whole, cut = tmp_path / "whole.parquet", tmp_path / "cut.parquet"
    execute(_run(PROBE), whole)
    with monkeypatch.context() as patch:
        killed_at(patch, "generation-0002", _run(PROBE), cut)
    execute(_run(PROBE), cut)
    pd.testing.assert_frame_equal(_texts(whole), _texts(cut))


def test_a_probe_that_cannot_be_continued_is_refused_before_a_model_is_trained(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(Lm, "fit", lambda *_, **__: pytest.fail("trained"))
    tokenizer = {"family.tokenizer": "words"}
    run = plan("lm", "replace", n=6, generations=0, settings={**TINY, **tokenizer, "family.probe": " "})
    with pytest.raises(InputError, match=r"^family.probe=' ': continued are 2 tokens or more, and this is 1$"):
        execute(run)
