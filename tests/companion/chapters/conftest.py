"""What tests of chapters share: what a chapter shows and says."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest


@pytest.fixture
def shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Sentences, and the arguments of `show`, in order; `test_NAME_chapter.py` is about chapter NAME."""
    name = request.path.stem.removeprefix("test_").removesuffix("_chapter")
    chapter = import_module(f"model_collapse.companion.chapters.{name}")
    seen: list[Any] = []
    monkeypatch.setattr(chapter, "say", seen.append)
    monkeypatch.setattr(chapter, "show", lambda *arguments: seen.append(arguments))
    return seen
