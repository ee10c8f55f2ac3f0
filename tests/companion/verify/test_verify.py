"""`model-collapse verify`: claims afresh from seeds, the same bits however they are run, and what falls is told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_collapse.cli import main
from model_collapse.companion import claims, verify
from model_collapse.companion.verify import baseline, mutants, pricing
from model_collapse.companion.verify.codecheck import codecheck
from model_collapse.engine.execute import execute_all
from model_collapse.errors import ExternalError, InputError

QUICK = ("GA-7", "ACC-6", "MIX-3", "XM-3")
ROOT = Path(__file__).parents[3]


def numbers(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries without times."""
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in found["claims"]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return verify.verify(QUICK, seed=3, jobs=1, folder=tmp_path_factory.mktemp("verify"))


def test_one_seed_gives_the_same_bytes_but_for_times_with_any_number_of_processes(found, tmp_path):
    again = verify.verify(QUICK, seed=3, jobs=2, folder=tmp_path)
    assert json.dumps(numbers(again)) == json.dumps(numbers(found))
    assert not any(tmp_path.iterdir()), "what is judged is not kept: the next call computes it again"
    other = verify.verify(QUICK, seed=4, jobs=1, folder=tmp_path)
    assert [entry["estimate"] for entry in other["claims"]] != [entry["estimate"] for entry in found["claims"]]


def test_an_interrupted_verification_goes_on(found, tmp_path, monkeypatch):
    """Cut after the first runs, the same call does only the others."""
    whole = execute_all
    made: list[str] = []

    def some(runs: dict[Path, Any], **settings: Any) -> None:
        first = dict(list(runs.items())[:2])
        whole(first, **settings)
        made.extend(file.name for file in first)
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "execute_all", some)
    with pytest.raises(KeyboardInterrupt):
        verify.verify(QUICK, seed=3, jobs=1, folder=tmp_path)
    (place,) = tmp_path.iterdir()
    times = {name: (place / name).stat().st_mtime_ns for name in made}

    def rest(runs: dict[Path, Any], **settings: Any) -> None:
        assert {name: (place / name).stat().st_mtime_ns for name in made} == times
        whole(runs, **settings)
        assert {name: (place / name).stat().st_mtime_ns for name in made} == times

    monkeypatch.setattr(verify, "execute_all", rest)
    assert numbers(verify.verify(QUICK, seed=3, jobs=1, folder=tmp_path)) == numbers(found)


def test_every_entry_has_what_a_reviewer_asks_for(found):
    for entry in found["claims"]:
        assert entry["verdict"] == "reproduced" and entry["low"] <= entry["estimate"] <= entry["high"]
        assert entry["seconds"] > 0 and entry["device"] == "cpu" and entry["command"] == f"{SAY} {entry['id']}"
        assert (entry["outcome"], entry["kind"], entry["looks"]) == ("supported", "theory", 1)
        assert entry["at_small_scale"] is False and entry["p"] is None and entry["p_adjusted"] is None
    assert set(found["made"]) >= {"commit", "dirty", "versions", "machine", "source", "created_at"}


SAY = "model-collapse verify"


def test_claims_are_chosen_by_scale_or_by_name():
    known = claims.known()
    simulated = {name for name, claim in known.items() if claim.scale == "simulation"}
    assert set(verify.chosen()) == set(verify.chosen(scale="simulation")) == simulated and len(simulated) >= 34
    assert set(verify.chosen(scale="small")) == {name for name, claim in known.items() if claim.scale == "small"}
    assert set(verify.chosen(scale="gpu")) >= {"SH-1", "SH-2b", "SH-3"}
    assert list(verify.chosen(["SH-2", "GA-1"])) == ["SH-2", "GA-1"], "each at its own scale"
    assert not verify.chosen(["SH-1"]), "what needs a GPU has to be asked for"
    for names, scale, said in (
        (["nobody"], None, "claim nobody: no such claim; known: "),
        ([], "large", "--scale large: must be one of simulation, small, gpu"),
        (["GA-1"], "small", "--scale small: claim GA-1 has runs of simulation"),
    ):
        with pytest.raises(InputError, match=f"^{said}"):
            verify.chosen(names, scale)


def test_without_a_gpu_what_needs_one_is_not_run_and_says_what_it_costs(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["verify", "SH-1"]) == 0
    said = capsys.readouterr().out
    assert "SH-1     not run here: model-collapse verify SH-1 --scale gpu, " in said and "(estimated)" in said
    with pytest.raises(ExternalError, match=r"^--scale gpu: there is no GPU here"):
        verify.verify(scale="gpu")
    assert main(["verify", "--scale", "gpu"]) == 3


