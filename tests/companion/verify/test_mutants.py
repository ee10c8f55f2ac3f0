"""Faults are injected, seen and taken back; what verification is worth is counted right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from model_collapse import cli, streams
from model_collapse.companion import claims, verify
from model_collapse.companion.verify import false_alarms, mutants, mutation, power, pricing
from model_collapse.companion.verify.mutants import Fault
from model_collapse.engine.processes import process_pool
from model_collapse.errors import InputError
from model_collapse.regimes.mix import Mix


def test_the_scan_finds_faults_of_every_layer():
    found = mutants.known()
    assert len(found) >= 50
    assert {"replace-leaks", "divisor-always-n", "beams-are-greedy", "perplexity-of-blocks", "intervals-of-95"} <= set(
        found
    )
    with pytest.raises(InputError, match=r"^--mutants nothing: no such mutant; known: "):
        mutants.named("nothing")


@pytest.mark.parametrize("name", mutants.known())
def test_a_fault_says_what_is_wrong_is_run_through_claims_and_leaves_nothing_behind(name: str):
    one = mutants.known()[name]
    assert one.what.endswith(".") and 0 < len(one.claims(verify.before())) <= mutants.MOST
    with mutants.injected(one):
        inside = [(owner, attribute, vars(owner)[attribute]) for owner, attribute, _ in one.patches()]
    assert inside
    # A private name may go with any refactoring, and the fault with it.
    assert all(attribute.endswith("__") or not attribute.startswith("_") for _, attribute, _ in inside)
    assert all(vars(owner)[attribute] is not instead for owner, attribute, instead in inside)


def test_everything_is_as_before_even_if_the_work_ends_with_an_error():
    before = Mix.__call__, streams.stream
    for name in ("mix-half-the-share", "streams-without-block"):
        with pytest.raises(ZeroDivisionError), mutants.injected(mutants.named(name)):
            assert (Mix.__call__, streams.stream) != before
            raise ZeroDivisionError
    assert (Mix.__call__, streams.stream) == before


def test_claims_are_chosen_by_what_they_use():
    recorded = verify.before()
    for claim in mutants.named("provenance-never-misses").claims(recorded):
        assert any("provenance" in run.get("filter", ()) for run in claims.named(claim).runs.values())
    assert "XM-1" in mutants.named("exchange-with-oneself").claims(recorded)
    assert "GA-2" not in mutants.named("mix-with-replacement").claims(recorded)


CHEAP = {
    "grow-does-not-grow": "GA-5",
    "exchange-with-oneself": "XM-1",
    "copies-of-the-original": "SC-1",
    "mix-half-the-share": "IN-3",
    "streams-without-block": "IN-1",
    "written-rows-pass-for-real": "IN-3",
}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory):
    return verify.verify(sorted(set(CHEAP.values())), jobs=1, folder=tmp_path_factory.mktemp("baseline"))


@pytest.mark.parametrize("name", CHEAP)
def test_a_claim_that_stands_without_the_fault_falls_with_it(name: str, baseline, monkeypatch):
    """Seeded: every claim has its verdict wrong at most once in 10,000 seeds."""
    monkeypatch.setattr(Fault, "claims", lambda self, recorded: [CHEAP[name]])
    entry = mutation.through(mutants.named(name), 1, baseline)
    assert entry["caught"] and entry["by"] == [CHEAP[name]], entry


RECORDED = json.loads((Path(__file__).parents[3] / "records" / "sabotage.json").read_text(encoding="utf-8"))
CAUGHT = {entry["name"]: entry for entry in RECORDED["faults"] if entry["caught"]}


def again(name: str, through: list[str]) -> dict[str, Any]:
    """One fault through these claims, in this process, against the verdicts that were recorded without it."""
    stood = [{"id": claim, "verdict": verdict} for claim, verdict in RECORDED["baseline"]["verdicts"].items()]
    one = mutants.named(name)
    with patch.object(Fault, "claims", lambda self, recorded: through):
        return mutation.through(one, RECORDED["seed"], {"claims": stood})


@pytest.mark.parametrize("name", CAUGHT)
def test_what_was_caught_is_caught(name: str):
    """Every fault that was caught is caught again, through the claims that fell, the cheapest first, until one falls.

    In a process of its own, so that nothing that a fault has changed is left behind.
    """
    known, recorded, fell = claims.known(), verify.before(), CAUGHT[name]["by"]
    ordered = sorted(fell, key=lambda claim: pricing.price(known[claim], recorded)["seconds"] or np.inf)
    with process_pool(1, tasks=1) as executor:
        found = (
            executor.submit(again, name, way).result()
            for way in [[claim] for claim in ordered] or [CAUGHT[name]["claims"]]
        )
        assert any(entry["caught"] and bool(entry["by"]) is bool(fell) for entry in found)


def test_every_fault_was_recorded():
    assert {entry["name"] for entry in RECORDED["faults"]} == set(mutants.known())


def test_what_changes_nothing_is_not_caught_and_an_error_is(baseline):
    def nothing():
        yield streams, "stream", streams.stream

    def broken():
        yield streams, "stream", lambda seed, block=0, model=0: 1 / 0

    harmless = Fault("nothing", "Nothing is wrong.", {"regime": ("grow",)}, nothing)
    entry = mutation.through(harmless, 1, baseline)
    assert entry["claims"] == ["GA-5", "GA-8"] and not entry["caught"] and entry["by"] == [] and entry["how"] == ""
    entry = mutation.through(Fault("broken", "All is wrong.", {"regime": ("grow",)}, broken), 1, baseline)
    assert entry["caught"] and entry["by"] == []
    assert entry["how"] == "the verification ends with ZeroDivisionError: division by zero"


def test_the_command_writes_what_was_caught(tmp_path, capsys):
    out = tmp_path / "sabotage.json"
    assert cli.main(["verify", "--sabotage", "grow-does-not-grow", "--jobs", "1", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    # GA-8 has its closed form from the sizes that a run really had: only GA-5 knows what they should have been.
    assert found["faults"][0]["claims"] == ["GA-5", "GA-8"] and found["faults"][0]["by"] == ["GA-5"]
    assert found["baseline"]["verdicts"] == {"GA-5": "reproduced", "GA-8": "reproduced"}
    assert "1 of 1 faults are caught" in capsys.readouterr().out
    assert cli.main(["verify", "--sabotage", "nobody"]) == 2
    assert "--mutants nobody: no such mutant" in capsys.readouterr().err


def test_alarms_are_counted_from_other_seeds(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(false_alarms, "LEAST", 2)
    out = tmp_path / "alarms.json"
    assert cli.main(["verify", "IN-3", "--alarms", "0", "--jobs", "1", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["claims"] == [{"id": "IN-3", "seeds": 2, "fell": [], "target": 0, "missed": []}]
    assert found["pooled"]["fell"] == pytest.approx({"count": 0, "of": 2, "low": 0, "high": 1 - 0.025**0.5})
    assert "IN-3     2 seeds, fell at none, exact value missed by 0 intervals" in capsys.readouterr().out
    assert cli.main(["verify", "--alarms", "long"]) == 2


def test_an_alarm_is_a_verdict_that_fell_or_an_interval_that_missed():
    def entry(verdict, low, high):
        return {"verdict": verdict, "low": low, "high": high}

    stood, fell, missed = entry("reproduced", -1, 1), entry("not_reproduced", None, None), entry("reproduced", 0.1, 1)
    row = false_alarms._row("IN-3", [(2, stood), (3, fell), (4, missed)])
    assert row == {"id": "IN-3", "seeds": 3, "fell": [3], "target": 0, "missed": [3, 4]}
    assert false_alarms._pooled([row, row | {"missed": None}], "missed")["of"] == 3
    assert false_alarms._pooled([row, row], "fell")["count"] == 2


def _entry(estimate, low, high, band, target=None):
    return {
        "id": "X-1",
        "estimate": estimate,
        "low": low,
        "high": high,
        "band": band,
        "target": target,
        "level": 0.9999,
    }


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (_entry(1.01, 0.98, 1.04, [0.9, 1.1], 1), ("deviation", 1, 0.07, 0.1, 0.01)),
        (_entry(1.0, 0.9, 1.05, [0.8, 1.2]), ("deviation", 1.0, 0.1, 0.2, 0.0)),
        (_entry(0.5, 0.3, 0.9, [0, None]), ("effect", 0, 0.2, 0.4, 0.5)),
        (_entry(0.5, 0.3, 0.6, [None, 1]), ("effect", 1, 0.1, 0.2, 0.5)),
        (_entry(1.0, 0.7, 1.3, [0.9, 1.1], 1), ("deviation", 1, 0.0, 0.1, 0.0)),
    ],
)
def test_power_follows_from_band_and_interval(entry, expected):
    found = power.of(entry)
    assert (found.kind, *np.round([found.target, found.even, found.sure, found.found], 12)) == expected


def test_power_is_what_simulation_says():
    """Estimates about a true value: at `even` half of the claims fall or stand, at `sure` all but one in 20,000."""
    rng, w = np.random.default_rng(0), 0.03
    error = rng.normal(0, w / 3.8906, 200_000)
    found = power.of(_entry(1.0, 1 - w, 1 + w, [0.9, 1.1], 1))
    assert found.falls < 1e-10
    for off, rate in ((found.even, 0.5), (found.sure, 1.0)):
        assert np.mean(1 + off + error + w >= 1.1) == pytest.approx(rate, abs=0.005)
    found = power.of(_entry(1.0, 1 - w, 1 + w, [0, None]))
    for effect, rate in ((found.even, 0.5), (found.sure, 1.0)):
        assert np.mean(effect + error - w > 0) == pytest.approx(rate, abs=0.005)


def test_the_chance_to_fall_is_what_simulation_says():
    """A band that leaves little room: 200,000 estimates about the target, to four standard errors."""
    rng, w = np.random.default_rng(1), 0.06
    estimate = 1 + rng.normal(0, w / 3.8906, 200_000)
    fell = np.mean((estimate - w <= 0.92) | (estimate + w >= 1.1))
    found = power.of(_entry(1.02, 1.02 - w, 1.02 + w, [0.92, 1.1], 1))
    assert found.falls == pytest.approx(fell, abs=4 * np.sqrt(fell / 200_000))
    assert power.of(_entry(1.0, 1.0, 1.0, [0.92, None])).falls == 0
