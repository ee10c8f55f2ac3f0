"""The paper's experiment on text (Shumailov et al. 2024, Fig. 1b): conditions and sizes.

In A each generation is trained only on text of the one before, with five beams and real prompts. Every other condition
states only its differences. Everything that the paper leaves open is a setting of `lm`.

The paper counts epochs: five, in B ten. So do the sizes for a GPU. At the sizes of models that are pre-trained here all
conditions take the same number of steps of the optimiser, whatever there is to read, and texts may end; `published` and
`published-B` count epochs, and their texts never end. There every seed has a base of its own, pre-trained on other text
than it is fine-tuned on, and articles of its own; the text to test on is the same for all. The questions for the runs
are written down in `records/endpoints.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from model_collapse.companion.studies import study
from model_collapse.companion.studies.study import Condition, Record, Study
from model_collapse.families.lm import SCRATCH_LR, Lm
from model_collapse.metrics.text import KNOWN_LAW

SAMPLED: Mapping[str, Any] = {"family.decoding": "sample"}
EPOCHS: Mapping[str, Any] = {"family.steps": 0, "family.checkpoint": "best", "family.end": "forbidden"}
"""As published: epochs, of which one is kept, and texts that never end."""

MARKED: Mapping[str, Any] = {"family.watermark": "green"}
QUARTER: Mapping[str, Any] = {**SAMPLED, "regime.real_fraction": 0.25}

BEST_OF_8: Mapping[str, Any] = {**SAMPLED, "curate.candidates": 8, "curate.share": 1.0}

UNTOUCHED = Condition("as pre-trained", settings={**SAMPLED, "family.lr": 1e-12, "family.steps": 1}, generations=0)
"""What was there before any fine-tuning: the weights move by less than their precision. Sampled, as that is quicker."""

CONDITIONS: Mapping[str, Condition] = {
    "A": Condition("A: only generated text"),
    "B": Condition("B: 10 % real", "mix", {"family.epochs": 10, "regime.real_fraction": 0.1}),
    "control": Condition("control: real text only", "mix", {"regime.real_fraction": 1.0}),
    # Tells text that a model wrote from text that is only another.
    "placebo": Condition("placebo: other real text every time", "fresh", {"regime.real_fraction": 1.0}),
    # What is left of the harm if generated text has no error: same prompts, same lengths.
    "perfect": Condition("perfect writer: the true distribution continues", settings={"family.decoding": "truth"}),
    # The grid of epochs and real share, because the paper changed both at a time.
    "published": Condition("only generated text, 5 epochs", settings=EPOCHS),
    "A10": Condition("only generated text, 10 epochs", settings={**EPOCHS, "family.epochs": 10}),
    "B5": Condition("10 % real, 5 epochs", "mix", {**EPOCHS, "regime.real_fraction": 0.1}),
    "published-B": Condition(
        "10 % real, 10 epochs", "mix", {**EPOCHS, "family.epochs": 10, "regime.real_fraction": 0.1}
    ),
    # The paper's text has an ablation at 2; the released code has 3 everywhere.
    "penalty-2": Condition("repetition penalty 2", settings={"family.repetition_penalty": 2.0}),
    "penalty-3": Condition("repetition penalty 3", settings={"family.repetition_penalty": 3.0}),
    "prompts": Condition("prompts from the training set", given="training"),
    "greedy": Condition("greedy", settings={"family.decoding": "greedy"}),
    "sampled": Condition("sampled", settings=SAMPLED),
    "cold": Condition("sampled, temperature 0.3", settings={**SAMPLED, "family.temperature": 0.3}),
    "top-k": Condition("sampled, top 50", settings={**SAMPLED, "family.top_k": 50}),
    "top-p": Condition("sampled, top 95 %", settings={**SAMPLED, "family.top_p": 0.95}),
    # Gerstgrasser et al. 2024 (arXiv:2404.01413) sample; their arms are compared with "sampled".
    "accumulate": Condition("sampled, accumulate", "accumulate", SAMPLED),
    "subsample": Condition("sampled, accumulate and subsample", "subsample", SAMPLED),
    # What B is to A, and nothing else changed.
    "mixed": Condition("sampled, 10 % real", "mix", {**SAMPLED, "regime.real_fraction": 0.1}),
    "grow": Condition("sampled, replace with a set that grows", "grow", {**SAMPLED, "regime.power": 1.0}),
    "last": Condition("last epoch, not the best", settings={"family.checkpoint": "last"}),
    "continued": Condition("from the previous weights", settings={"family.continued": True}),
    # The released runner's flags; A at the scales `t4` and `paper` has the defaults of the released script.
    "runner": Condition("lr 1e-5, batch 16", settings={"family.lr": 1e-5, "family.batch": 16}),
    "zero-shot": UNTOUCHED,
    "unsurprising": Condition(
        "the least surprising half", filters=("surprise",), settings={**SAMPLED, "surprise.keep": "low"}
    ),
    # What a filter makes of training sets of which a quarter is real, and what it costs to write marked text.
    "polluted": Condition("a quarter real, unfiltered", "mix", QUARTER),
    "detected": Condition("dropped by a trained detector", "mix", QUARTER, filters=("detector",)),
    "weighed": Condition(
        "weighed by the detector", "mix", {**QUARTER, "detector.mode": "weigh"}, filters=("detector",)
    ),
    "unmarked": Condition("dropped by the watermark", "mix", {**QUARTER, **MARKED}, filters=("watermark",)),
    # Drops as many rows as the perfect record does, but at random: the effect of the smaller training set alone.
    "thinned": Condition(
        "a random quarter of the rows",
        "mix",
        {**QUARTER, "provenance.missed": 0.25, "provenance.false_alarms": 0.75},
        filters=("provenance",),
    ),
    "known": Condition("dropped by a perfect record", "mix", QUARTER, filters=("provenance",)),
    "marked": Condition("sampled, green watermark", settings={**SAMPLED, **MARKED}),
    "marked-beam": Condition("five beams, green watermark", settings=MARKED),
    "synthid": Condition("sampled, SynthID", settings={**SAMPLED, "family.watermark": "synthid"}),
    "synthid-beam": Condition("five beams, SynthID", settings={"family.watermark": "synthid"}),
    "surprising": Condition(
        "the most surprising half", filters=("surprise",), settings={**SAMPLED, "surprise.keep": "high"}
    ),
    # Eight continuations of each prompt, of which one is read: as much is read as in "sampled".
    "curated": Condition("best of 8, by an oracle", filters=("curate",), settings=BEST_OF_8),
    "learned-30": Condition(
        "best of 8, by scores learned from 30 %",
        filters=("curate",),
        settings={**BEST_OF_8, "curate.by": "learned", "curate.judged": 0.3},
    ),
    "likely": Condition(
        "best of 8, by likelihood", filters=("curate",), settings={**BEST_OF_8, "curate.by": "likelihood"}
    ),
    "lot": Condition("one of 8, at random", filters=("curate",), settings={**BEST_OF_8, "curate.by": "random"}),
}


@dataclass(frozen=True, kw_only=True)
class Size(study.Size):
    """Of OPTs.

    preset  size or folder of another model; the small ones, which come without weights, are trained as at `laptop`
    """

    preset: str | None = None


WRITER = ("watermark", "detector")
"""Metrics of who wrote a text, which only runs about it take."""

OTHERS = ("group_loss", "test_loss", "minimal_pairs", "self_bleu", "mauve")
"""Metrics that are taken on request alone."""

KNOWN = tuple(name for name in (*Lm.metrics, *Lm.more_metrics) if name not in (*WRITER, *OTHERS))
"""What is measured of text whose true distribution is known: all but what is taken on request."""

TEXT = tuple(name for name in KNOWN if name not in KNOWN_LAW)
"""And of any other."""

TINY: Mapping[str, Any] = {
    "family.preset": "tiny",
    "family.pretrain": "embedded-other",
    "family.own_base": True,
    "family.pretrain_epochs": 3,
    "family.pretrain_lr": 3e-3,
    "family.draw": "articles",
    "family.lr": 1e-3,
    "family.steps": 60,
    "family.checkpoint": "any",
    "family.end": "ordinary",
    "family.dropout": 0.0,
}
"""Every seed has a base of its own, which knows another world, and its own articles; a checkpoint may be the base.

