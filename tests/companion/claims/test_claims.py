"""Every claim that is checked by simulation, found by scanning: its form, its runs, and its verdict from fresh seeds.

One file per part of the book tests that each check can fail: test_*.py beside it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse import paths
from model_collapse.analysis.stats import Estimate
from model_collapse.companion import claims
from model_collapse.companion.book.chapter import find
from model_collapse.companion.claims import Claim, known, planned, runs_of
from model_collapse.companion.studies import language_model
from model_collapse.engine.execute import execute, run_all
from model_collapse.errors import InputError

ROOT = Path(__file__).parents[3]
KNOWN = known()
SIMULATED = [name for name, claim in KNOWN.items() if claim.scale == "simulation"]
QUICK = 1.5
"""Seconds that a claim's runs took when they were last recorded, at most, for it to be in `make test`."""
ONE_FIT = {"TT-1"}
"""Claims about the first fit alone: a run without recursion may show them."""
NEEDED: set[str] = set()
NEEDED |= {"WF-1", "WF-2", "WF-3", "WF-4", "WF-5", "WF-6", "INB-1", "ACC-6", "TT-1", "TT-2", "TT-3", "TT-4"}
NEEDED |= {"GA-1", "GA-2", "GA-3", "GA-4", "GA-5", "GA-6", "GA-7", "ACC-2"}
NEEDED |= {"GM-1", "GM-2"}
NEEDED |= {"MIX-1", "MIX-2"}
NEEDED |= {"ACC-1", "ACC-3", "MET-1", "MIX-3"}
NEEDED |= {"SH-1", "SH-2", "SH-2b", "SH-3", "SH-4", "SH-5a", "SH-5b", "SH-6", "SH-7", "SH-8", "SH-9"}
NEEDED |= {"NOTWILD"}
NEEDED |= {"VA-1", "VA-1b", "VA-1c", "VA-2", "FR-1", "FR-2", "SC-1"}
NEEDED |= {"VER-1", "VER-2", "VER-3", "VER-4", "VER-5"}
NEEDED |= {"MIX-4", "FAIR-1", "FAIR-1b", "FAIR-2", "FAIR-2b"}
NEEDED |= {"WM-1", "WM-2", "WM-2b", "WM-3", "WM-3b", "DET-1", "XM-1", "XM-2", "XM-3"}
NEEDED |= {"REM-1", "REM-2", "REM-3", "COST-1", "COST-2", "COST-3"}
NEEDED |= {"WF-7", "ACC-4", "ACC-5", "DEC-1", "SUR-1", "DIV-1", "COR-1"}
NEEDED |= {"NC-gaussian", "NC-discrete", "NC-gaussian-nd", "NC-error-sources", "NC-mixtures", "NC-accumulate"}
NEEDED |= {"NC-real-share", "NC-scaling", "NC-language-model", "NC-text", "NC-decoding", "NC-diversity", "NC-ngram"}
NEEDED |= {"NC-vae", "NC-diffusion", "NC-copies", "NC-remedies", "NC-how-much", "NC-curation", "NC-provenance"}
NEEDED |= {"NC-other-ai", "NC-minorities", "NC-cost"}
NEEDED |= {"MIX-5", "MIX-6", "MIX-7", "MIX-8", "MIX-9", "GA-8", "ACC-7", "FAIR-3", "FAIR-3b", "DEC-2"}
NEEDED |= {f"IN-{number}" for number in range(1, 9)}


def example(band: tuple[float, float], estimate: Estimate) -> claims.Verdict:
    claim = Claim(
        "X-1", "something is so", "nobody", "ratio", band, "none", {}, lambda tables, level: estimate, "gaussian"
    )
    return claim.judge({"": pd.DataFrame({"generation": [0]})})


