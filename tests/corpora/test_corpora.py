"""Corpora by name and by folder: splits, blocks, tokenisers, the cache, and every way an input can be wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import needed
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_collapse import corpora, paths
from model_collapse.corpora import text, tokens
from model_collapse.errors import ExternalError, InputError


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a cache, and nobody there who answers."""
    monkeypatch.setattr("model_collapse.corpora.hub.cached", lambda file: None)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")


def write_parquet(path: Path, **columns: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def paragraphs(n: int) -> list[str]:
    return [f"Paragraph {i} tells of {i * i} things that happened in the year {1000 + i}." for i in range(n)]


# Embedded


def test_embedded_parts_have_no_document_in_common() -> None:
    corpus = corpora.load("embedded")
    assert len(corpus.train) == len(corpus.web) == 10_000
    assert not {*corpus.train, *corpus.web} & {*corpus.validation, *corpus.test}
    assert len(corpus.validation) > 950 and len(corpus.test) > 950
    assert corpus.whole == corpus.train + corpus.web
    assert corpus.world is not None and all(
        np.isfinite(corpus.world.log_probability(document)) for document in corpus.test
    )


def test_embedded_source_is_blocks_of_the_documents_in_order() -> None:
    corpus = corpora.load("embedded")
    source = corpus.source(50, evaluate=7, pretrain=9)
    assert [len(part.rows) for part in (source.train, source.validation, source.test, source.web)] == [50, 7, 7, 9]
    x = source.train.rows.x
    assert x.shape == (50, 64) and x.dtype == np.int32
    assert x.min() >= 0 and x.max() < source.tokenizer.size == 1024
    assert x[0, 0] == source.tokenizer.end == 2
    whole = source.tokenizer.decode(x.reshape(1, -1))[0]
    assert ("\n" + "\n".join(corpus.train)).startswith(whole) and len(whole) > 5000
    assert np.all(source.train.born == 0)
    assert source.fingerprint == corpus.fingerprint and source.corpus == "embedded"


def test_embedded_has_as_many_blocks_as_asked_for() -> None:
    corpus = corpora.load("embedded")
    every = len(corpus.source(evaluate=1, pretrain=1).train)
    more = corpus.source(every + 500, evaluate=1, pretrain=1)
    assert len(more.train) == every + 500
    few = corpus.source(100, evaluate=1, pretrain=1)
    np.testing.assert_array_equal(few.train.rows.x, more.train.rows.x[:100])


def test_embedded_fresh_is_new_text_without_held_out_documents() -> None:
    corpus = corpora.load("embedded")
    source = corpus.source(10, evaluate=5, pretrain=5)
    one = source.draw(200, np.random.default_rng(1))
    again = source.draw(200, np.random.default_rng(1))
    other = source.draw(200, np.random.default_rng(2))
    np.testing.assert_array_equal(one.rows.x, again.rows.x)
    assert not np.array_equal(one.rows.x, other.rows.x)
    written = source.tokenizer.decode(one.rows.x.reshape(1, -1))[0].split("\n")[1:-1]
    assert len(written) > 200 and not {*written} & {*corpus.validation, *corpus.test}
    assert all(np.isfinite(corpus.world.log_probability(document)) for document in written)


def test_fingerprint_is_of_the_content_and_the_same_in_another_process() -> None:
    corpus = corpora.load("embedded")
    code = "from model_collapse import corpora; c = corpora.load('embedded'); print(c.fingerprint)"
    code += "; import hashlib; print(hashlib.sha256(c.source(200, evaluate=1, pretrain=1).train.rows.x).hexdigest())"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    lines = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=env, text=True).stdout
        for env in (environment, {**environment, "PYTHONHASHSEED": "8"})
    ]
    assert lines[0] == lines[1] and lines[0].startswith(corpus.fingerprint)


def test_import_without_torch_or_tokenizers() -> None:
    code = "import sys; from model_collapse import corpora; corpora.load('embedded');"
    code += "assert not {'torch', 'tokenizers', 'datasets', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Tokenisers


def test_bpe_round_trip_of_any_text(own_cache: Path) -> None:
    bpe = tokens.trained(paragraphs(200), 400)
    odd = ["Zürich, 東京 and \U0001f600", " leading space", "tab\tand\nline", "<s></s><unk>", ""]
    for given, ids in zip(odd, bpe.encode(odd), strict=True):
        assert ids[0] == bpe.end and bpe.end not in ids[1:]
        assert bpe.decode(np.array([ids[1:]], int)) == [given]
    assert [bpe.vocabulary[token] for token in tokens.SPECIAL] == [0, 1, 2, 3]
    assert bpe.size == 400
    two_texts = np.array([[0, *bpe.encode(["a"])[0], *bpe.encode(["b"])[0], 1, 9999]])
    assert bpe.decode(two_texts) == ["\na\nb"]


