"""Chapter `decoding`: how much of collapse is the loop, and how much is the way in which a text is chosen.

First on a Markov chain that is known exactly, then on language models (study `language_model`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.companion.book import language_run
from model_collapse.companion.book.estimates import at, joined, markdown
from model_collapse.companion.book.findings import Tables, ends
from model_collapse.companion.book.notebook import say, show, written
from model_collapse.companion.claims import planned
from model_collapse.companion.claims.decoding import penalised, slope
from model_collapse.companion.studies.language_model import STUDY, Size
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError
from model_collapse.theory import decoding

OWN = ("greedy", "sampled", "cold", "top-k", "top-p", "penalty-2")
"""Ways of writing that only this chapter runs; five beams are A."""

MEASURED = ("perplexity", "written_perplexity", "repeated_3", "distinct_3")

CLAIMS = ("DEC-1", "SH-8", "NC-decoding")

SEARCHED, DRAWN = ("A", "greedy", "penalty-2", "cold"), ("sampled", "top-k", "top-p", "control")

SHOWN = ("A", "greedy", "cold", "penalty-2", "top-k", "top-p", "sampled")

TRUTH = decoding.wordy_distribution(64, np.random.default_rng(0))
"""Transition matrix (64, 64) of the known chain: few common symbols, many rare ones."""

CONTEXTS = decoding.stationary(TRUTH)

WAYS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "sampling": lambda distribution: distribution,
    "temperature 0.3": lambda distribution: decoding.sharpened(distribution, 0.3),
    "top-k, k = 8": lambda distribution: decoding.cut(distribution, top_k=8),
    "top-p, p = 0.95": lambda distribution: decoding.cut(distribution, top_p=0.95),
    "greedy": lambda distribution: decoding.beam_distribution(distribution, CONTEXTS, 64, 1),
    "five beams": lambda distribution: decoding.beam_distribution(distribution, CONTEXTS, 64, 5),
}
"""Way of writing -> transition matrix of the model that counts what a model of the given matrix writes."""


def sized(profile: str, generations: int | None, **changes: int | str | None) -> tuple[Size, Size]:
    """The size of A and the control, which other chapters run too, and that of the ways of writing: fewer generations.

    InputError if there are too few generations or seeds, or more generations than A has.
    """
    whole = STUDY.at(profile, **changes)
    last = generations if generations is not None else min(whole.generations, 3)
    if not 1 <= last <= whole.generations or whole.seeds < 1:
        raise InputError(f"generations must be 1 to {whole.generations}, and seeds at least 1")
    return whole, STUDY.at(whole, generations=last, metrics=MEASURED)


def constant_runs(profile: str, seed: int) -> dict[str, Run]:
    """The runs of claim DEC-2: generation 0, with and without a constant in all logits."""
    return planned(penalised(n=8, replicates=2) if profile == "smoke" else penalised(), seed)


def exact_chain(way: str, generations: int = 9) -> pd.DataFrame:
    """Entropy of the next symbol, and probability shared with the truth, of all generations; nothing is sampled."""
    distribution, rows = TRUTH, []
    for g in range(generations + 1):
        rows += [
            {"generation": g, "metric": "entropy", "value": decoding.next_entropy(distribution, CONTEXTS)},
            {"generation": g, "metric": "shared", "value": decoding.shared_mass(distribution, TRUTH, CONTEXTS)},
        ]
        distribution = WAYS[way](distribution)
    return pd.DataFrame(rows).assign(replicate=0, item="")


def known_distribution() -> None:
    """What each way of writing leaves of a known chain, with infinitely much text and exact counting."""
    kept = {"entropy of the next symbol, nats": ("entropy", ""), "probability shared with the truth": ("shared", "")}
    exact = {way: exact_chain(way) for way in WAYS}
    entropy = {way: stats.pick(own, "entropy").set_index("generation")["value"] for way, own in exact.items()}
    assert np.ptp(entropy["sampling"]) == 0, "the control must not move"
    show(
        figures.side_by_side(exact, kept),
        stats.listing(exact, kept)[["arm", "quantity", "generation", "mean"]],
        "decoding-known-distribution",
        "A known chain, infinitely much text and exact counting: what each way of writing leaves, generation by "
        "generation. Generation 0 is the truth.",
        "Two panels with six curves each. Sampling is flat. Greedy and five beams fall to the bottom in one step, "
        "temperature 0.3 in a few; top-k falls once and stays; top-p falls a little in every generation.",
    )
    others = ("temperature 0.3", "top-k, k = 8", "top-p, p = 0.95", "five beams", "greedy")
    say(
        "Nats per symbol, exact, for this one chain:\n\n"
        + markdown(
            ("way of writing", "truth", "after one generation", "after nine"),
            ((way, *(f"{entropy[way][g]:.2f}" for g in (0, 1, 9))) for way in ("sampling", *others)),
        )
    )


def one_text_per_prompt(length: int = 8) -> None:
    """How probable the text is that a search finds, and the cycle in which it ends."""
    one, five = (float(np.exp(decoding.beam_texts(TRUTH, length, k)[1]) @ CONTEXTS) for k in (1, 5))
    looping = decoding.beam_texts(TRUTH, 64, 5)[0][int(np.argmax(CONTEXTS))]
    say(
        f"A search generates one text after each prompt. For {length} symbols, the text that five beams find has the "
        f"true probability {five:.1g} on average (greedy: {one:.1g}). Everything else, {1 - five:.3%} of what could "
        "have followed, is never generated. Searched text also repeats itself: in a chain, greedy decoding that meets "
        "a symbol again continues as before, so it must end in a cycle. With five beams, the text after the "
        "commonest symbol is: " + " ".join(f"{symbol}" for symbol in looping[:32]) + " ..."
    )


def two_penalties() -> None:
    """What a repetition penalty leaves of the probability 0.9 of a token, by what the rule is applied to."""
    shares, seen = np.array([0.9, 0.1]), np.array([True, False])
    offsets = {"logits 3.2 and 1": 1.0, "logits 1.1 and -1.1": -1.1, "logits -1 and -3.2": -3.2}
    values = {"log-probabilities -0.11 and -2.3 (beam search)": np.log(shares)} | {
        label: np.log(shares / shares[1]) + low for label, low in offsets.items()
    }

    def left(value: np.ndarray, theta: float) -> float:
        return float(decoding.sharpened(np.exp(decoding.penalised(value, seen, theta)), 1)[0])

    say(
        "Probability of the repeated token after the penalty (0.9 before; the other, new token has 0.1):\n\n"
        + markdown(
            ("the rule is applied to", "penalty 2", "penalty 3"),
            ((label, *(f"{left(value, theta):.2f}" for theta in (2, 3))) for label, value in values.items()),
        )
    )


def constant_in_the_logits(tables: Tables) -> None:
    """Nats per token of what generation 0 writes, 20 added to all logits less without ({eq}`decoding-constant`)."""
    moved = {
        way: stats.paired(_loss(tables[f"{way}, shifted"]), _loss(tables[way]))
        for way in ("sampled", "sampled, penalty", "beams, penalty")
    }
    say(
        "Change of the loss of the text of generation 0 of a tiny OPT if 20 is added to all logits, in nats per token: "
        + joined(f"{change:.3f} ({way})" for way, change in moved.items())
        + ". The constant changes no probability, so that the first and the last would be 0 in exact arithmetic; "
        "rounding may change a draw, and with it what follows."
    )


def _loss(table: pd.DataFrame) -> pd.Series:
    return stats.per_replicate(table, "written_loss", 0)


def titled(tables: Tables) -> dict[str, pd.DataFrame]:
    """Tables by the titles of their conditions; here A is one way of writing among others."""
    return language_run.titled(tables, {"A": "five beams (A)"})


def up_to(tables: Tables, last: int) -> dict[str, pd.DataFrame]:
    """The generations that all ways of writing have."""
    return {label: table[table["generation"] <= last] for label, table in tables.items()}


def by_way(tables: Tables) -> None:
    """Cross-entropy on real test text, ln of the perplexity, by generation and way of writing."""
    own = {label: table for label, table in tables.items() if label != "zero-shot"}
    added = tuple(label for label in own if label not in (*SEARCHED, *DRAWN))
    panels = {
        "searched, or nearly": titled({label: own[label] for label in SEARCHED}),
        "drawn": titled({label: own[label] for label in (*DRAWN, *added)}),
    }
    entropies = {
        title: {label: language_run.nats(table) for label, table in arms.items()} for title, arms in panels.items()
    }
    untouched = stats.mean(np.log(stats.per_replicate(tables["zero-shot"], "perplexity", 0)))
    rows = {label: stats.by_generation(own) for arms in entropies.values() for label, own in arms.items()}
    show(
        figures.against_theory(
            entropies,
            {},
            ylabel="cross-entropy, nats per token",
            limits={title: [untouched.value] for title in entropies},
        ),
        pd.concat(rows, names=["arm"]).reset_index("arm"),
        "decoding-perplexity",
        "Cross-entropy (log perplexity) on real test text by generation and way of writing, with 95 % bands over "
        f"seeds; dotted: before any fine-tuning, {untouched.value:.2f}.",
        "Two panels with one vertical axis. Nats per token in generation 0 and in the last: "
        + "; ".join(ends(arms, "perplexity") for arms in entropies.values())
        + ".",
    )
    slopes = {label: slope(table) for label, table in own.items()}
    order = sorted(slopes, key=lambda label: -slopes[label].mean())
    titles = dict(zip(own, titled(own), strict=True))
    over = {label: stats.paired(slopes[label], slopes["sampled"]) for label in order if label != "sampled"}
    back = {label: g for label, g in language_run.back_at_start(tables).items() if label in over or label == "sampled"}
    if "sampled" in back:
        when = joined(
            f"*{titles[label]}* from generation {g} on" for label, g in sorted(back.items(), key=lambda b: b[1])
        )
        said = (
            f"These are back at the untouched model, below which no model can fall here: {when}. A slope says little "
            "more than when that was, so the ways are not ranked by it."
        )
    else:
        faster = [f"*{titles[label]}*" for label, more in over.items() if more.low > 0]
        slower = [f"*{titles[label]}*" for label, more in over.items() if more.high < 0 and label != "control"]
        said = (
            f"Degrade faster than sampling: {joined(faster) if faster else 'none'}; more slowly: "
            f"{joined(slower) if slower else 'none'} (95 % intervals of the difference that leave out 0)."
        )
    say(
        f"{said} Slope over generations 0 to {stats.last_of(own['A'])}, in nats per token and generation:\n\n"
        + markdown(
            ("way of writing", "slope", "less that of sampling, paired by seed"),
            (
                (titles[label], f"{stats.mean(slopes[label]):.3f}", f"{over[label]:.3f}" if label in over else "")
                for label in order
            ),
        )
    )


def penalty(tables: Tables) -> None:
    """The effect of a repetition penalty of 2 on five beams, in the last generation."""
    plain, punished = tables["A"], tables["penalty-2"]
    last = stats.last_of(punished)
    worse = stats.mean(
        stats.per_replicate(punished, "perplexity", last) / stats.per_replicate(plain, "perplexity", last)
    )
    repeats, medians = (
        [at(table, metric, last, item) for table in (punished, plain)]
        for metric, item in (("repeated_3", ""), ("written_perplexity", "q50"))
    )
    back = language_run.back_at_start(tables)
    floor = " (both are back at the untouched model, so that nothing can be compared)" * (
        {"A", "penalty-2"} <= set(back)
    )
    say(
        f"With a penalty of 2, perplexity at generation {last} is {worse:.2f} times that of five beams without "
        f"one{floor}; the paper reports about twice as much. Of its sequences of three tokens, {repeats[0]:.2f} stand "
        f"earlier in the same block, against {repeats[1]:.2f} without a penalty. Under the model of generation 0 its "
        f"median block has perplexity {medians[0]:.2f}, against {medians[1]:.2f}."
    )


def what_is_written(tables: Tables) -> None:
    """Perplexity of written blocks under the model of generation 0: median and 99 % quantile over blocks."""
    quantiles = {"median block": ("written_perplexity", "q50"), "99 % quantile": ("written_perplexity", "q99")}
    arms = titled({label: tables[label] for label in SHOWN})
    show(
        figures.side_by_side(arms, quantiles, yscale="log", shared=True),
        stats.listing(arms, quantiles),
        "decoding-written",
        "Perplexity, under the model of generation 0, of the generated blocks of each generation: median and 99 % "
        "quantile over blocks, with 95 % bands over seeds.",
        "Two panels with one logarithmic axis. Median block in generation 0 and in the last: "
        f"{ends(arms, *quantiles['median block'])}.",
    )
    last = stats.last_of(tables["sampled"])
    say(
        "The median block of generation 0 has perplexity "
        + joined(f"{at(table, 'written_perplexity', 0, 'q50').value:.2f} ({title})" for title, table in arms.items())
        + f" under the model that generated it. At generation {last}, under the same model, it has "
        + joined(
            f"{at(own, 'written_perplexity', last, 'q50'):.2f} ({title})"
            for title, own in titled({label: tables[label] for label in ("A", "cold", "sampled")}).items()
        )
        + "."
    )


def repetition(tables: Tables) -> None:
    """Sequences of three tokens: the share that stands earlier in the same block, and different ones over all."""
    trigrams = {"repeated within a block": ("repeated_3", ""), "different in all generated text": ("distinct_3", "")}
    arms = titled({label: tables[label] for label in SHOWN})
    show(
        figures.side_by_side(arms, trigrams),
        stats.listing(arms, trigrams),
        "decoding-repeated",
        "Sequences of three tokens: the share that occurred earlier in the same block, and the share of different ones "
        "over all, with 95 % bands over seeds.",
        "Two panels over generations. Share repeated within a block, in generation 0 and in the last: "
        f"{ends(arms, 'repeated_3')}.",
    )
    last = stats.last_of(tables["sampled"])
    some = titled({label: tables[label] for label in ("A", "cold", "sampled", "penalty-2")})
    say(
        f"Share of sequences of three tokens that a block repeats, in generation 0 and in {last}: "
        + "; ".join(
            f"{title} {at(own, 'repeated_3', 0):.2f} and {at(own, 'repeated_3', last):.2f}"
            for title, own in some.items()
        )
        + ". Real text repeats some phrases too, so the right share is not zero."
    )


def one_prompt(texts: Tables, last: int, row: int = 7) -> None:
    """How one block of real text is continued, by way of writing, in generation 0 and in the last."""
    row = min(row, int(texts["A"]["row"].max()))
    own = {label: _continuations(texts[label], row) for label in ("A", "cold", "sampled", "penalty-2")}
    written({"prompt (real)": str(own["A"]["prompt"][0])}, "The prompt")
    lines = [
        {"way of writing": title} | {f"generation {g}": str(found["text"][g]) for g in (0, last)}
        for title, found in titled(own).items()
    ]
    written(pd.DataFrame(lines), f"How block {row}, chosen before the run, is continued")


def _continuations(texts: pd.DataFrame, row: int) -> pd.DataFrame:
    """Prompt and text of one block, by generation, first seed."""
    return texts[(texts["replicate"] == 0) & (texts["row"] == row)].set_index("generation")
