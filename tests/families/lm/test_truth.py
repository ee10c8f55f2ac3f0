"""decoding=truth: the true distribution writes in the model's place, on the same path of prompts and lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_collapse import corpora
from model_collapse.data import Rows
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families.lm import Lm

pytest.importorskip("torch")

TRUE = Lm(decoding="truth", block=64, evaluate=1)


def test_it_continues_the_prompts_by_a_block_whatever_the_model() -> None:
    source = corpora.load("embedded").source(3, block=64, evaluate=1, pretrain=1)
    written = TRUE.sample(None, 3, np.random.default_rng(1), given=source.train.drawn)  # type: ignore[arg-type]
    again = TRUE.sample(None, 3, np.random.default_rng(1), given=source.train.drawn)  # type: ignore[arg-type]
    assert written.x.shape == (3, 64) and written.x.dtype == np.int32 and np.array_equal(written.x, again.x)
    for text in source.tokenizer.decode(np.concatenate([source.train.x, written.x], axis=1)):
        assert all(np.isfinite(source.world.log_probability(article)) for article in text.split("\n")[1:-1])


def test_prompts_are_counted_as_for_any_other_writer() -> None:
    with pytest.raises(InputError, match=r"^lm continues prompts: it needs 2 given blocks, not 1$"):
        list(TRUE.shards(None, 2, np.random.default_rng(0), given=Rows(np.ones((1, 64), np.int32))))  # type: ignore[arg-type]


def test_only_the_embedded_corpus_has_a_truth(tmp_path: Path) -> None:
    for i in range(9):
        (tmp_path / f"{i}.txt").write_text(f"text number {i} " * 60, encoding="utf-8")
    settings = {"family.decoding": "truth", "family.block": 8, "family.vocabulary": 300}
    with pytest.raises(
        InputError, match=r"^family\.decoding=truth: needs corpus embedded, whose true distribution is known, not "
    ):
        plan("lm", n=4, corpus=str(tmp_path), settings=settings)
    assert plan("lm", n=4, settings=settings).family_args["decoding"] == "truth"