def test_bpe_is_deterministic_and_cached(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tokens.trained(paragraphs(300), 500)
    files = list(own_cache.rglob("*.json"))
    assert len(files) == 1 and not list(own_cache.rglob("tmp*"))
    monkeypatch.setattr(tokens, "_train", lambda *a: pytest.fail("trained again"))
    cached = tokens.trained(paragraphs(300), 500)
    assert (cached.vocabulary, cached.merges) == (first.vocabulary, first.merges)
    monkeypatch.undo()
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(own_cache / "another"))
    again = tokens.trained(paragraphs(300), 500)
    assert (again.vocabulary, again.merges) == (first.vocabulary, first.merges)
    assert tokens.trained(paragraphs(301), 500).merges != [] and len(list(own_cache.rglob("*.json"))) == 3


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other json", "binary"])
def test_damaged_cache_is_made_again(own_cache: Path, damage: str) -> None:
    first = tokens.trained(paragraphs(100), 300)
    file = next(own_cache.rglob("*.json"))
    good = file.read_bytes()
    kept = json.loads(good)
    kept["tokenizer"]["merges"] = kept["tokenizer"]["merges"][:-1]
    bad = {"cut": good[: len(good) // 2], "changed": json.dumps(kept).encode(), "empty": b"", "other json": b"[1]"}
    file.write_bytes(bad.get(damage, b"\xff\xfe\x00"))
    again = tokens.trained(paragraphs(100), 300)
    assert (again.vocabulary, again.merges) == (first.vocabulary, first.merges)
    assert file.read_bytes() == good


def test_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path / "file"))
    assert tokens.trained(paragraphs(50), 300).size == 300


def test_saved_tokenizer_reads_back(own_cache: Path, tmp_path: Path) -> None:
    bpe = tokens.trained(paragraphs(200), 400)
    bpe.save(tmp_path)
    back = tokens.read(tmp_path)
    assert back.encode(paragraphs(20)) == bpe.encode(paragraphs(20)) and back.folder == tmp_path
    source = corpora.load("embedded").source(5, tokenizer=str(tmp_path), evaluate=1, pretrain=1)
    assert source.tokenizer.size == 400


@needed.opt_tokenizer
def test_opt_tokenizer_agrees_with_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    assert needed.DATA is not None
    folder = needed.DATA / "opt-125m-tokenizer"
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    ours = tokens.opt()
    texts = ["Hello world", " = Homarus gammarus = \n", "", "naïve <unk> , 1 @,@ 000 \n", *paragraphs(20)]
    assert ours.encode(texts) == theirs(texts)["input_ids"]
    assert ours.encode(["Hello world"]) == [[2, 31414, 232]]
    assert (ours.size, ours.end, ours.folder) == (50_265, 2, folder)


def test_blocks_are_the_texts_in_a_row(own_cache: Path) -> None:
    bpe = tokens.trained(paragraphs(100), 300)
    row = [i for ids in bpe.encode(paragraphs(100)) for i in ids]
    x = tokens.blocks(bpe, paragraphs(100), 16)
    assert x.ravel().tolist() == row[: len(row) // 16 * 16]
    np.testing.assert_array_equal(tokens.blocks(bpe, iter(paragraphs(100)), 16, 3), x[:3])
    assert tokens.blocks(bpe, [], 16).shape == (0, 16)


# WikiText-2


def article(title: str) -> list[str]:
    return ["", f" = {title} = \n", "", f" {title} is a thing . \n" * 9, "", " = = Early = = \n", "", " It was . \n"]


def wikitext_folder(root: Path, configuration: str, splits: tuple[str, ...] = text.SPLITS) -> None:
    for split in splits:
        rows = [row for i in range(20) for row in article(f"{split.title()} {i}")]
        write_parquet(root / "wikitext" / configuration / f"{split}-00000-of-00001.parquet", text=rows)


def test_wikitext_articles() -> None:
    rows = article("One") + article("Two")
    tricky = [*rows[:3], " = not a heading = \n", *rows[3:]]
    assert [len(a) for a in text.articles(rows)] == [8, 8]
    assert [len(a) for a in text.articles(tricky)] == [9, 8]


def test_web_part_is_whole_articles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_hub: None) -> None:
    wikitext_folder(tmp_path, "wikitext-2-raw-v1")
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", str(tmp_path))
    corpus = corpora.load("wikitext-2-raw")
    assert len(corpus.train) == len(corpus.web) == 80 and len(corpus.whole) == 160
    titles = [[row for row in part if row.startswith(" = T")] for part in (corpus.train, corpus.web, corpus.whole)]
    assert len(titles[0]) == 10 and not {*titles[0]} & {*titles[1]} and {*titles[0], *titles[1]} == {*titles[2]}
    assert titles[0] == [t for t in titles[2] if t in titles[0]]  # original order
    alone = corpus.source(web="none", vocabulary=300)
    half = corpus.source(vocabulary=300)
    assert alone.web is None and len(alone.train) > 1.9 * len(half.train)
    apart = corpus.source(web="embedded", vocabulary=300, pretrain=4)
    np.testing.assert_array_equal(apart.train.rows.x, alone.train.rows.x)
    np.testing.assert_array_equal(
        apart.web.rows.x, tokens.blocks(apart.tokenizer, corpora.load("embedded").whole, 64, 4)
    )
    with pytest.raises(InputError, match="web must be another corpus"):
        corpus.source(web="wikitext-2-raw", vocabulary=300)


