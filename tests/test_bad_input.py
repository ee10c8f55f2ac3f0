"""Bad calls of every command: one line that says what is wrong, the status for bad input, and nothing touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from model_collapse import cli

CALLS = {
    "chain gaussian -n all": "-n all: only a corpus has a last row",
    # A sampling setting that has no effect would be worse than a refusal.
    "chain lm --set family.watermark=synthid --set family.decoding=greedy": "use family.decoding=sample or beam",
    # run
    "run nothing": "nothing: not a chapter; known: gaussian, discrete, gaussian_nd",
    "run gaussian --profile huge": "--profile huge: not a profile; known: smoke, laptop, t4, t4-10min",
    "run gaussian --profile t4": "--profile t4: chapter gaussian does not have it; it has smoke",
    "run gaussian -p rows=3": "-p rows: chapter gaussian has no such parameter; it has sizes",
    "run gaussian -p seed=x": "-p seed=x: seed takes int | None (input should be a valid integer",
    "run gaussian -p seed": "-p seed: write NAME=VALUE",
    "run gaussian -p profile=smoke": "-p profile: use --profile",
    "run gaussian --jobs 0": "--jobs 0: must be a whole number of at least 1",
    "run gaussian --jobs x": "--jobs x: must be a whole number of at least 1",
    "run gaussian --speed 1": "unrecognized arguments: --speed 1",
    # build
    "build --profile huge": "--profile huge: not a profile; known: smoke, laptop, t4, t4-10min",
    "build extra": "unrecognized arguments: extra",
    # chain
    "chain lm --set family.watermark=synthid --set family.decoding=sample --set family.temperature=0": "family.temp",
    "chain lm --set family.preset=nobody": "family.preset=nobody: neither a preset (tiny, mini, small, opt-125m",
    "chain lm --set family.preset=a/b/c": "family.preset=a/b/c: neither a preset (tiny, mini, small, opt-125m",
    "chain lm --set family.preset=empty --set family.start=pretrained": "family.preset=empty: config.json is missin",
    "chain lm --set family.preset=text --set family.start=pretrained": "family.preset=text: config.json is missing;",
    "chain lm --set family.block=1": "family.block=1: input should be greater than or equal to 2",
    "chain lm --set family.beams=0": "family.beams=0: input should be greater than or equal to 1",
    "chain lm --set family.lora=-1": "family.lora=-1: input should be greater than or equal to 0",
    "chain lm --set family.top_k=-1": "family.top_k=-1: input should be greater than or equal to 0",
    "chain lm --set family.top_p=0": "family.top_p=0: input should be greater than 0",
    "chain lm --set family.temperature=nan": "family.temperature=nan: input should be a finite number",
    "chain lm --set family.epochs=1e9": "family.epochs=1e9: input should be a valid integer, unable to parse",
    "chain lm --set family.tokenizer=nowhere": "tokenizer must be corpus, words, opt or a folder with a model's",
    "chain lm --set family.tokenizer=empty": "tokenizer: empty has none; it must hold tokenizer.json, or",
    "chain lm --set family.vocabulary=10": "family.vocabulary=10: input should be greater than or equal to 260",
    "chain lm --set family.precision=int8": "family.precision=int8: input should be 'auto', 'fp32', 'bf16' or",
    "chain lm --set family.watermark=red": "family.watermark=red: input should be 'none', 'green' or 'synthid'",
    "chain lm --set family.watermark_share=2": "family.watermark_share=2: input should be less than or equal to 0.99",
    "chain lm --corpus text -n 100000": "n must be at most 1, the training blocks corpus text has; got 100000",
    "chain lm --corpus empty": "corpus empty: the folder is empty; it must hold .parquet, .jsonl",
    "chain lm --corpus a.zip": "corpus a.zip: it must be a .parquet, .jsonl, .csv or .txt file, or a",
    "chain lm --corpus text --set corpus.column=x": "corpus: text/a.txt is plain text and has no column x",
    "chain lm --set corpus.column=x": "--set corpus.column=x: only files of yours have columns; name them",
    "chain lm --corpus digits": "corpus must be one of embedded, embedded-other, wikitext-2-raw",
    "chain vae --corpus embedded": "corpus must be one of digits, mnist, or an existing folder of",
    "chain vae --corpus text": "corpus text: no train images in the folder; it must hold",
    "chain vae --set family.latent=0": "family.latent=0: input should be greater than or equal to 1",
    "chain ngram --set family.order=0": "family.order=0: input should be greater than or equal to 1",
    "chain ngram --corpus wikitext-3": "corpus must be one of embedded, embedded-other, wikitext-2-raw",
    "chain discrete --set family.zipf=-1": "family.zipf=-1: input should be greater than or equal to 0",
    "chain gmm --set family.components=0": "family.components=0: input should be greater than or equal to 1",
    "chain kde --set family.bandwidth=0": "family.bandwidth=0: input should be greater than or equal to",
    "chain regression --set family.dim=200 -n 10": "-n 10: least squares with family.dim=200 needs at least 201; set",
    "chain gaussian mix --set regime.real_fraction=2": "regime.real_fraction=2: input should be less than or equal",
    "chain gaussian --models 0": "--models 0: input should be greater than or equal to 1",
    "chain gaussian --models 65": "--models 65: input should be less than or equal to 64",
    "chain gaussian --models 2 --reads none": "--reads none: it is own, all, ring, deal",
    "chain gaussian --models 2 --share 2": "--models: exact sampling cannot subsample; set family.sampling=draw",
    "chain gaussian --models 2 --share 0.5 --reads own": "--share 0.5: only --reads all and ring have a share; own",
    "chain gaussian --reads all": "--reads all: needs several models that read each other; set --models",
    "chain gaussian --first fixed": "--first fixed: needs several models that read each other; set --models",
    "chain gaussian --models 2 --real split": "--models: exact sampling cannot subsample; set family.sampling=draw",
    "chain gaussian --jobs -1": "--jobs -1: must be a whole number of at least 1",
    "chain gaussian --filter surprise": "--filter surprise: this family does not score rows; use lm, ngram or",
    "chain lm --filter watermark": "--filter watermark: nothing is marked; use lm with --set",
    "chain gaussian --out empty": "--out: empty is a folder; name a file",
    "chain gaussian --out a.parquet": "a.parquet: not a readable parquet file (Parquet file size is 1",
    "chain gaussian --out nowhere/a.parquet": "--out: the folder nowhere does not exist",
    "chain gaussian --out /proc/a.parquet": "--out: cannot write /proc/a.parquet.state (No such file or directory)",
    "chain gaussian --keep-models": "--keep-models: needs --out, beside which they are left",
    "chain gaussian --every 0": "--every 0: input should be greater than or equal to 1",
    "chain gaussian --metrics nothing": "--metrics: 'nothing' is not a metric of this family; it has mean",
    "chain gaussian -n 999999999999": "-n 999999999999: input should be less than or equal to 1000000000",
    # pack
    "pack": "the following arguments are required: --out",
    "pack nowhere --out a.zip": "nowhere: no such file",
    "pack empty --out b.zip": "empty: no finished runs there",
    "pack a.parquet --out b.zip": "a.parquet: not a readable parquet file (Parquet file size is 1",
    "pack empty --out a.txt": "--out a.txt: name a .zip file",
    # unpack
    "unpack a.zip": "a.zip: not a readable zip file (File is not a zip file)",
    "unpack nowhere.zip": "nowhere.zip: no such file",
    "unpack empty": "empty is a folder; name a file that `model-collapse pack` wrote",
    "unpack a.parquet --to nowhere/deeper": "--to: the folder nowhere/deeper does not exist",
    # record
    "record nothing --size smoke": "study nothing: known are",
    "record language_model --size huge": "--size huge: recorded sizes of study language_model are recorded",
    "record language_model --size laptop": "--size laptop: recorded sizes of study language_model are recorded",
    "record language_model --size recorded --minutes x": "--minutes x: must be a number above 0",
    "record language_model --size recorded --minutes -1": "--minutes -1: must be a number above 0",
    "record language_model --size recorded --jobs 0": "--jobs 0: must be a whole number of at least 1",
    "record gaussian --name ../x": "chapter gaussian has not been run; run: model-collapse run gaussian",
    "record nowhere.parquet": "nowhere.parquet: neither a chapter nor a file; chapters: gaussian",
    "record a.parquet": "a.parquet: not a readable parquet file (Parquet file size is 1",
    "record empty": "empty: no finished runs there",
    "record --add a.zip": "a.zip: not a readable zip file (File is not a zip file)",
    "record --add nowhere": "nowhere: no such file",
    "record --add empty": "empty: no record in it, NAME.json and NAME.parquet",
    "record language_model --check": "--check: goes with a study and --size",
    "record --check": "--check: goes with a study and --size",
    # sweep
    "sweep": "the following arguments are required: VERB",
    "sweep plan": "sweep: name a FILE, or a study of the book by --study NAME --size SIZE",
    "sweep plan nowhere.yaml": "nowhere.yaml: no such file",
    "sweep plan a.yaml": "a.yaml: a study of the book needs both study and size",
    "sweep plan b.yaml": "b.yaml: nothing: no such key; there are family, regime, n",
    "sweep plan d.yaml": "d.yaml, line 2: not YAML (expected ',' or ']', but got '<stream",
    "sweep plan --study nothing": "sweep: name a FILE, or a study of the book by --study NAME --size SIZE",
    "sweep plan --study language_model --size huge": "size huge: study language_model has smoke, laptop, t4, t4-10min",
    "sweep run c.yaml --executor cloud": "--executor cloud: it is local, ray, slurm",
    "sweep run c.yaml --jobs 0": "--jobs 0: must be a whole number of at least 1",
    "sweep run c.yaml --heartbeat x": "--heartbeat x: must be a number of at least 0.01",
    "sweep run c.yaml --gpus -1": "--gpus -1: must be a number of at least 0",
    "sweep collect c.yaml": "sweep collect: needs --out FILE.parquet",
    "sweep collect c.yaml --out new.parquet": "c.yaml: no run is finished yet",
    "sweep walk c.yaml": "sweep walk: it is plan, run, status, collect",
    # fetch
    "fetch": "the following arguments are required: NAME",
    "fetch nothing": "fetch nothing: must be opt-125m, smollm2-135m, smollm2-135m-q4",
    "fetch a/b/c": "fetch a/b/c: must be opt-125m, smollm2-135m, smollm2-135m-q4",
    "fetch owner/name@": "fetch owner/name@: must be opt-125m, smollm2-135m, smollm2-135m-q4",
    # families
    "families x": "unrecognized arguments: x",
    # regimes
    "regimes --json x": "unrecognized arguments: x",
    # claims
    "claims --codecheck x": "unrecognized arguments: x",
    # verify
    "verify --scale huge": "--scale huge: must be one of simulation, small, gpu",
    "verify --seed x": "--seed x: must be a whole number of at least 0",
    "verify --seed -1": "--seed -1: must be a whole number of at least 0",
    "verify --jobs 0": "--jobs 0: must be a whole number of at least 1",
    "verify NOPE-1": "claim NOPE-1: no such claim; known: ACC-1, ACC-2, ACC-3, ACC-4",
    "verify --json nowhere/x.json": "--json nowhere/x.json: must be a file in a folder that exists",
    "verify --diff x.json y.json": "x.json: damaged, or not written by `model-collapse verify --json`",
    "verify --diff nowhere.json x.json": "nowhere.json: no such file",
    "verify --diff x.json": "argument --diff: expected 2 arguments",
    "verify GA-1 --scale gpu": "--scale gpu: claim GA-1 has runs of simulation",
    # bench
    "bench nothing": "bench nothing: no such benchmark; known: beam, beam-bf16",
    "bench startup --json nowhere/x.json": "--json: the folder nowhere does not exist",
    "bench --json": "argument --json: expected one argument",
    # address
    "address nothing": "address nothing: must be https://github.com/OWNER/NAME",
    "address http://x y": "unrecognized arguments: y",
    "address ftp://host/a": "address ftp://host/a: must be https://github.com/OWNER/NAME",
}

SMALL = ["-n", "4", "-g", "0"]
"""So that a chain that is not refused ends soon."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a text, an empty folder, and files that are not what they are called."""
    place = tmp_path / "here"
    (place / "text").mkdir(parents=True)
    (place / "empty").mkdir()
    paragraphs = "\n\n".join(f"Paragraph {i} has {i * i} words." for i in range(40))
    for name, content in {
        "text/a.txt": paragraphs,
        "a.zip": "no zip",
        "a.parquet": "x",
        "a.yaml": "study: none\n",
        "b.yaml": "nothing: 1\n",
        "c.yaml": "study: language_model\r\nsize: smoke\r\n",
        "d.yaml": "a: [1\n",
        "x.json": "{}",
        "y.json": "no",
    }.items():
        (place / name).write_bytes(content.encode())
    monkeypatch.chdir(place)
    yield place


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("call", CALLS)
def test_a_bad_call_is_one_line_and_touches_nothing(call: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(here)
    arguments = call.split()
    if arguments[0] == "chain" and "-n" not in arguments:
        arguments += SMALL
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("model-collapse: ") and err.count("\n") == 1 and err.endswith("\n"), err
    assert CALLS[call] in err
    assert contents(here) == before


LONG = "x" * 4000
DEEP = "/".join(["y" * 200] * 25)
DIGITS = "9" * 5000


@pytest.mark.parametrize(
    "call",
    [
        "chain gaussian --out {}",
        "chain lm --set family.preset={}",
        "chain lm --set family.tokenizer={}",
        "chain lm --set family.pretrain={}",
        "chain ngram --corpus {}",
        "chain vae --corpus {}",
        "pack {} --out b.zip",
        "record {}",
        "record --add {}",
        "sweep plan {}",
        "sweep run --study gaussian --size smoke --folder {}",
        "verify --json {}",
    ],
)
@pytest.mark.parametrize("name", [LONG, DEEP], ids=["long", "deep"])
def test_a_name_that_no_file_can_have_is_one_line(call: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = call.format(name).split()
    assert cli.main(arguments + (SMALL if arguments[0] == "chain" else [])) == 2
    _, err = capsys.readouterr()
    assert err.startswith("model-collapse: ") and err.count("\n") == 1, err[:200]
    assert "too long" in err, err[:200] + err[-100:]


@pytest.mark.parametrize("call", ["chain gaussian --jobs {}", "verify --seed {}", "chain gaussian --seed {}"])
def test_a_number_of_thousands_of_digits_is_one_line(call: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Python itself refuses to read it."""
    assert cli.main(call.format(DIGITS).split()) == 2
    _, err = capsys.readouterr()
    assert err.startswith("model-collapse: --") and err.count("\n") == 1, err[:200]
