"""Runs of image families: what is kept of them, cut and resumed, packed, mirrored, recorded, and by the command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy_runs import killed_at, same
from waiting import until

from model_collapse import cli, families, paths, regimes, registry, store, streams
from model_collapse.analysis.stats import per_replicate
from model_collapse.companion import records
from model_collapse.companion.records import run as recording
from model_collapse.companion.studies.vae import STUDY
from model_collapse.corpora import images
from model_collapse.data import Rows
from model_collapse.engine import spec
from model_collapse.engine.execute import execute, run_all, so_far
from model_collapse.engine.layout import kept_models, state_folder
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families.scanner import Scanner
from model_collapse.families.vae import Vae
from model_collapse.loop import generations
from model_collapse.modalities.images import SHOWN
from model_collapse.store import archive

pytest.importorskip("torch")

SMALL = {"family.steps": 4, "family.evaluate": 20}
METRICS = ("training_loss", "sharpness", "latent_sd", "frechet")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting others takes longer than the work, and so does waiting for the disk to have it for good."""
    monkeypatch.setenv("MODEL_COLLAPSE_JOBS", "1")
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def vae(**more: Any) -> spec.Run:
    given = {"n": 24, "generations": 3, "seed": 2, "metrics": METRICS, "settings": SMALL} | more
    return plan("vae", given.pop("regime", "mix"), **given)


def pixels(written: pd.DataFrame, generation: int, side: int = 8) -> np.ndarray:
    """The kept images of a generation of the first replicate, in order of rows."""
    rows = written[(written["generation"] == generation) & (written["replicate"] == 0)].sort_values("row")
    return np.stack([np.frombuffer(image, np.uint8).reshape(side, side) for image in rows["image"]])


def alike(one: tuple[pd.DataFrame, pd.DataFrame | None], other: tuple[pd.DataFrame, pd.DataFrame | None]) -> None:
    """Tables and images, bit for bit but for the wall clock."""
    same(one[0], other[0])
    pd.testing.assert_frame_equal(one[1], other[1], check_exact=True)


# What is kept ------------------------------------------------------------------------------------------------------


def test_the_command_leaves_a_table_and_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.chdir(tmp_path)
    asked = "chain vae -n 24 -g 2 --replicates 2 --set family.steps=4 --set vae.evaluate=20 --out run.parquet --json"
    assert cli.main(asked.split()) == 0
    said = json.loads(capsys.readouterr().out)
    assert sorted(os.listdir()) == ["run.parquet", "run.parquet.images.md", "run.parquet.images.parquet"]
    table, written = store.read(Path("run.parquet")), store.read(Path("run.parquet.images.parquet"))
    assert list(table.columns) == store.COLUMNS and set(table["metric"]) == set(Vae.metrics)
    assert {row["metric"] for row in said["summary"]} == set(Vae.metrics)
    assert np.isfinite(table["value"]).all() and set(table["corpus"]) == {"digits"} and set(table["n_train"]) == {24}
    schema = pq.read_schema("run.parquet.images.parquet")
    assert schema.names == store.IMAGE_COLUMNS == "run_id replicate generation row image".split()
    assert pa.types.is_binary(schema.field("image").type)
    assert len(written) == 2 * 3 * SHOWN and set(written["image"].map(len)) == {64}
    assert set(written["run_id"]) == set(table["run_id"]) == {said["run_id"]}
    places = written[["replicate", "generation", "row"]].itertuples(index=False, name=None)
    assert sorted(places) == [(r, t, i) for r in range(2) for t in range(3) for i in range(SHOWN)]
    assert store.about(Path("run.parquet.images.parquet"))["run_id"] == said["run_id"]


def test_a_column_of_pictures_has_the_same_latents_from_the_first_generation_to_the_last():
    planned = vae()
    table, written = execute(planned)
    family = registry.build(families, "vae", planned.family_args)
    source = images.load("digits").source(24, **family.reading())
    regime = registry.build(regimes, "mix", planned.regime_args)
    made = list(generations(source, family, regime, 24, streams.stream(2), last=3))
    for turn in made:
        shown = family.sample(turn.model, 20, streams.stream(2)(-1, streams.SHOWN)).x
        assert np.array_equal(pixels(written, turn.t), shown)
        assert per_replicate(table, "training_loss", turn.t)[0] == turn.model.losses[-1]
    assert not np.array_equal(pixels(written, 0), pixels(written, 1)), "the models differ"
    other = dict(enumerate(execute(vae(replicates=2, generations=0))))[1]
    second = other[other["replicate"] == 1].assign(replicate=0)
    assert np.array_equal(pixels(other, 0), pixels(written, 0))
    assert not np.array_equal(pixels(second, 0), pixels(written, 0)), "every replicate has latents of its own"


