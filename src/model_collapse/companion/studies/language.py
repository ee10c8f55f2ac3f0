"""The arms of the language experiment in one table, and the sizes it is run at.

    runs = language.runs(("A", "B", "control"), language.SCALES["laptop"])
    tables, texts = study(runs, folder)

Arm A is the paper's (Shumailov et al. 2024, Fig. 1b): each generation is trained for five epochs on what the one before
wrote, nothing else, with five beams and real prompts. Every other arm says only what it does otherwise. What the paper
left unsaid is a setting of family `opt`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError
from model_collapse.families.opt import SCRATCH_LR, Opt
from model_collapse.metrics.text import KNOWN_LAW


@dataclass(frozen=True)
class Arm:
    """What an arm does otherwise than A.

    title     in a legend or a table
    settings  of family, regime and filter, over those of the scale
    given     what is continued: the original prompts, or the generation's own training set
    """

    title: str
    regime: str = "replace"
    settings: Mapping[str, Any] = field(default_factory=dict)
    given: str = "original"
    filters: tuple[str, ...] = ()


SAMPLED: Mapping[str, Any] = {"family.decoding": "sample"}
MARKED: Mapping[str, Any] = {"family.watermark": "green"}
QUARTER: Mapping[str, Any] = {**SAMPLED, "regime.real_fraction": 0.25}

BEST_OF_8: Mapping[str, Any] = {**SAMPLED, "curate.candidates": 8, "curate.share": 1.0}

ARMS: Mapping[str, Arm] = {
    "A": Arm("A: only what was written, 5 epochs"),
    "B": Arm("B: 10 % real, 10 epochs", "mix", {"family.epochs": 10, "regime.real_fraction": 0.1}),
    "control": Arm("control: real text only", "mix", {"regime.real_fraction": 1.0}),
    # With A and B the grid of epochs and real share, because the paper changed both at a time.
    "A10": Arm("only what was written, 10 epochs", settings={"family.epochs": 10}),
    "B5": Arm("10 % real, 5 epochs", "mix", {"regime.real_fraction": 0.1}),
    # The paper's text has an ablation at 2; the released code has 3 everywhere.
    "penalty-2": Arm("repetition penalty 2", settings={"family.repetition_penalty": 2.0}),
    "penalty-3": Arm("repetition penalty 3", settings={"family.repetition_penalty": 3.0}),
    "prompts": Arm("prompts from the training set", given="training"),
    "greedy": Arm("greedy", settings={"family.decoding": "greedy"}),
    "sampled": Arm("sampled", settings=SAMPLED),
    "cold": Arm("sampled, temperature 0.3", settings={**SAMPLED, "family.temperature": 0.3}),
    "top-k": Arm("sampled, top 50", settings={**SAMPLED, "family.top_k": 50}),
    "top-p": Arm("sampled, top 95 %", settings={**SAMPLED, "family.top_p": 0.95}),
    # Gerstgrasser et al. 2024 (arXiv:2404.01413) sample; their arms are compared with "sampled".
    "accumulate": Arm("sampled, accumulate", "accumulate", SAMPLED),
    "subsample": Arm("sampled, accumulate and subsample", "subsample", SAMPLED),
    # What B is to A, and nothing else changed.
    "mixed": Arm("sampled, 10 % real", "mix", {**SAMPLED, "regime.real_fraction": 0.1}),
    "grow": Arm("sampled, replace with a set that grows", "grow", {**SAMPLED, "regime.power": 1.0}),
    "last": Arm("last epoch, not the best", settings={"family.checkpoint": "last"}),
    "continued": Arm("from the previous weights", settings={"family.continued": True}),
    # The released runner's flags; A at the scales `t4` and `paper` has the defaults of the released script.
    "runner": Arm("lr 1e-5, batch 16", settings={"family.lr": 1e-5, "family.batch": 16}),
    # What was there before any fine-tuning: the weights move by less than their precision.
    "zero-shot": Arm("as pre-trained", settings={"family.lr": 1e-12, "family.steps": 1}),
    "unsurprising": Arm(
        "the least surprising half", filters=("surprise",), settings={**SAMPLED, "surprise.keep": "low"}
    ),
    # What a filter makes of training sets of which a quarter is real, and what it costs to write marked text.
    "polluted": Arm("a quarter real, unfiltered", "mix", QUARTER),
    "detected": Arm("dropped by a trained detector", "mix", QUARTER, filters=("detector",)),
    "weighed": Arm("weighed by the detector", "mix", {**QUARTER, "detector.mode": "weigh"}, filters=("detector",)),
    "unmarked": Arm("dropped by the watermark", "mix", {**QUARTER, **MARKED}, filters=("watermark",)),
    # As many rows as the record leaves, by lot: what of a filter's effect is the size of what it leaves.
    "thinned": Arm(
        "a quarter of the rows, by lot",
        "mix",
        {**QUARTER, "provenance.missed": 0.25, "provenance.false_alarms": 0.75},
        filters=("provenance",),
    ),
    "known": Arm("dropped by perfect record", "mix", QUARTER, filters=("provenance",)),
    "marked": Arm("sampled, green watermark", settings={**SAMPLED, **MARKED}),
    "marked-beam": Arm("five beams, green watermark", settings=MARKED),
    "synthid": Arm("sampled, SynthID", settings={**SAMPLED, "family.watermark": "synthid"}),
    "synthid-beam": Arm("five beams, SynthID", settings={"family.watermark": "synthid"}),
    "surprising": Arm("the most surprising half", filters=("surprise",), settings={**SAMPLED, "surprise.keep": "high"}),
    # Eight continuations of each prompt, of which one is read: as much is read as in "sampled".
    "curated": Arm("best of 8, by an oracle", filters=("curate",), settings=BEST_OF_8),
    "learned-30": Arm(
        "best of 8, by a judge who learned from 30 %",
        filters=("curate",),
        settings={**BEST_OF_8, "curate.by": "learned", "curate.judged": 0.3},
    ),
    "likely": Arm("best of 8, by likelihood", filters=("curate",), settings={**BEST_OF_8, "curate.by": "likelihood"}),
    "lot": Arm("one of 8, by lot", filters=("curate",), settings={**BEST_OF_8, "curate.by": "random"}),
}


@dataclass(frozen=True)
class Scale:
    """A size of the experiment.

    model    settings of family `opt` that all arms share
    metrics  what is measured; None: all that the corpus allows
    """

    corpus: str
    n: int | str
    generations: int
    seeds: int
    seed: int = 0
    model: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] | None = None


WRITER = ("watermark", "detector")
"""Metrics of who wrote a text, which only runs about it take."""

KNOWN = tuple(name for name in (*Opt.metrics, *Opt.more_metrics) if name not in (*WRITER, "group_loss"))
"""What is measured of text whose law is known: everything else, but for the error by group."""

TEXT = tuple(name for name in KNOWN if name not in KNOWN_LAW)
"""And of any other."""

TINY: Mapping[str, Any] = {
    "family.preset": "tiny",
    "family.pretrain_epochs": 3,
    "family.pretrain_lr": 3e-3,
    "family.lr": 1e-3,
    "family.dropout": 0.0,
}
"""Fine-tuning at a third of the rate of pre-training, as of a model that knows the language."""

PUBLISHED: Mapping[str, Any] = {"family.preset": "opt-125m", "family.start": "pretrained", "family.lr": 2e-5}

SCALES: Mapping[str, Scale] = {
    "smoke": Scale("embedded", 48, 2, 2, model={**TINY, "family.pretrain_blocks": 128, "family.evaluate": 32}),
    "laptop": Scale("embedded", 192, 9, 3, model={**TINY, "family.pretrain_blocks": 3072, "family.evaluate": 128}),
    # Real text at the size of a laptop: recorded, and claims of scale "small" are judged by it too.
    "wikitext": Scale(
        "wikitext-2-v1", 192, 9, 6, seed=1, model={**TINY, "family.pretrain_blocks": 8192, "family.evaluate": 256}
    ),
    "curation": Scale(
        "embedded",
        192,
        9,
        6,
        seed=1,
        model={**TINY, "family.pretrain_blocks": 3072, "family.evaluate": 128},
        metrics=("perplexity", "facts", "rare_coverage", "unique_sentences", "distinct_3"),
    ),
    # Who wrote it: chains at that size, and texts that are long enough to be found by their mark (T = 200 pairs).
    "provenance": Scale(
        "wikitext-2-v1",
        192,
        3,
        6,
        seed=1,
        model={**TINY, "family.pretrain_blocks": 8192, "family.evaluate": 256},
        metrics=("perplexity", "repeated_3", *WRITER),
    ),
    "marks": Scale(
        "wikitext-2-v1",
        48,
        0,
        6,
        seed=1,
        model={**TINY, "family.block": 201, "family.pretrain_blocks": 2600, "family.evaluate": 1024},
        metrics=("perplexity", "repeated_3", *WRITER),
    ),
    # Learning curves: n is that of the smallest training set, see `sizes`.
    "cost": Scale(
        "embedded",
        96,
        5,
        6,
        seed=1,
        model={**TINY, "family.pretrain_blocks": 3072, "family.evaluate": 128},
        metrics=("perplexity",),
    ),
    # What `verify` runs at scale "small", without data from outside. With six chains from seed 101 half the interval of
    # SH-2 and of SH-6 was 1.05 and 1.5 times the effect; with as much spread eight chains make that 0.6 and 0.9. More
    # chains, or more blocks, take more than twenty minutes of four cores with everything else.
    "verify": Scale("embedded", 96, 9, 8, model={**TINY, "family.pretrain_blocks": 3072, "family.evaluate": 64}),
    # N = 1.25e8 weights take 6 N operations per token trained on and 2 N per token read, so a generation of A is 3.7e14
    # here, and all arms of the chapter 3.6e16: 90 minutes at a tenth of a T4's peak in fp16, which is 6.5e13 a second.
    "t4": Scale("wikitext-2", 1024, 9, 2, model={**PUBLISHED, "family.batch": 16, "family.evaluate": 256}),
    # A generation of A is 9e13 operations, and all arms of the chapter 2.4e15: six minutes.
    "t4-10min": Scale("wikitext-2", 256, 3, 1, model={**PUBLISHED, "family.batch": 16, "family.evaluate": 64}),
    "paper": Scale("wikitext-2-raw", "all", 9, 5, model={**PUBLISHED, "family.batch": 128, "family.evaluate": 10**6}),
}


def arguments(arm: str, scale: Scale) -> dict[str, Any]:
    """Arguments of `plan` for one arm at a scale, all but the seed. InputError lists the arms."""
    if arm not in ARMS:
        raise InputError(f"arm {arm}: known are {', '.join(ARMS)}")
    chosen = ARMS[arm]
    return {
        "family": "opt",
        "regime": chosen.regime,
        "n": scale.n,
        "generations": scale.generations,
        "replicates": scale.seeds,
        "given": chosen.given,
        "filter": chosen.filters,
        "settings": {**scale.model, **chosen.settings},
        "corpus": scale.corpus,
        "metrics": scale.metrics or (KNOWN if scale.corpus == "embedded" else TEXT),
    }


def run(arm: str, scale: Scale) -> Run:
    """One arm at a scale, checked. InputError lists the arms."""
    return plan(**arguments(arm, scale), seed=scale.seed)


def runs(arms: Iterable[str], scale: Scale) -> dict[str, Run]:
    """Arm -> run, for `study`."""
    return {arm: run(arm, scale) for arm in arms}


def sizes(arms: Iterable[str], blocks: Iterable[int], scale: Scale) -> dict[str, Run]:
    """Every arm with training sets of each of several sizes: "ARM, N" -> run."""
    return {f"{arm}, {n}": run(arm, replace(scale, n=n)) for arm in arms for n in blocks}


def named(profile: str, preset: str | None = None, **overrides: Any) -> Scale:
    """The scale of a profile, with every override that is not None. InputError lists profiles.

    preset  size or folder of the model; the small ones, which come without weights, are trained as at `laptop`
    """
    if profile not in SCALES:
        raise InputError(f"profile {profile}: this chapter has {', '.join(SCALES)}")
    scale = replace(SCALES[profile], **{name: value for name, value in overrides.items() if value is not None})
    if preset is None:
        return scale
    own, trained = (TINY, PUBLISHED) if preset in SCRATCH_LR else (PUBLISHED, TINY)
    kept = {name: value for name, value in scale.model.items() if name not in trained}
    return replace(scale, model={**own, **kept, "family.preset": preset})
