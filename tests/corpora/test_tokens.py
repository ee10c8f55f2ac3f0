"""A model's own tokenizer: the ids that transformers gives, nothing stripped, and texts come back as they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import needed
import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from model_collapse import corpora, paths
from model_collapse.corpora import tokens
from model_collapse.errors import ExternalError, InputError

TEXT = ["The church tower was built in 1415, and the choir in 1420.", " = Title = \n", "naïve 漢字 🙂"] * 9


def byte_level(end: str = "<|endoftext|>", **more: Any) -> Tokenizer:
    """As GPT-2 and SmolLM2 have it."""
    engine = Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    engine.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=[end, "<mask>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    engine.train_from_iterator(TEXT, trainer)
    return engine


def with_start() -> Tokenizer:
    """As OPT and Gemma have it: one token in front of every text."""
    engine = byte_level("</s>")
    engine.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 0)])
    return engine


def sentence_piece() -> Tokenizer:
    """As Llama 2 and Gemma have it: spaces as a sign of their own, unknown characters as bytes."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "▁", "t", "h", "e", "▁t", "he", "▁the"]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he")]
    engine = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    engine.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    engine.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    engine.add_special_tokens([AddedToken("<s>", special=True), AddedToken("</s>", special=True)])
    engine.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return engine


def saved(folder: Path, engine: Tokenizer, ends: object = 0, where: str = "config.json") -> Path:
    engine.save(str(folder / tokens.OWN))
    (folder / where).write_text(json.dumps({"eos_token_id": ends, "model_type": "gpt2"}))
    return folder


WHOLE: dict[str, tuple[Callable[[], Tokenizer], int, tuple[int, ...]]] = {
    "byte level": (byte_level, 0, ()),
    "with a start": (with_start, 0, (0,)),
    "sentence piece": (sentence_piece, 2, (1,)),
}


@pytest.mark.parametrize("case", WHOLE)
def test_it_adds_what_the_models_own_adds(case: str, tmp_path: Path) -> None:
    make, end, first = WHOLE[case]
    own = tokens.read(saved(tmp_path, make(), end))
    assert isinstance(own, tokens.Own)
    assert (own.end, own.ends, own.first, own.last, own.folder) == (end, (end,), first, (), tmp_path)
    for text in (*tokens.PROBES, *TEXT):
        (ids,) = own.encode([text])
        assert tuple(ids[: len(first)]) == first
        if not set(make().get_added_tokens_decoder()) & set(make().encode(text, add_special_tokens=False).ids):
            assert ids == make().encode(text).ids
        assert own.decode(np.array([ids[len(first) :]])) == [text]


def test_special_tokens_in_a_text_are_text(tmp_path: Path) -> None:
    own = tokens.read(saved(tmp_path, byte_level()))
    text = "one <|endoftext|> two <mask>"
    (ids,) = own.encode([text])
    assert not {0, 1} & set(ids) and own.decode(np.array([ids])) == [text]


def test_an_end_is_a_line_break_and_specials_are_nothing(tmp_path: Path) -> None:
    own = tokens.read(saved(tmp_path, byte_level(), [0, 5]))
    a, b = own.encode(["one", "two"])
    assert own.ends == (0, 5)
    assert own.decode(np.array([[*a, 0, *b, 5, 1]])) == ["one\ntwo\n"]
    assert own.decode(np.array([[*a, 10**6]])) == ["one"]


@pytest.mark.parametrize(
    ("where", "name"), [("generation_config.json", "eos_token_id"), ("tokenizer_config.json", "eos_token")]
)
def test_where_ends_are_named(where: str, name: str, tmp_path: Path) -> None:
    folder = saved(tmp_path, byte_level(), 7)
    (folder / where).write_text(json.dumps({name: [3, 4] if name == "eos_token_id" else "<mask>"}))
    assert tokens.read(folder).ends == ((3, 4) if name == "eos_token_id" else (7,))
    (folder / "config.json").unlink()
    assert tokens.read(folder).ends == ((3, 4) if name == "eos_token_id" else (1,))


def test_ids_that_stand_for_a_token(tmp_path: Path) -> None:
    """Rows of a vocabulary that were never given a token are none."""
    body = json.loads(byte_level().to_str())
    body["added_tokens"].append(body["added_tokens"][0] | {"id": 500, "content": "<far>"})
    own = tokens.read(saved(tmp_path, Tokenizer.from_str(json.dumps(body))))
    known = set(own.writable.tolist())
    assert own.writable.dtype == np.int32 and sorted(known) == own.writable.tolist()
    assert own.size == max(known) + 1 and known == set(own.vocabulary.values())
    bpe = tokens.trained(TEXT, 300)
    assert bpe.writable.tolist() == sorted(bpe.vocabulary.values()) and bpe.ends == (bpe.end,)
    words = tokens.words(TEXT, 9)
    assert words.writable.tolist() == list(range(9)) and words.ends == (words.end,)


def test_long_texts_are_never_cut(tmp_path: Path) -> None:
    engine = byte_level()
    engine.enable_truncation(4)
    engine.enable_padding(length=8)
    own = tokens.read(saved(tmp_path, engine))
    text = "The church tower " * 9
    assert own.decode(np.array(own.encode([text]))) == [text]
    assert len(own.encode(["a"])[0]) == 1


