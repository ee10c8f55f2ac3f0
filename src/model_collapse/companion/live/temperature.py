"""What a way of writing does, with samples without end."""

from __future__ import annotations

import numpy as np

from model_collapse import theory
from model_collapse.companion.live.element import Axis, Curve, Element, Slider, Values

GENERATIONS = tuple(range(11))
SYMBOLS, SHOWN = 64, 12
WAYS = ("all", "16 likeliest", "4 likeliest", "95 % likeliest", "80 % likeliest", "greedy", "5 beams")
CUTS = {1: (16, 1.0), 2: (4, 1.0), 3: (0, 0.95), 4: (0, 0.8)}
"""Way -> top_k and top_p."""
BEAMS = {5: 1, 6: 5}


def written(truth: np.ndarray, temperature: float, way: int) -> list[np.ndarray]:
    """The distributions (K, K) of all generations, each fitted to endless text of the one before."""
    decoding, contexts, distribution = theory.decoding, theory.decoding.stationary(truth), truth
    found = [distribution]
    for _ in GENERATIONS[1:]:
        if way in BEAMS:
            distribution = decoding.beam_distribution(distribution, contexts, 16, BEAMS[way])
        else:
            distribution = decoding.sharpened(distribution, temperature)
            if way in CUTS:
                distribution = decoding.cut(distribution, *CUTS[way])
        found.append(distribution)
    return found


def compute(temperature: float, way: float) -> Values:
    """What the model shares with the truth, how many words it hesitates among, and the words that it writes."""
    decoding = theory.decoding
    truth = decoding.wordy_distribution(SYMBOLS, np.random.default_rng(0))
    contexts = decoding.stationary(truth)
    distributions = written(truth, temperature, int(way))
    choices = np.exp([decoding.next_entropy(distribution, contexts) for distribution in distributions])
    shares = np.array([contexts @ distribution for distribution in distributions]).T
    common = np.argsort(-shares[:, 0], kind="stable")[:SHOWN]
    rest = 1 - shares[common].sum(axis=0)
    shared = np.array([decoding.shared_mass(distribution, truth, contexts) for distribution in distributions])
    return Values(
        {"shared": shared, "variety": choices / SYMBOLS, "choices": choices},
        {"first": float(choices[0])},
        (*shares[common], np.maximum(rest, 0)),
    )


ELEMENT = Element(
    name="temperature",
    title="Turn the temperature down",
    lead="A small language of 64 words. Every generation writes endless text, so that nothing is lost by chance: "
    "all losses come from the way of writing. Each colour is a word; the top stripe is the 52 less common "
    "ones together.",
    sliders=(
        Slider("temperature", "Temperature (not used by greedy and beams)", (0.5, 0.7, 0.8, 0.9, 1.0, 1.2), 0.9),
        Slider("way", "Next words allowed", tuple(range(len(WAYS))), 0, WAYS),
    ),
    along=Slider("generation", "Generation", GENERATIONS, 5),
    x=Axis("generation", 0, 10),
    y=Axis("share", 0, 1, percent=True),
    curves=(
        Curve("shared", "shared with the truth"),
        Curve("variety", "words it hesitates among, of 64", dashed=True),
        Curve("choices", "words it hesitates among", drawn=False),
    ),
    said="Generation {generation:0} shares {shared:%} of its next-word probabilities with the truth. It hesitates "
    "among {choices} words on average, the truth among {first}.",
    alt="At a temperature of 0.9 both curves fall: after ten generations the likeliest words have taken over.",
    compute=compute,
    source="`decoding.sharpened`, `decoding.cut`, `decoding.beam_distribution`, "
    "`decoding.shared_mass`, `decoding.next_entropy`",
    stripes=(*(f"word {rank}" for rank in range(1, SHOWN + 1)), "all others"),
)
