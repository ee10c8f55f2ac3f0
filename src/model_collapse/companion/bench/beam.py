"""Beam search at the shapes of OPT-125m and SmolLM2-135M: one prompt pass for all beams.

Against transformers' `generate`, which is what was published, and against CTranslate2, which an expert would take.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from model_collapse.companion import bench
from model_collapse.companion.bench import Benchmark, Pairs, Result, result
from model_collapse.families.lm import Lm

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "toy": {
        "model_type": "opt",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "ffn_dim": 256,
        "word_embed_proj_dim": 64,
        "vocab_size": 304,
        "max_position_embeddings": 64,
    },
    "opt-125m": {
        "model_type": "opt",
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "ffn_dim": 3072,
        "word_embed_proj_dim": 768,
        "vocab_size": 50272,
        "max_position_embeddings": 2048,
    },
    "smollm2-135m": {
        "model_type": "llama",
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "vocab_size": 49152,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
        "eos_token_id": 2,
    },
}
"""Shapes, by name."""


@dataclass(frozen=True)
class Beam:
    """Five beams over prompts of 64 tokens, random weights, on the CPU.

    Weights are scaled up until choices are clear, so that equal tokens can be asked for; time does not depend on them.
    One pair each for every penalty in turn.
    """

    precision: Literal["fp32", "bf16"] = "fp32"
    goal: float = 2
    shape: str = "opt-125m"
    published: str = "beam"
    theirs: Literal["fp32", "int8"] = "fp32"
    prompts: int = 16
    new: int = 64
    penalties: tuple[float, ...] = (1.0, 2.0, 3.0)
    pairs: int = 6
    threads: int = 2

    def measure(self, name: str, published: ModuleType) -> Result:
        """Times per batch of prompts. In fp32 met only if all tokens are the library's, up to ties."""
        import torch

        from model_collapse import hardware
        from model_collapse.families.lm import compare

        module = self.module()
        other = self.writer(module, published)
        written: dict[str, list[torch.Tensor]] = {"ours": [], "theirs": []}

        with hardware.threads(self.threads), torch.inference_mode():
            pairs = Pairs.time(
                lambda pair: written["ours"].append(self.ours(module, pair)),
                lambda pair: written["theirs"].append(other(self.given(pair), self.new, self.penalty(pair))),
                self.pairs,
            )
            peak = bench.product_rate(self.precision)
            both = list(zip(written["ours"], written["theirs"], strict=True))
            same = int(sum((one == other).all(dim=1).sum() for one, other in both))
            # The fp32 module says nothing about which choices fewer bits can tell apart, nor about another search.
            exact = self.precision == "fp32" and self.published == "beam"
            ties = 0
            if exact:
                ties = sum(
                    compare.compare(module, self.given(i), *texts, self.settings(i)).ties
                    for i, texts in enumerate(both)
                )
        texts = len(both) * self.prompts
        # Every weight of a linear layer multiplies every beam at every step, and all but the head every token of a
        # prompt once.
        head = module.lm_head.weight.numel()
        weights = sum(p.weight.numel() for p in module.modules() if isinstance(p, torch.nn.Linear))
        work = 2 * self.prompts * self.new * (5 * weights + weights - head)
        share = work / float(np.median(pairs.ours)) / peak
        note = (
            f"{self.prompts} prompts and {self.new} new tokens, 5 beams, penalties "
            f"{', '.join(f'{p:g}' for p in self.penalties)}, ours in {self.precision}, theirs in {self.theirs}; "
            f"{same / texts:.1%} of the texts are equal{f' and {ties} of {texts} tied' if ties else ''}; "
            f"we reach {share:.0%} of the rate of a large matrix product; {self.memory()}"
        )
        also = same + ties == texts or not exact
        return result(name, pairs, 1, self.goal, note, peak=share, also=also, threads=self.threads)

    def module(self) -> PreTrainedModel:
        """The model, the same each time."""
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        from model_collapse import hardware

        config = AutoConfig.for_model(**CONFIGURATIONS[self.shape])
        with hardware.seeded(0, torch.device("cpu")):
            module = AutoModelForCausalLM.from_config(config).eval()
        for weight in module.parameters():
            weight.data *= 4 if weight.ndim == 2 else 1
        return module

    def penalty(self, pair: int) -> float:
        """Of repetition."""
        return self.penalties[pair % len(self.penalties)]

    def settings(self, pair: int) -> Lm:
        """How a pair is written."""
        return Lm(repetition_penalty=self.penalty(pair))

    def given(self, pair: int) -> torch.Tensor:
        """Its prompts."""
        import torch

        drawn = np.random.default_rng(pair).integers(
            4, CONFIGURATIONS[self.shape]["vocab_size"], (self.prompts, self.new)
        )
        return torch.from_numpy(drawn)

    def ours(self, module: PreTrainedModel, pair: int) -> torch.Tensor:
        """What we write; laying the weights out is part of the work."""
        import torch

        from model_collapse import hardware
        from model_collapse.families.lm import engine

        none = torch.zeros((self.prompts, self.new), dtype=torch.float64)
        laid_out = engine.Engine(module, hardware.dtypes()[self.precision])
        return laid_out.write(self.given(pair), self.new, self.settings(pair), none)

    def writer(self, module: PreTrainedModel, published: ModuleType) -> Callable[[torch.Tensor, int, float], Any]:
        """The other way, ready to write."""
        more = () if self.published == "beam" else (self.theirs,)
        return published.writer(module, self.threads, *more)

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

    other = None if way == "ours" else work.writer(module, bench.published(work.published))

    def write() -> None:
        with torch.inference_mode():
            if other is None:
                work.ours(module, 0)
            else:
                other(work.given(0), work.new, work.penalty(0))

    return write


def _known() -> dict[str, Benchmark]:
    """Those that this machine can run: CTranslate2 is an extra that nothing else here needs."""
    goals = {"opt-125m": ("", 2.0, 5.0), "smollm2-135m": ("-smollm2", 1.8, 5.0)}
    known: dict[str, Benchmark] = {}
    for shape, (name, fp32, bf16) in goals.items():
        known[f"beam{name}"] = Beam(goal=fp32, shape=shape)
        known[f"beam{name}-bf16"] = Beam(precision="bf16", goal=bf16, shape=shape)
    if importlib.util.find_spec("ctranslate2"):
        for shape, (name, *_) in goals.items():
            known[f"beam{name}-ctranslate"] = Beam(goal=1, shape=shape, published="ctranslate")
            known[f"beam{name}-bf16-ctranslate-int8"] = Beam(
                precision="bf16", goal=3, shape=shape, published="ctranslate", theirs="int8"
            )
    return known


BENCHMARKS = _known()
