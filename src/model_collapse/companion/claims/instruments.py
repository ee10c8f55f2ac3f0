"""Checks of what measures: chains, real shares, intervals, likelihoods and marks, against what they must be.

No claim of the literature: controls, for the errors that all other claims would share.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import scipy

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import LEVEL, Claim, Tables, chains, family, rows, unsettled
from model_collapse.theory.mixed import mix_moments

SHIFTS = tuple(2**k for k in range(12))
"""Distances of chains that are compared: the number of chains in a block is a power of two, or a multiple of one."""

GROUP, GROUPS = 8, 10**6
"""Values that an interval is made of, where intervals themselves are checked, and how many of these are made."""

SHARES = {"replace": 0.0, "mix": 0.25, "fresh": 0.25, "fixed": 0.5}
"""Regime -> share of real rows in every training set after the first, with the settings of the runs below."""


def correlation(a: np.ndarray, b: np.ndarray, level: float) -> Estimate:
    """Correlation of pairs (n,), with Fisher's interval (1921): artanh r is normal, of variance 1 / (n - 3)."""
    r, n = float(np.corrcoef(a, b)[0, 1]), len(a)
    half = float(scipy.stats.norm.ppf((1 + level) / 2)) / np.sqrt(n - 3)
    with np.errstate(divide="ignore"):
        low, high = np.tanh(np.arctanh(r) + np.array([-half, half]))
    return Estimate(r, float(low), float(high), n, level)


def _independence(tables: Tables, level: float) -> Estimate:
    """Correlation of the steps of the mean, between chains at each distance and between generations: farthest from 0.

    With a known variance each step is a mean of normal rows, whatever came before.
    """
    walk = chains(tables["walk"], "mean").to_numpy()
    steps = np.diff(walk, axis=1, prepend=0)
    count = steps.shape[1]
    pairs = [(steps[:-shift, t], steps[shift:, t]) for shift in SHIFTS for t in range(count)]
    pairs += [(steps[:, s], steps[:, t]) for t in range(count) for s in range(t)]
    return testing.farthest((partial(correlation, a, b) for a, b in pairs), 0, level)


def _mixed(tables: Tables, level: float) -> Estimate:
    """Mean square of the mean over its closed form in a chain that mixes, farthest of the generations from 1."""
    table = tables["mix"]
    square = chains(table, "mean") ** 2
    share = 0.5
    expected, _ = mix_moments(square.columns.to_numpy() + 1, int(table["n_train"].iloc[0]), share, variance="known")
    return testing.farthest((partial(stats.mean, square[g] / expected[g]) for g in square.columns), 1, level)


def _shares(tables: Tables, level: float) -> Estimate:
    """Share of real rows in a training set less what it must be, farthest of regimes and generations from 0.

    No interval unless every training set has as many rows as it must have.
    """
    found, sized = [], True
    for regime, table in tables.items():
        picked = stats.pick(table, "mean")
        size, share = (
            picked.pivot(index="generation", columns="replicate", values=v) for v in ("n_train", "share_real")
        )
        for t in share.index:
            due = 1 / (t + 1) if regime in ("accumulate", "subsample") else SHARES[regime] if t else 1.0
            found.append((share.loc[t] - due).to_numpy())
            times = {"accumulate": t + 1, "fixed": 2 if t else 1}.get(regime, 1)
            sized &= bool((size.loc[t] == times * rows(table)).all())
    worst = testing.farthest((partial(stats.mean, off) for off in found), 0, level)
    return worst if sized else unsettled(worst)