def test_metrics_that_are_left_out_and_generations_without_metrics_change_no_image():
    straight = execute(vae())
    fewer = execute(vae(every=3, metrics=("sharpness",)))
    assert [pixels(fewer[1], t).tolist() for t in range(4)] == [pixels(straight[1], t).tolist() for t in range(4)]
    assert set(fewer[0]["generation"]) == {0, 3}
    assert per_replicate(fewer[0], "sharpness", 3)[0] == per_replicate(straight[0], "sharpness", 3)[0]


def test_all_metrics_that_a_family_has_are_numbers():
    table, _ = execute(vae(generations=1, metrics=(*Vae.metrics, *Vae.more_metrics)))
    assert set(table["metric"]) == {*Vae.metrics, *Vae.more_metrics} and np.isfinite(table["value"]).all()
    real = table[table["metric"] == "real_images"].pivot(index="generation", columns="item", values="value")
    assert (real.loc[0] == real.loc[1]).all(), "real images are the same in every generation"


def test_too_few_images_for_a_metric_are_one_line_and_leave_nothing(tmp_path: Path, capsys: Any, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    for asked in ("-n 1", "-n 5 --metrics manifold"):
        assert cli.main(f"chain vae -g 1 --set family.steps=2 --out x.parquet {asked}".split()) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith("model-collapse: ") and said.endswith("raise -n or family.evaluate")
        assert os.listdir() == []


# Cut and resumed ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def straight() -> tuple[pd.DataFrame, pd.DataFrame | None]:
    return execute(vae())


@pytest.mark.parametrize("where", ["model-0000", "generation-0000", "model-0002", "generation-0002", "block-0000.done"])
def test_a_killed_run_goes_on_to_the_same_bits(where: str, straight: Any, tmp_path: Path, monkeypatch: Any):
    """Images and metrics too, of generations before the kill and after it."""
    out, planned = tmp_path / "run.parquet", vae()
    killed_at(monkeypatch, where, planned, out)
    assert state_folder(out).exists() and not out.exists()
    fits = []
    fit = Vae.fit
    monkeypatch.setattr(Vae, "fit", lambda self, *a, **k: fits.append(1) or fit(self, *a, **k))
    alike(execute(planned, out), straight)
    finished = {"model-0000": 0, "generation-0000": 1, "model-0002": 2, "generation-0002": 3, "block-0000.done": 4}
    assert len(fits) == 4 - finished[where], "what is finished is not fitted again"
    assert sorted(os.listdir(tmp_path)) == ["run.parquet", "run.parquet.images.parquet"]


@pytest.mark.parametrize("where", ["shards-0001/00001", "generation-0001"])
def test_a_killed_diffusion_goes_on_from_its_base(where: str, tmp_path: Path, monkeypatch: Any):
    """Its images are written in shards, its generations start from one model, and new noise comes at every step."""
    pytest.importorskip("diffusers")
    from model_collapse.families.diffusion import network

    monkeypatch.setattr(network, "SHARD", 10)
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    settings = {"base_steps": 3, "steps": 2, "timesteps": 10, "sampling_steps": 2, "start": "base", "sampler": "ddpm"}
    settings = {f"family.{key}": value for key, value in (settings | {"evaluate": 20}).items()}
    planned = plan("diffusion", n=24, generations=2, seed=2, metrics=("sharpness",), settings=settings)
    undisturbed, out = execute(planned), tmp_path / "run.parquet"
    killed_at(monkeypatch, where, planned, out)
    alike(execute(planned, out, keep_models=True), undisturbed)
    family = registry.build(families, "diffusion", planned.family_args)
    for t in (1, 2):
        model = family.load(kept_models(out) / "block-0000" / f"model-{t:04d}")
        shown = family.sample(model, 20, streams.stream(2)(-1, streams.SHOWN)).x
        assert np.array_equal(pixels(undisturbed[1], t), shown)


@pytest.mark.parametrize(
    ("file", "t"), [("images.parquet", 0), ("images.parquet", 1), ("rows.parquet", 0), ("sample.safetensors", 1)]
)
def test_a_damaged_checkpoint_is_made_again(
    file: str, t: int, straight: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
):
    out, planned = tmp_path / "run.parquet", vae()
    killed_at(monkeypatch, "generation-0003", planned, out)
    broken = state_folder(out) / "block-0000" / f"generation-{t:04d}" / file
    broken.write_bytes(broken.read_bytes()[:-7])
    alike(execute(planned, out), straight)
    assert f"{file} is damaged; computed again" in capsys.readouterr().err


# One process imports torch; each line it reads is a fork of it that runs the whole command.
FORKS = """
import json, os, sys
import sklearn.neural_network, torch
from model_collapse import cli
from model_collapse.families.vae import network
arguments = json.loads(sys.argv[1])
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        sys.stdout = sys.stderr
        os._exit(cli.main(arguments))
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def test_killed_from_outside_at_any_moment(straight: Any, tmp_path: Path):
    """SIGKILL after 0 to 2 generations are on the disk, then the same command to the end."""
    out = tmp_path / "run.parquet"
    asked = f"chain vae mix -n 24 -g 3 --seed 2 --jobs 1 --resume --metrics {','.join(METRICS)}".split()
    asked += [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-W", "ignore", "-c", FORKS, json.dumps([*asked, "--out", str(out)])]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True) as forks:
        assert forks.stdin and forks.stdout

        def on_disk() -> int:
            return len(list(state_folder(out).glob("block-0000/generation-????")))

        killed = 0
        for wanted in (0, 1, 2):
            forks.stdin.write("\n")
            forks.stdin.flush()
            child = int(forks.stdout.readline())
            until(lambda wanted=wanted: on_disk() >= wanted or out.exists())
            os.kill(child, signal.SIGKILL)
            killed += int(forks.stdout.readline()) == signal.SIGKILL
        forks.stdin.write("\n")
        forks.stdin.close()
        forks.wait()
    assert killed >= 2, "no kill in the midst of the work"
    alike((store.read(out), store.read(store.written_file(out, "images"))), straight)
    assert not state_folder(out).exists()


def test_what_is_finished_so_far_has_its_images(straight: Any, tmp_path: Path, monkeypatch: Any):
    out, planned = tmp_path / "run.parquet", vae()
    killed_at(monkeypatch, "generation-0002", planned, out)
    table, written = so_far(planned, out)
    assert set(table["generation"]) == set(written["generation"]) == {0, 1}
    for found, whole in zip((table, written), straight, strict=True):
        expected = whole[whole["generation"] < 2].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            found.drop(columns="seconds", errors="ignore"),
            expected.drop(columns="seconds", errors="ignore"),
            check_exact=True,
            check_categorical=False,
        )
    execute(planned, out)
    alike(so_far(planned, out), straight)


def test_models_are_kept_if_asked_and_write_the_same_images(tmp_path: Path):
    planned, out = vae(generations=1), tmp_path / "run.parquet"
    _, written = execute(planned, out, keep_models=True)
    family = registry.build(families, "vae", planned.family_args)
    for t in (0, 1):
        model = family.load(kept_models(out) / "block-0000" / f"model-{t:04d}")
        assert np.array_equal(pixels(written, t), family.sample(model, 20, streams.stream(2)(-1, streams.SHOWN)).x)


def test_images_of_another_run_are_never_overwritten(tmp_path: Path):
    execute(vae(generations=0), tmp_path / "run.parquet")
    (tmp_path / "run.parquet").unlink()
    with pytest.raises(InputError, match=r"run\.parquet\.images\.parquet holds the images of another run$"):
        execute(vae(generations=0, seed=3), tmp_path / "run.parquet")


# Every regime ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regime", registry.names(regimes))
@pytest.mark.parametrize(("family", "given"), [("vae", "original"), ("scanner", "original"), ("scanner", "training")])
def test_every_regime_works_or_refuses_in_one_line(family: str, regime: str, given: str):
    kind = {"vae": Vae, "scanner": Scanner}[family]
    settings = SMALL if family == "vae" else {"family.evaluate": 20}
    planned = plan(family, regime, n=24, generations=2, given=given, settings=settings, metrics=kind.metrics)
    try:
        table, written = execute(planned)
    except InputError as error:
        assert "\n" not in str(error) and "set --given original, or training with replace" in str(error)
        assert family == "scanner" and (given != "original" or regime in ("fresh", "fill", "blend", "inflow"))
        return
    assert set(table["generation"]) == {0, 1, 2} and np.isfinite(table["value"]).all()
    shown = 20 if family == "vae" else min(20, written.groupby("generation").size().min())
    assert len(written) >= 3 * shown and set(written["image"].map(len)) == {64}


@pytest.mark.parametrize("regime", ["fresh", "weigh", "heal"])
def test_a_corpus_that_runs_out_is_one_line(regime: str, tmp_path: Path):
    settings = SMALL | {"family.latents": "fresh", "family.epochs": 60}
    settings |= {"regime.until": 0, "regime.real_fraction": 0.9} if regime == "heal" else {}
    settings |= {"regime.real_fraction": 0.9} if regime == "fresh" else {}
    with pytest.raises(
        InputError,
        match=r"^corpus digits has only 1388 unused images; \d+ were asked for; lower -n, or the share of real images$",
    ):
        execute(plan("vae", regime, n=50, generations=2, settings=settings), tmp_path / "x.parquet")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("latents", ["finite", "fresh"])
def test_n_is_of_images_whatever_is_written(latents: str):
    settings = SMALL | {"family.latents": latents, "family.epochs": 3}
    table, written = execute(plan("vae", n=20, generations=1, metrics=("sharpness",), settings=settings))
    assert set(table["n_train"]) == {20 if latents == "finite" else 60} and len(written) == 40


def test_all_images_of_a_corpus():
    assert plan("vae", n="all").n == 1438 and plan("vae").n == 512
    assert plan("vae").corpus == "digits" and plan("vae", corpus="digits").run_id == plan("vae").run_id


def test_a_corpus_with_other_images_is_another_run(tmp_path: Path):
    digits = images.load("digits")

    def written(x: np.ndarray) -> str:
        for part, (some, labels) in {
            "train": (x, digits.train_labels),
            "t10k": (digits.test, digits.test_labels),
        }.items():
            for kind, array in (("images-idx3", some), ("labels-idx1", labels)):
                head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
                (tmp_path / f"{part}-{kind}-ubyte").write_bytes(head + array.astype(np.uint8).tobytes())
        return plan("vae", corpus=str(tmp_path)).run_id

    one, again, other = written(digits.train), written(digits.train), written(255 - digits.train)
    assert one == again != other


def test_a_folder_gives_the_numbers_of_the_corpus_in_it(tmp_path: Path):
    """digits as idx files: everything but the name and the run's id."""
    test_a_corpus_with_other_images_is_another_run(tmp_path)
    digits = images.load("digits")
    head = bytes([0, 0, 8, 3]) + np.array(digits.train.shape, ">u4").tobytes()
    (tmp_path / "train-images-idx3-ubyte").write_bytes(head + digits.train.tobytes())
    one, other = (execute(vae(corpus=corpus, generations=1)) for corpus in ("digits", str(tmp_path)))
    assert one[0]["value"].tolist() == other[0]["value"].tolist()
    assert one[1]["image"].tolist() == other[1]["image"].tolist()
    assert set(other[0]["corpus"]) == {str(tmp_path)}


# Packed, mirrored, recorded ----------------------------------------------------------------------------------------


def test_pack_and_unpack_carry_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    planned = {"vae": vae(generations=1), "numbers": plan("gaussian", n=5, generations=1)}
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    tables, written = run_all(planned, here, jobs=1)
    assert set(written) == {"vae"}
    archive.pack([here], tmp_path / "runs.zip")
    assert archive.unpack(tmp_path / "runs.zip", there) == sorted(run.run_id for run in planned.values())
    name = f"{planned['vae'].run_id}.parquet.images.parquet"
    assert (there / name).read_bytes() == (here / name).read_bytes()
    monkeypatch.setattr(
        "model_collapse.engine.execute._complete", lambda units, *_: pytest.fail("computed") if units else None
    )
    found = run_all(planned, there)
    alike((found[0]["vae"], found[1]["vae"]), (tables["vae"], written["vae"]))
    # Other pixels under the same name are another result.
    (there / f"{planned['vae'].run_id}.parquet").unlink()
    content = pq.read_table(there / name)
    other = pa.array([bytes(64)] * len(content), pa.binary())
    pq.write_table(content.set_column(content.schema.get_field_index("image"), "image", other), there / name)
    with pytest.raises(InputError, match="is there with other numbers than in"):
        archive.unpack(tmp_path / "runs.zip", there)


def test_a_mirror_carries_images(straight: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a run that is cut and goes on on another machine, and of a finished one."""
    monkeypatch.setenv("MODEL_COLLAPSE_MIRROR", str(tmp_path / "drive"))
    monkeypatch.setenv("MODEL_COLLAPSE_JOBS", "1")
    planned, fit, done = vae(), Vae.fit, []

    def ending(self: Vae, *given: Any, **named: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return fit(self, *given, **named)

    (tmp_path / "one").mkdir(), (tmp_path / "two").mkdir(), (tmp_path / "three").mkdir()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Vae, "fit", ending)
        run_all({"a": planned}, tmp_path / "one")
    shutil.rmtree(tmp_path / "one")
    done.clear()
    monkeypatch.setattr(Vae, "fit", lambda self, *a, **k: done.append(1) or fit(self, *a, **k))
    tables, written = run_all({"a": planned}, tmp_path / "two")
    assert len(done) == 2, "the first two generations came over"
    alike((tables["a"], written["a"]), straight)
    assert (tmp_path / "drive" / f"{planned.run_id}.parquet.images.parquet").exists()
    shutil.rmtree(tmp_path / "two")
    tables, written = run_all({"a": planned}, tmp_path / "three")
    assert len(done) == 2, "a finished run comes back finished"
    alike((tables["a"], written["a"]), straight)


def test_a_record_keeps_the_first_images_of_the_first_replicate(tmp_path: Path):
    arms = {"full": vae(regime="replace", replicates=2, generations=1), "mix": vae(replicates=2, generations=1)}
    (tmp_path / "runs").mkdir()
    tables, written = run_all(arms, tmp_path / "runs", jobs=1)
    made = records.write("toy", arms, tables, written, tmp_path, bins=("full",))
    assert sorted(file.name for file in tmp_path.glob("toy*")) == ["toy.images.parquet", "toy.json", "toy.parquet"]
    found = records.read("toy", tmp_path)
    assert records.FIRST_ROWS["images"] == 10
    for arm in arms:
        for recorded in (made, found):
            rows = recorded.written[arm]
            assert len(rows) == 2 * 10 and set(rows["replicate"]) == {0} and set(rows["row"]) == set(range(10))
            for t in (0, 1):
                assert np.array_equal(pixels(rows, t), pixels(written[arm], t)[:10])
    assert found.label.startswith(
        "vae, preset small, scikit-learn's digits, 24 images, 2 seeds, generations 0-1, CPU ("
    )
    file = tmp_path / "toy.images.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"toy\.images\.parquet is damaged"):
        records.read("toy", tmp_path)
    file.unlink()
    with pytest.raises(InputError, match=r"toy\.images\.parquet is missing"):
        records.read("toy", tmp_path)


def test_a_study_that_was_cut_is_a_record_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    toy = STUDY.at("toy")
    toy = STUDY.at(toy, n=24, settings={**toy.settings, "family.steps": 6, "family.evaluate": 20})
    fit, done = Vae.fit, []

    def cut(self: Vae, *given: Any, **named: Any) -> Any:
        if len(done) == 5:  # both generations of both arms' first replicate, and one of the second
            raise recording.TimeUp
        done.append(1)
        return fit(self, *given, **named)

    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(Vae, "fit", cut)
    part = recording.make(STUDY, toy, {"command": "a command"}, out, tmp_path / "work", None, jobs=1)
    monkeypatch.setattr(Vae, "fit", fit)
    assert part is not None and not part.about["complete"]
    assert all(set(table["replicate"]) == {0} for table in part.tables.values())
    whole = recording.make(STUDY, toy, {"command": "a command"}, out, tmp_path / "work", None, jobs=1)
    assert whole is not None and whole.about["complete"] and len(whole.about["sessions"]) == 2
    assert set(whole.tables) == set(whole.written) == {"full", "control"}
    assert whole.about["images_trained"] > 0 and whole.about["images_per_second"] > 0
    assert str(tmp_path) not in json.dumps(dict(whole.about)), "a record names a folder of the machine"
    for arm, run in STUDY.runs(toy).items():
        table, written = execute(run)
        recorded = whole.written[arm]
        assert all(np.array_equal(pixels(recorded, t), pixels(written, t)[:10]) for t in (0, 1))
        assert per_replicate(whole.tables[arm], "frechet", 1).tolist() == per_replicate(table, "frechet", 1).tolist()
        bins = whole.tables[arm]["item"].astype(str).str.startswith("bin ")
        assert bins.any() == (arm == "full")


def test_a_corpus_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    monkeypatch.setattr("model_collapse.corpora.hub.cached", lambda file: None)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("MODEL_COLLAPSE_DATA", raising=False)
    images._mnist.cache_clear()
    places = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    assert cli.main(["record", "vae", "--size", "mnist", *places]) == 3
    assert capsys.readouterr().err.count("\n") == 1 and list((tmp_path / "out").iterdir()) == []


# Listed and planned ------------------------------------------------------------------------------------------------


def test_corpora_are_listed_with_what_reads_them(capsys: Any):
    assert cli.main(["corpora", "--json"]) == 0
    listed = [(entry["name"], entry["reads"]) for entry in json.loads(capsys.readouterr().out)]
    assert {("digits", "images"), ("mnist", "images"), ("embedded", "text")} <= set(listed)
    assert ("FOLDER", "images") in listed and ("FOLDER", "text") in listed
    assert cli.main(["corpora"]) == 0
    said = capsys.readouterr().out
    assert all(f"{name}: " in said for name in images.NAMES)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chain", "vae", "--corpus", "embedded"], "corpus must be one of digits, mnist, or an existing folder"),
        (["chain", "vae", "--corpus", "wikitext-2"], "corpus must be one of digits, mnist, or an existing folder"),
        (["chain", "vae", "--filter", "surprise"], ""),
        (["chain", "vae", "-n", "2000"], "n must be at most 1438"),
        (["chain", "vae", "--set", "family.preset=paper"], "its images have 8 x 8 pixels"),
    ],
)
def test_what_does_not_go_together_is_one_line(arguments: list[str], said: str, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*arguments, "-g", "1", "--set", "family.epochs=1", "--out", "x.parquet"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if " generations, " not in line]
    assert len(lines) == 1 and said in lines[0]
    assert os.listdir(tmp_path) == []


def test_planning_copies_no_images(monkeypatch: pytest.MonkeyPatch):
    """`epochs` copies of MNIST are a gigabyte and more."""
    monkeypatch.setattr(np, "tile", lambda *a: pytest.fail("copied"))
    assert plan("vae", settings={"family.latents": "fresh", "family.epochs": 30}).n == 512


def test_an_image_study_names_its_sizes_and_conditions():
    size = STUDY.at("smoke", n=40)
    assert size.n == 40 and STUDY.at("smoke").n == 128
    with pytest.raises(InputError, match=r"^size nobody: study vae has smoke, laptop, "):
        STUDY.at("nobody")
    with pytest.raises(InputError, match=r"^condition nobody: study vae has full, published, "):
        STUDY.runs(size, ["nobody"])
    with pytest.raises(InputError, match=r"^family\.temperature: vae has no such setting"):
        STUDY.runs(size, ["pretty"])


def test_rows_of_a_sample_are_what_a_checkpoint_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Bytes as bytes: a generation on the disk is no larger than its images."""
    from safetensors.numpy import load_file

    out, planned = tmp_path / "run.parquet", vae(n=200)
    killed_at(monkeypatch, "generation-0001", planned, out)
    kept = load_file(state_folder(out) / "block-0000" / "generation-0000" / "sample.safetensors")
    assert kept["sample"].shape == (200, 8, 8) and kept["sample"].dtype == np.uint8 and Rows(kept["sample"])
    assert paths.cache().exists()
