"""Words that follow words: n-gram models that are trained on what they generate, {eq}`ngram-model`.

Functions take the tables of their runs; each shows one figure, with the sentence that states what one sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.book import compare
from model_collapse.companion.book.notebook import say, show, written
from model_collapse.companion.claims.ngram import expected_words, word_shares
from model_collapse.companion.studies.study import Size
from model_collapse.errors import InputError

Tables = Mapping[str, pd.DataFrame]

BANDS = ("common", "medium", "rare")


def checked(size: Size) -> Size:
    """The size, if the chapter can show it."""
    if size.seeds < 2 or size.generations < 2:
        raise InputError("this chapter is written for at least 2 replicates and 2 generations")
    return size


def _last(tables: Tables) -> int:
    return min(stats.last_of(table) for table in tables.values())


def _times(table: pd.DataFrame, metric: str, last: int) -> Estimate:
    """A metric at a generation over that of generation 0, chain by chain."""
    return stats.mean(stats.per_replicate(table, metric, last) / stats.per_replicate(table, metric, 0))


def _listed(tables: Tables, metric: str, items: Iterable[str] = ("",)) -> pd.DataFrame:
    return compare.listed(
        {item: {label: stats.pick(t, metric, item=item or None) for label, t in tables.items()} for item in items}
    )


def vocabulary(table: pd.DataFrame) -> None:
    """Different words by generation for order 1, beside the lower bound {eq}`ngram-survival`."""
    shares, counted = word_shares(table)
    found = {"order 1": stats.pick(table, "vocabulary")}
    title = f"{counted:,} words of {table['corpus'].iloc[0]}"
    show(
        figures.against_theory(
            {title: found},
            {title: {"order 1": lambda g: expected_words(g, shares, counted)[0]}},
            ylabel="different generated words",
            limits={title: [len(shares)]},
        ),
        compare.listed({title: found}),
        "ngram-vocabulary",
        f"Different words in the text of each generation, mean with a 95 % band over {table['replicate'].nunique()} "
        "chains; dashed: {eq}`ngram-survival`; dotted: the words of the real training text.",
        "A falling curve below a dotted line: a share of the words is missing from the first generated text, "
        "and more are missing from every later one. The dashed closed form runs through it.",
    )
    last = _last({"": table})
    ends = {g: stats.mean(stats.per_replicate(table, "vocabulary", g)) for g in (0, last)}
    lower, upper = expected_words(np.array([0, last]), shares, counted)
    once = float(np.mean(np.rint(shares * counted) == 1))
    say(
        f"The real text has {len(shares)} different words, {once:.0%} of them only once. The first model generates "
        f"{ends[0].value:.0f} of them (theory {lower[0]:.0f} to {upper[0]:.0f}), generation {last} "
        f"{ends[last].value:.0f} (theory {lower[1]:.0f} to {upper[1]:.0f}). A word counts as kept if it is generated "
        "once."
    )


def by_order(tables: Tables) -> None:
    """Perplexity on real test text by generation, for models that see one, two or three words."""
    last, chains = _last(tables), next(iter(tables.values()))["replicate"].nunique()
    show(
        figures.by_arm(tables, "perplexity", ylabel="perplexity on real test text", yscale="log"),
        _listed(tables, "perplexity"),
        "ngram-perplexity-by-order",
        f"Perplexity on real test text by generation, orders 1 to 3; thick: mean over {chains} chains, thin: single "
        "chains.",
        "Three curves on a logarithmic axis. Order 1 lies highest and rises slowly; orders 2 and 3 begin far lower "
        "and rise more steeply.",
    )
    begin = {label: stats.per_replicate(table, "perplexity", 0).mean() for label, table in tables.items()}
    say(
        f"Perplexity of generation 0, and how many times as high it is at generation {last} (95 % intervals over "
        "chains): "
        + "; ".join(
            f"{label} {begin[label]:.1f}, then times {_times(table, 'perplexity', last):.2f}"
            for label, table in tables.items()
        )
        + ". A model of order 3 has seen most of its contexts only once, so a good part of its text is copied. "
        "Perplexities of this chapter count words and cannot be compared with those of the language chapters, which "
        "count tokens."
    )


def by_regime(tables: Tables) -> None:
    """Perplexity on real test text by generation under several regimes; the control, "order 2, control", stays put."""
    last = _last(tables)
    shown = {_short(label): table for label, table in tables.items()}
    show(
        figures.by_arm(shown, "perplexity", ylabel="perplexity on real test text", yscale="log"),
        _listed(shown, "perplexity"),
        "ngram-perplexity-by-regime",
        "Order 2: perplexity on real test text for several ways to build the training set; thick: mean over chains, "
        "thin: single chains.",
        "Replace rises steadily. With ten per cent of real text perplexity rises less, under accumulate hardly at "
        "all, and the control is flat.",
    )
    say(
        f"Perplexity at generation {last} over that of generation 0: "
        + "; ".join(f"{label} {_times(table, 'perplexity', last).value:.2f}" for label, table in shown.items())
        + f". Accumulate has read {last + 1} times as many words by then, most of them generated by models."
    )
    flat = stats.pick(tables["order 2, control"], "perplexity").groupby("replicate")["value"].nunique()
    assert (flat == 1).all(), "the control must not move"


def _short(label: str) -> str:
    """A label in the legend of a figure that is about order 2 alone."""
    known = {"order 2": "replace", "order 2, control": "control: real text only"}
    return known.get(label, label.removeprefix("order 2, "))


def facts(tables: Tables) -> None:
    """Share of the items of the real training text that a generation still has, by how common they are."""
    last = _last(tables)
    show(
        figures.by_item(tables, "rare_coverage", ["common", "rare"], ylabel="share still generated"),
        _listed(tables, "rare_coverage", BANDS),
        "ngram-coverage",
        "Share of what the real training text says that a generation's text says at least once, for common and for "
        "rare facts (or words); means with 95 % bands over chains.",
        "Two panels, common and rare. All curves fall with the generations and start lower for what is rare; order 3 "
        "keeps more than order 2.",
    )
    left: dict[str, dict[str, list[float]]] = {
        label: {band: [stats.per_replicate(t, "rare_coverage", g, band).mean() for g in (0, last)] for band in BANDS}
        for label, t in tables.items()
    }
    say(
        f"Share that is generated in generation 0 and in generation {last}: "
        + "; ".join(f"{label} common {_pair(own['common'])}, rare {_pair(own['rare'])}" for label, own in left.items())
        + ". A fact counts if it is stated a single time in the whole text."
    )


def _pair(ends: Sequence[float]) -> str:
    return f"{ends[0]:.1%} and {ends[1]:.1%}"


def one_prompt(texts: pd.DataFrame) -> None:
    """How three generations of one chain continue the same prompt."""
    first = texts[(texts["row"] == texts["row"].iloc[0]) & (texts["replicate"] == 0)].set_index("generation")
    last = int(first.index.max())
    generations = sorted({0, last // 2, last})
    written(
        {"prompt": str(first["prompt"].iloc[0])} | {f"generation {g}": str(first["text"][g]) for g in generations},
        "One prompt, continued by order 3",
    )
