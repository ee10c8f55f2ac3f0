"""The runner: what it refuses, what it runs, what it leaves alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import Once
from toy_chapters import chapter
from waiting import until

from model_collapse import paths, store
from model_collapse.companion import records
from model_collapse.companion.book import executed, runner
from model_collapse.companion.book.chapter import Cost, check, find
from model_collapse.companion.records.effects import REMEDIES
from model_collapse.engine.execute import run_all
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError

ROOT = Path(__file__).parents[3]
MEET = """
import pathlib, time
pathlib.Path("met-{0}").touch()
limit = time.time() + 1800
while not pathlib.Path("met-{1}").exists() and time.time() < limit:
    time.sleep(0.05)
print(time.time() < limit)
"""
CLOCK = "import time\nbegun = time.time()\ntime.sleep(0.5)\nprint(begun, time.time())"


def printed(copy: Path) -> str:
    """All that an executed copy printed."""
    cells = nbformat.read(copy, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", ()))


def seconds(copy: Path) -> tuple[float, float]:
    begun, ended = map(float, printed(copy).split())
    return begun, ended


@pytest.fixture
def ran(once: Once) -> tuple[Path, int, str, str]:
    """Seven toy chapters, run once: the folder, the exit status, stdout and stderr."""
    root = once("toy-chapters", run_toys)
    status, out, err = json.loads((root / "said.json").read_text(encoding="utf-8"))
    return root, status, out, err


def run_toys(root: Path) -> None:
    """Run them in an empty folder."""
    chapter(root, "01_good")
    chapter(root, "02_where", ["import sys, os\nprint(sys.executable, os.getcwd())"])
    chapter(root, "03_crash", ["print('before')", "1 / 0", "print('after')"])
    chapter(root, "04_early", [MEET.format("early", "late")])
    chapter(root, "05_late", [MEET.format("late", "early")])
    chapter(root, "06_big", [CLOCK], device="T4")
    chapter(root, "07_huge", [CLOCK], device="T4")
    # A kernelspec of the same name that leads nowhere must not be taken.
    spec = root / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    spec.joinpath("kernel.json").write_text('{"argv": ["/nowhere"], "display_name": "Other", "language": "python"}')
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(root), "smoke", "4"],
        env=os.environ | {"JUPYTER_PATH": str(root / "jupyter"), "PYTHONPATH": str(ROOT / "src")},
        cwd=root,
        capture_output=True,
        text=True,
    )
    said = json.dumps([done.returncode, done.stdout, done.stderr])
    (root / "said.json").write_text(said, encoding="utf-8")


_RUN = (
    "import sys; from pathlib import Path; from model_collapse.companion.book import runner;"
    "sys.exit(runner.run((), sys.argv[2], jobs=int(sys.argv[3]), root=Path(sys.argv[1])))"
)


def test_finds_the_chapters_of_this_book() -> None:
    found = {chapter.slug: chapter for chapter in find(ROOT)}
    assert {"gaussian", "language_model"} <= set(found)
    assert len(found) == len(list((ROOT / "notebooks").glob("*.ipynb")))


@pytest.mark.parametrize("file", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda file: file.stem)
def test_notebook_keeps_the_conventions(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code), "a clean notebook has no outputs"
    assert notebook.metadata.kernelspec.name == "python3"
    assert "papermill" not in notebook.metadata
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    assert code[0].metadata.tags == ["colab", "remove-cell"]
    assert code[1].metadata.tags == ["parameters"]
    assert len(code) <= 25, "a chapter is thin: what is long belongs in the package"
    found = next(chapter for chapter in find(ROOT) if chapter.path == file)
    assert {"smoke", "laptop"} <= set(found.cost)
    assert found.parameters["profile"] == "str"


def test_reads_cost_and_parameters(tmp_path: Path) -> None:
    chapter(tmp_path, "03_last")
    chapter(tmp_path, "01_first_one", profiles=["smoke", "paper"], device="T4")
    first, last = find(tmp_path)
    assert (first.slug, first.title, list(first.cost)) == ("first_one", "First one", ["smoke", "paper"])
    assert first.cost["paper"] == Cost("T4", 0.05, 1) and first.cost["paper"].on_gpu
    assert last.slug == "last" and not last.cost["smoke"].on_gpu
    assert last.parameters == {"profile": "str", "n": "int | None", "share": "float", "words": "str | None"}


@pytest.mark.parametrize(
    ("names", "profile", "parameters", "said"),
    [
        (["nothing"], "smoke", {}, "nothing: not a chapter; known: one, two"),
        ([], "huge", {}, "--profile huge: not a profile; known: smoke, laptop, t4, t4-10min, paper"),
        (["one"], "t4", {}, "--profile t4: chapter one does not have it; it has smoke, laptop"),
        ([], "t4", {}, "--profile t4: no chapter has it"),
        (["one"], "smoke", {"m": "1"}, "-p m: chapter one has no such parameter; it has n, share, words"),
        (["one", "two"], "smoke", {"share": "0.1"}, "-p share: chapter two has no such parameter; it has n"),
        (["one"], "smoke", {"n": "many"}, "-p n=many: n takes int | None"),
        (["one"], "smoke", {"n": "1.5"}, "-p n=1.5: n takes int | None"),
        (["one"], "smoke", {"n": ""}, "-p n=: n takes int | None"),
        (["one"], "smoke", {"share": "nan"}, "-p share=nan: share takes float"),
        (["one"], "smoke", {"share": "inf"}, "-p share=inf: share takes float"),
        (["one"], "smoke", {"profile": "laptop"}, "-p profile: use --profile"),
    ],
)
def test_refuses_in_one_line_before_anything_runs(
    tmp_path: Path, names: list[str], profile: str, parameters: dict[str, str], said: str
) -> None:
    chapter(tmp_path, "01_one")
    chapter(tmp_path, "02_two", parameters='profile: str = "laptop"\nn: int = 1')
    with pytest.raises(InputError) as caught:
        runner.run(names, profile, parameters, root=tmp_path)
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)
    assert not (tmp_path / "_build").exists()


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("int", "3", 3),
        ("float", "1e-3", 1e-3),
        ("bool", "true", True),
        ("str | None", "none", "none"),
        ("list[int]", "10,100", [10, 100]),
        ("list[float] | None", "[0.1, 1]", [0.1, 1.0]),
        ("Literal['a', 'b']", "b", "b"),
    ],
)
def test_reads_values_by_annotation(tmp_path: Path, annotation: str, text: str, value: object) -> None:
    chapter(tmp_path, "01_one", parameters=f'profile: str = "laptop"\nx: {annotation} = None')
    assert check(find(tmp_path), {"x": text}) == {"x": value}


@pytest.mark.parametrize(
    "cell", ["n = 3", "import os", "n: Path = 1", "n: dict[str, int] = 1", "print(1)", "n: os.system('x') = 1"]
)
def test_refuses_a_parameters_cell_that_it_cannot_read(tmp_path: Path, cell: str) -> None:
    chapter(tmp_path, "01_one", parameters=cell)
    with pytest.raises(InputError):
        find(tmp_path)


def test_refuses_a_notebook_without_costs(tmp_path: Path) -> None:
    file = chapter(tmp_path, "01_one")
    file.write_text(re.sub(r'"minutes": [\d.]+', '"minutes": "long"', file.read_text()))
    with pytest.raises(InputError, match=r"01_one.ipynb: .*chapter.cost"):
        find(tmp_path)


def test_prints_the_cost_and_one_line_per_chapter(ran: tuple[Path, int, str, str]) -> None:
    _, _, out, _ = ran
    assert re.search(r"^good +cpu +0.05 +1$", out, re.MULTILINE)
    assert re.search(r"^to run +0.35 +7 +4 at a time$", out, re.MULTILINE)
    lines = re.findall(r"^\[(\d)/7\] (\w+) +(done|failed)", out, re.MULTILINE)
    assert [count for count, _, _ in lines] == list("1234567")
    assert {name: how for _, name, how in lines}["crash"] == "failed"
    assert out.count(" left\n") == 6, "all but the last line say how long it will still take"


def test_a_failure_is_one_line_and_the_others_go_on(ran: tuple[Path, int, str, str]) -> None:
    root, status, _, err = ran
    assert status == 1
    copy = "_build/executed/smoke/notebooks/03_crash.ipynb"
    assert err == f"model-collapse: crash: ZeroDivisionError: division by zero (executed copy: {copy})\n"
    assert printed(root / copy) == "before\n"
    assert executed.manifest(root / copy) == {}
    assert printed(root / "_build/executed/smoke/notebooks/01_good.ipynb") == "smoke None 0.5\n"


def test_kernel_is_this_interpreter_in_the_callers_folder(ran: tuple[Path, int, str, str]) -> None:
    root, *_ = ran
    printed_by = printed(root / "_build/executed/smoke/notebooks/02_where.ipynb").split()
    assert printed_by == [sys.executable, str(root.resolve())]


def test_side_by_side_but_one_at_a_time_on_the_gpu(ran: tuple[Path, int, str, str]) -> None:
    root, *_ = ran
    copies = root / "_build/executed/smoke/notebooks"
    assert printed(copies / "04_early.ipynb") == printed(copies / "05_late.ipynb") == "True\n", (
        "each waited for the other"
    )
    big, huge = seconds(copies / "06_big.ipynb"), seconds(copies / "07_huge.ipynb")
    assert max(big[0], huge[0]) > min(big[1], huge[1])


def test_manifest_says_where_outputs_come_from(ran: tuple[Path, int, str, str]) -> None:
    root, *_ = ran
    copy = root / "_build/executed/smoke/notebooks/01_good.ipynb"
    about = executed.manifest(copy)
    assert (about["chapter"], about["profile"], about["parameters"]) == ("good", "smoke", {})
    assert about["versions"]["numpy"] and about["device"] and about["seconds"] > 0
    assert {"commit", "dirty", "started", "executed"} <= set(about)
    for file in (copy, copy.with_suffix(".json")):
        assert str(root) not in file.read_text(), "no path of this machine"


def test_runs_again_only_what_has_changed(
    ran: tuple[Path, int, str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = shutil.copytree(ran[0], tmp_path / "ran")
    copy = root / "_build/executed/smoke/notebooks/01_good.ipynb"
    before = copy.stat().st_mtime_ns

    def again(force: bool = False) -> bool:
        assert runner.run(["good"], "smoke", force=force, root=root) == 0
        return "unchanged, not run again" not in capsys.readouterr().out

    assert not again()
    text = (root / "notebooks/01_good.ipynb").read_text()
    (root / "notebooks/01_good.ipynb").write_text(text.replace("What does", "What, if anything, does"))
    assert not again(), "prose decides no output"
    assert copy.stat().st_mtime_ns == before
    assert again(force=True)
    (root / "notebooks/01_good.ipynb").write_text(text.replace("print(profile", "print('new', profile"))
    assert again() and printed(copy) == "new smoke None 0.5\n"
    good = find(root)[0]
    assert executed.unchanged(good, "smoke", {})
    for name in ("source_hash", "lock_hash"):
        with monkeypatch.context() as patch:
            patch.setattr(store, name, lambda: "other")
            assert not executed.unchanged(good, "smoke", {})
    copy.write_text(copy.read_text() + " ")
    assert executed.problem(good, "smoke") == "is damaged"


def test_new_data_run_a_chapter_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chapter(tmp_path, "01_one")
    one = find(tmp_path)[0]
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    corpus.joinpath("a.txt").write_text("a")
    before = executed.inputs(one, "smoke", {"words": str(corpus)})
    assert executed.inputs(one, "smoke", {"words": str(corpus)}) == before
    corpus.joinpath("b.txt").write_text("b")
    changed = executed.inputs(one, "smoke", {"words": str(corpus)})
    assert [key for key in before if before[key] != changed[key]] == ["data"]
    without = executed.inputs(one, "smoke", {})
    monkeypatch.setattr(paths, "data", lambda: corpus)
    assert executed.inputs(one, "smoke", {})["data"] != without["data"]


def test_a_record_that_a_called_function_reads_makes_the_chapter_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chapter `remedies` names none of the records that the table of remedies is made of."""
    for folder in ("records", "runs"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(paths, "records", lambda: tmp_path / "records")
    monkeypatch.chdir(tmp_path)
    arms = {"a": plan("gaussian", n=10, generations=1)}
    tables = run_all(arms, tmp_path / "runs")
    records.write("curation", arms, *tables)
    here = "from pathlib import Path\nfrom model_collapse import paths\npaths.records = lambda: Path('records')"
    asks = "from model_collapse.companion.records import effects\nprint(effects.measured()[1])"
    chapter(tmp_path, "30_remedies", [here, asks])
    assert runner.run((), "smoke", root=tmp_path) == 0
    (one,) = find(tmp_path)
    read = executed.manifest(executed.path_of(one, "smoke"))["records"]
    assert {remedy.record for remedy in REMEDIES} == set(read) and read["minorities"] == "" != read["curation"]
    assert executed.problem(one, "smoke") is None
    records.write("other", arms, *tables)
    assert executed.problem(one, "smoke") is None, "what it did not ask for"
    records.write("curation", arms, *tables, seconds=1.5)
    assert executed.problem(one, "smoke") == "is stale (record curation changed)"
    records.write("minorities", arms, *tables)
    assert executed.problem(one, "smoke") == "is stale (record curation, record minorities changed)"


def test_overrides_lie_apart(tmp_path: Path) -> None:
    chapter(tmp_path, "01_one")
    assert runner.run(["one"], "smoke", {"n": "7", "words": "a 'quoted' word"}, root=tmp_path) == 0
    (copy,) = (tmp_path / "_build" / "executed").glob("*/notebooks/01_one.ipynb")
    assert re.fullmatch(r"smoke-[0-9a-f]{8}", copy.parents[1].name)
    assert printed(copy) == "smoke 7 0.5\n"
    assert executed.manifest(copy)["parameters"] == {"n": 7, "words": "a 'quoted' word"}
    assert executed.problem(find(tmp_path)[0], "smoke") == "has not been run"


@pytest.mark.parametrize(("raised", "status"), [("InputError", 2), ("ExternalError", 3)])
def test_errors_for_the_user_keep_their_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], raised: str, status: int
) -> None:
    chapter(tmp_path, "01_one", [f"from model_collapse.errors import {raised}\nraise {raised}('n=0: at least 1')"])
    assert runner.run((), "smoke", root=tmp_path) == status
    assert capsys.readouterr().err == "model-collapse: one: n=0: at least 1\n"


