"""Does a model still prefer the right text? Two texts that differ in one thing, of which it should prefer one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from model_collapse.corpora import as_text, world_of
from model_collapse.corpora.embedded import Fact, World
from model_collapse.data import Rows
from model_collapse.families._text import Text
from model_collapse.interfaces import Reference
from model_collapse.metrics import Measurement

PAIRS = 100
"""Facts of the world that are asked for, spread evenly from the most to the least often stated one."""


def minimal_pairs(m: Measurement[Text]) -> dict[str, float]:
    """Share of minimal pairs whose right text the model finds more probable; a tie counts one half, as guessing does.

    Both texts open an article and go on with one sentence. Item "fact": the true value against the next one of the same
    attribute; what was learned of the world. Item "order": the same sentence against itself with two words in its
    middle exchanged; what was learned of the language. Compared is log p of the whole text, as in BLiMP (Warstadt et
    al. 2020, doi:10.1162/tacl_a_00321). Of a corpus whose true distribution is known. Texts are no longer than a prompt
    and what follows it, two blocks; nan where none is as short.
    """
    right, wrong = m.reference.once(_rows)
    if not right:
        return dict.fromkeys(wrong, float("nan"))
    good = _loss(m, right)
    bad = {item: _loss(m, rows) for item, rows in wrong.items()}
    return {item: float(np.mean((good < loss) + (good == loss) / 2)) for item, loss in bad.items()}


def _rows(reference: Reference[Text]) -> tuple[list[Rows], dict[str, list[Rows]]]:
    """Tokens of the right texts, and by item those of the wrong ones."""
    world, encode = world_of(reference.source), as_text(reference.source).tokenizer.encode
    texts = [encode(pair) for pair in map(world.pair, _asked(world))]
    longest = 2 * reference.family.block
    short = [pair for pair in texts if max(map(len, pair)) <= longest]
    right, fact, order = (_encoded([pair[i] for pair in short]) for i in range(3))
    return right, {"fact": fact, "order": order}


def _asked(world: World) -> Iterable[Fact]:
    facts = sorted(world.truths, key=lambda fact: (-world.probability(fact), fact))
    return [facts[i] for i in np.linspace(0, len(facts) - 1, min(PAIRS, len(facts))).round().astype(int)]


def _encoded(texts: Sequence[Sequence[int]]) -> list[Rows]:
    return [Rows(np.array([ids], np.int32)) for ids in texts]


def _loss(m: Measurement[Text], texts: Sequence[Rows]) -> np.ndarray:
    """-log p of every text but its first token, in nats; those of equal length are read together."""
    lengths = np.array([text.x.shape[1] for text in texts])
    loss = np.empty(len(texts))
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length).tolist()
        together = Rows(np.concatenate([texts[i].x for i in places]))
        loss[places] = m.family.score(m.model, together).sum(axis=1, dtype=np.float64)
    return loss
