"""Claims about the language experiment: what reading their own text does to models' perplexity on real text.

Tables go by condition of the study `language_model`: a chapter's own runs of any size answer the same questions. The
gap of a chain is its mean perplexity in generations 1 to the last, less that of generation 0.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy

from model_collapse.analysis import stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import LEVEL, NATURE, Claim, Tables, chains, level, lowest, unsettled
from model_collapse.companion.studies import language_model

ZERO_SHOT = (100, 130)
"""Where the perplexity of OPT-125m before any fine-tuning has to lie; the paper has 115."""

HARM, TOLERANCE, FOURTH = 0.1, 0.02, 3
"""Nats by which replacing must, and accumulating may, raise the cross-entropy of iteration 4, which is generation 3."""


def to_the_end(table: pd.DataFrame) -> float:
    """The paper's last generation."""
    return 9


def cross_entropy(table: pd.DataFrame) -> pd.DataFrame:
    """Nats per token of the real test text, by chain and generation."""
    return chains(table, "perplexity").transform(np.log)


def gap(table: pd.DataFrame) -> pd.Series:
    """Mean perplexity in generations 1 to the last, less that of generation 0, by chain."""
    perplexity = chains(table, "perplexity")
    return perplexity.loc[:, 1:].mean(axis=1, skipna=False) - perplexity[0]


def sign_changes(table: pd.DataFrame) -> pd.Series:
    """How often perplexity turns from rising to falling or back, generation 1 to the last, by chain."""
    perplexity = chains(table, "perplexity").loc[:, 1:]
    rises = np.diff(perplexity, axis=1) > 0
    turns = pd.Series((rises[:, 1:] != rises[:, :-1]).sum(axis=1), perplexity.index)
    return turns.where(perplexity.notna().all(axis=1))


def _learned(tables: Tables) -> Estimate:
    """Perplexity of generation 0; without interval, unless that before fine-tuning is surely where it has to be."""
    before, after = (stats.mean(chains(tables[arm], "perplexity")[0], level(2)) for arm in ("zero-shot", "A"))
    return after if ZERO_SHOT[0] < before.low and before.high < ZERO_SHOT[1] else unsettled(after)


def _every_generation(tables: Tables) -> Estimate:
    """Perplexity less that of generation 0, A, in the generation whose interval reaches lowest.

    If that lies above 0, so does every single chain of up to ten: one of n values is at most (n - 1) / sqrt(n) standard
    deviations from their mean, and the interval is wider.
    """
    perplexity = chains(tables["A"], "perplexity")
    last = perplexity.shape[1] - 1
    return lowest([stats.paired(perplexity[g], perplexity[0], level(last)) for g in range(1, last + 1)])


def _beyond_chance(tables: Tables) -> Estimate:
    """Perplexity of the last generation less that of generation 0, in standard deviations sigma over chains.

    With t = difference / (s sqrt(2 / n)) as of two independent samples, the difference in sigma is that of
    t s / sigma - Z, Z normal and (2 n - 2) s^2 / sigma^2 of the chi-squared law. The interval takes both at their
    extremes, each at half of what may be missed (Bonferroni).
    """
    perplexity = chains(tables["A"], "perplexity")
    first, last, n = perplexity[0], perplexity.iloc[:, -1], len(perplexity)
    s = np.sqrt((first.var(skipna=False) + last.var(skipna=False)) / 2)
    found = (last.mean(skipna=False) - first.mean(skipna=False)) / s
    tail = (1 - level(2)) / 2
    over = found * np.sqrt(
        [scipy.stats.chi2.ppf(tail, 2 * n - 2) / (2 * n - 2), scipy.stats.chi2.isf(tail, 2 * n - 2) / (2 * n - 2)]
    )
    z = scipy.stats.norm.isf(tail) * np.sqrt(2 / n)
    return Estimate(float(found), float(min(over) - z), float(max(over) + z), n, LEVEL)


def _mitigated(tables: Tables) -> Estimate:
    """Mean gap of B over that of A."""
    return stats.ratio(gap(tables["B"]), gap(tables["A"]), LEVEL)