Texts may end and others begin, as in what they go on from: a model that is trained on texts of which none ends does not
know any more how one begins, whoever wrote them, and articles are short here.
"""

PUBLISHED: Mapping[str, Any] = {"family.preset": "opt-125m", "family.start": "pretrained", "family.lr": 2e-5}

SHAPED: Mapping[str, Any] = {
    "family.preset": "opt-125m",
    "family.tokenizer": "opt",
    "family.pretrain_blocks": 720_000,
    "family.pretrain_epochs": 2,
    "family.pretrain_lr": 5e-4,
    "family.warmup": 0.02,
    "family.lr": 2e-5,
    "family.batch": 128,
    "family.precision": "bf16",
    "family.evaluate": 2048,
    "family.sample_batch": 256,
}
"""OPT-125m's shape and tokenizer, and the released script's rate and batch; not its weights."""

SMALL: Mapping[str, Any] = {
    "family.preset": "small",
    "family.vocabulary": 4096,
    "family.pretrain_blocks": 65536,
    "family.pretrain_epochs": 1,
    "family.lr": 3e-4,  # a third of the rate of pre-training, as at the other sizes
    "family.dropout": 0.0,
    "family.evaluate": 256,
    # Half as long as fp32 where the processor has bf16, and what GPUs compute in.
    "family.precision": "bf16",
}

PAPERS = ("A", "B", "control")
"""The paper's two, and the negative control."""

