"""Chapter `text`: what the models write, over all blocks and by example.

Tables and texts go by condition of the study `language_model`; a recorded run can be put in the place of this one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.companion.book import language_run
from model_collapse.companion.book.estimates import at, joined, share
from model_collapse.companion.book.findings import Tables, chosen, from_to, run_of, show_panels
from model_collapse.companion.book.markup import repeated_share
from model_collapse.companion.book.notebook import continuations, say, show
from model_collapse.companion.records import Recorded
from model_collapse.companion.studies import language_model

SHOWN = ("control", "A", "sampled")
"""Conditions whose texts stand beside each other, the control first."""

CLAIMS = ("SH-6", "SH-7", "RE-2", "NC-text")

COUNTS = {
    "repeated within a block": ("repeated_3", ""),
    "different 3-grams": ("distinct_3", ""),
}

LIKENESS = {
    "tokens shared": ("similarity", "overlap_1"),
    "pairs shared": ("similarity", "overlap_2"),
    "cosine of states": ("similarity", "states"),
}

RIGHT, WRONG = "words shared, right prompt", "words shared, another prompt"


def shown_of(record: Recorded | None) -> dict[str, pd.DataFrame]:
    """The tables of a record that this chapter shows; none without a record."""
    return {} if record is None else {label: record.tables[label] for label in SHOWN if label in record.tables}


def repetition(tables: Tables, record: str = "") -> None:
    """How much of a block was said before: 3-grams that repeat in it, and different 3-grams over all.

    record  name of the recorded run that the tables are of; "": this run
    """
    if not tables:
        return
    what = "Share of 3-grams that repeat within their block, and of all 3-grams that are different"
    _compared(tables, COUNTS, "text-repetition", record, what)
    last, repeated = stats.last_of(tables["A"]), {label: table for label, table in tables.items() if label in SHOWN}
    begin, end = (at(tables["A"], "repeated_3", g) for g in (0, last))
    sampled, control = (at(repeated[label], "repeated_3", last) for label in ("sampled", "control"))
    say(
        f"In A the share repeated within a block goes from {begin:.3f} in generation 0 to {end:.3f} in generation "
        f"{last}; where text is sampled it ends at {sampled:.3f}. Real text repeats "
        f"{at(tables['A'], 'real_text', 0, 'repeated_3').value:.3f}, and the control, which never reads what a model "
        f"wrote, {control:.3f}. The difference between these two is due to beam search alone."
    )
    from_to(repeated, COUNTS)


def likeness(tables: Tables, record: str = "") -> None:
    """How like a continuation is to the block that really followed its prompt: shared tokens, pairs, cosine of states.

    record  as for `repetition`
    """
    if not tables:
        return
    what = (
        "Likeness of each continuation to the block that really followed its prompt: tokens and pairs of tokens that "
        "both have, and cosine of mean hidden states in the model of generation 0"
    )
    _compared(tables, LIKENESS, "text-likeness", record, what)
    last = stats.last_of(tables["A"])
    begin, end = (at(tables["A"], "similarity", g, "overlap_1") for g in (0, last))
    say(
        f"A block of A shares {begin:.3f} of its tokens with what really followed in generation 0 and {end:.3f} in "
        f"generation {last}; the control ends at {at(tables['control'], 'similarity', last, 'overlap_1'):.3f}."
    )
    from_to({label: table for label, table in tables.items() if label in SHOWN}, LIKENESS)


def _compared(tables: Tables, metrics: figures.Metrics, name: str, record: str, caption: str) -> None:
    """A panel for each metric, a line for each condition."""
    arms = language_run.titled(chosen(tables, (*SHOWN, "zero-shot"), language_model.CONDITIONS))
    show_panels(
        arms,
        metrics,
        f"{name}-recorded" if record else name,
        f"{caption}; means with 95 % bands over seeds. {run_of(record)}.",
    )


def examples(texts: Tables, rows: Iterable[int], generations: Sequence[int]) -> None:
    """Continuations of some blocks of the real training text, the control first, first seed."""
    blocks = texts["A"]["row"].max() + 1
    for row in rows:
        continuations(
            {label: texts[label] for label in SHOWN},
            row,
            generations,
            f"This run, first seed: block {row} of {blocks} of the real training text, and how it is continued.",
        )


def recorded_example(record: Recorded | None) -> None:
    """The middle one of the blocks that a record has kept, in the same way."""
    if record is None or not {*SHOWN} <= {*record.written}:
        return
    kept = {label: record.written[label] for label in SHOWN}
    there = set.intersection(*({*table["generation"]} for table in kept.values()))
    last, middle = max(there), int(kept["A"]["row"].nunique() // 2)
    caption = f"Recorded run `{record.name}`: block {middle}, the middle one of those kept."
    continuations(kept, middle, [g for g in (0, 1) if g in there and g < last] + [last], caption)


def marks(texts: Tables) -> None:
    """Share of characters that the tables of texts mark, over all blocks: what stands earlier in the same block."""
    last = stats.last_of(texts["A"])
    real = _marked(texts["A"], "prompt", 0).iloc[0]
    shares = {label: [share(stats.mean(_marked(texts[label], "text", g))) for g in (0, last)] for label in SHOWN}
    say(
        f"Over all blocks, {real:.1%} of the characters of real text would be marked. In generation 0 and "
        f"generation {last}: "
        + "; ".join(f"{label} {begin:.1%} and {end:.1%}" for label, (begin, end) in shares.items())
        + "."
    )


def _marked(texts: pd.DataFrame, column: str, generation: int) -> pd.Series:
    """Mean marked share of characters, by seed."""
    rows = texts[texts["generation"] == generation]
    return rows[column].astype(str).map(repeated_share).groupby(rows["replicate"]).mean()


def right_and_wrong_prompt(texts: Tables) -> None:
    """Words shared with what followed the right prompt, and with what followed another one, half the set away."""
    blocks = int(texts["A"]["row"].max()) + 1
    answers = {
        label: pd.concat(
            shared_with(texts[label], away).assign(metric="shared", item=title)
            for title, away in ((RIGHT, 0), (WRONG, blocks // 2))
        )
        for label in SHOWN
    }
    pairs, arms = {title: ("shared", title) for title in (RIGHT, WRONG)}, language_run.titled(answers)
    gaps = {label: {g: _owed(own, g) for g in (0, stats.last_of(own))} for label, own in answers.items()}
    show(
        figures.side_by_side(arms, pairs, shared=True),
        stats.listing(arms, pairs),
        "text-prompt",
        "Words shared with what followed the right prompt, and with what followed another; means with 95 % bands "
        "over seeds.",
        "Two panels with one axis. What the right prompt has over the wrong one, in generation 0 and in the last: "
        + "; ".join(
            f"{label} {' and '.join(f'{gap.value:.3g}' for gap in own.values())}" for label, own in gaps.items()
        )
        + ".",
    )
    say(
        "The right prompt has more than the wrong one by, in generation 0 and in the last: "
        + joined(f"{label} {' and '.join(f'{gap:.3f}' for gap in own.values())}" for label, own in gaps.items())
        + ". A gap of 0 means that no word shows any more which prompt the text continues."
    )


def _owed(answers: pd.DataFrame, generation: int) -> stats.Estimate:
    """What the right prompt has over the wrong one."""
    right, wrong = (stats.per_replicate(answers, "shared", generation, title) for title in (RIGHT, WRONG))
    return stats.paired(right, wrong)


def shared_with(texts: pd.DataFrame, away: int) -> pd.DataFrame:
    """Mean share of words in common with the text `away` blocks after the prompt: replicate, generation, value."""
    first = texts[(texts["generation"] == 0) & (texts["replicate"] == 0)]
    after = first.set_index("row").sort_index()["prompt"].to_numpy()[1:]
    # The last block has no successor, so there is one pair less than there are blocks.
    rows = texts[texts["row"] < len(after)]
    pairs = zip(rows["row"], rows["text"], strict=True)
    values = [words_shared(str(text), str(after[(row + away) % len(after)])) for row, text in pairs]
    return rows.assign(value=values).groupby(["replicate", "generation"])["value"].mean().reset_index()


def words_shared(one: str, other: str) -> float:
    """Words that two texts have in common, counted with repetitions, over the mean of their lengths."""
    counts, others = Counter(one.split()), Counter(other.split())
    return 2 * (counts & others).total() / max(counts.total() + others.total(), 1)