def test_the_status_is_that_of_the_error_and_not_of_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = "from model_collapse.errors import OutOfMemory\nraise OutOfMemory('less at a time')"
    chapter(tmp_path, "01_full", [full])
    assert runner.run((), "smoke", root=tmp_path) == 3
    assert capsys.readouterr().err == "model-collapse: full: less at a time\n"
    chapter(tmp_path, "01_full", ["class InputError(Exception): ...\nraise InputError('of another library')"])
    assert runner.run((), "smoke", root=tmp_path) == 1


def test_a_dead_kernel_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chapter(tmp_path, "01_one", ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"])
    assert runner.run((), "smoke", root=tmp_path) == 1
    assert "one: DeadKernel: the kernel died" in capsys.readouterr().err


def test_nothing_survives_a_killed_runner(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    cell = f"import os, pathlib, time\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\ntime.sleep(3600)"
    chapter(tmp_path, "01_one", [cell])
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    runner = subprocess.Popen([sys.executable, "-c", _RUN, str(tmp_path), "smoke", "1"], env=environment)
    assert until(lambda: pid.is_file() and pid.read_text() != "", lambda: runner.poll() is None)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    kernel = int(pid.read_text())
    until(lambda: not _alive(kernel))
    assert executed.problem(find(tmp_path)[0], "smoke") is not None
    assert not list(tmp_path.rglob("01_one.json"))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    # A process that has ended but whose parent has not asked for it is gone too.
    return not (status.is_file() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_a_damaged_manifest_counts_as_none(tmp_path: Path) -> None:
    copy = tmp_path / "01_one.ipynb"
    copy.with_suffix(".json").write_text('{"chapter": ')
    assert executed.manifest(copy) == {}
    copy.with_suffix(".json").write_text(json.dumps([1]))
    assert executed.manifest(copy) == {}


def test_chapters_are_told_that_the_runner_runs_them() -> None:
    assert runner._environment(2)[paths.RUNNER] == "1"
