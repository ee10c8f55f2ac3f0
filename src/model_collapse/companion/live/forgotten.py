"""How long a word is remembered."""

from __future__ import annotations

import numpy as np

from model_collapse import theory
from model_collapse.companion.live.element import Axis, Curve, Element, Slider, Values

GENERATIONS = tuple(range(101))


def compute(count: float, rows: float) -> Values:
    """Chance that a word is left, with and without weights that give it its true share again; and half-lives."""
    n, M, share = np.array(GENERATIONS) + 1, int(rows), count / rows
    groups = theory.groups
    return Values(
        {
            "plain": groups.group_survival(n, share, M),
            "weighed": groups.group_survival(n, share, M, reweighed=True),
            "poisson": theory.poisson_survival(n, share, M),
        },
        {"half": groups.half_life(share, M), "half_weighed": groups.half_life(share, M, reweighed=True)},
    )


ELEMENT = Element(
    name="forgotten",
    title="Is my word forgotten?",
    lead="A word, or a group of people, occurs a few times in the real data. Is it still there after many "
    "generations? With weights every training set gives it its true share again, as long as it is there at "
    "all.",
    sliders=(
        Slider("count", "Number of occurrences", (1, 2, 3, 5, 10, 20), 3),
        Slider("rows", "Words in the data", (100, 500), 500),
    ),
    along=Slider("generation", "Generation", GENERATIONS, 10),
    x=Axis("generation", 0, 100),
    y=Axis("chance that it is left", 0, 1, percent=True),
    curves=(
        Curve("plain", "no weights"),
        Curve("weighed", "weights"),
        Curve("poisson", "data without end", dashed=True),
    ),
    said="In generation {generation:0} it is left with a probability of {plain:%}, with weights {weighed:%}. Half "
    "of all chains have lost it after {half:0} generations, with weights after {half_weighed:0}.",
    alt="The chance to be left falls quickly for a word that occurs three times; weights make it fall more slowly.",
    compute=compute,
    source="`groups.group_survival`, `groups.half_life`, `poisson_survival`",
)