GRID = ("published", "A10", "B5", "published-B")
"""5 or 10 epochs, without or with a tenth of real text."""

STARTED = ("zero-shot", *PAPERS)
"""With what was there before any fine-tuning, which generation 0 has to beat (`gate`)."""

REAL = tuple(label for label in CONDITIONS if label != "perfect")
"""Conditions of text whose true distribution nobody knows."""

# Seed 0 is of pilots, which are in no record.
LAPTOP = Size(
    corpus="embedded",
    n=192,
    generations=9,
    seeds=3,
    seed=1,
    settings={**TINY, "family.pretrain_blocks": 3072, "family.evaluate": 256},
)
SMOKE = replace(
    LAPTOP,
    n=48,
    generations=2,
    seeds=2,
    settings={**TINY, "family.steps": 15, "family.pretrain_blocks": 128, "family.evaluate": 32},
)
# Articles are long: at most eight blocks of one, so that a seed has 16 articles or more.
WIKITEXT = replace(
    LAPTOP,
    corpus="wikitext-2-v1",
    n=128,
    seeds=6,
    settings={
        **LAPTOP.settings,
        "family.pretrain": "web",
        "family.pretrain_blocks": 4096,
        "family.article_blocks": 8,
        "family.steps": 40,
    },
)
# `verify --scale small` has twenty-five minutes of two cores for all its claims.
VERIFY = replace(
    LAPTOP,
    n=96,
    seeds=5,
    settings={**LAPTOP.settings, "family.pretrain_blocks": 1024, "family.steps": 30, "family.evaluate": 128},
)
# N = 1.25e8 weights take 6 N operations per token trained on and 2 N per token read, so a generation of A is 3.7e14
# here, and all conditions of the chapter 4.5e16: two hours at a tenth of a T4's peak in fp16, which is 6.5e13 a second.
T4 = Size(
    corpus="wikitext-2",
    n=1024,
    seeds=2,
    settings={**PUBLISHED, "family.batch": 16, "family.evaluate": 256},
)
PAPER = Size(
    corpus="wikitext-2-raw",
    n="all",
    seeds=5,
    settings={**PUBLISHED, "family.batch": 128, "family.evaluate": 10**6},
)

NOVELS = Record("wikitext", bins=("A",), pretrain=("eltec-eng",))
BOOKS = Record("gpu", bins=("A", "B"), pretrain=("wikipedia-en-2015", "eltec-eng"))
GPU = Size(corpus="wikitext-2-v1", n=8192, seeds=2, settings=SHAPED, labels=STARTED, record=BOOKS)

MARKS = ("marked", "marked-beam")
"""Conditions whose texts are marked; `verify` reads 200 pairs of tokens, at generation 0 alone."""

READ: Mapping[str, tuple[str, ...]] = {
    "A": ("perplexity", "written_perplexity", "repeated_3", "real_text", "similarity", "watermark"),
    "sampled": ("perplexity", "facts", "type_token_ratio", "distinct_2", "skeletons", "state_diversity"),
    **dict.fromkeys(("surprising", "unsurprising"), ("entropy",)),
    **dict.fromkeys(MARKS, ("watermark",)),
}
"""What claims read of a condition, as far as the corpus allows; of every other one perplexity alone."""

LAST: Mapping[str, int] = {
    **dict.fromkeys(("penalty-2", "grow", "polluted", "weighed"), 3),
    **dict.fromkeys(MARKS, 0),
}
"""The generation that the claims about a condition need; of every other one it is the paper's last."""


def _chapter(size: Size, **own: Any) -> Size:
    """The grid asks for few generations, and its further conditions cost as much as any; `own` is what else it has."""
    return replace(size, own={label: {"generations": 3, **own} for label in GRID})


