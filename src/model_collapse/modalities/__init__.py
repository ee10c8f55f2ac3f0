"""What depends on the kind of rows: numbers, text or images. One object for each kind.

    modality = modalities.of(family)
    corpus = modality.load("embedded")                                   where the real rows come from
    source = modality.source(family, Wanted("embedded", 100, stream))    the real data of one model

What has to be said of a kind is in `_modality`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from model_collapse.modalities._modality import Modality, Part, Wanted
from model_collapse.modalities.images import IMAGES
from model_collapse.modalities.numbers import NUMBERS
from model_collapse.modalities.text import TEXT

if TYPE_CHECKING:
    from model_collapse.interfaces import Family

__all__ = ["Modality", "Part", "Wanted", "of"]

_KNOWN: Mapping[str, Modality] = {"numbers": NUMBERS, "text": TEXT, "images": IMAGES}


def of(family: Family | type[Family]) -> Modality:
    """The kind of rows that a family reads and writes."""
    return _KNOWN[family.reads]
