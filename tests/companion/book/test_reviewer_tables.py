"""Tables of the page on verification, from records made by hand."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx")

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def reviewer():
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import reviewer

        yield reviewer
    finally:
        sys.path.remove(str(ROOT / "book" / "_ext"))


MADE = {"machine": "a machine", "created_at": "2026-01-02T03:04:05", "commit": "0123456789abcdef"}
END = "Made on a machine, 2026-01-02, at commit `0123456789ab`."


def fault(name: str, caught: bool, by: list[str], how: str) -> dict[str, object]:
    return {
        "name": name,
        "what": "It is 2 * 2 | wrong.",
        "claims": ["A-1", "A-2"],
        "caught": caught,
        "by": by,
        "how": how,
    }


def test_faults_are_listed_with_what_catches_them(reviewer):
    faults = [
        fault("one", True, ["A-1", "A-2"], "a claim falls"),
        fault("two", True, [], "the verification ends with KeyError: x"),
        fault("three", False, [], ""),
    ]
    text = reviewer.Sabotage.table({"made": MADE, "faults": faults})
    assert text.startswith("**2 of 3 faults are caught.**")
    assert "| `one` | It is 2 \\* 2 \\| wrong. | A-1, A-2 |" in text
    assert "| `two` | It is 2 \\* 2 \\| wrong. | an error: the verification ends with KeyError: x |" in text
    assert "Not caught:" in text and "| `three` | It is 2 \\* 2 \\| wrong. | A-1, A-2 |" in text
    assert text.endswith(END)
    assert "Not caught" not in reviewer.Sabotage.table({"made": MADE, "faults": faults[:2]})


def test_false_alarms_are_counted(reviewer):
    record = {
        "made": MADE,
        "claims": [
            {"id": "A-1", "seeds": 100, "fell": [7, 9], "target": 1, "missed": []},
            {"id": "A-2", "seeds": 10, "fell": [], "target": None, "missed": None},
        ],
        "pooled": {
            "fell": {"count": 2, "of": 1110, "low": 0.0002, "high": 0.0065},
            "missed": {"count": 0, "of": 100, "low": 0.0, "high": 0.036},
        },
    }
    text = reviewer.Alarms.table(record)
    assert "claims fell in 2 of 1,110 judgements (95 % interval of the rate: 0.0002 to 0.0065)" in text
    assert "0 of 100 judgements (95 % interval of the rate: 0 to 0.036) missed it." in text
    assert "| A-1 | 100 | 7, 9 | none |" in text and "| A-2 | 10 | none |  |" in text and text.endswith(END)


def test_power_has_a_table_for_each_kind(reviewer):
    common = {"measured": "a_ratio", "verdict": "reproduced", "level": 0.9999}
    claims = [
        {"id": "A-1", "estimate": 1.01, "low": 0.98, "high": 1.04, "band": [0.9, 1.1], "target": 1, **common},
        {"id": "A-2", "estimate": 0.5, "low": 0.3, "high": 0.7, "band": [0, None], "target": None, **common},
        {"id": "A-3", "estimate": None, "low": None, "high": None, "band": [0, None], "target": None, **common},
    ]
    text = reviewer.Powers.table({"made": MADE, "claims": claims})
    assert (
        "| A-1 | a\\_ratio | 1 | 0.07 | 0.1 | 0.01 | below 0.0001 |" in text
        and "| A-2 | a\\_ratio | 0 | 0.2 | 0.4 | 0.5 | below 0.0001 |" in text
    )
    assert "A-3" not in text and text.endswith(END)


@pytest.mark.parametrize("name", ["Sabotage", "Alarms", "Powers"])
def test_the_committed_records_can_be_shown(reviewer, name):
    directive = getattr(reviewer, name)
    text = directive.table(json.loads((ROOT / "records" / directive.record).read_text(encoding="utf-8")))
    assert text.count("|") > 40 and not re.search(r"\bnan\b", text)
