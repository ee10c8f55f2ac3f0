"""What chapters show of the recorded run of a published, pre-trained model (study `pretrained`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.book import findings
from model_collapse.companion.book.estimates import markdown
from model_collapse.companion.book.notebook import say, show, written
from model_collapse.companion.studies import pretrained
from model_collapse.companion.studies.gate import GATE, gate

if TYPE_CHECKING:
    from model_collapse.companion.records import Recorded

SHOWN = ("A", "S", "B", "C", "P")

INTERVALS = 3
"""Seeds from which on intervals are shown: that of two seeds is 13 standard errors to each side."""

PUBLISHED = {
    0: "Revival architecture such as St. John’s Cathedral in London. The earliest surviving example of Perpendicular "
    "Revival architecture is found in the 18th @-@ century Church of Our Lady of Guernsey, which dates from the late "
    "19th century. There are two types of perpendicular churches : those.",
    9: "architecture. In addition to being home to some of the world’s largest populations of black @-@ tailed "
    "jackrabbits, white @-@ tailed jackrabbits, blue @-@ tailed jackrabbits, red @-@ tailed jackrabbits, yellow @-.",
}
"""What OPT-125m wrote after the prompt, by generation (Shumailov et al. 2024, Example 1), as press reports print it."""


def progress(record: Recorded) -> None:
    """Perplexity on real test text by generation, the untouched model dotted, and a table with the gate."""
    tables = {label: record.tables[label] for label in SHOWN if label in record.tables}
    titles = {label: pretrained.STUDY.condition(label).title for label in tables}
    rows = {titles[label]: _drawn(stats.pick(table, "perplexity")) for label, table in tables.items()}
    untouched = stats.mean(stats.per_replicate(record.tables["zero-shot"], "perplexity", 0))
    counted = findings.counted(tables["A"]["replicate"].nunique(), "seed")
    show(
        figures.against_theory({"": rows}, {}, ylabel="perplexity on real test text", limits={"": [untouched.value]}),
        pd.concat({title: stats.by_generation(own) for title, own in rows.items()}, names=["condition"]).reset_index(
            "condition"
        ),
        "language-real-model",
        f"Perplexity on real test text by generation, mean of {counted}, with 95 % bands from {INTERVALS} seeds on; "
        f"dotted: the model before any fine-tuning, {untouched.value:.1f}. {record.label}.",
        "A curve over generations for each condition. Mean perplexity in the last generation: "
        + "; ".join(
            f"{title} {own[own['generation'] == own['generation'].max()]['value'].mean():.3g}"
            for title, own in rows.items()
        )
        + f"; the untouched model, dotted, {untouched.value:.3g}.",
    )
    gains = gate(record.tables)
    passed = int((gains >= GATE).sum())
    say(
        f"Before fine-tuning the model has perplexity {_said(untouched, '.1f')}. "
        f"Fine-tuning on real text lowers its loss by {gains.min():.2f} nats per token or more: "
        f"the gate of {GATE:g} is passed in {passed} of {counted}."
    )
    say(_table(tables, titles))


def judged(record: Recorded) -> None:
    """The verdicts on the three endpoints that were named before the run, in one table."""
    findings.judged(("PT-1", "PT-2", "PT-3"), record.tables, of=f"recorded run `{record.name}`")


def _table(tables: dict[str, pd.DataFrame], titles: dict[str, str]) -> str:
    """Markdown: perplexity in the first and the last generations of each condition."""
    lines = []
    for label, table in tables.items():
        last = stats.last_of(table)
        nats = {g: np.log(stats.per_replicate(table, "perplexity", g)) for g in {0, 1, last}}
        means = [_said(stats.mean(np.exp(nats[g])), ".1f") for g in (0, 1, last)]
        more = _said(stats.paired(nats[last], nats[1]), ".3f") if last > 1 else "one generation"
        lines.append((titles[label], means[0], means[1], f"{last}: {means[2]}", more))
    return markdown(("condition", "generation 0", "generation 1", "last", "last less generation 1, nats"), lines)


def _said(found: Estimate, form: str) -> str:
    """A mean with its interval; of few seeds the mean alone."""
    return f"{found:{form}}" if found.n >= INTERVALS else f"{found.value:{form}}"


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows by seed, or of few seeds their means, which have no band."""
    if rows["replicate"].nunique() >= INTERVALS:
        return rows
    return rows.groupby("generation", as_index=False)["value"].mean().assign(replicate=0, item="")


def church_towers(record: Recorded) -> None:
    """How each generation continues the paper's own prompt, with beams and sampled, beside what OPT wrote there."""
    arms = {label: record.written[label] for label in ("A", "S") if label in record.written}
    probes = {label: rows[rows["row"] == -1].set_index("generation") for label, rows in arms.items()}
    if not probes or any(rows.empty for rows in probes.values()):
        say("This record has no continuations of the paper's prompt.")
        return
    generations = sorted(set.intersection(*(set(rows.index) for rows in probes.values())))
    shown = {g for g in (0, 1, 4, 9) if g in generations} | {generations[-1], *PUBLISHED}
    lines = {"the prompt": [str(next(iter(probes.values()))["prompt"].iloc[0])] * (len(probes) + 1)}
    for g in sorted(shown):
        ours = [str(rows["text"][g]) if g in generations else "not run" for rows in probes.values()]
        lines[f"generation {g}"] = [*ours, PUBLISHED.get(g, "not in the reports")]
    titles = [pretrained.STUDY.condition(label).title for label in probes]
    frame = pd.DataFrame.from_dict(lines, orient="index", columns=[*titles, "OPT-125m in the paper"])
    written(
        frame.reset_index(names=""),
        f"How generations continue the paper's prompt, first seed. {record.label}. Marked: repetitions in a text.",
        repeated=3,
    )