def test_a_check_that_fails_on_whole_tables_is_reported_and_on_short_ones_is_not():
    def broken(tables: claims.Tables, level: float) -> Estimate:
        raise KeyError("no such column")

    runs = {"A": {"family": "gaussian", "generations": 3, "replicates": 2}}
    claim = Claim("X-1", "something is so", "nobody", "ratio", (0.0, 1.0), "none", runs, broken, "gaussian")
    whole = pd.DataFrame({"generation": [0, 3], "replicate": [0, 1], "metric": "variance", "value": [1.0, 2.0]})
    with pytest.warns(RuntimeWarning, match=r"claim X-1 was not judged: KeyError\('no such column'\)"):
        assert claim.judge({"A": whole}).outcome == "undecided"
    for short in (whole[whole["generation"] < 3], whole[whole["replicate"] < 1], whole[:0], whole.assign(value=1.0)):
        assert claim.judge({"A": short}).outcome in ("undecided", "not_run")


def test_an_interval_that_only_touches_the_band_refutes_theory_and_no_experiment():
    touching = Estimate(-0.01, -0.03, 0.0, 6, 0.95)
    assert KNOWN["RE-2"].room("contradicted", touching) == 0
    assert KNOWN["RE-2"].room("contradicted", replace(touching, high=-0.005)) > 0
    assert KNOWN["GM-2"].room("contradicted", touching) > 0


def test_the_scan_finds_those_known_by_name():
    assert set(KNOWN) >= NEEDED


@pytest.mark.parametrize("name", KNOWN)
def test_a_claim_says_what_a_reviewer_needs(name: str):
    claim = KNOWN[name]
    assert claim.id == name and claim.statement and claim.source and claim.measured and claim.reason and claim.chapter
    assert claim.band[0] < claim.band[1]
    assert bool(claim.runs) is (claim.scale != "review")
    for runs in (claim.runs, claim.larger):
        json.dumps({label: dict(arguments) for label, arguments in runs.items()})
        assert all("seed" not in arguments for arguments in runs.values())
        # Real text may not be at hand; settings are checked with any. Nothing invented is as large as MNIST's images.
        here = {
            label: {**arguments, "corpus": "embedded", "n": 4096}
            if str(arguments.get("corpus")).startswith("wikitext")
            else arguments
            for label, arguments in runs.items()
            if arguments.get("corpus") != "mnist" or paths.data()
        }
        assert all(run.seed == 7 for run in planned(here, 7).values())


NO_COLLAPSE = {"GA-7", "MET-1", "MIX-2", "NOTWILD", "SC-1", "SH-1", "SH-7", "VER-1", "VER-3", "VER-4"}
NO_COLLAPSE |= {"WM-1", "WM-2", "WM-2b", "MIX-5", "MIX-6", "DEC-2"}
"""Claims that are about no definition of collapse; controls, of chains and of instruments, are about none either."""

PRETRAINED = {"PT-1", "PT-2", "PT-3"}
"""Claims whose figure is drawn from a record alone."""

CONTROLS = {name for name, claim in KNOWN.items() if claim.source.startswith("control: ")}


@pytest.mark.parametrize("name", KNOWN)
def test_a_claim_says_which_collapse_it_is_about_and_whose_it_is(name: str):
    claim = KNOWN[name]
    assert set(claim.definition) <= set(claims.DEFINITIONS) and bool(claim.definition) is (
        name not in NO_COLLAPSE | CONTROLS
    )
    linked = re.search(r"doi:10\.\d{4,}/\S+|arXiv:\d{4}\.\d{4,5}", claim.source)
    assert linked or claim.source.startswith(("derived", "after ", "control: ", "the press: "))


