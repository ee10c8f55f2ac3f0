"""What a chapter's functions show, of tables that are made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

Values = Mapping[str | tuple[str, str], Any]
"""Metric, or metric and item -> values (seeds, generations), or (generations,) for a single seed."""


def tidy(values: Values, **columns: object) -> pd.DataFrame:
    """A tidy table of these values, with the same value of further columns in every row."""
    rows = []
    for name, given in values.items():
        metric, item = name if isinstance(name, tuple) else (name, "")
        for replicate, chain in enumerate(np.atleast_2d(np.asarray(given, float))):
            rows += [
                {"replicate": replicate, "generation": g, "metric": metric, "item": item, "value": value}
                for g, value in enumerate(chain)
            ]
    return pd.DataFrame(rows).assign(**{"corpus": "embedded", "n_train": 8, "device": "cpu", **columns})


@dataclass
class Page:
    """Sentences, and figures by name: caption, alternative text, data."""

    said: list[str] = field(default_factory=list)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    html: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.said)

    def display(self, content: Any, raw: bool = False, metadata: Mapping[str, Any] | None = None) -> None:
        if not isinstance(content, dict):
            self.html.append(content.data)
        elif "image/png" in content:
            about = (metadata or {})["model_collapse"]
            self.figures[about["name"]] = about | {"csv": content["text/csv"]}
        else:
            self.said.append(content["text/markdown"])


def opened(monkeypatch: pytest.MonkeyPatch) -> Page:
    """A page on which everything is shown from now on."""
    page = Page()
    monkeypatch.setattr("IPython.display.display", page.display)
    return page
