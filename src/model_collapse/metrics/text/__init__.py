"""Metrics of text: how well a language model predicts real text, and how the text it writes has changed.

One module per theme: `perplexity`, `diversity`, `continuation`, `facts`, `divergence`, `pairs` (minimal pairs),
`provenance` (who wrote it), `leaks` (what must not be in a training set). A run takes a metric that its family names:
in `families/_text.py` those of all text. A block of m tokens has m - 1 predicted ones: the first has nothing before it.
Logarithms are natural.
"""

from model_collapse.modalities.text import KNOWN_LAW

__all__ = ["KNOWN_LAW"]
