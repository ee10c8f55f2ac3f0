"""A bag of words that is counted and drawn from, again and again."""

from __future__ import annotations

import numpy as np

from model_collapse import theory
from model_collapse.companion.live.element import Axis, Chance, Curve, Element, Slider, Values

GENERATIONS = tuple(range(51))


def compute(words: float, rows: float) -> Values:
    """Expected words left and expected variety, over those of the truth; generation g is fit g + 1."""
    shares, n = theory.zipf_law(int(words), 1.0), np.array(GENERATIONS) + 1
    left = theory.expected_support(n, shares, int(rows))
    variety = theory.expected_heterozygosity(n, rows, shares) / theory.expected_heterozygosity(0, rows, shares)
    return Values({"left": left / words, "variety": variety}, {"count": float(left[-1])})


ELEMENT = Element(
    name="bag-of-words",
    title="A bag of words",
    lead="Draw words from the bag, count them, and let the counts be the next bag. Each colour is a word; the "
    "one that was most common at first lies at the bottom. The picture grows with every generation.",
    sliders=(
        Slider("words", "Words in the language", (5, 10, 20, 50), 20),
        Slider("rows", "Words drawn per generation", (10, 20, 50, 100, 200, 500), 50),
    ),
    along=Slider("generation", "Generation", GENERATIONS, 1),
    x=Axis("generation", 0, 50),
    y=Axis("still left of the real language", 0, 1, percent=True),
    curves=(Curve("left", "words left"), Curve("variety", "variety", dashed=True)),
    said="On average, generation {generation:0} still has {left:%} of the {words:0} words, and {variety:%} of the "
    "variety (the chance that two words drawn are different).",
    alt="Both curves fall: rare words are lost at once, and variety is lost by one part in 50 with every "
    "generation of 50 words.",
    compute=compute,
    source="`expected_support`, `expected_heterozygosity`; words have Zipf's shares, 1, 1/2, 1/3, ...",
    chance=Chance("bag", "In the chain above {chain:0} of {words:0} words are left."),
)
