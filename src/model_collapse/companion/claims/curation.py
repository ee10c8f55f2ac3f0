"""Claims about choosing what goes back into the data: verifiers that err, selectors, many rounds, and preference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import numpy as np
import pandas as pd

from model_collapse.analysis import stats, testing
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.claims import Claim, Tables, chains, unsettled
from model_collapse.companion.studies.curation import (
    BEYOND,
    BIAS,
    RATES,
    STUDY,
    expected_choice,
)

T = TypeVar("T")


def to_centre(table: pd.DataFrame) -> pd.DataFrame:
    """|w - c|^2 by chain and generation, c = (1 + BIAS) w*: from |w - w*|^2 and |w|, since |w*| = 1."""
    error, norm = chains(table, "test_error"), chains(table, "weight_norm")
    along = (norm**2 - error - 1) / 2
    return error - 2 * BIAS * along + BIAS**2


def truthfulness(table: pd.DataFrame, generation: int) -> pd.Series:
    """Share of true statements among all that were written, by chain."""
    return stats.per_replicate(table, "facts", generation, "true")


def _turned(tables: Tables, level: float) -> Estimate:
    """Mean accuracy below a breakdown point, or 1 - accuracy above it: the lowest."""
    found = []
    for label, table in tables.items():
        accuracy = stats.per_replicate(table, "accuracy", 1)
        found.append(partial(stats.mean, accuracy if label.endswith("below") else 1 - accuracy))
    return testing.lowest(found, level)


def _better_than_chance(tables: Tables, level: float) -> Estimate:
    """Share of true statements at the last generation, chosen by the oracle less chosen at random."""
    last = min(stats.last_of(tables[arm]) for arm in ("curated", "lot"))
    return stats.paired(truthfulness(tables["curated"], last), truthfulness(tables["lot"], last), level)


def _skill(tables: Tables, level: float) -> Estimate:
    """Mean accuracy after the selection by the skilled selector, or at random: the higher.

    No interval unless the less skilled selector, which checks labels, surely leads to more than 3/4.
    """
    after = {label: stats.per_replicate(table, "accuracy", 1) for label, table in tables.items()}
    worst = testing.highest([partial(stats.mean, after[label]) for label in ("certain", "lot")], level)
    return worst if stats.mean(after["checker"], level).low > 0.75 else unsettled(worst)


def _centred(tables: Tables, level: float) -> Estimate:
    """Mean |w - c|^2 at the last generation over that at generation 0, the larger of the verifiers.

    No interval unless the error |w - w*|^2 of each surely rises again after generation 1.
    """
    found, reversed_ = [], True
    for table in tables.values():
        distance, error = to_centre(table), chains(table, "test_error")
        last = distance.columns[-1]
        found.append(partial(stats.ratio, distance[last], distance[0]))
        reversed_ &= stats.paired(error[last], error[1], level).low > 0
    worst = testing.highest(found, level)
    return worst if reversed_ else unsettled(worst)


def _liked(tables: Tables, level: float) -> Estimate:
    """Gain of mean reward, or loss of entropy, up to the last generation over its closed form.

    No interval unless reward surely rises and entropy surely falls.
    """
    (table,) = tables.values()
    found, moved = [], True
    for metric, sign in (("mean_reward", 1), ("entropy", -1)):
        values = chains(table, metric)
        last = values.columns[-1]
        change = sign * (values[last] - values[0])
        expected = expected_choice(int(last))[metric]
        found.append(partial(stats.mean, change / (sign * (expected[last] - expected[0]))))
        moved &= stats.mean(change, level).low > 0
    worst = testing.farthest(found, 1, level)
    return worst if moved else unsettled(worst)


def sides(tables: Mapping[str, T]) -> dict[str, T]:
    """The items for each verifier that lie on either side of its breakdown point: "0.9, 0.3 below"."""
    return {
        f"{right:g}, {wrong:g} {side}": tables[f"{right:g}, {wrong:g}, {offset:+g}"]
        for right, wrong in RATES
        for side, offset in (("below", -BEYOND), ("above", BEYOND))
    }


def selectors(tables: Mapping[str, T]) -> dict[str, T]:
    """Of what there is for the selectors of labels, by the names that the claim has for them."""
    return {"certain": tables["certain"], "lot": tables["random"], "checker": tables["checker"]}


def word_models(tables: Mapping[str, T]) -> dict[str, T]:
    """Of what there is for the word model that where an oracle checks everything, and where nothing is checked."""
    return {"curated": tables["oracle 1"], "lot": tables["oracle 0"]}


_one_round: Callable[[pd.DataFrame], float] = lambda table: 1  # noqa: E731

CLAIMS = (
    Claim(
        id="VER-1",
        statement="a classifier that trains on selected labels learns the truth if their share of errors before "
        "selection is below 1 / (1 + ψ / φ), and the opposite of the truth above it, where φ is the share of right "
        "labels that the selection keeps and ψ that of wrong ones",
        source="Feng et al. 2025, arXiv:2406.07515, theorem 4.2; CF-L5",
        measured="accuracy at 0.03 below the breakdown point, or 1 − accuracy at 0.03 above it, the lowest of six",
        band=(0.75, 1.0),
        reason="above 3/4 on one side and below 1/4 on the other, set before any run; 40,000 points in 20 dimensions",
        runs=sides(STUDY.arguments("labels")),
        check=_turned,
        chapter="curation",
        figure="curation-breakdown",
        ends=_one_round,
        published="100 % and 0 % with infinitely many points",
    ),
    Claim(
        id="VER-2",
        statement="training on the eighth of the generated text that an oracle selects makes models more truthful "
        "than training on a random eighth",
        source="Feng et al. 2025, arXiv:2406.07515",
        measured="share of true statements at the last generation, selected by the oracle less selected at random",
        band=(0, np.inf),
        reason="better, set before any run; the best of 8 texts for each prompt is 12.5 % of what was generated. The "
        "word model, which has enough chains, was chosen after the interval of a tiny OPT had turned out to be too "
        "wide; the chapter shows both",
        runs=word_models(STUDY.arguments("budget", ("oracle 0", "oracle 1"))),
        recorded=("curation",),
        check=_better_than_chance,
        chapter="curation",
        figure="curation-budget-truth",
        ends=lambda table: 5,
        published="news summaries: the oracle's 12.5 % beat all human labels, a random 12.5 % is worse than the model "
        "that generated them",
        definition=(2,),
        scale="small",
    ),
    Claim(
        id="VER-3",
        statement="a selector that does the task better but does not check the labels is worth no more than random "
        "selection",
        source="Feng et al. 2025, arXiv:2406.07515",
        measured="accuracy after half of the labels are selected by the selector's certainty, or at random, the higher",
        band=(0.0, 0.25),
        reason="with 53 % of the labels wrong, a selection that keeps right and wrong labels alike is beyond its "
        "breakdown point of 1/2: accuracy below 1/4, as in VER-1. A selector with an accuracy of 0.80 instead of "
        "0.97 that rejects the labels that contradict it has to lead to more than 3/4",
        runs=selectors(STUDY.arguments("selectors")),
        check=_skill,
        chapter="curation",
        ends=_one_round,
        published="a selector with better summaries of its own chose about as well as random selection",
    ),
    Claim(
        id="VER-4",
        statement="after many rounds of training on verified data a model ends at what the verifier takes for true, "
        "however strict the verifier is",
        source="Yi et al. 2025, arXiv:2510.16657",
        measured="squared distance from the verifier's centre after 12 rounds over that at first, the larger of two "
        "radii of acceptance",
        band=(0.0, 0.05),
        reason="it goes to 0: a twentieth is left at most. The error, which falls at first, also has to rise again, "
        "because the verifier's centre is not the truth",
        runs=STUDY.arguments("rounds", ("radius 0.1", "radius 0.3")),
        check=_centred,
        chapter="curation",
        figure="curation-rounds",
        ends=lambda table: 12,
    ),
    Claim(
        id="VER-5",
        statement="if readers select the generated data that they prefer, the mean reward is higher and the variety "
        "lower after six generations, by as much as theory says",
        source="Ferbach et al. 2024, arXiv:2407.09499",
        measured="gain of mean reward or loss of entropy in 6 generations over its closed form, the one farther from 1",
        band=(0.95, 1.05),
        reason="5 % about the values for infinitely many rows; reward has to rise and entropy to fall",
        runs=STUDY.arguments("preference", ["preference"]),
        check=_liked,
        chapter="curation",
        figure="curation-mean-reward",
        ends=lambda table: 6,
        definition=(4,),
    ),
)