def _verified(size: Size, grid: int, **marked: Any) -> Size:
    """A size as `model-collapse verify` runs it: each condition is one run, however many claims read it.

    grid    last generation of the grid of epochs and real share
    marked  what is otherwise where texts are marked
    """
    own = {}
    lasts = {**LAST, **dict.fromkeys(GRID, grid)}
    for label in CONDITIONS:
        metrics = (
            name for name in READ.get(label, ("perplexity",)) if size.corpus == "embedded" or name not in KNOWN_LAW
        )
        last = min(lasts.get(label, size.generations), size.generations)
        own[label] = {"metrics": tuple(metrics), "generations": last, **(marked if label in MARKS else {})}
    return replace(size, own=own)


LONG: Mapping[str, Any] = {"family.block": 201}

FEWER = (
    *("placebo", "accumulate", "grow", "subsample", "penalty-2", "cold"),
    *(*GRID, "surprising", "unsurprising"),
)
"""Conditions that are recorded for fewer generations, and `FEW` metrics of them."""

FEW = ("perplexity", "repeated_3", "distinct_2", "entropy", "training")

SIZES: Mapping[str, Size] = {
    "smoke": _chapter(SMOKE),
    # A book takes minutes: two thirds of the rows and steps, and half of the test text.
    "laptop": _chapter(
        replace(
            LAPTOP,
            n=128,
            settings={
                **LAPTOP.settings,
                "family.pretrain_blocks": 2048,
                "family.steps": 40,
                "family.evaluate": 128,
            },
        ),
        metrics=("perplexity",),
    ),
    "t4": _chapter(replace(T4, labels=REAL)),
    # A generation of A is 9e13 operations, and all conditions of the chapter 2.4e15: six minutes.
    "t4-10min": _chapter(
        replace(T4, n=256, generations=3, seeds=1, settings={**T4.settings, "family.evaluate": 64}, labels=REAL),
    ),
    "paper": _chapter(replace(PAPER, labels=REAL)),
    # What `verify` runs, without data from outside, and for a GPU.
    "verify": _verified(VERIFY, 3, n=48, settings={**VERIFY.settings, **LONG, "family.pretrain_blocks": 512}),
    "verify-gpu": _verified(replace(PAPER, labels=REAL), 9, settings={**PAPER.settings, **LONG}),
    # The negative control of the language chapters: one run, at a size for minutes.
    "verify-control": replace(
        VERIFY,
        generations=3,
        seeds=8,
        metrics=("perplexity", "repeated_3", "entropy"),
        labels=("control",),
    ),
    # Real text at the size of a laptop: recorded, and claims of scale "small" are judged by it too.
    "recorded": replace(
        WIKITEXT,
        labels=(*STARTED, "sampled", *FEWER),
        own={label: {"generations": 3, "metrics": FEW} for label in FEWER},
        record=NOVELS,
    ),
    "cpu": Size(
        corpus="wikitext-2-v1",
        n=640,
        seeds=2,
        settings=SMALL,
        labels=STARTED,
        record=Record("cpu", bins=("A", "B"), pretrain=("wikipedia-en-2015",)),
    ),
    "gpu": GPU,
    "gpu-all": replace(GPU, n="all", record=replace(BOOKS, name="gpu-all")),
    # For tests.
    "toy": replace(
        SMOKE,
        n=16,
        settings={
            **TINY,
            "family.pretrain_blocks": 32,
            "family.pretrain_epochs": 1,
            "family.steps": 5,
            "family.evaluate": 8,
        },
        labels=STARTED,
        record=Record("toy", bins=("A", "B")),
    ),
}


def _another_model(size: Size, changed: Mapping[str, Any]) -> Size:
    """With the settings that a model of another preset is trained with, or one that is to read another corpus."""
    preset = changed.get("preset")
    if changed.get("corpus", "embedded") != "embedded" and "family.pretrain" in size.settings:
        size = replace(size, settings={**size.settings, "family.pretrain": "web"})
    if preset is None:
        return size
    own, trained = (TINY, PUBLISHED) if preset in SCRATCH_LR else (PUBLISHED, TINY)
    kept = {name: value for name, value in size.settings.items() if name not in trained}
    return replace(size, settings={**own, **kept, "family.preset": preset})


def _measured(size: Size) -> Size:
    """With all metrics that the corpus allows, where none are asked for."""
    if size.metrics is not None:
        return size
    return replace(size, metrics=KNOWN if size.corpus == "embedded" else TEXT)


STUDY = Study("language_model", SIZES, CONDITIONS, "lm", _another_model, _measured)
