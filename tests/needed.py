"""Marks of tests that need data which are not ours to ship, in the folder that MODEL_COLLAPSE_DATA names."""

from __future__ import annotations

import pytest

from model_collapse import paths

DATA = paths.data()


def _folder(name: str) -> pytest.MarkDecorator:
    there = DATA is not None and (DATA / name).is_dir()
    return pytest.mark.skipif(not there, reason=f"there is no $MODEL_COLLAPSE_DATA/{name}")


real_data = pytest.mark.skipif(DATA is None, reason="MODEL_COLLAPSE_DATA is not set")
mnist = _folder("mnist")
opt_tokenizer = _folder("opt-125m-tokenizer")
