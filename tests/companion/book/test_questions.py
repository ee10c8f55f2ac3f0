"""Self-test questions: three in a chapter, each with one right answer, and a reason for every answer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ANSWER = re.compile(r"<details><summary>([^\n]+)</summary>\n\n\*\*(Right|No)\.\*\* ([^\n]+)\n\n</details>")


def asked() -> dict[str, str]:
    """Notebook -> its questions."""
    found = {}
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = ["".join(cell["source"]) for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]]
        here = [cell for cell in cells if cell.startswith("## Check yourself\n")]
        assert len(here) <= 1, file.name
        if here:
            found[file.stem] = here[0]
    return found


ASKED = asked()


def test_at_least_eight_chapters_ask() -> None:
    assert len(ASKED) >= 8


@pytest.mark.parametrize("chapter", ASKED)
def test_three_questions_with_one_right_answer_each(chapter: str) -> None:
    _, *questions = re.split(r"^\*\*(?=\d\. )", ASKED[chapter], flags=re.MULTILINE)
    assert len(questions) == 3
    for number, question in enumerate(questions, start=1):
        title, _, rest = question.partition("**\n\n")
        assert title.startswith(f"{number}. ") and title.endswith("?")
        answers = ANSWER.findall(rest)
        assert not ANSWER.sub("", rest).strip(), "nothing else"
        assert len(answers) >= 3 and sum(kind == "Right" for _, kind, _ in answers) == 1
        for said, _, why in answers:
            # The line to open is HTML, in which Markdown and equations stay as they are.
            assert not re.search(r"[*$`]", said) and len(why) > 20


def test_the_right_answer_is_not_always_in_the_same_place() -> None:
    places = [
        [kind for _, kind, _ in ANSWER.findall(question)].index("Right")
        for text in ASKED.values()
        for question in re.split(r"^\*\*(?=\d\. )", text, flags=re.MULTILINE)[1:]
    ]
    assert max(places.count(place) for place in range(3)) < len(places) / 2