def test_wikitext_alias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_hub: None, capsys) -> None:
    """v1 while raw lacks a split, raw once it has them all; said on stderr once."""
    text.say.cache_clear()
    wikitext_folder(tmp_path, "wikitext-2-v1")
    wikitext_folder(tmp_path, "wikitext-2-raw-v1", ("validation", "test"))
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", str(tmp_path))
    assert corpora.load("wikitext-2").name == corpora.load("wikitext-2").name == "wikitext-2-v1"
    assert capsys.readouterr().err == "corpus wikitext-2: using wikitext-2-v1\n"
    with pytest.raises(ExternalError, match="set MODEL_COLLAPSE_DATA"):
        corpora.load("wikitext-2-raw")
    wikitext_folder(tmp_path, "wikitext-2-raw-v1")
    assert corpora.load("wikitext-2").name == "wikitext-2-raw"


def test_hub_out_of_reach_is_one_line(monkeypatch: pytest.MonkeyPatch, no_hub: None) -> None:
    monkeypatch.delenv("MODEL_COLLAPSE_DATA", raising=False)
    for call in (lambda: corpora.load("wikitext-2"), tokens.opt):
        with pytest.raises(ExternalError, match="MODEL_COLLAPSE_DATA") as caught:
            call()
        assert "\n" not in str(caught.value)


@needed.real_data
def test_real_wikitext() -> None:
    corpus = corpora.load("wikitext-2-v1")
    assert len(corpus.whole) == 36_718 and (len(corpus.validation), len(corpus.test)) == (3_760, 4_358)
    assert len(text.articles(corpus.whole)) == 600
    source = corpus.source(100, tokenizer="opt", evaluate=4, pretrain=4)
    assert source.train.rows.x.shape == (100, 64) and source.train.rows.x[0, 0] == 2
    ids = tokens.blocks(source.tokenizer, corpus.test, 1)
    assert len(ids) == 292_943 + 4_358  # tokens as counted by transformers, and one </s> a row
    assert corpora.load("wikitext-2").name in ("wikitext-2-v1", "wikitext-2-raw")


def test_fresh_takes_unused_blocks_and_says_when_there_are_no_more(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("\n\n".join(paragraphs(400)))
    corpus = corpora.load(str(tmp_path))
    every = {tuple(x) for x in corpus.source(vocabulary=300).train.rows.x}
    source = corpus.source(20, vocabulary=300)
    unused = len(every) - 20
    drawn = source.draw(unused, np.random.default_rng(0)).rows.x
    assert {tuple(x) for x in drawn} == every - {tuple(x) for x in source.train.rows.x}
    with pytest.raises(InputError, match=f"has only {unused} unused blocks"):
        source.draw(unused + 1, np.random.default_rng(0))
    with pytest.raises(InputError, match="only 0 unused blocks"):
        corpus.source(vocabulary=300).draw(1, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["wikitext", "", "FOLDER", "no/such/folder", "no::column"])
def test_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(
        InputError,
        match="embedded, embedded-other, wikitext-2-raw, wikitext-2-raw-held-out, wikitext-2-v1, ",
    ):
        corpora.load(name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 0}, "n must be at least 1"),
        ({"n": -3}, "n must be at least 1"),
        ({"block": 1}, "block must be at least 2"),
        ({"evaluate": 0}, "evaluate must be at least 1"),
        ({"vocabulary": 100}, "vocabulary must be at least 260"),
        ({"tokenizer": "gpt"}, "tokenizer must be corpus, words, opt or a folder"),
        ({"web": "nothing"}, "corpus must be one of"),
        ({"block": 10**6}, "too short for one block"),
    ],
)
def test_bad_settings(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        corpora.load("embedded").source(**settings)


def test_more_blocks_than_there_are(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("\n\n".join(paragraphs(100)))
    corpus = corpora.load(str(tmp_path))
    most = len(corpus.source(vocabulary=300).train)
    with pytest.raises(InputError, match=f"n must be at most {most}, the training blocks"):
        corpus.source(most + 1, vocabulary=300)


def test_paths_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODEL_COLLAPSE_CACHE", str(tmp_path))
    monkeypatch.setenv("MODEL_COLLAPSE_DATA", "")
    assert paths.cache() == tmp_path and paths.data() is None
    monkeypatch.delenv("MODEL_COLLAPSE_CACHE")
    assert paths.cache().parts[-2:] == (".cache", "model_collapse")
