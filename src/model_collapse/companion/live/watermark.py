"""Finding a watermark, and what finding it is worth."""

from __future__ import annotations

import numpy as np

from model_collapse import theory
from model_collapse.companion.live.element import Axis, Curve, Element, Slider, Values

TOKENS = tuple(int(t) for t in np.unique(np.round(np.geomspace(25, 800, 31))))
GREEN = 0.25
"""Share of the vocabulary that the watermark prefers, and so of green words in text of people."""
REAL = 0.25
"""Share of real rows in every training set of the loop."""


def compute(share: float, threshold: float, adoption: float) -> Values:
    """Found and falsely accused by length of the text, and the harm that a filter by the mark leaves in the loop."""
    tokens = np.array(TOKENS)
    found = theory.provenance.green_power(share, tokens, threshold, GREEN)
    passing = theory.provenance.unrecognised(1 - found, adoption)
    return Values(
        {
            "found": found,
            "accused": theory.provenance.green_power(GREEN, tokens, threshold, GREEN),
            "harm": theory.provenance.harm_left(passing, REAL),
        },
        {"needed": float(theory.provenance.green_tokens(share, 0.95, threshold, GREEN))},
    )


ELEMENT = Element(
    name="watermark",
    title="Find the watermark",
    lead="A watermark makes a model prefer a secret quarter of all words, the green ones. Whoever has the key "
    "counts them: people use 25 % green words. A filter then drops marked text from the next training "
    "set, a quarter of which is real.",
    sliders=(
        Slider("share", "Green words in marked text", (0.3, 0.35, 0.4, 0.5, 0.6), 0.4, percent=True),
        Slider("threshold", "Threshold z", (2, 3, 4, 5), 4),
        Slider("adoption", "Models that mark their text", (0.0, 0.5, 0.8, 0.9, 1.0), 0.8, percent=True),
    ),
    along=Slider("tokens", "Length of the text, words", TOKENS, TOKENS[18]),
    x=Axis("length of the text, words", 25, 800, log=True, marks=(25, 50, 100, 200, 400, 800)),
    y=Axis("share", 0, 1, percent=True),
    curves=(
        Curve("found", "marked text found"),
        Curve("accused", "people accused"),
        Curve("harm", "harm left in the loop", dashed=True),
    ),
    said="At {tokens:0} words, {found:%} of marked texts are found, and {accused:%} of texts by people are "
    "accused. 95 % are found from about {needed:0} words on. In the loop {harm:%} of the harm is left.",
    alt="Marked text is found more often the longer it is. As one model in five does not mark its text, much of "
    "the harm stays.",
    compute=compute,
    source="`provenance.green_power`, `provenance.green_tokens`, `provenance.harm_left`",
)
