"""Causal language models: every decoder-only transformer that the library transformers builds without code of others.

Among them OPT, the model of the paper's experiment (Zhang et al. 2022, arXiv:2205.01068): a tiny one that learns on one
CPU thread in seconds, or the published OPT-125m. One fit reads blocks of tokens and predicts each token from those
before it in the block; one sample continues every given block by as many tokens as it has.

weights.py    where a preset's weights are, and how they are read (pinned.py, configuration.py, formats.py)
model.py      a model as a value, and modules made of it; shape.py its sizes
training.py   fitting; lora.py low-rank adapters, dropout.py masks of a divided batch
scoring.py    how probable a model finds text
decoding.py   writing: engine.py, watermark.py, and compare.py, which holds the engine to transformers' `generate`
products.py   matrix products that suit the processor
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse import corpora, distributed
from model_collapse.corpora import tokens
from model_collapse.data import Data, Rows, Source
from model_collapse.errors import InputError
from model_collapse.families._text import Text
from model_collapse.families.lm import weights
from model_collapse.families.lm.pinned import PINNED
from model_collapse.interfaces import Workload

if TYPE_CHECKING:
    from model_collapse.families.lm.model import LmModel

SHAPES = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
    "mini": {"hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4},
    "small": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 8},
    "opt-125m": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
}
"""Width, depth and heads of each preset; the feed-forward layer is four times as wide, as in every OPT."""

SCRATCH_LR = {"tiny": 3e-3, "mini": 2e-3, "small": 1e-3}
"""AdamW's peak learning rate without pre-trained weights; others take OPT-125m's 6e-4 (table 1 of the OPT paper)."""

PUBLISHED_LR, PUBLISHED_BATCH = 2e-5, 128
"""Defaults of the training script released with the paper, which starts from pre-trained weights."""

TOKENIZERS = ("auto", "corpus", "words", "opt")
"""Values of the setting `tokenizer` that name no folder."""

Auto = Literal["auto"]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Lm(Text):
    """A causal language model, fitted by next-token cross-entropy with AdamW.

    Defaults follow the paper where it says something (five epochs, five beams, no repetition penalty, blocks of 64
    tokens, the epoch with the lowest loss on real validation text) and suit `preset=tiny` elsewhere.
    """

    preset: Annotated[
        str,
        Field(
            description="tiny, mini, small; with weights: opt-125m, smollm2-135m, smollm2-135m-q4, "
            "owner/name[@revision] of the hub, or a folder with a model in the hub's layout"
        ),
    ] = "tiny"
    start: Annotated[
        Literal["scratch", "pretrained"], Field(description="random weights, or those that come with the preset")
    ] = "scratch"
    pretrain: Annotated[
        str, Field(description="text to pre-train on from scratch: web, a corpus name, a folder, or none")
    ] = "web"
    own_base: Annotated[
        bool, Field(description="every chain is pre-trained for itself; else all chains of a run share one model")
    ] = False
    pretrain_epochs: Annotated[int, Field(ge=1, description="passes over the pre-training text")] = 5
    pretrain_lr: Annotated[
        Auto | Rate, Field(description="peak learning rate of pre-training, falling to 0; auto: by size")
    ] = "auto"
    pretrain_blocks: Annotated[int, Field(ge=1, le=10**9, description="largest number of blocks to pre-train on")] = (
        2048
    )
    tokenizer: Annotated[
        str, Field(description="auto (corpus for tiny, mini and small, else the model's own), corpus, opt, or a folder")
    ] = "auto"
    vocabulary: Annotated[int, Field(ge=260, le=10**6, description="tokens of a tokenizer trained on the corpus")] = (
        1024
    )
    block: Annotated[
        int, Field(ge=2, le=10**5, description="tokens in a block, a prompt and a generated continuation")
    ] = 64
    evaluate: Annotated[int, Field(ge=1, description="largest number of blocks each of validation and test")] = 256
    draw: Annotated[
        Literal["first", "articles"],
        Field(description="training blocks: the first ones of the corpus, or of articles drawn for each chain"),
    ] = "first"
    article_blocks: Annotated[
        int, Field(ge=0, description="with draw=articles, largest number of blocks of one article; 0: all")
    ] = 0
    dropout: Annotated[
        Auto | Annotated[float, Field(ge=0, lt=1)],
        Field(description="dropped share of activations in training; auto: as the model's configuration says, OPT 0.1"),
    ] = "auto"
    epochs: Annotated[int, Field(ge=1, description="passes over the training set")] = 5
    steps: Annotated[
        int, Field(ge=0, description="steps of the optimiser instead of epochs; 0: as many as epochs say")
    ] = 0
    lr: Annotated[
        Auto | Rate,
        Field(description="AdamW's learning rate; auto: 2e-5 from pretrained weights, else by size (tiny 3e-3)"),
    ] = "auto"
    batch: Annotated[Auto | Count, Field(description="blocks per step; auto: 128 from pretrained weights, else 16")] = (
        "auto"
    )
    chunk: Annotated[
        int, Field(ge=0, description="blocks that go through the model at a time, gradients summed; 0: a whole batch")
    ] = 0
    schedule: Annotated[
        Literal["constant", "linear", "cosine"],
        Field(description="of the learning rate: constant, to 0, or half a cosine to 1e-6"),
    ] = "constant"
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False, description="AdamW's decoupled decay")] = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1, description="share of steps in which the learning rate rises")] = 0.0
    clip: Annotated[float, Field(ge=0, allow_inf_nan=False, description="largest gradient norm; 0: any")] = 1.0
    lora: Annotated[int, Field(ge=0, le=4096, description="rank of low-rank adapters; 0: all weights are trained")] = 0
    lora_alpha: Annotated[Auto | Rate, Field(description="what they learn counts alpha / rank times; auto: twice")] = (
        "auto"
    )
    lora_targets: Annotated[
        str, Field(description="layers that have adapters: all-linear, or names separated by commas")
    ] = "all-linear"
    continued: Annotated[
        bool, Field(description="each generation goes on from the weights of the one before, not from the first ones")
    ] = False
    checkpoint: Annotated[
        Literal["any", "best", "last"],
        Field(description="epoch of lowest loss on real validation text (any: the start is epoch 0), or the last"),
    ] = "best"
    decoding: Annotated[
        Literal["beam", "sample", "greedy", "truth"],
        Field(
            description="how a continuation is chosen; truth: drawn from the distribution of the embedded corpus, as "
            "by a perfect model"
        ),
    ] = "beam"
    beams: Annotated[int, Field(ge=1, le=1000, description="beams of decoding=beam")] = 5
    repetition_penalty: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="divisor of the logits of tokens already there; 1: none")
    ] = 1.0
    logit_shift: Annotated[
        float,
        Field(ge=-1e4, le=1e4, description="added to all logits in decoding, which changes no probability; 0: nothing"),
    ] = 0.0
    temperature: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="divisor of the logits in decoding=sample")
    ] = 1.0
    top_k: Annotated[int, Field(ge=0, description="likeliest tokens kept in decoding=sample; 0: all")] = 0
    top_p: Annotated[float, Field(gt=0, le=1, description="probability mass kept in decoding=sample; 1: all")] = 1.0
    end: Annotated[
        Literal["forbidden", "ordinary"],
        Field(description="end tokens: never generated (published: all texts have full length), or like any token"),
    ] = "forbidden"
    watermark: Annotated[
        Literal["none", "green", "synthid"],
        Field(description="watermark of generated text, by transformers' processors"),
    ] = "none"
    watermark_key: Annotated[int, Field(ge=1, le=2**31 - 1, description="secret key of generator and detector")] = (
        15485863
    )
    watermark_share: Annotated[
        float, Field(ge=0.01, le=0.99, description="share of tokens that are green; synthid has none")
    ] = 0.25
    watermark_bias: Annotated[
        float, Field(gt=0, le=100, description="added to the logits of green tokens; synthid has none")
    ] = 2.0
    probe: Annotated[
        str,
        Field(description="a text whose last block every generation continues as well; row -1 of the generated blocks"),
    ] = ""
    engine: Annotated[
        Literal["fast", "reference"],
        Field(
            description="own decoder, or transformers' generate: the same tokens; beams with synthid, and "
            "architectures that the decoder does not fit, take the latter"
        ),
    ] = "fast"
    sample_batch: Annotated[
        Auto | Count, Field(description="prompts continued at a time; auto: what fits, frozen when a run starts")
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        Field(description="of training and sampling; auto: CPU fp32, GPU bf16 from compute capability 8, older fp16"),
    ] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024, description="CPU threads; more than one may change the last bits")] = 1

    name: ClassVar[str] = "lm"
    more_metrics: ClassVar[tuple[str, ...]] = (
        *Text.more_metrics,
        "vocabulary",
        "training",
        "state_diversity",
        "mauve",
        "watermark",
    )
    checkpoints: ClassVar[bool] = True
    divided: ClassVar[bool] = True
    has_states: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.preset not in SCRATCH_LR:
            weights.check(self.preset, weights=self.start == "pretrained")
        if self.start == "pretrained":
            if self.preset in SCRATCH_LR:
                raise InputError(
                    f"family.start=pretrained: preset {self.preset} has no weights; use "
                    f"{', '.join(PINNED)}, owner/name of the hub or a folder, or family.start=scratch"
                )
            if self.pretrain not in ("web", "none"):
                raise InputError(f"family.pretrain={self.pretrain}: only family.start=scratch is pre-trained here")
        known = ("web", "none", *(name for name in corpora.NAMES if name != "FOLDER"))
        if self.pretrain not in known and not Path(self.pretrain).is_dir():
            raise InputError(f"family.pretrain={self.pretrain}: it is {', '.join(known)}, or an existing folder")
        if self.decoding != "sample" and (self.temperature, self.top_k, self.top_p) != (1.0, 0, 1.0):
            raise InputError("family.temperature, top_k and top_p need family.decoding=sample")
        # SynthID is a tournament among tokens that are drawn; greedy decoding draws none.
        if self.watermark == "synthid" and self.decoding == "greedy":
            raise InputError("family.watermark=synthid: marks what is drawn; use family.decoding=sample or beam")

    def reading(self) -> dict[str, Any]:
        """How a corpus is to be cut for this model: the arguments of `Corpus.source` after n."""
        return {
            "block": self.block,
            "tokenizer": self._own_tokenizer() if self.tokenizer == "auto" else self.tokenizer,
            "vocabulary": self.vocabulary,
            "evaluate": self.evaluate,
            "web": "none" if self.start == "pretrained" else self.pretrain,
            "pretrain": self.pretrain_blocks,
            "articles": self.article_blocks if self.draw == "articles" else None,
        }

    def _own_tokenizer(self) -> str:
        if self.preset in SCRATCH_LR:
            return "corpus"
        return "opt" if self.preset == "opt-125m" else str(weights.tokenizer(self.preset))

    def contents(self) -> list[str]:
        """What lies behind the settings that only name something: sha256 of the tokenizer's folder, of the text to
        pre-train on, and of the preset's weights."""
        found = [] if self.tokenizer in TOKENIZERS else [weights.checksum(Path(self.tokenizer))]
        # What an invented corpus says follows from the code.
        if self.start == "scratch" and self.pretrain not in ("web", "none", *corpora.WORLDS):
            found.append(corpora.load(self.pretrain).fingerprint)
        # Of the shapes that we know without a file only the weights can be others.
        if self.start == "pretrained" or self.preset not in (*SHAPES, *PINNED):
            found.append(weights.contents(self.preset))
        opts = self.tokenizer == "opt" or (self.tokenizer == "auto" and self.preset == "opt-125m")
        if opts and (other := tokens.instead_of_opt()):
            found.append(other)
        return found

    def base_settings(self) -> dict[str, Any] | None:
        """The settings that pre-training depends on, or None if there is none to do."""
        if self.start == "pretrained" or self.pretrain == "none":
            return None
        names = (
            "preset",
            "pretrain_epochs",
            "pretrain_lr",
            "dropout",
            "batch",
            "weight_decay",
            "warmup",
            "clip",
            "chunk",
        )
        settings = {name: vars(self)[name] for name in (*names, "precision", "threads")}
        return settings | self.reading()

    def device(self) -> str:
        """What computes: "cpu", or the GPU's name."""
        from model_collapse import hardware

        return hardware.name()

    def base(self, source: Source, rng: np.random.Generator, progress: Callable[[str], None] | None = None) -> LmModel:
        """What every generation starts from.

        start=pretrained: the preset's weights. start=scratch: one model pre-trained on `source.web` at a learning rate
        that falls to 0, or with pretrain=none only the shape; each generation then draws weights of its own.

        Pre-training reads neighbouring blocks in pairs, which are as long as a prompt and its continuation together,
        half as many at a step.
        """
        from model_collapse.families.lm import model, training

        tokenizer = corpora.as_text(source).tokenizer
        size = tokenizer.size
        if self.start == "pretrained":
            base = model.pretrained(self.preset)
        else:
            base = model.blank(self.preset, size, positions=2 * self.block)
        if size > base.vocabulary:
            raise InputError(
                f"family.tokenizer={self.tokenizer}: {size} tokens, but preset {self.preset} knows {base.vocabulary}"
            )
        if unwritable := sorted(set(range(base.vocabulary)) - set(tokenizer.writable.tolist())):
            base = replace(base, config={**base.config, "unwritable": unwritable})
        if self.decoding != "truth":
            # Before a model is trained for minutes that could not go on after a block.
            model.room(base, self.block, self.block)
        if self.start == "pretrained" or self.pretrain == "none":
            return base
        if source.web is None:
            raise InputError("family.pretrain: this corpus has no text to pre-train on; use family.pretrain=none")
        x = source.web.x
        if len(x) < 2:
            raise InputError("family.pretrain: needs two blocks of text to pre-train on; this corpus has 1")
        pairs = Data.real(Rows(x[: len(x) // 2 * 2].reshape(-1, 2 * x.shape[1])))
        lr = self._scratch_lr if self.pretrain_lr == "auto" else self.pretrain_lr
        halved = replace(self, batch=max(1, self.blocks_per_step // 2), lora=0)
        return distributed.everywhere(
            training.train,
            base,
            pairs,
            rng,
            halved,
            epochs=self.pretrain_epochs,
            lr=lr,
            schedule="linear",
            progress=progress,
        )

    def fit(
        self,
        data: Data,
        rng: np.random.Generator,
        *,
        start: LmModel | None = None,
        validation: Data | None = None,
    ) -> LmModel:
        """A new model, trained from `start` on rows (n, block) of token ids; `start` stays as it is.

        Without a start, or with one that is only a shape, the weights are drawn from `rng`. With checkpoint=best the
        epoch with the lowest mean loss on `validation` is returned, with checkpoint=any perhaps the start itself, as it
        was; without validation rows, the last epoch.
        """
        from model_collapse.families.lm import model, training

        start = start or model.blank(self.preset, self.vocabulary, positions=2 * self.block)
        chosen_by = None if self.checkpoint == "last" else validation
        return distributed.everywhere(
            training.train,
            start,
            data,
            rng,
            self,
            epochs=self.epochs,
            lr=self.learning_rate,
            steps=self.steps,
            validation=chosen_by,
        )

    def sample(self, model: LmModel, n: int, rng: np.random.Generator, *, given: Rows | None = None) -> Rows:
        """The next `block` tokens after each of the n given blocks (n, any length): Rows (n, block) of int32.

        The prompts are not part of the result. Every prompt token is attended to, </s> inside a block included.
        """
        return Rows(np.concatenate([shard().x for shard in self.shards(model, n, rng, given=given)]))

    def shards(
        self, model: LmModel, n: int, rng: np.random.Generator, *, given: Rows | None = None
    ) -> Iterator[Callable[[], Rows]]:
        """What `sample` writes, as calls that each write the next `decoding.SHARD` rows and depend on no other."""
        from model_collapse.families.lm import decoding

        if given is None or len(given) != n:
            raise InputError(
                f"lm continues prompts: it needs {n} given blocks, not {0 if given is None else len(given)}"
            )
        if self.decoding == "truth":
            continuation = corpora.load("embedded").continuation(self.reading()["tokenizer"], self.vocabulary)
            return iter([lambda: Rows(continuation(given.x, self.block, rng))])
        return decoding.shards(model, given.x, rng, self)

    def choose(self, model: LmModel) -> dict[str, Any]:
        """Settings that are chosen for the machine and change no result but ties: for models like this one."""
        from model_collapse.families.lm import decoding

        return {"sample_batch": decoding.batch(model, self)}

    def halved(self, use: Literal["fit", "sample"]) -> dict[str, Any] | None:
        """Settings that need about half the memory in this use, or None where there is nothing to halve."""
        if use == "fit":
            now = self.chunk or self.blocks_per_step
            return {"chunk": now // 2} if now > 1 else None
        now = 1 if self.sample_batch == "auto" else self.sample_batch
        return {"sample_batch": now // 2} if now > 1 else None

    def score(self, model: LmModel, rows: Rows) -> np.ndarray:
        """Negative log-likelihood in nats of every token but the first of each row, given those before it in the row.

        rows (n, m) of token ids; result (n, m - 1), float32. Computed in fp32 whatever the training precision.
        """
        from model_collapse.families.lm import scoring

        return scoring.score(model, rows.x, self.threads)

    def entropy(self, model: LmModel, rows: Rows) -> np.ndarray:
        """Entropy in nats of the distribution of every token but the first, given those before it: as `score`."""
        from model_collapse.families.lm import scoring

        return scoring.entropy(model, rows.x, self.threads)

    def states(self, model: LmModel, rows: Rows) -> np.ndarray:
        """Mean over each row's tokens of the last layer's hidden state: rows (n, m) -> (n, width), float32."""
        from model_collapse.families.lm import scoring

        return scoring.states(model, rows.x, self.threads)

    def marks(self, rows: Rows, vocabulary: int, *, repeats: bool = False) -> np.ndarray:
        """z of the test for the settings' watermark in each row, with `watermark=none` for a green one; `watermark.z`.

        vocabulary  token ids that the model that wrote knows
        repeats     count n-grams as often as they come; else once
        """
        from model_collapse.families.lm import watermark

        return watermark.z(self, vocabulary, rows.x, repeats=repeats)

    def save(self, model: LmModel, folder: Path) -> None:
        """Write the model into an existing folder in hub layout (config.json, model.safetensors)."""
        from model_collapse.families.lm.model import save

        save(model, folder)

    def load(self, folder: Path) -> LmModel:
        """The model that `save` wrote, bit for bit."""
        from model_collapse.families.lm.model import load

        return load(folder)

    @property
    def learning_rate(self) -> float:
        """`lr` with "auto" resolved."""
        if self.lr != "auto":
            return self.lr
        return PUBLISHED_LR if self.start == "pretrained" else self._scratch_lr

    @property
    def blocks_per_step(self) -> int:
        """`batch` with "auto" resolved."""
        if self.batch != "auto":
            return self.batch
        return PUBLISHED_BATCH if self.start == "pretrained" else 16

    @property
    def workload(self) -> Workload:
        """Training, validation and writing, block by block."""
        return Workload(
            epochs=self.epochs,
            steps=self.steps,
            batch=self.blocks_per_step,
            together=1 if self.sample_batch == "auto" else self.sample_batch,
            validation=self.evaluate,
            validated=self.checkpoint != "last",
            base_epochs=self.pretrain_epochs,
            writing=2 + (self.beams if self.decoding == "beam" else 1),
            operations=self.operations * self.block,
            bytes=2 * 4 * self.block,
        )

    def quick(self, batch: int | None = None, source: Source | None = None) -> Lm:
        """One epoch, of which the last is kept."""
        more: dict[str, Any] = {} if batch is None else {"batch": batch}
        more |= {} if source is None else {"vocabulary": corpora.as_text(source).tokenizer.size}
        return replace(self, epochs=1, steps=0, checkpoint="last", **more)

    @property
    def knows_truth(self) -> bool:
        """Whether decoding=truth."""
        return self.decoding == "truth"

    def model_bytes(self, model: LmModel) -> int:
        """Of all weights."""
        return sum(w.nbytes for w in (model.weights or {}).values())

    @property
    def operations(self) -> float:
        """Floating-point operations for each token read, about: two for each weight. A folder counts as OPT-125m."""
        shape = SHAPES.get(self.preset, SHAPES["opt-125m"])
        width, layers = shape["hidden_size"], shape["num_hidden_layers"]
        vocabulary = self.vocabulary if self.preset in SCRATCH_LR else 50272
        return 2.0 * (12 * layers * width**2 + vocabulary * width)

    @property
    def _scratch_lr(self) -> float:
        return SCRATCH_LR.get(self.preset, 6e-4)
