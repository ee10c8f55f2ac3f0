"""Live elements of the book: sliders and curves, one file each; what they show is computed by `theory`.

    known()["bag-of-words"].numbers({"words": 20, "rows": 100, "generation": 10})

A module of this folder holds one element as `ELEMENT`; `book/_ext/live.py` puts it into a page, `book/_static/live.js`
moves it.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from model_collapse.companion.live.element import Element


@cache
def known() -> dict[str, Element]:
    """Name -> element, in alphabetical order."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if module.name not in ("element", "page")]
    found = [importlib.import_module(f"{__name__}.{name}").ELEMENT for name in names]
    return {element.name: element for element in found}