def _data_over_epochs(tables: Tables) -> Estimate:
    """Main effect of the data on the gap less the size of that of the epochs, paired over seeds.

    With A5 and B10 for the two published corners, data = (A5 + A10 - B5 - B10) / 2 and epochs =
    +-(A5 - A10 + B5 - B10) / 2, the difference is A10 - B5 or A5 - B10, whichever is less.
    """
    pairs = (("A10", "B5"), ("published", "published-B"))
    return lowest([stats.paired(gap(tables[one]), gap(tables[other]), level(2)) for one, other in pairs])


def _first_step(tables: Tables) -> Estimate:
    perplexity = chains(tables["A"], "perplexity")
    return stats.paired(perplexity[1], perplexity[0], LEVEL)


def _up_to_the_fourth(table: pd.DataFrame) -> pd.Series:
    """Change of cross-entropy from iteration 1 to 4, in nats, by chain."""
    nats = cross_entropy(table)
    return nats[FOURTH] - nats[0]


def _kept_or_replaced(tables: Tables) -> Estimate:
    """Nats to spare at the tighter of two bounds on the change of cross-entropy up to iteration 4."""
    harm = _up_to_the_fourth(tables["sampled"]) - HARM
    spared = TOLERANCE - _up_to_the_fourth(tables["accumulate"])
    return lowest([stats.mean(margin, level(2)) for margin in (harm, spared)])


def _not_the_size(tables: Tables) -> Estimate:
    """Change of cross-entropy, replaced by a set that grows as the accumulated one does, less accumulated."""
    return stats.paired(_up_to_the_fourth(tables["grow"]), _up_to_the_fourth(tables["accumulate"]), LEVEL)


AUDIT = "after an independent run of the paper's protocol with one seed"
GERSTGRASSER = "Gerstgrasser et al. 2024, arXiv:2404.01413"