def _coverage(tables: Tables, level: float) -> Estimate:
    """ln of how often intervals miss over how often they may: of 90 %, of 95 % and of theory's level.

    Of groups of the run's chains at 90 % and 95 %, and of GROUPS groups of normal values, drawn from the run's seeds,
    at all three.
    """
    walk = tables["walk"]
    last = chains(walk, "mean")[1].to_numpy()
    seeds = np.unique(walk["seed"])
    drawn = np.concatenate([np.random.default_rng(seed).standard_normal((GROUPS, GROUP)) for seed in seeds])
    groups = last[: len(last) // GROUP * GROUP].reshape(-1, GROUP)
    cases = [(groups, 0.9), (groups, 0.95), (drawn, 0.9), (drawn, 0.95), (drawn, LEVEL)]
    return testing.farthest((partial(_missed, *case) for case in cases), 0, level)


def _missed(groups: np.ndarray, claimed: float, level: float) -> Estimate:
    """ln of the share of Student intervals about groups (n, GROUP) of mean 0 that miss 0, over 1 - claimed."""
    _, low, high = stats.means(groups, claimed)
    missed = stats.proportion((low > 0) | (high < 0), level)
    with np.errstate(divide="ignore"):
        value, first, last = np.log(np.array([missed.value, missed.low, missed.high]) / (1 - claimed)).tolist()
    return Estimate(value, first, last, missed.n, level)


def _likelihood(tables: Tables, level: float) -> Estimate:
    """Nats per token of what a model wrote over the mean entropy of its distribution there, and ln of the perplexity of
    a distribution that is uniform over ln V: both 1 in expectation, the farther.

    No interval unless the mean over blocks of their perplexities is surely above the perplexity, as Jensen's inequality
    has it.
    """
    table, uniform = tables["own words"], tables["uniform distribution"]
    last = stats.last_of(table)
    loss, entropy = (
        stats.per_replicate(table, *what) for what in (("written_loss", last), ("entropy", last, "written"))
    )
    block, whole = (np.log(stats.per_replicate(table, f"perplexity{end}", last)) for end in ("_block_mean", ""))
    even = np.log(stats.per_replicate(uniform, "perplexity", last)) / np.log(family(uniform)["vocabulary"])
    worst = testing.farthest([partial(stats.ratio, loss, entropy), partial(stats.mean, even)], 1, level)
    return worst if stats.paired(block, whole, level).low > 0 else unsettled(worst)


def _order(tables: Tables, level: float) -> Estimate:
    """By how many nats per token each of these is likelier to the model than the one before; the least gain.

    Draws at temperature 1, at 0.5, the likeliest token at each step, five beams; and real text after training against
    before it.
    """
    losses = [stats.per_replicate(tables[arm], "written_loss", 0) for arm in ("sample", "cold", "greedy", "beam")]
    real = [np.log(stats.per_replicate(tables[arm], "perplexity", 0)) for arm in ("untrained", "sample")]
    pairs = [*pairwise(losses), (real[0], real[1])]
    return testing.lowest((partial(stats.paired, before, after) for before, after in pairs), level)


def _leaked(tables: Tables, level: float) -> Estimate:
    """Largest share of test, validation or written rows in a training set: conditions, generations, kinds."""
    found = []
    for table in tables.values():
        for _, shares in stats.pick(table, "leaks").groupby(["generation", "item"], observed=True):
            found.append(shares["value"].to_numpy())
    return testing.highest((partial(stats.mean, share) for share in found), level)


def _marks(tables: Tables, level: float) -> Estimate:
    """Share of green tokens in generated text over its expectation under equal chances, marked or not: farthest.

    From the mean z of rows of T counted tokens, share = gamma + z sqrt(gamma (1 - gamma) / T). Unmarked it is gamma;
    with the bias b added to green logits, gamma e^b / (gamma e^b + 1 - gamma).
    """
    found = []
    for arm in ("marked", "unmarked"):
        settings = family(tables[arm])
        gamma, counted = SHARE, settings["block"] - 1
        lift = np.exp(settings["watermark_bias"]) if arm == "marked" else 1.0
        z = stats.per_replicate(tables[arm], "watermark", 0, "z repeats")
        share = gamma + z * np.sqrt(gamma * (1 - gamma) / counted)
        found.append(partial(stats.mean, share / (gamma * lift / (gamma * lift + 1 - gamma))))
    return testing.farthest(found, 1, level)


SHARE = 0.25
"""Green share of the vocabulary in Kirchenbauer et al. 2023, and here."""


def _numbers(regime: str, n: int, generations: int, replicates: int, **settings: Any) -> dict[str, Any]:
    """A chain of means of normal rows."""
    given = {"family.variance": "known"} | {name.replace("_", ".", 1): value for name, value in settings.items()}
    return {"family": "gaussian", "regime": regime, "n": n, "generations": generations, "replicates": replicates} | {
        "metrics": ("mean",),
        "settings": given,
    }


def _words(
    metrics: tuple[str, ...] = ("written_loss", "perplexity"), *, n: int = 64, replicates: int = 12, **settings: Any
) -> dict[str, Any]:
    """A tiny language model from scratch, trained for a second at most."""
    given = {"pretrain": "none", "block": 32, "evaluate": 32, "decoding": "sample", "epochs": 1} | settings
    return {"family": "lm", "n": n, "generations": 0, "replicates": replicates, "metrics": metrics} | {
        "settings": {f"family.{name}": value for name, value in given.items()}
    }


def _counted(**settings: Any) -> dict[str, Any]:
    """A model of pairs of words, and one generation more."""
    given = {"block": 8, "evaluate": 32, "smoothing": 1e-6} | settings
    return {"family": "ngram", "n": 1024, "generations": 1, "replicates": 24} | {
        "metrics": ("written_loss", "entropy", "perplexity", "perplexity_block_mean"),
        "settings": {f"family.{name}": value for name, value in given.items()},
    }


WALK = _numbers("replace", 20, 3, 2**15)

TRAINED: dict[str, Any] = {"n": 128, "replicates": 20, "block": 8, "epochs": 12, "checkpoint": "last"}
"""Of one whose beams find what a greedy choice misses: short rows, read often. The best epoch would hide bad steps."""

UNTRAINED: dict[str, Any] = {"steps": 1, "lr": 1e-12}
"""Settings of a model that never learnt: a step too small to change anything."""

CLAIMS = (
    Claim(
        id="IN-1",
        statement="the replicate chains of a run, and the generations of a chain, use independent random numbers",
        source="control: a Gaussian of known variance, whose steps of the mean are independent whatever happens",
        measured="correlation of the steps of the mean between chains and between generations, the one farthest from 0",
        band=(-0.1, 0.1),
        target=0,
        reason="a random stream that is used twice makes it 1, or 1/R if one of R chains repeats another: no "
        "interval of these runs reaches 0.1 by chance",
        runs={"walk": WALK},
        check=_independence,
        chapter="gaussian",
        ends=lambda table: 3,
    ),
    Claim(
        id="IN-2",
        statement="if a share of every training set is drawn without replacement from the same real rows, the "
        "squared drift of a Gaussian mean stays at its closed form",
        source="control: exact moments of the regime `mix` (chapter Real data in the mix)",
        measured="E[mean²] over its closed form, the generation farthest from 1",
        band=(0.95, 1.05),
        target=1,
        reason="drawing with replacement, or another share, changes it by a tenth or more",
        runs={"mix": _numbers("mix", 10, 4, 2**17, family_sampling="draw", regime_real_fraction=0.5)},
        check=_mixed,
        chapter="real_share",
        ends=lambda table: 4,
    ),
    Claim(
        id="IN-3",
        statement="training sets have the size and the share of real rows that their regime prescribes",
        source="control: the real share is 0 under `replace`, the setting under `mix` and `fresh`, a half under "
        "`fixed`, 1 / (t + 1) under `accumulate` and `subsample`; training sets have n rows, but 2 n under `fixed` "
        "and (t + 1) n under `accumulate`",
        measured="share of real rows less its prescribed value, the farthest from 0 of six regimes and all generations",
        band=(-0.02, 0.02),
        target=0,
        reason="one row of the 40 in a training set is a share of 0.025",
        runs={
            "replace": _numbers("replace", 40, 4, 1024, family_sampling="draw"),
            "mix": _numbers("mix", 40, 4, 1024, family_sampling="draw", regime_real_fraction=0.25),
            "fresh": _numbers("fresh", 40, 4, 1024, family_sampling="draw", regime_real_fraction=0.25),
            "fixed": _numbers("fixed", 40, 4, 1024, family_sampling="draw"),
            "accumulate": _numbers("accumulate", 40, 4, 1024, family_sampling="draw"),
            "subsample": _numbers("subsample", 40, 4, 1024, family_sampling="draw"),
        },
        check=_shares,
        chapter="real_share",
        ends=lambda table: 4,
    ),
    Claim(
        id="IN-4",
        statement="the confidence intervals of this book miss the true value as rarely as their level says",
        source="control: Student's interval for the mean of normal values is exact",
        measured="ln of how often intervals of eight quantities miss over their nominal rate, at 90, 95 and 99.99 %, "
        "the farthest from 0",
        band=(-np.log(2), np.log(2)),
        target=0,
        reason="half to twice as often; intervals of 99.98 or 99.995 % in place of 99.99 % are at the ends of the band",
        runs={"walk": WALK},
        check=_coverage,
        chapter="gaussian",
        ends=lambda table: 3,
    ),
    Claim(
        id="IN-5",
        statement="the cross-entropy of a language model on its own samples equals the entropy of its distribution",
        source="control: E[−ln p] = H for draws from p; a uniform distribution of V tokens has perplexity V; "
        "Jensen's inequality for the two averages of perplexity",
        measured="nats per token of generated text over the entropy of the model that generated it, or of real text "
        "over ln V under a uniform distribution of V tokens, the one farther from 1",
        band=(0.95, 1.05),
        reason="both are 1 in expectation; another base or temperature, or an offset of one token, changes them by "
        "much more. Blocks are short, so that errors about the prompt show",
        runs={"own words": _counted(), "uniform distribution": _counted(smoothing=1 - 1e-9)},
        check=_likelihood,
        chapter="ngram",
        ends=lambda table: 1,
    ),
    Claim(
        id="IN-6",
        statement="lower temperatures, greedy decoding and five beams generate ever more probable text, and training "
        "raises its probability",
        source="control: what each way of decoding maximises",
        measured="gain in nats per token of each way of decoding over the one before, the least",
        band=(0, np.inf),
        reason="a gain at every step: a beam search that is only greedy, or a temperature that is ignored, gains "
        "nothing",
        runs={
            "sample": _words(**TRAINED),
            "cold": _words(**TRAINED, temperature=0.5),
            "greedy": _words(**TRAINED | {"decoding": "greedy"}),
            "beam": _words(**TRAINED | {"decoding": "beam"}),
            "untrained": _words(**TRAINED | UNTRAINED),
        },
        check=_order,
        chapter="decoding",
        scale="small",
    ),
    Claim(
        id="IN-7",
        statement="no row of the test or validation set and no generated row is also in the real training set",
        source="control: real rows are split before anything is fitted, and models do not copy their training rows",
        measured="largest share of such rows that are in a training set",
        band=(-np.inf, 0.01),
        reason="0 but for rows that are equal by chance",
        runs={
            "text": _words(("leaks", "perplexity"), replicates=6) | {"generations": 1},
            "images": {
                "family": "vae",
                "n": 64,
                "generations": 1,
                "replicates": 6,
                "metrics": ("leaks", "training_loss"),
                "settings": {"family.epochs": 2, "family.evaluate": 64},
            },
        },
        check=_leaked,
        chapter="copies",
        ends=lambda table: 1,
        scale="small",
    ),
    Claim(
        id="IN-8",
        statement="the watermark test finds the green tokens that the watermark adds, and in other text only the "
        "share expected by chance",
        source="control: an untrained model, to which all tokens are about equally likely",
        measured="share of green tokens over its expectation, with and without watermark, the one farther from 1",
        band=(0.85, 1.15),
        reason="sampling moves it by a few per cent; another share, key or bias by a half or more",
        runs={
            "marked": _words(("watermark", "perplexity"), replicates=20, watermark="green", **UNTRAINED),
            "unmarked": _words(("watermark", "perplexity"), replicates=20, **UNTRAINED),
        },
        check=_marks,
        chapter="provenance",
        scale="small",
    ),
)