def shown(chapter: str) -> Iterator[str]:
    """Patterns of the texts in a chapter's code and module; what a name is put together from may be anything."""
    (path,) = (found.path for found in find() if found.slug == chapter)
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    module = paths.PACKAGE / "companion" / "chapters" / f"{chapter}.py"
    codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for code in [*codes, *([module.read_text(encoding="utf-8")] if module.is_file() else [])]:
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.escape(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (re.escape(str(p.value)) if isinstance(p, ast.Constant) else "[a-z-]+" for p in node.values)
                yield "".join(parts)


@pytest.mark.parametrize("name", [name for name, claim in KNOWN.items() if claim.figure])
def test_the_figure_of_a_claim_is_in_its_chapter(name: str):
    claim = KNOWN[name]
    assert any(re.fullmatch(pattern, claim.figure) for pattern in shown(claim.chapter))


def test_claims_without_a_figure_are_known():
    """Tables or sentences show the first five and the instruments; nobody has run the next three; one is read."""
    without = {name for name, claim in KNOWN.items() if not claim.figure and not name.startswith("IN-")}
    assert (
        without
        == {"ACC-3", "DEC-2", "VER-3", "NC-how-much", "NC-other-ai", "SH-1", "SH-2b", "SH-3", "NOTWILD"} | PRETRAINED
    )


def test_small_runs_need_nothing_from_outside(monkeypatch):
    monkeypatch.delenv("MODEL_COLLAPSE_DATA", raising=False)
    small = {name: claim for name, claim in KNOWN.items() if claim.scale == "small"}
    assert len(small) >= 35
    for claim in small.values():
        for run in runs_of(claim, 1).values():
            assert run.corpus in {"embedded", "digits"} and run.family_args.get("start", "scratch") == "scratch"


def test_small_runs_are_shared():
    """An arm is one run for all claims that read it: verify makes fewer runs than the claims name."""
    small = [claim for name, claim in KNOWN.items() if claim.scale == "small" and name not in CONTROLS]
    named = [run.run_id for claim in small for run in runs_of(claim, 1).values()]
    assert len(set(named)) <= 48 < 60 < len(named)


def test_runs_of_the_sources_size_are_of_the_models_that_need_a_gpu():
    larger = {name: claim for name, claim in KNOWN.items() if claim.larger and name not in CONTROLS}
    register = {"SH-2", "SH-4", "SH-5a", "SH-5b", "SH-6", "SH-7", "SH-8", "SH-9", "ACC-4", "ACC-5"}
    register |= {"DEC-1", "MIX-4", "XM-2", "WM-1", "WM-2", "DET-1", "SUR-1", "DIV-1"}
    assert set(larger) == register | {"WM-2b", "REM-3"}
    for name in register:
        claim = larger[name]
        # So that one check judges both, and an arm of several claims is run once.
        assert set(claim.runs) <= set(claim.larger)
        for arguments in claim.larger.values():
            assert arguments["settings"]["family.preset"] == "opt-125m"
            assert arguments["settings"]["family.start"] == "pretrained"
    read = [claim.larger["A"] for claim in larger.values() if "A" in claim.larger]
    assert len(read) == 10 and all(arguments == KNOWN["SH-2b"].runs["A"] for arguments in read)
    assert read[0]["n"] == language_model.SIZES["paper"].n


def by_cost(names: Iterable[str]) -> list[Any]:
    """Parameters for these claims; those whose runs take long are slow."""
    recorded = json.loads((ROOT / "records" / "verify-simulation.json").read_text(encoding="utf-8"))["claims"]
    seconds = {entry["id"]: entry["seconds"] for entry in recorded}
    return [pytest.param(name, marks=[pytest.mark.slow] * (seconds.get(name, 0) > QUICK)) for name in names]


@pytest.mark.parametrize("name", by_cost(SIMULATED))
def test_a_simulated_claim_has_its_verdict_from_fresh_runs(name: str, tmp_path):
    """Error rate 1e-4 a claim where what is claimed is true; the seed is fixed, so a failure is a change of code."""
    claim = KNOWN[name]
    tables, _ = run_all(runs_of(claim, 1), tmp_path, jobs=1)
    verdict = claim.judge(tables)
    assert verdict.estimate.level == claims.LEVEL
    assert verdict.holds, str(verdict)
    # Directional: in chains that all measure the same everywhere there is no direction. One symbol left, or symbols
    # that never change in number, are what WF-1 and ACC-6 claim.
    for value in {0.0, 0.5, 1.0, np.nan} if np.inf in np.abs(claim.band) and name not in {"WF-1", "ACC-6"} else ():
        alike = claim.judge({label: table.assign(value=value) for label, table in tables.items()})
        assert not alike.holds, str(alike)


@pytest.mark.parametrize("name", by_cost(sorted(set(SIMULATED) - ONE_FIT)))
def test_nothing_is_reproduced_without_recursion(name: str):
    """The official runs, ended at generation 0. TT-2 asks 16 chains of 2,000,000 rows, the others are quick."""
    short = {label: execute(replace(run, generations=0, every=1))[0] for label, run in runs_of(KNOWN[name], 1).items()}
    verdict = KNOWN[name].judge(short)
    assert not verdict.holds, str(verdict)
    # What the tables are filled with makes no difference, and neither do tables without rows.
    for value in (0.0, 0.5, 1.0, np.nan):
        assert not KNOWN[name].judge({label: table.assign(value=value) for label, table in short.items()}).holds
    assert not KNOWN[name].judge({label: table.iloc[:0] for label, table in short.items()}).holds


@pytest.mark.parametrize("name", KNOWN)
def test_no_tables_settle_nothing(name: str):
    columns = ["replicate", "generation", "n_train", "metric", "item", "value", "family_args"]
    for tables in ({}, {label: pd.DataFrame(columns=columns, dtype=float) for label in KNOWN[name].runs}):
        verdict = KNOWN[name].judge(tables)
        assert not verdict.holds and np.isnan(verdict.estimate.low)
        assert verdict.verdict == "not_run" and str(verdict).endswith(": not run here")


@pytest.mark.parametrize(
    ("band", "low", "high", "holds"),
    [
        ((0.9, 1.1), 0.95, 1.05, True),
        ((0.9, 1.1), 0.85, 1.05, False),
        ((0.9, 1.1), 0.95, 1.15, False),
        ((1, np.inf), 1.5, 2.5, True),
        ((-np.inf, 1), 1.5, 2.5, False),
        ((0.9, 1.1), np.nan, np.nan, False),
        ((0, np.inf), 0.0, 0.0, False),
        ((-np.inf, 1), 1.0, 1.0, False),
        ((0, np.inf), 0.1, np.inf, True),
    ],
)
def test_the_whole_interval_must_lie_inside_the_band(band, low, high, holds):
    assert example(band, Estimate(1.0, low, high, 5, 0.9999)).holds is holds


def test_a_verdict_reads_as_a_sentence():
    verdict = example((1, np.inf), Estimate(2.0, 1.5, 2.5, 5, 0.9999))
    assert str(verdict) == ("X-1, something is so: ratio 2 [1.5, 2.5] (99.99% interval), allowed above 1: supported")


def test_an_unknown_claim_lists_the_known_ones():
    with pytest.raises(InputError, match=r"^claim nobody: no such claim; known: "):
        claims.named("nobody")


@pytest.mark.parametrize(
    ("estimate", "said"),
    [
        ((0.5, 0.2, 0.8), ": supported"),
        ((0.5, -0.2, 0.8), ": undecided (the value lies inside, its interval reaches out)"),
        ((1.5, 0.8, 2.2), ": undecided (the value lies outside, its interval reaches inside)"),
        ((1.5, 1.0, 2.0), ": contradicted (the whole interval lies outside)"),
        ((-1.5, -2.0, 0.0), ": contradicted (the whole interval lies outside)"),
        ((0.5, np.nan, np.nan), ": undecided (these runs do not settle it)"),
        ((np.nan, np.nan, np.nan), ": undecided (these runs do not settle it)"),
    ],
)
def test_what_is_not_supported_says_why(estimate, said):
    claim = replace(known()["WF-2"], band=(0.0, 1.0))
    assert str(claims.Verdict(claim, Estimate(*estimate, 9, claims.LEVEL))).endswith(said)


@pytest.mark.parametrize("name", [name for name, claim in KNOWN.items() if claim.scale in ("small", "gpu")])
def test_runs_reach_the_generation_that_settles_the_claim(name: str):
    """Shared arms end where the last of their claims does."""
    claim = KNOWN[name]
    for runs in (claim.runs, claim.larger):
        for arguments in runs.values():
            start = {"family": arguments["family"], "generation": 0, "n_train": 1, "family_args": "{}"}
            assert claim.ends(pd.DataFrame([start])) <= arguments["generations"]
