"""What passed when it was last recorded has to stand now: a claim that is gone, moved or not run is missed as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from model_collapse.cli import main
from model_collapse.companion import claims, verify
from model_collapse.companion.verify import baseline, falls, reporting
from model_collapse.companion.verify.falls import Retired, fallen, retired

ROOT = Path(__file__).parents[3]
DRIFT = ROOT / ".github" / "workflows" / "drift.yml"


OUTCOMES = {
    "reproduced": "supported",
    "reproduced_small": "supported",
    "not_reproduced": "contradicted",
    "undecided": "undecided",
    "not_run": "not_run",
}


def verified(scale: str | None = "simulation", named: tuple[str, ...] = (), **verdicts: str) -> dict[str, Any]:
    """A verification with these verdicts, as `verify` writes it; "small not_run" names another scale."""
    entries = []
    for name, said in verdicts.items():
        own, _, verdict = said.rpartition(" ")
        more = {"outcome": OUTCOMES[verdict], "at_small_scale": verdict == "reproduced_small"}
        entries.append({"id": name, "verdict": verdict, "scale": own or scale or "simulation", **more})
    return {"scale": scale, "named": list(named), "claims": entries}


BEFORE = verified(a="reproduced", b="reproduced", c="not_reproduced", d="small not_run")


@pytest.mark.parametrize(
    ("now", "fell"),
    [
        (BEFORE, {}),
        (verified(a="reproduced", b="reproduced", c="reproduced", d="small reproduced"), {}),
        (verified(a="reproduced", b="reproduced"), {}),
        (verified(a="reproduced", new="reproduced"), {"b": "is gone: removed or renamed"}),
        (verified(a="reproduced", b="not_reproduced"), {"b": "does not now"}),
        (verified(a="reproduced", b="undecided"), {"b": "does not now"}),
        (verified(a="reproduced", b="not_run"), {"b": "is not run any more"}),
        (verified(a="reproduced", b="small not_run"), {"b": "moved from scale simulation to small"}),
        (
            verified(a="reproduced_small", b="reproduced"),
            {"a": "was of full scale then, and is of small scale now"},
        ),
        (verified(), {"a": "is gone: removed or renamed", "b": "is gone: removed or renamed"}),
    ],
)
def test_what_stood_and_does_not(now: dict[str, Any], fell: dict[str, str]) -> None:
    assert fallen(now, {"simulation": BEFORE}) == fell
    assert fallen(now, {}) == {} and fallen(now, {"small": {**BEFORE, "scale": "small"}}) == {}


def test_of_named_claims_only_these_are_compared() -> None:
    now = verified(None, ("a",), a="reproduced")
    assert fallen(now, {"simulation": BEFORE}) == {}
    assert fallen(verified("simulation", ("a",), a="reproduced"), {"simulation": BEFORE}) == {}
    assert fallen(verified(None, ("b",), b="not_reproduced"), {"simulation": BEFORE}) == {"b": "does not now"}


def test_of_a_verification_of_another_scale_only_what_both_have_is_compared() -> None:
    """`--diff` compares any two."""
    other = verified("small", x="reproduced_small", a="simulation not_run")
    assert list(fallen(other, dict.fromkeys(verify.SCALES, BEFORE))) == ["a"]


def test_a_retired_claim_is_named_and_not_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = Retired("2026-11-30", "it could not fail")
    monkeypatch.setattr(falls, "RETIRED", {"b": gone})
    now = verified(a="reproduced")
    assert fallen(now, {"simulation": BEFORE}) == {} and retired(now, {"simulation": BEFORE}) == {"b": gone}
    monkeypatch.setattr(reporting, "line", lambda entry: entry["id"])
    assert reporting.report(now, {"simulation": BEFORE}) == 0
    said = "b passed when it was last recorded; retired on 2026-11-30: it could not fail"
    assert said in capsys.readouterr().out.splitlines()


def test_what_is_retired_is_no_claim_any_more() -> None:
    assert not set(falls.RETIRED) & set(claims.known())
    for about in falls.RETIRED.values():
        assert len(about.date) == len("2026-11-30") and about.reason


def test_a_claim_that_was_removed_ends_the_command_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command, with what a verification of two claims once found in the place of one of all."""
    whole = baseline.read(ROOT / "records" / "verify-simulation.json")
    monkeypatch.chdir(tmp_path)

    def finds(*names: str) -> dict[str, Any]:
        kept = {**whole, "claims": [entry for entry in whole["claims"] if entry["id"] in names]}
        monkeypatch.setattr(verify, "verify", lambda *_, **__: kept)
        return kept

    both = finds("GA-7", "XM-3")
    monkeypatch.setattr(verify, "before", dict)
    assert main(["verify", "--json", "both.json"]) == 0
    said = capsys.readouterr().out
    assert "records/verify-simulation.json is not there: there is nothing to compare with" in said
    assert main(["verify", "--need-baseline"]) == 1, "where it is asked for"
    monkeypatch.setattr(verify, "before", lambda: {"simulation": both})
    assert main(["verify", "--need-baseline"]) == 0
    capsys.readouterr()
    finds("GA-7")
    assert main(["verify", "--json", "one.json"]) == 1
    assert "XM-3 passed when it was last recorded, and is gone: removed or renamed" in capsys.readouterr().out
    assert main(["verify", "--diff", "both.json", "one.json"]) == 1
    assert "XM-3 passed in the first, and is gone: removed or renamed" in capsys.readouterr().out


@pytest.mark.parametrize("scale", ["simulation", "small"])
def test_every_week_each_scale_is_verified_and_what_falls_becomes_an_issue(scale: str) -> None:
    """Where nothing was kept of a scale the command says so and ends well: an issue would say that a claim fell."""
    (job,) = [job for job in yaml.safe_load(DRIFT.read_text())["jobs"].values() if "strategy" in job]
    assert scale in job["strategy"]["matrix"]["scale"]
    (command,) = [step["run"] for step in job["steps"] if step.get("id") == "verify"]
    assert "verify --scale ${{ matrix.scale }} --json" in command and "--need-baseline" not in command
