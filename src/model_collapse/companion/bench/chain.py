"""One whole generation of a small OPT: training, the choice of an epoch, writing and scoring, against transformers'."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

import numpy as np

from model_collapse import corpora, paths
from model_collapse.companion.bench import Benchmark, Pairs, Result, result
from model_collapse.data import Rows
from model_collapse.errors import ExternalError
from model_collapse.families.lm import Lm


@dataclass(frozen=True)
class Chain:
    """Generation 0 from random weights, on the CPU: `epochs` passes over `rows` blocks of 64 tokens, the epoch of least
    validation loss, a continuation of every block by five beams, perplexity on the test text. The published way
    computes in fp32.
    """

    precision: Literal["fp32", "bf16"] = "fp32"
    goal: float = 3
    preset: str = "small"
    rows: int = 128
    evaluate: int = 64
    vocabulary: int = 2048
    epochs: int = 5
    pairs: int = 5
    threads: int = 2

    published = "chain"

    def measure(self, name: str, published: ModuleType) -> Result:
        """Times per generation. Met only if the median perplexities of both differ by less than a tenth.

        ExternalError without accelerate, which transformers' Trainer needs.
        """
        if find_spec("accelerate") is None:
            raise ExternalError("bench chain: accelerate is missing; pip install 'model-collapse[dev]'")
        from transformers import OPTConfig

        from model_collapse import hardware
        from model_collapse.families.lm import model

        family = Lm(
            preset=self.preset,
            pretrain="none",
            vocabulary=self.vocabulary,
            evaluate=self.evaluate,
            epochs=self.epochs,
            batch=16,
            precision=self.precision,
            threads=self.threads,
        )
        data = paths.data()
        corpus = "wikitext-2" if data and (data / "wikitext").is_dir() else "embedded"
        source = corpora.load(corpus).source(self.rows, **family.reading())
        assert source.validation is not None and source.test is not None
        parts = [part.x for part in (source.train, source.validation, source.test)]
        start = model.blank(self.preset, self.vocabulary, 2 * family.block)
        found: dict[str, list[float]] = {"ours": [], "theirs": []}

        def ours(seed: int) -> None:
            rng = np.random.default_rng(seed)
            fitted = family.fit(source.train, rng, start=start, validation=source.validation)
            wrote = family.sample(fitted, self.rows, rng, given=source.train.drawn)
            assert wrote.x.shape == (self.rows, family.block)
            found["ours"].append(math.exp(family.score(fitted, Rows(parts[2])).mean()))

        def theirs(seed: int) -> None:
            shape = OPTConfig(**start.config)
            wrote, perplexity = published.generation(shape, *parts, self.epochs, family.learning_rate, seed)
            assert wrote.shape == (self.rows, family.block)
            found["theirs"].append(perplexity)

        with hardware.threads(self.threads):
            pairs = Pairs.time(ours, theirs, self.pairs)
        one, other = (float(np.median(values)) for values in found.values())
        note = (
            f"{self.preset} OPT, {self.rows} blocks of {source.corpus}, {self.epochs} epochs, all continued with 5 "
            f"beams, ours in {self.precision}, theirs in fp32, 16 blocks per step; "
            f"median test perplexity {one:.4g}, theirs {other:.4g}"
        )
        also = 0.9 < one / other < 1.1
        return result(name, pairs, 1, self.goal, note, also=also, threads=self.threads)


BENCHMARKS: dict[str, Benchmark] = {"chain": Chain(), "chain-bf16": Chain(precision="bf16")}
