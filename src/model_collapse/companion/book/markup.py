"""Text that a model wrote, for a page: escaped, with what it repeats marked. Only the standard library is imported."""

from __future__ import annotations

import html
import re
import unicodedata

_WORD = re.compile(r"\w+")

_ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of controls, formatting, halves of characters, and separators of lines and paragraphs."""


def escaped(text: str) -> str:
    """For HTML; characters that would act instead of being seen (controls, changes of direction) by their codes."""
    # Joiners are part of how some scripts are spelled.
    seen = (
        f"<U+{ord(character):04X}>"
        if unicodedata.category(character) in _ACTING and character not in "\n\t\u200c\u200d"
        else character
        for character in text
    )
    return html.escape("".join(seen))


def repeated_share(text: str, length: int = 3) -> float:
    """Share of a text's characters that `marked` marks; 0 for an empty text."""
    return sum(end - begin for begin, end in _again(text, length)) / max(len(text), 1)


def marked(text: str, length: int) -> str:
    """The text, escaped, with <mark> around the sequences of `length` words that stand earlier in it too."""
    pieces, done = [], 0
    for begin, end in _again(text, length):
        pieces += [escaped(text[done:begin]), f"<mark>{escaped(text[begin:end])}</mark>"]
        done = end
    return "".join([*pieces, escaped(text[done:])])


def _again(text: str, length: int) -> list[tuple[int, int]]:
    """Where sequences of `length` words stand that stand earlier in the text too; overlapping ones are one place."""
    words = [(word.start(), word.end()) for word in _WORD.finditer(text)]
    seen: set[tuple[str, ...]] = set()
    places: list[tuple[int, int]] = []
    for first in range(len(words) - length + 1 if length else 0):
        sequence = tuple(text[begin:end].casefold() for begin, end in words[first : first + length])
        begin, end = words[first][0], words[first + length - 1][1]
        if sequence not in seen:
            seen.add(sequence)
        elif places and begin < places[-1][1]:
            places[-1] = (places[-1][0], end)
        else:
            places.append((begin, end))
    return places