def test_a_claim_that_stood_and_falls_is_status_1(tmp_path, monkeypatch, capsys):
    """The same run, judged by a check that finds something else."""
    arguments = ["verify", "GA-7", "--jobs", "1", "--json", str(tmp_path / "a.json")]
    monkeypatch.setattr(
        verify, "before", lambda: {"simulation": baseline.read(ROOT / "records/verify-simulation.json")}
    )
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 0
    moved = dataclasses.replace(claims.known()["GA-7"], band=(1.5, 2.0))
    monkeypatch.setattr(claims, "known", lambda: {"GA-7": moved})
    arguments[-1] = str(tmp_path / "b.json")
    assert main(arguments) == 1
    said = capsys.readouterr().out
    assert "GA-7 passed when it was last recorded, and does not now" in said
    assert main(["verify", "--diff", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 1
    changed = capsys.readouterr().out
    assert "GA-7: reproduced -> not_reproduced" in changed and "GA-7: band [0.98, 1.02] -> [1.5, 2.0]" in changed
    assert main(["verify", "--diff", *[str(tmp_path / "a.json")] * 2]) == 0
    assert capsys.readouterr().out == "no difference but in times\n"


def test_what_is_no_verification_is_one_line(tmp_path, capsys):
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "cut.json").write_text('{"seed": 1, "claims": [')
    (tmp_path / "odd.json").write_text(
        json.dumps({"seed": 1, "made": {}, "claims": [{"id": "GA-1", "verdict": "yes"}]})
    )
    for name in ("list.json", "cut.json", "odd.json", "none.json", "."):
        assert main(["verify", "--diff", str(tmp_path / name), str(tmp_path / name)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"model-collapse: {tmp_path / name}".rstrip("/.")), line
    for arguments in (["--seed", "x"], ["--jobs", "0"], ["--json", str(tmp_path / "no" / "a.json")]):
        assert main(["verify", "GA-7", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"model-collapse: {arguments[0]} ")


def test_what_differs_is_told_line_by_line(found):
    other = json.loads(json.dumps(found))
    other["claims"][0]["estimate"] += 2
    other["claims"][1]["verdict"] = "not_reproduced"
    other["claims"].pop()
    other["made"]["versions"]["numpy"] = "0"
    lines = verify.differences(found, other)
    assert [line.partition(":")[0] for line in lines] == [
        "numpy",
        *(entry["id"] for entry in found["claims"][:2]),
        "XM-3",
    ]
    assert lines[-1] == "XM-3: only in the first"
    assert verify.regressions(other | {"scale": "simulation"}, {"simulation": found}) == [found["claims"][1]["id"]]
    assert not verify.regressions(found | {"scale": "simulation"}, {"simulation": other}), "what rises does not fall"


def test_the_recorded_verifications_are_of_the_register():
    """Every claim of simulation scale was run when it was last recorded, by the bands that hold now."""
    recorded = verify.before()
    ran = {entry["id"]: entry for entry in recorded["simulation"]["claims"] if entry["verdict"] != "not_run"}
    simulated = {name: claim for name, claim in claims.known().items() if claim.scale == "simulation"}
    assert set(ran) == set(simulated)
    for name, claim in simulated.items():
        assert ran[name]["band"] == verify.about(claim)["band"], f"{name} has another band than when it was recorded"
        assert ran[name]["verdict"] in verify.PASSING, name
        assert pricing.price(claim, recorded) == {"seconds": ran[name]["seconds"], "device": "cpu", "measured": True}


def test_what_was_kept_is_read_once_for_all_claims(monkeypatch):
    files: list[str] = []
    read = baseline.read
    monkeypatch.setattr(baseline, "read", lambda file: files.append(file.name) or read(file))
    every = sorted(file.name for file in (ROOT / "records").glob("verify-*.json"))
    assert main(["claims"]) == 0
    assert files == every
    files.clear()
    mutants.named("replace-leaks").claims(verify.before())
    assert files == every


def test_the_price_of_a_run_of_the_papers_size():
    """OPT-125m, 1,000 blocks, 5 epochs, greedy: 2 x 1.25e8 x 64,000 x (15 + 1) = 2.56e14 operations a generation."""
    runs = {"a": {"settings": {"family.decoding": "greedy"}, "n": 1000, "generations": 9, "replicates": 5}}
    assert pricing.estimated(runs) == pytest.approx(50 * 2.56e14 / 1e14, rel=0.05)


def test_every_claim_has_statement_source_band_scale_and_command(capsys):
    assert main(["claims", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["id"] for entry in listed] == list(claims.known())
    for entry in listed:
        assert all(entry[key] for key in ("id", "statement", "source", "measured", "reason", "command", "chapter")), (
            entry
        )
        assert any(end is not None for end in entry["band"]) and entry["scale"] in (*verify.SCALES, "review")


def test_codecheck_is_in_step_with_the_register():
    written = (ROOT / "codecheck.yml").read_text(encoding="utf-8")
    assert written == codecheck(), "write it again: model-collapse claims --codecheck > codecheck.yml"
    config = yaml.safe_load(written)
    assert config["paper"]["authors"][0] == {"name": "Ilia Shumailov"}
    said = "\n".join(entry["comment"] for entry in config["manifest"])
    assert all(f"\n{claim.id}: " in said for claim in claims.known().values() if claim.scale != "review")


def test_a_claim_without_a_baseline_is_said_to_have_none(found, capsys):
    """What was never recorded cannot fall: silence would look like a check."""
    verify.report(found, {})
    assert f"{len(QUICK)} of them were never recorded at this scale" in capsys.readouterr().out
    verify.report(found, {"simulation": found})
    assert "never recorded" not in capsys.readouterr().out