def test_saved_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    own = tokens.read(saved(tmp_path / "a", with_start(), [0, 1]))
    own.save(tmp_path / "b")
    back = tokens.read(tmp_path / "b")
    assert (back.ends, back.first, back.encode(TEXT)) == (own.ends, own.first, own.encode(TEXT))


def test_a_corpus_is_cut_by_it(tmp_path: Path) -> None:
    source = corpora.load("embedded").source(3, block=16, tokenizer=str(saved(tmp_path, with_start())), evaluate=2)
    assert isinstance(source.tokenizer, tokens.Own) and source.train.rows.x.shape == (3, 16)
    row = [i for ids in source.tokenizer.encode(corpora.load("embedded").train[:3]) for i in ids]
    assert source.train.rows.x.ravel().tolist() == row[:48]


LOSSY: dict[str, Callable[[Tokenizer], object]] = {
    "lower case": lambda e: setattr(e, "normalizer", normalizers.Lowercase()),
    "accents": lambda e: setattr(e, "normalizer", normalizers.BertNormalizer(strip_accents=True)),
    "compatible forms": lambda e: setattr(e, "normalizer", normalizers.NFKC()),
    "spaces": lambda e: setattr(e, "normalizer", normalizers.Strip()),
    "double spaces": lambda e: setattr(e, "normalizer", normalizers.Replace("  ", " ")),
    "space in front": lambda e: setattr(e, "pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "no decoder": lambda e: setattr(e, "decoder", None),
    "a token that takes spaces": lambda e: e.add_tokens([AddedToken("tower", lstrip=True)]),
}


@pytest.mark.parametrize("case", LOSSY)
def test_one_that_does_not_give_texts_back_is_refused(case: str, tmp_path: Path) -> None:
    engine = byte_level()
    LOSSY[case](engine)
    with pytest.raises(InputError, match="does not give texts back") as caught:
        tokens.read(saved(tmp_path, engine))
    assert "\n" not in str(caught.value)


def test_one_that_does_not_know_every_character_is_refused(tmp_path: Path) -> None:
    engine = Tokenizer(models.WordLevel({"the": 0, "<unk>": 1}, unk_token="<unk>"))
    engine.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(InputError, match="does not give texts back"):
        tokens.read(saved(tmp_path, engine))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"tokenizer.json": "{"}, "is damaged"),
        ({"tokenizer.json": ""}, "is damaged"),
        ({"vocab.json": "{}"}, "it must hold"),
        ({}, "it must hold"),
        ({"vocab.json": '{"a": 0', "merges.txt": "a b\n"}, "are damaged"),
        ({"vocab.json": '{"a": 0}', "merges.txt": "a b c\n"}, "are damaged"),
        ({"vocab.json": '{"a": 0}', "merges.txt": ""}, "cannot be read|names no end|texts back"),
    ],
)
def test_folders_without_a_tokenizer_are_one_line(content: dict[str, str], said: str, tmp_path: Path) -> None:
    for name, body in content.items():
        (tmp_path / name).write_text(body)
    with pytest.raises(InputError, match=f"tokenizer: .*{said}") as caught:
        tokens.read(tmp_path)
    assert "\n" not in str(caught.value)


def test_sentencepiece_that_is_not_here_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokenizer.model").write_text("x")
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *x: None)
    with pytest.raises(ExternalError, match="needs the package sentencepiece"):
        tokens.read(tmp_path)


@pytest.mark.parametrize("ends", [None, 10**6, "x", [], [0, None]])
def test_no_end_token_is_one_line(ends: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no end token"):
        tokens.read(saved(tmp_path, byte_level(), ends))


def test_gpt2s_two_files_are_read_by_transformers(tmp_path: Path) -> None:
    """Without </s> in its vocabulary it is no OPT: nothing stands in front of a text."""
    engine = byte_level()
    body = json.loads(engine.to_str())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(body["vocab"]))
    lines = ["#version: 0.2", *map(" ".join, body["merges"])]
    (tmp_path / "merges.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "eos_token_id": 0}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
    own = tokens.read(tmp_path)
    assert isinstance(own, tokens.Own) and own.first == ()
    assert own.encode(TEXT) == [e.ids for e in engine.encode_batch(TEXT)]


@needed.opt_tokenizer
def test_opts_own_in_one_file_gives_the_ids_of_its_two(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    data = paths.data()
    assert data is not None
    AutoTokenizer.from_pretrained(data / "opt-125m-tokenizer").save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"eos_token_id": 2}')
    own, opt = tokens.read(tmp_path), tokens.opt()
    assert isinstance(own, tokens.Own) and isinstance(opt, tokens.Tokenizer) and own.first == (2,)
    texts = [*tokens.PROBES, *TEXT, "<s> </s>"]
    assert own.encode(texts) == opt.encode(texts)
    ids = np.array(own.encode(["The church </s>"]))
    assert own.decode(ids) == opt.decode(ids)
    assert len(own.writable) == len(opt.writable) and own.size == opt.size
