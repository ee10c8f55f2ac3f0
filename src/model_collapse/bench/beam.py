"""Beam search at the shape of OPT-125m: one prompt pass for all beams, against transformers' `generate`."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import numpy as np

from model_collapse.bench import Benchmark, Pairs, Result, result, seconds
from model_collapse.families.opt import SHAPES, Opt


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
        """Times per batch of prompts. In fp32 met only if all tokens are the library's."""
        import torch
        from transformers import OPTConfig, OPTForCausalLM

        from model_collapse.families.opt import engine, hardware, products

        torch.manual_seed(0)
        shape = SHAPES[self.shape]
        config = OPTConfig(
            **shape, ffn_dim=4 * shape["hidden_size"], vocab_size=self.vocabulary, max_position_embeddings=2 * self.new
        )
        module = OPTForCausalLM(config).eval()
        for weight in module.parameters():
            weight.data *= 4 if weight.ndim == 2 else 1
        dtype = hardware.PRECISIONS[self.precision]
        written: dict[str, list[np.ndarray]] = {"ours": [], "theirs": []}

        def penalty(pair: int) -> float:
            return self.penalties[pair % len(self.penalties)]

        def prompts(pair: int) -> torch.Tensor:
            drawn = np.random.default_rng(pair).integers(4, self.vocabulary, (self.prompts, self.new))
            return torch.from_numpy(drawn)

        def ours(pair: int) -> None:
            # Laying the weights out is part of the work.
            settings = Opt(repetition_penalty=penalty(pair))
            none = torch.zeros((self.prompts, self.new), dtype=torch.float64)
            written["ours"].append(engine.Engine(module, dtype).write(prompts(pair), self.new, settings, none).numpy())

        def theirs(pair: int) -> None:
            written["theirs"].append(published.write(module, prompts(pair), self.new, penalty(pair)).numpy())

        with hardware.threads(self.threads), torch.inference_mode():
            pairs = Pairs.time(ours, theirs, self.pairs)
            a, b = torch.randn(2048, 2048, dtype=dtype), torch.randn(2048, 2048, dtype=dtype)
            product = products.Product(b, None, dtype)
            peak = 2 * 2048**3 / min(seconds(lambda _: product(a), i) for i in range(5))
        same = float(
            np.mean([np.array_equal(*both) for both in zip(*map(np.concatenate, written.values()), strict=True)])
        )
        weights = (
            sum(weight.numel() for weight in module.parameters()) - module.model.decoder.embed_positions.weight.numel()
        )
        # Every weight multiplies every beam at every step, and all but the head every token of a prompt once.
        head = self.vocabulary * shape["hidden_size"]
        work = 2 * self.prompts * self.new * (5 * weights + weights - head)
        share = work / float(np.median(pairs.ours)) / peak
        note = (
            f"{self.prompts} prompts and {self.new} new tokens, 5 beams, penalties "
            f"{', '.join(f'{p:g}' for p in self.penalties)}, ours in {self.precision}, theirs in fp32; "
            f"{same:.1%} of the texts are equal; we reach {share:.0%} of the rate of a large matrix product"
        )
        also = same == 1 or self.precision != "fp32"
        return result(name, pairs, 1, self.goal, note, peak=share, also=also, threads=self.threads)


BENCHMARKS: dict[str, Benchmark] = {"beam": Beam(), "beam-bf16": Beam(precision="bf16", goal=5)}
