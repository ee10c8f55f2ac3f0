"""Text: blocks of tokens from a corpus, and what models write is kept as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
import pyarrow as pa

from model_collapse import corpora, streams
from model_collapse.corpora import as_text
from model_collapse.data import Rows, Source
from model_collapse.errors import InputError
from model_collapse.interfaces import Family, Generation
from model_collapse.modalities._modality import Modality, Wanted
from model_collapse.streams import Stream

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus

KNOWN_LAW = ("facts", "group_loss", "groups", "kl", "minimal_pairs")
"""Metrics that need a corpus whose true distribution is known (`source.world`)."""


class Text(Modality):
    """Blocks of tokens."""

    corpus: ClassVar[str] = "embedded"
    metrics: ClassVar[str] = "model_collapse.metrics.text"
    generated: ClassVar[str] = "texts"
    unit: ClassVar[str] = "blocks"

    def load(self, name: str) -> corpora.Corpus:
        return corpora.load(name)

    def check(self, family: Family, corpus: Corpus | None, n: int, metrics: Sequence[str]) -> None:
        for name in metrics:
            if name in KNOWN_LAW and corpus is not None and corpus.world is None:
                raise InputError(
                    f"--metrics: {name} needs a corpus whose true distribution is known (embedded), not {corpus.name}"
                )
        if family.knows_truth and corpus is not None and corpus.name != "embedded":
            raise InputError(
                f"family.decoding=truth: needs corpus embedded, whose true distribution is known, not {corpus.name}"
            )

    def most(self, family: Family, corpus: Corpus | None) -> int:
        # The text to pre-train on is no part of n.
        reading = {**family.reading(), "pretrain": 1, "order": np.random.default_rng(0)}
        return len(cast(corpora.Corpus, corpus).source(None, **reading).train)

    def kinds(self, family: Family, corpus: Corpus | None) -> np.ndarray | None:
        if corpus is None or corpus.world is None:
            return None
        return np.array(list(corpus.world.topic_shares.values()))

    def source(self, family: Family, wanted: Wanted) -> Source:
        text, part, reading = self.load(wanted.corpus), wanted.part, family.reading()
        if not wanted.pretraining:
            reading["pretrain"] = 1
        if reading.get("articles") is not None:
            reading["order"] = wanted.stream(-1, streams.SOURCE)
        if part.split and text.world is not None:
            reading["topics"] = [topic for i, topic in enumerate(text.world.topic_shares) if not part.lacks(i)]
        source = text.source(wanted.n * part.of, **reading)
        if family.probe and (count := len(source.tokenizer.encode([family.probe])[0])) < 2:
            raise InputError(f"family.probe={family.probe!r}: continued are 2 tokens or more, and this is {count}")
        return replace(as_text(part.take(source)), continued=source.continued[part.rows(len(source.train))])

    def with_model(self, family: Family) -> bool:
        return bool(family.probe)

    def table_bytes(self, source: Source, x: np.ndarray) -> float:
        return float(np.mean([len(text.encode()) for text in as_text(source).tokenizer.decode(x)]))

    def table(self, generation: Generation, family: Family, source: Source, stream: Stream) -> Mapping[str, pa.Array]:
        """What a model was given, and how it went on; row -1 is the family's probe."""
        tokenizer, given = as_text(source).tokenizer, cast(Rows, generation.given)
        prompts, texts = tokenizer.decode(given.x), tokenizer.decode(generation.sample.x)
        rows = np.arange(len(prompts), dtype=np.int64)
        if family.probe:
            # Like every prompt it is no longer than a block, and its end is what is continued.
            ids = np.array(tokenizer.encode([family.probe]), np.int32)[:, -given.x.shape[1] :]
            rng = stream(generation.t, streams.PROBE)
            wrote = cast(Rows, family.sample(generation.model, 1, rng, given=Rows(ids)))
            prompts, texts = [*prompts, *tokenizer.decode(ids)], [*texts, *tokenizer.decode(wrote.x)]
            rows = np.append(rows, -1)
        return {
            "row": pa.array(rows),
            "prompt": pa.array(prompts).dictionary_encode(),
            "text": pa.array(texts).dictionary_encode(),
        }


TEXT = Text()
