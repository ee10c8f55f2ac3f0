"""A file or a folder of the user: which files are read, what is a document, and which split it belongs to."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_collapse import cli, corpora
from model_collapse.corpora import folder, text, tokens
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError

ODD = [
    "carriage\r\nreturn\rand more",
    "NUL \0 inside",
    "nine" + 9 * " " + "blanks",
    "tab\tand a line\n\nblank",
    '"quoted", yes',
]
"""Documents that have to come out of a file, of tokens and of a run as they went in."""


@pytest.fixture(autouse=True)
def said_once() -> None:
    text.say.cache_clear()


def paragraphs(n: int) -> list[str]:
    return [f"Paragraph {i} tells of {i * i} things that happened in the year {1000 + i}." for i in range(n)]


def parquet(path: Path, **columns: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def lines(documents: list[str], column: str = "text", **more: object) -> str:
    return "".join(json.dumps({column: document, **more}) + "\n" for document in documents)


def table(documents: list[str], column: str = "text") -> str:
    quoted = ('"' + document.replace('"', '""') + '"' for document in documents)
    return f"number,{column}\n" + "".join(f"{i},{document}\n" for i, document in enumerate(quoted))


def documents(corpus: corpora.Corpus) -> list[str]:
    return sorted(itertools.chain(corpus.train, corpus.web, corpus.validation, corpus.test))


# Files


def put(path: Path, kind: str, these: list[str]) -> None:
    content = {"txt": "\n\n".join(these), "jsonl": lines(these), "csv": table(these)}
    ending = kind.lower().removesuffix(".gz")
    if ending == "parquet":
        parquet(path, text=these)
    else:
        plain = content[ending].encode()
        path.write_bytes(gzip.compress(plain) if kind.lower().endswith(".gz") else plain)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(
    "kind", ["txt", "TXT", "txt.gz", "jsonl", "JSONL", "jsonl.gz", "csv", "csv.gz", "parquet", "Parquet"]
)
def test_every_kind_gives_the_same_corpus(kind: str, alone: bool, tmp_path: Path) -> None:
    file = tmp_path / f"book.{kind}"
    put(file, kind, paragraphs(40))
    corpus = corpora.load(str(file if alone else tmp_path))
    assert documents(corpus) == sorted(paragraphs(40))
    assert [len(part) for part in (corpus.train, corpus.web, corpus.validation, corpus.test)] == [16, 16, 4, 4]


@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv", "txt.gz"])
def test_a_byte_order_mark_gives_the_same_tokens(kind: str, tmp_path: Path) -> None:
    for name, mark in (("with", b"\xef\xbb\xbf"), ("without", b"")):
        (tmp_path / name).mkdir()
        file = tmp_path / name / f"book.{kind}"
        put(file, kind.removesuffix(".gz"), paragraphs(40))
        content = mark + file.read_bytes()
        file.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)
    marked, plain = (corpora.load(str(tmp_path / name)) for name in ("with", "without"))
    assert marked.fingerprint == plain.fingerprint
    ids = [corpus.source(8, block=8, vocabulary=300).train.rows.x for corpus in (marked, plain)]
    np.testing.assert_array_equal(*ids)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_odd_documents_come_through(kind: str, tmp_path: Path) -> None:
    """From the file to tokens and back, byte for byte."""
    put(tmp_path / f"odd.{kind}", kind, ODD + paragraphs(20))
    corpus = corpora.load(str(tmp_path))
    assert set(ODD) <= set(documents(corpus))
    tokenizer = corpus.source(4, block=8, vocabulary=300).tokenizer
    for document in ODD:
        ids = tokens.blocks(tokenizer, [document], 1)[1:].reshape(1, -1)
        assert tokenizer.decode(ids)[0] == document


def test_line_ends_of_plain_text_are_those_of_the_machine_no_more(tmp_path: Path) -> None:
    for name, end in (("unix", "\n"), ("windows", "\r\n"), ("mac", "\r")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "book.txt").write_bytes((2 * end).join(paragraphs(20)).encode())
    assert len({corpora.load(str(tmp_path / name)).fingerprint for name in ("unix", "windows", "mac")}) == 1


# Columns


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_the_only_column_of_text_is_found(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"a.{kind}"
    if kind == "parquet":
        parquet(file, id=list(range(20)), story=paragraphs(20))
    else:
        file.write_text(
            lines(paragraphs(20), "story", id=1) if kind == "jsonl" else "story\n" + "\n".join(paragraphs(20))
        )
    assert documents(corpora.load(str(tmp_path))) == sorted(paragraphs(20))


def test_of_two_columns_of_text_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    titles = [f"Title {i}" for i in range(20)]
    parquet(tmp_path / "a.parquet", title=titles, story=paragraphs(20))
    with pytest.raises(InputError, match=r"title, story hold text; name one by --set corpus\.column=NAME"):
        corpora.load(str(tmp_path))
    small = {"n": 4, "generations": 1, "settings": {"family.block": 8, "family.vocabulary": 300}}
    runs = [
        plan("ngram", corpus=str(tmp_path), **{**small, "settings": {**small["settings"], "corpus.column": column}})
        for column in ("title", "story")
    ]
    assert [run.corpus for run in runs] == [f"{tmp_path}::title", f"{tmp_path}::story"]
    assert runs[0].run_id != runs[1].run_id and runs[0].content != runs[1].content
    assert documents(corpora.load(runs[0].corpus)) == sorted(titles)
    settings = ["-n", "4", "-g", "1", "--set", "family.block=8", "--set", "family.vocabulary=300"]
    call = ["chain", "ngram", "replace", "--corpus", str(tmp_path), *settings]
    assert cli.main([*call, "--set", "corpus.column=story", "--json"]) == 0
    capsys.readouterr()


REFUSED = {
    "corpus.column=none": "has no column none \\(it has title, story\\)",
    "corpus.row=1": "a corpus has one setting, corpus.column",
}


@pytest.mark.parametrize("setting", REFUSED)
def test_a_column_that_is_not_there(setting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parquet(tmp_path / "a.parquet", title=["x"], story=["y"])
    assert cli.main(["chain", "ngram", "replace", "--corpus", str(tmp_path), "--set", setting]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(REFUSED[setting], line)


def test_only_files_of_the_user_have_columns() -> None:
    with pytest.raises(InputError, match="only files of yours have columns"):
        plan("ngram", settings={"corpus.column": "text"})


# Documents


def test_one_txt_is_paragraphs(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("\n\n \n".join(paragraphs(100)))
    corpus = corpora.load(str(tmp_path))
    assert [len(part) for part in (corpus.train, corpus.web, corpus.validation, corpus.test)] == [40, 40, 10, 10]
    assert documents(corpus) == sorted(paragraphs(100))
    assert corpus.train != sorted(corpus.train)
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "book.txt").rename(moved / "book.txt")
    assert corpora.load(str(moved)).fingerprint == corpus.fingerprint
    (moved / "book.txt").write_text("\n\n".join(paragraphs(101)))
    assert corpora.load(str(moved)).fingerprint != corpus.fingerprint


def test_one_txt_without_blank_lines_is_lines(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("\n".join(paragraphs(30)))
    assert documents(corpora.load(str(tmp_path))) == sorted(paragraphs(30))


def test_one_long_line_is_cut_at_white_space(tmp_path: Path) -> None:
    whole = " ".join(f"word{i}\t" for i in range(4000))
    (tmp_path / "book.txt").write_text(whole)
    pieces = documents(corpora.load(str(tmp_path)))
    assert max(map(len, pieces)) <= folder.PIECE and len(pieces) >= len(whole) // folder.PIECE
    assert sum(map(len, pieces)) == len(whole) and all(piece in whole for piece in pieces)


# Splits


def test_only_whole_names_say_the_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("the_turing_test", "latest", "my-validation", "test_drive", "train"):
        (tmp_path / f"{name}.txt").write_text(f"This is {name}.")
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "one.txt").write_text("held\n\nout")
    (tmp_path / "test-00000-of-00001.txt").write_text("tested")
    corpus = corpora.load(str(tmp_path))
    assert (corpus.validation, corpus.test) == (["held\n\nout"], ["tested"])
    assert len(corpus.whole) == 5
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("dev.jsonl", "validation"),
        ("VALID.jsonl.gz", "validation"),
        ("data/test/part-1.jsonl", "test"),
        ("test/train.jsonl", "train"),
        ("validation_03.jsonl", "validation"),
        ("training.jsonl", "train"),
        ("contest.jsonl", "train"),
        ("test.set.jsonl", "test"),
        ("my.test.jsonl", "train"),
    ],
)
def test_the_innermost_name_decides(name: str, split: str) -> None:
    assert folder._split_of(Path(name)) == split


def test_a_document_is_in_one_split_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    every = paragraphs(30)
    for split, these in {"train": every[:20], "validation": every[18:25], "test": every[24:]}.items():
        (tmp_path / f"{split}.jsonl").write_text(lines(these))
    corpus = corpora.load(str(tmp_path))
    assert sorted(corpus.whole) == sorted(every[:18])
    assert (corpus.validation, corpus.test) == (every[18:24], every[24:])
    assert [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "1 document is in validation and in test; dropped from validation",
        "2 documents are in train and in validation or test; dropped from train",
    ]


def test_a_split_whose_documents_are_all_in_another_is_made_of_the_training_documents(tmp_path: Path) -> None:
    every = paragraphs(30)
    for split, these in {"train": every[:20], "validation": every[20:], "test": every[20:]}.items():
        (tmp_path / f"{split}.jsonl").write_text(lines(these))
    corpus = corpora.load(str(tmp_path))
    assert corpus.test == every[20:] and len(corpus.validation) == 2
    assert sorted(corpus.whole + corpus.validation) == sorted(every[:20])


def test_what_is_left_unread_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parquet(tmp_path / "train-0.parquet", text=paragraphs(50), id=list(range(50)))
    parquet(tmp_path / "train-1.parquet", text=[*paragraphs(60)[50:], None, "  "])
    parquet(tmp_path / "validation.parquet", text=["v1", "v2"])
    (tmp_path / "notes.txt").write_text("not part of it")
    (tmp_path / "LICENSE").write_text("nor this")
    corpus = corpora.load(str(tmp_path))
    assert corpus.validation == ["v1", "v2"] and len(corpus.test) == 6
    assert sorted(corpus.whole + corpus.test) == sorted(paragraphs(60))
    assert capsys.readouterr().err == f"corpus {tmp_path}: read 3 .parquet files, not 1 .txt\n"


# What is refused


def cut_short(place: Path) -> None:
    parquet(place / "a.parquet", text=paragraphs(1000))
    whole = (place / "a.parquet").read_bytes()
    (place / "a.parquet").write_bytes(whole[: len(whole) // 2])


BAD = {
    "the folder is empty": lambda place: None,
    "no .parquet, .jsonl, .csv or .txt file": lambda place: (place / "a.doc").write_text("x"),
    "a.parquet cannot be read": cut_short,
    "a.parquet cannot be read; ": lambda place: (place / "a.parquet").write_bytes(b""),
    "has no column that holds text \\(it has words\\)": lambda place: parquet(place / "a.parquet", words=[1]),
    "column `text` of .* does not hold text": lambda place: parquet(place / "a.parquet", text=[1, 2]),
    "does not hold text": lambda place: (place / "a.jsonl").write_text('{"text": 1}\n{"text": "a"}\n'),
    "a.txt is not UTF-8 text \\(byte 1\\)": lambda place: (place / "a.txt").write_bytes("Zürich".encode("latin-1")),
    "a.txt.gz cannot be unpacked": lambda place: (place / "a.txt.gz").write_bytes(b"plain"),
    "a.csv.gz cannot be unpacked": lambda place: (place / "a.csv.gz").write_bytes(gzip.compress(b"text\nx" * 99)[:20]),
    "line 2 of .*a.jsonl is no JSON": lambda place: (place / "a.jsonl").write_text('{"text": "a"}\n{"text": \n'),
    "line 1 of .*a.jsonl must be an object": lambda place: (place / "a.jsonl").write_text('["a"]\n'),
    "line 3 of .*a.csv has 3 fields, its first line 2": lambda place: (place / "a.csv").write_text("a,b\n1,2\n1,2,3\n"),
    "line 2 of .*a.csv is no CSV": lambda place: (place / "a.csv").write_text('a,b\n1,"2'),
    "only 1 training document, too few to split": lambda place: (place / "a.txt").write_text("one"),
    "only 0 training documents": lambda place: (place / "a.txt").write_text("\n \n\n"),
    "only 0 training documents, ": lambda place: (place / "test.txt").write_text("\n\n".join(paragraphs(99))),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_folder_is_one_line(message: str, tmp_path: Path) -> None:
    BAD[message](tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        corpora.load(str(tmp_path))
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_file_of_another_kind_is_one_line() -> None:
    with pytest.raises(InputError, match=r"test_folder.py: it must be a \.parquet, \.jsonl, \.csv or \.txt file"):
        corpora.load(__file__)


@pytest.mark.skipif(sys.platform != "linux", reason="file systems of other systems take only UTF-8 as names")
def test_a_name_that_is_not_utf_8_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/na\xefve"))
    place.mkdir()
    (place / "a.txt").write_text("\n\n".join(paragraphs(9)))
    assert cli.main(["chain", "ngram", "replace", "-n", "4", "-g", "1", "--corpus", str(place)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "must be UTF-8" in line
    inside = tmp_path / "good" / os.fsdecode(b"na\xefve.txt")
    inside.parent.mkdir()
    inside.write_text("\n\n".join(paragraphs(9)))
    assert len(documents(corpora.load(str(inside.parent)))) == 9
