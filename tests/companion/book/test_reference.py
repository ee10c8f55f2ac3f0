"""The pages that are made from the code and from records."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
from pathlib import Path

import pybtex.database
import pytest
from docutils import nodes

from model_collapse import theory
from model_collapse.companion import bench, claims, records, verify
from model_collapse.companion.book.chapter import find
from model_collapse.companion.verify import evidence

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import closed_forms  # noqa: E402
import register  # noqa: E402
import speed  # noqa: E402
import status  # noqa: E402
import works  # noqa: E402

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
    # CTranslate2 is installed for a benchmark only.
    known = [name for name, benchmark in bench.benchmarks().items() if benchmark.published != "ctranslate"]
    assert sorted([*(r["name"] for r in record["results"]), *record["missing"]]) == sorted(known)
    assert all(reason in speed.table(record) for reason in record["missing"].values())
    page = speed.table(record)
    for r in record["results"]:
        assert f"| `{r['name']}` |" in page and r["note"] in page
        assert r["met"] or "**no**" in page


@pytest.mark.parametrize("name", claims.known())
def test_a_row_of_the_register_leads_to_figure_code_and_command(name: str):
    claim = claims.known()[name]
    said = register.where(claim, ROOT, shown=True)
    page = re.search(r"{doc}`/([^`]+)`", said)[1]
    assert (ROOT / f"{page}.ipynb").is_file() or (ROOT / f"{page}.md").is_file()
    file, line = re.search(r"/blob/[^/]+/([^)#]+)#L(\d+)", said).groups()
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    assert 0 < int(line) <= len(lines) and claim.command in said
    if claim.figure:
        assert f"{{numref}}`{claim.figure}`" in said
    assert "{numref}" not in register.where(claim, ROOT, shown=False)
    assert claim.measured in register.details(claim) and claim.reason in register.details(claim)


def test_dois_and_arxiv_numbers_are_links():
    assert register._linked("Wright 1931, doi:10.1/x; and (arXiv:2404.01413).") == (
        "Wright 1931, [doi:10.1/x](https://doi.org/10.1/x); and "
        "([arXiv:2404.01413](https://doi.org/10.48550/arXiv.2404.01413))."
    )


def test_what_was_checked_is_shown_as_it_was_found():
    """A verdict by another band or by other code than now says so."""
    found = verify.before()["simulation"]
    entry = next(entry for entry in found["claims"] if entry["id"] == "GA-1") | {"older": False}
    claim = claims.known()["GA-1"]
    said = register.checked(claim, entry)
    assert said.startswith("**supported**") and f"{entry['estimate']:.3g}" in said
    assert register.checked(claim, entry | {"older": True}).endswith(", by earlier code")
    assert register.checked(claim, entry | {"band": [0, 1]}).endswith(", with another band than now")
    assert register.checked(claim, None) == "**not run here**"
    assert register.older(found | {"made": found["made"] | {"source": "other"}})
    table = register.summary({"simulation": found})
    assert f"| simulation | {sum(e['verdict'] == 'reproduced' for e in found['claims'])} | 0 | 0 | 0 |" in table
    assert "| small | not run yet" in table


def test_a_claim_has_one_verdict():
    """The fresh check decides, or else the recorded runs, if they agree; what serves no claim says nothing."""
    kept = ["**supported at small scale**\n\n1", "**does not serve this claim**: other settings", "mnist: not here"]
    assert register.outcome(None, []) == register.outcome(None, kept[1:]) == "not run here"
    assert register.outcome(None, kept) == "supported"
    assert register.outcome(None, ["**contradicted**\n\n2", *kept]) == "mixed"
    assert register.outcome({"outcome": "undecided"}, kept) == "undecided"
    assert register.totals(["supported", "undecided", "supported"]).startswith(
        "**3 claims: 2 supported, 1 undecided.**"
    )


def test_recorded_runs_are_judged_as_the_claim_judges_them_and_corrected_together():
    shown = register.recorded()
    asked, unserved = [], 0
    for claim in claims.known().values():
        for record in claim.recorded:
            if not records.begun(record):
                assert f"{record}: not here" in shown[claim.id]
                continue
            (text,) = (text for text in shown[claim.id] if f"\n\n{record}: " in text)
            if why := evidence.unserved(claim, register._record(record)):
                assert text.startswith(f"**does not serve this claim**: {why}")
                unserved += 1
            else:
                asked.append((claim, record, text))
    assert asked and unserved
    alone = [claim.judge(register._record(record).tables) for claim, record, _ in asked]
    for (claim, record, text), verdict, corrected in zip(asked, alone, claims.together(alone), strict=True):
        assert verdict.verdict != "not_run", f"{claim.id}: {record} has not what the claim needs"
        assert text.startswith(f"**{corrected.words}**") and f"{verdict.estimate}" in text
        assert corrected.p_adjusted is None or f", adjusted p {corrected.p_adjusted:.2g}" in text


def test_the_status_of_a_chapter_is_its_manifest():
    first, second, *_ = find(ROOT)
    made = {"started": "2026-01-02T03:04:05", "seconds": 61.0, "commit": "a" * 40, "dirty": True, "device": "CPU"}
    page = status.table([(first, made | {"versions": {"numpy": "2"}}), (second, {})], "laptop")
    assert "| 2026-01-02 03:04 | 61 s |" in page and "`aaaaaaaaaaaa`, changed since | CPU |" in page
    assert "1 of 2 chapters, 61 s" in page and "| not run |" in page and "Versions: numpy 2." in page


def flat(typeset: list[nodes.Node]) -> str:
    """Subscripts as _{}, superscripts as ^{}."""
    marks = {nodes.subscript: "_{%s}", nodes.superscript: "^{%s}"}
    return "".join(marks.get(type(n), "%s") % (flat(n.children) if n.children else n.astext()) for n in typeset)


@pytest.mark.parametrize(
    ("plain", "set_"),
    [
        ("E[s_n^2] = (1 - 1/M)^n", "E[s_{n}^{2}] = (1 - 1/M)^{n}"),
        ("chi^2_(M-1) <= pi sqrt(M)", "χ^{2}_{M-1} ≤ π √(M)"),
        ("prod_(j=1..t) (1 - g_(k-1)) -> e^-1", "∏_{j=1..t} (1 - g_{k-1}) → e^{-1}"),
        ("psi_1^1.5 sqrt n", "ψ_{1}^{1.5} √n"),
        ("a real_fraction, a matrix beta variate", "a real_fraction, a matrix beta variate"),
    ],
)
def test_formulas_in_docstrings_are_typeset_and_names_are_left_alone(plain: str, set_: str):
    assert flat(closed_forms.typeset(plain)) == set_


@pytest.mark.parametrize("name", MODULES)
def test_no_formula_of_the_page_is_left_as_typed(name: str):
    for function in closed_forms.functions(importlib.import_module(f"model_collapse.theory.{name}")):
        text = re.sub(r"`[^`]*`", "", function.__doc__ or "")
        shown = "".join(node.astext() for node in closed_forms.typeset(text))
        assert re.findall(r"(?<![A-Za-z_])[A-Za-z][_^][A-Za-z0-9(]", shown) == []


def test_works_are_labelled_as_they_are_cited():
    """Names as in the text: one, two, or the first of several; equal labels get letters."""
    entries = pybtex.database.parse_file(str(ROOT / "book" / "references.bib")).entries
    assert works.label(entries["gibney2024"]) == "Gibney, 2024"
    assert works.label(entries["bohacek2023"]) == "Bohacek and Farid, 2023"
    assert works.label(entries["seddik2024"]) == "Seddik et al., 2024", "others whose names were not checked"
    labels = list(works.Labels().format_labels(entries.values()))
    assert len(set(labels)) == len(labels) == len(entries)
    assert {labels[list(entries).index(name)] for name in ("shumailov2024", "shumailov2024code")} == {
        "Shumailov et al., 2024a",
        "Shumailov et al., 2024b",
    }
