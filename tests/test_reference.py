"""The pages that are made from the code and from records."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
from pathlib import Path

import pytest

from model_collapse import bench, theory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import closed_forms  # noqa: E402
import speed  # noqa: E402

MODULES = [module.name for module in pkgutil.iter_modules(theory.__path__)]


def test_every_module_of_theory_is_on_the_page_once():
    page = (ROOT / "book" / "closed_forms.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"```\{closed-forms\} (\w+)", page)) == MODULES and "gaussian" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_every_closed_form_says_what_it_is(name: str):
    module = importlib.import_module(f"model_collapse.theory.{name}")
    found = closed_forms.functions(module)
    assert getattr(theory, name) is module, "imported with the package, as the page says"
    assert found and all(len(function.__doc__ or "") > 20 for function in found)


def test_signatures_are_shown_without_annotations():
    assert closed_forms._signature(theory.expected_variance) == "(n, M, estimator='mle')"


def test_the_record_of_speed_has_every_benchmark():
    record = json.loads((ROOT / "records" / "bench.json").read_text(encoding="utf-8"))
    assert [r["name"] for r in record["results"]] == list(bench.benchmarks())
    page = speed.table(record)
    for r in record["results"]:
        assert f"| `{r['name']}` |" in page and r["note"] in page
        assert r["met"] or "**no**" in page
