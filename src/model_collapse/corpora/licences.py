"""What licence each corpus has."""

from __future__ import annotations

LICENCES = {
    "embedded": ("cc-by-4.0", "written by this package: CC BY 4.0"),
    "embedded-other": ("cc-by-4.0", "written by this package: CC BY 4.0"),
    "wikitext-2-v1": ("cc-by-sa-3.0", "WikiText, from Wikipedia: CC BY-SA 3.0 and GFDL"),
    "wikitext-2-raw": ("cc-by-sa-3.0", "WikiText, from Wikipedia: CC BY-SA 3.0 and GFDL"),
    "digits": ("cc-by-4.0", "Optical Recognition of Handwritten Digits, UCI repository: CC BY 4.0"),
    "mnist": ("other", "MNIST, LeCun, Cortes and Burges; its hub page and its authors' name different licences"),
}
"""Corpus -> the hub's name of its licence, and what to know. What a model wrote may repeat passages of it."""

OTHER = ("unknown", "of this folder's files; nothing here knows it")
"""The same of any other corpus."""


def of(corpus: str) -> tuple[str, str]:
    """The hub's name of a corpus's licence, and what to know of it."""
    return LICENCES.get(corpus, OTHER)
