"""Beam search at the shape of OPT-125m: one prompt pass for all beams, against transformers' `generate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from model_collapse.companion import bench
from model_collapse.companion.bench import Benchmark, Pairs, Result, result
from model_collapse.families.opt import SHAPES, Opt

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Beam:
    """Five beams over prompts of 64 tokens, random weights, on the CPU; the published way computes in fp32.

    Weights are scaled up until choices are clear, so that equal tokens can be asked for; time does not depend on them.
    One pair each for every penalty in turn.
    """

    precision: Literal["fp32", "bf16"] = "fp32"
    goal: float = 2
    shape: str = "opt-125m"
    vocabulary: int = 50272
    prompts: int = 16
    new: int = 64
    penalties: tuple[float, ...] = (1.0, 2.0, 3.0)
    pairs: int = 6
    threads: int = 2

    published = "beam"

    def measure(self, name: str, published: ModuleType) -> Result:
        """Times per batch of prompts. In fp32 met only if all tokens are the library's, up to ties."""
        import torch

        from model_collapse import hardware
        from model_collapse.families.opt import compare

        module = self.module()
        written: dict[str, list[torch.Tensor]] = {"ours": [], "theirs": []}

        with hardware.threads(self.threads), torch.inference_mode():
            pairs = Pairs.time(
                lambda pair: written["ours"].append(self.ours(module, pair)),
                lambda pair: written["theirs"].append(self.theirs(module, pair, published)),
                self.pairs,
            )
            peak = bench.product_rate(self.precision)
            both = list(zip(written["ours"], written["theirs"], strict=True))
            same = int(sum((one == other).all(dim=1).sum() for one, other in both))
            # The fp32 module says nothing about which choices bf16 can tell apart.
            ties = 0
            if self.precision == "fp32":
                ties = sum(
                    compare.compare(module, self.given(i), *texts, self.settings(i)).ties
                    for i, texts in enumerate(both)
                )
        texts = len(both) * self.prompts
        weights = (
            sum(weight.numel() for weight in module.parameters()) - module.model.decoder.embed_positions.weight.numel()
        )
        # Every weight multiplies every beam at every step, and all but the head every token of a prompt once.
        head = self.vocabulary * SHAPES[self.shape]["hidden_size"]
        work = 2 * self.prompts * self.new * (5 * weights + weights - head)
        share = work / float(np.median(pairs.ours)) / peak
        note = (
            f"{self.prompts} prompts and {self.new} new tokens, 5 beams, penalties "
            f"{', '.join(f'{p:g}' for p in self.penalties)}, ours in {self.precision}, theirs in fp32; "
            f"{same / texts:.1%} of the texts are equal{f' and {ties} of {texts} tied' if ties else ''}; "
            f"we reach {share:.0%} of the rate of a large matrix product; {self.memory()}"
        )
        also = same + ties == texts or self.precision != "fp32"
        return result(name, pairs, 1, self.goal, note, peak=share, also=also, threads=self.threads)

    def module(self) -> Any:
        """The model, the same each time."""
        import torch
        from transformers import OPTConfig, OPTForCausalLM

        from model_collapse import hardware

        shape = SHAPES[self.shape]
        config = OPTConfig(
            **shape, ffn_dim=4 * shape["hidden_size"], vocab_size=self.vocabulary, max_position_embeddings=2 * self.new
        )
        with hardware.seeded(0, torch.device("cpu")):
            module = OPTForCausalLM(config).eval()
        for weight in module.parameters():
            weight.data *= 4 if weight.ndim == 2 else 1
        return module

    def settings(self, pair: int) -> Opt:
        """How a pair is written."""
        return Opt(repetition_penalty=self.penalties[pair % len(self.penalties)])

    def given(self, pair: int) -> torch.Tensor:
        """Its prompts."""
        import torch

        drawn = np.random.default_rng(pair).integers(4, self.vocabulary, (self.prompts, self.new))
        return torch.from_numpy(drawn)

    def ours(self, module: Any, pair: int) -> torch.Tensor:
        """What we write; laying the weights out is part of the work."""
        import torch

        from model_collapse import hardware
        from model_collapse.families.opt import engine

        none = torch.zeros((self.prompts, self.new), dtype=torch.float64)
        laid_out = engine.Engine(module, hardware.dtypes()[self.precision])
        return laid_out.write(self.given(pair), self.new, self.settings(pair), none)

    def theirs(self, module: Any, pair: int, published: ModuleType) -> torch.Tensor:
        """What the published way writes."""
        return published.write(module, self.given(pair), self.new, self.settings(pair).repetition_penalty)

    def memory(self) -> str:
        """Of both ways, the memory they add to the model's: layouts of weights, keys and values, logits."""
        ours, theirs = (bench.extra_memory(_alone, self, way) for way in ("ours", "theirs"))
        if ours is None or theirs is None:
            return "this system keeps no peak of memory"
        return f"peak memory beside the model {ours / 1e9:.2g} GB, theirs {theirs / 1e9:.2g} GB"


def _alone(work: Beam, way: str) -> Callable[[], object]:
    """One batch, one way."""
    import torch

    module = work.module()
    torch.set_num_threads(work.threads)

    def write() -> None:
        with torch.inference_mode():
            if way == "ours":
                work.ours(module, 0)
            else:
                work.theirs(module, 0, bench.published(work.published))

    return write


BENCHMARKS: dict[str, Benchmark] = {"beam": Beam(), "beam-bf16": Beam(precision="bf16", goal=5)}