CLAIMS = (
    Claim(
        id="SH-1",
        statement="fine-tuning on real text learns the task",
        source=NATURE,
        measured="perplexity of generation 0 on real test text",
        band=(31, 38),
        reason="10 % about the published mean; before fine-tuning it has to be 100 to 130",
        runs=language_model.STUDY.arguments("verify-gpu", ["zero-shot", "A"]),
        check=_learned,
        chapter="language_model",
        published="115 before, 34 after",
        scale="gpu",
    ),
    Claim(
        id="SH-2",
        statement="models that read only what the one before wrote predict real text worse",
        source=f"{NATURE}, Fig. 1b",
        measured="rise of perplexity over generation 0, A, least of generations 1 to 9",
        band=(0, np.inf),
        reason="worse in every generation, set before any run",
        runs=language_model.STUDY.arguments("verify", ["A"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["A"]),
        recorded=(
            "wikitext",
            "cpu",
        ),
        check=_every_generation,
        chapter="language_model",
        figure="language-perplexity",
        ends=to_the_end,
        published="20 to 28 points",
        definition=(2,),
        scale="small",
    ),
    Claim(
        id="SH-2b",
        statement="and lose as many points as in the paper",
        source=f"{NATURE}, Fig. 1b",
        measured="rise of perplexity over generation 0, A, mean of generations 1 to 9",
        band=(5, 30),
        reason="the published 20 to 28 points, and the 7 to 25 of an independent run with one seed",
        runs=language_model.STUDY.arguments("verify-gpu", ["A"]),
        check=lambda tables: stats.mean(gap(tables["A"]), LEVEL),
        chapter="language_model",
        ends=to_the_end,
        published="20 to 28 points",
        definition=(2,),
        scale="gpu",
    ),
    Claim(
        id="SH-3",
        statement="the loss is more than chance between seeds",
        source=f"{NATURE}, Fig. 1b",
        measured="rise of perplexity from generation 0 to 9, A, in pooled standard deviations of seeds",
        band=(3, np.inf),
        reason="three standard deviations, set before any run",
        runs=language_model.STUDY.arguments("verify-gpu", ["A"]),
        check=_beyond_chance,
        chapter="language_model",
        ends=to_the_end,
        definition=(2,),
        scale="gpu",
    ),
    Claim(
        id="SH-4",
        statement="a tenth of real text mitigates",
        source=f"{NATURE}, Fig. 1c",
        measured="mean rise of perplexity over generation 0, B over A",
        band=(-np.inf, 0.5),
        reason="less than half, set before any run, where A surely gets worse",
        runs=language_model.STUDY.arguments("verify", ["A", "B"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["A", "B"]),
        recorded=(
            "wikitext",
            "cpu",
        ),
        check=_mitigated,
        chapter="language_model",
        figure="language-perplexity",
        ends=to_the_end,
        published="minor degradation, 42 at most",
        definition=(2,),
        scale="small",
    ),
    Claim(
        id="SH-4b",
        statement="and it is the real text that does it, not the number of epochs",
        source="after a criticism: the paper's two settings differ in both",
        measured="main effect of real text on the rise of perplexity less the size of that of epochs, in points",
        band=(0, np.inf),
        reason="the larger effect of the 2 x 2 grid {5, 10} epochs, {0, 10 %} real",
        runs=language_model.STUDY.arguments("verify", ["published", "A10", "B5", "published-B"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["published", "A10", "B5", "published-B"]),
        recorded=("wikitext",),
        check=_data_over_epochs,
        chapter="language_model",
        figure="language-grid",
        ends=to_the_end,
        definition=(2,),
        scale="small",
    ),
    Claim(
        id="SH-9",
        statement="the first generation that reads generated text is worse already",
        source=AUDIT,
        measured="rise of perplexity from generation 0 to 1, A",
        band=(0, np.inf),
        reason="a loss, set before any run",
        runs=language_model.STUDY.arguments("verify", ["A"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["A"]),
        recorded=(
            "wikitext",
            "cpu",
        ),
        check=_first_step,
        chapter="language_model",
        figure="language-perplexity",
        ends=lambda table: 1,
        definition=(2,),
        scale="small",
    ),
    Claim(
        id="SH-10",
        statement="the perplexity curve need not be monotone",
        source=AUDIT,
        measured="turns from rising to falling or back, A, generations 1 to 9, mean over seeds",
        band=(0, np.inf),
        reason="at least one chain turns, and surely so on average; the source only records it, and names no number",
        runs=language_model.STUDY.arguments("verify", ["A"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["A"]),
        recorded=("wikitext", "cpu"),
        check=lambda tables: stats.mean(sign_changes(tables["A"]), LEVEL),
        chapter="language_model",
        figure="language-perplexity",
        ends=to_the_end,
        scale="small",
    ),
    Claim(
        id="ACC-4",
        statement="replacing the text degrades a small model, accumulating it does not",
        source=GERSTGRASSER,
        measured="nats to spare: change of cross-entropy up to iteration 4 less 0.1 where text is replaced, or 0.02 "
        "less the change where it accumulates, the smaller",
        band=(0, np.inf),
        reason="more than 0.1 nats worse and at most 0.02, set before any run; iteration 1 is generation 0",
        runs=language_model.STUDY.arguments("verify", ["sampled", "accumulate"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["sampled", "accumulate"]),
        recorded=("wikitext",),
        check=_kept_or_replaced,
        chapter="language_model",
        figure="language-accumulate",
        ends=lambda table: FOURTH,
        published="0.52 to 0.66 worse, and 0.07 to 0.14 better",
        definition=(2,),
        scale="small",
    ),
    Claim(
        id="ACC-5",
        statement="and that is not because less is read: replaced by as much text it is worse still",
        source=GERSTGRASSER,
        measured="change of cross-entropy up to iteration 4 in nats, replaced by a set that grows less accumulated",
        band=(0, np.inf),
        reason="worse, set before any run; both read (t + 1) n blocks in generation t",
        runs=language_model.STUDY.arguments("verify", ["grow", "accumulate"]),
        larger=language_model.STUDY.arguments("verify-gpu", ["grow", "accumulate"]),
        recorded=("wikitext",),
        check=_not_the_size,
        chapter="language_model",
        figure="language-accumulate",
        ends=lambda table: FOURTH,
        published="0.44",
        definition=(2,),
        scale="small",
    ),
)
