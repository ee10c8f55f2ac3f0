"""Chapter `curation`: verifiers, selectors and readers who choose what goes back into the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.book import language_run
from model_collapse.companion.book.estimates import at, below, curves, listed, markdown, points
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.claims import Tables, rows
from model_collapse.companion.studies.curation import (
    BEYOND,
    BIAS,
    CONDITIONS,
    OFFSETS,
    RATES,
    STRONG,
    STUDY,
    WEAK,
    Size,
    expected_choice,
    keep_rates,
)
from model_collapse.companion.studies.gate import gate, said
from model_collapse.errors import InputError
from model_collapse.filters.curate import Curate
from model_collapse.theory import curation as theory

MEASURED: Mapping[str, tuple[str, str, str]] = {
    "truth": ("share of true statements", "facts", "true"),
    "variety": ("different true facts", "facts", "different"),
    "perplexity": ("perplexity on real test text", "perplexity", ""),
}
"""What is measured of generated text: title, metric, item."""

REAL, NEW, DIM = 100, 5000, 10
"""Of the verified regression: real rows of the first model, generated rows of each later round, dimensions."""


def size(
    profile: str,
    *,
    points: int | None = None,
    replicates: int | None = None,
    blocks: int | None = None,
    generations: int | None = None,
    chains: int | None = None,
    seed: int | None = None,
) -> Size:
    """The size of the chapter, with the reader's changes. InputError lists the allowed values."""
    found = STUDY.at(
        profile, points=points, replicates=replicates, blocks=blocks, rounds=generations, chains=chains, seed=seed
    )
    if min(found.replicates, found.chains, found.rounds) < 2:
        raise InputError("replicates, chains and generations must be at least 2")
    return found


def breakdown(tables: Tables) -> None:
    """Figure: accuracy after learning verified labels, over the share of wrong ones (CF-L5, arXiv:2406.07515)."""
    first = next(iter(tables.values()))
    n, seeds = rows(first), first["replicate"].nunique()
    marks = {f"{right:g}, {wrong:g}": float(theory.breakdown_point(right, wrong)) for right, wrong in RATES}
    measured = {
        name: points({mark + offset: _accuracy(tables[f"{name}, {offset:+g}"]) for offset in OFFSETS})
        for name, mark in marks.items()
    }
    forms = {f"{right:g}, {wrong:g}": _expected(n, right, wrong) for right, wrong in RATES}
    title = f"{n:,} points, 20 dimensions"
    show(
        figures.points_by_arm(
            {title: measured},
            {title: forms},
            xlabel="share of wrong labels, p",
            ylabel="accuracy of the next model",
            marks=marks,
        ),
        below(measured),
        "curation-breakdown",
        "Accuracy of a classifier that learned from verified labels, over the share of wrong ones, for three verifiers "
        f"(phi, psi). Means with 95 % intervals over {seeds} chains; dashed: closed form; dotted: breakdown points by "
        "{eq}`curation-breakdown`.",
        "Three falling S-shaped curves. Each drops from near 1 to near 0 about its own dotted vertical line. The more "
        "selective the verifier, the more errors it withstands.",
    )
    beyond = _accuracy(tables[f"1, 1, {BEYOND:+g}"])
    say(
        f"The verifier that keeps everything (1, 1) is the *negative control*: its breakdown point is "
        f"{marks['1, 1']:.2f}, and {BEYOND} beyond it the accuracy is {beyond:.2f}. A verifier that keeps 70 % of the "
        f"right labels and 5 % of the wrong ones withstands {marks['0.7, 0.05']:.1%} of errors."
    )


def _accuracy(table: pd.DataFrame) -> Estimate:
    """Mean accuracy after one round."""
    return at(table, "accuracy", 1)


def _expected(n: int, right: float, wrong: float) -> Callable[[np.ndarray], np.ndarray]:
    """Closed form of the accuracy by share of wrong labels; the teacher has read the same number of points."""
    return lambda p: theory.averaging_accuracy(n, 20, p, right, wrong, teacher=n)


def skill(tables: Tables) -> None:
    """Say in a table what selectors are worth that are good at the task, or that compare labels with their answer."""
    own = {label: f"{1 - np.arctan(bias) / np.pi:.0%}" for label, bias in (("certain", STRONG), ("checker", WEAK))}
    lines = [
        (CONDITIONS[label].title, own.get(label, ""), f"{_accuracy(tables[label]):.2f}")
        for label in ("certain", "random", "checker")
    ]
    say(markdown(("selector", "its own accuracy", "accuracy of the model that reads what it keeps"), lines))


def keep_rates_on_text(size: Size) -> None:
    """Say in a table how often four selectors keep right and wrong texts of a word model, and the breakdown points."""
    selectors = {
        "an oracle, best half": Curate(),
        "likelihood, best half": Curate(by="likelihood"),
        "learned from 30 %, best half": Curate(by="learned", judged=0.3),
        "a random half": Curate(by="random"),
    }
    sheet = keep_rates(selectors, 16 * size.blocks, size.seed)
    lines = [
        (str(each["selector"]), f"{each['right']:.2f}", f"{each['wrong']:.2f}", f"{each['breakdown']:.2f}")
        for each in sheet.to_dict("records")
    ]
    say(
        f"**On text.** A word model (order 3, embedded corpus) generated {16 * size.blocks} texts. A text is right if "
        "at least half of what it states about the invented world is true.\n\n"
        + markdown(("selector", "right texts kept", "wrong texts kept", "breakdown point"), lines)
    )


def rounds(tables: Tables) -> None:
    """Figure: error of verified regression by round, against {eq}`curation-rounds` iterated (arXiv:2510.16657)."""
    titles = {label: CONDITIONS[label].title for label in tables}
    settings = {label: CONDITIONS[label].settings for label in tables}
    panel = "squared error"
    errors = {titles[label]: stats.pick(table, "test_error") for label, table in tables.items()}
    forms = {titles[label]: _verified(own["verifier.radius"], own["verifier.bias"]) for label, own in settings.items()}
    first = next(iter(tables.values()))
    show(
        figures.against_theory({panel: errors}, {panel: forms}, ylabel="|w - w*|²", limits={panel: [BIAS**2]}),
        curves(errors),
        "curation-rounds",
        f"Error of verified regression by round, means with 95 % bands over {first['replicate'].nunique()} chains; "
        "dashed: closed form; dotted: the square of the verifier's bias.",
        "Three curves fall in the first round. The two with a biased verifier rise again to the dotted line, the "
        "stricter verifier's sooner. The curve of an unbiased verifier stays near zero.",
    )
    last = stats.last_of(first)
    say(
        f"After {last} rounds the squared error is "
        + listed({titles[label]: f"{at(table, 'test_error'):.3g}" for label, table in tables.items()})
        + f". The first two verifiers are wrong by {BIAS}, whose square is {BIAS**2:.2g}; the last one knows the truth "
        "(the *control*)."
    )


def _verified(radius: float, bias: float) -> Callable[[np.ndarray], np.ndarray]:
    """Closed form of the squared error by round."""
    return lambda g: theory.verified_error(g, REAL, NEW, 1.0, DIM, radius, bias)


def preference(tables: Tables, metric: str) -> None:
    """Figure: mean reward or entropy ("mean_reward", "entropy") by round of choice, against the exact form for four.

    After the entropy, a sentence on how many kinds are left in effect.
    """
    title = {"mean_reward": "mean reward", "entropy": "entropy, nats"}[metric]
    names = {label: CONDITIONS[label].title for label in tables}
    found = {names[label]: stats.pick(table, metric) for label, table in tables.items()}
    forms = {names[label]: _choice(metric, part) for label, part in (("preference", 0.0), ("half real", 0.5))}
    first = next(iter(tables.values()))
    show(
        figures.against_theory({title: found}, {title: forms}, ylabel=title),
        curves(found),
        f"curation-{metric.replace('_', '-')}",
        f"{title.capitalize()} of generated rows, by generation, means with 95 % bands over "
        f"{first['replicate'].nunique()} chains of {rows(first)} rows; dashed: the closed form for four candidates.",
        f"Three curves. By preference the {title.partition(',')[0]} {'rises' if metric == 'mean_reward' else 'falls'} "
        "in every round. With half of the data real it moves less and levels off. At random it stays.",
    )
    if metric == "entropy":
        kinds = {names[label]: f"{np.exp(at(table, metric).value):.1f}" for label, table in tables.items()}
        last = stats.last_of(first)
        say(f"Kinds left in effect after {last} rounds, exp(entropy), of 10: {listed(kinds)}.")


def _choice(metric: str, part: float) -> Callable[[np.ndarray], np.ndarray]:
    """Closed form of preference among four candidates, by generation; part: share of real rows."""
    return lambda g: expected_choice(int(g.max()), part=part)[metric].to_numpy()


def budget(tables: Tables, quantity: str) -> None:
    """Figure: a quantity ("truth", "variety", "perplexity") in the last generation, over the share that is scored."""
    title, metric, item = MEASURED[quantity]
    shares = sorted({float(label.partition(" ")[2]) for label in tables} - {0.0})
    complete = {**tables, "learned 1": tables["oracle 1"]}

    value = partial(at, metric=metric, item=item)
    nothing = value(tables["oracle 0"])
    found = {
        "at random": points(dict.fromkeys(shares, nothing)),
        **{
            name: points({part: value(complete[f"{by} {part:g}"]) for part in shares})
            for name, by in (("the scored texts", "oracle"), ("predicted from it", "learned"))
        },
    }
    few = tables[f"oracle {shares[0]:g}"]
    last, n = stats.last_of(few), rows(few)
    everything = at(tables["oracle 1"], metric, item=item).value
    show(
        figures.points_by_arm(
            {f"generation {last}": found},
            {},
            xlabel="share of the generated texts that is scored",
            ylabel=title,
            scale="log",
        ),
        below(found),
        f"curation-budget-{quantity}",
        f"{title.capitalize()} in generation {last} over the share scored in every generation; word model of order 3, "
        f"{n} texts chosen out of {8 * n}, means with 95 % intervals over {few['replicate'].nunique()} chains, twice "
        "that number at random and where everything is scored.",
        f"Points over the share scored, on a logarithmic axis. {title.capitalize()}: {nothing.value:.3g} if texts are "
        f"chosen at random, {everything:.3g} if an oracle scores all of them.",
    )


def judging_in_numbers(tables: Tables) -> None:
    """Say in a table what changes up to the last generation, with a choice at random and with an oracle."""
    random, oracle = tables["oracle 0"], tables["oracle 1"]
    last = stats.last_of(random)
    lines = [
        (title, *(f"{at(table, metric, g, item):.3g}" for table, g in ((random, 0), (random, last), (oracle, last))))
        for title, metric, item in MEASURED.values()
    ]
    head = ("", "generation 0", f"generation {last}, at random", f"generation {last}, an oracle on everything")
    say(markdown(head, lines))


def fresh_text(tables: Tables, size: Size) -> None:
    """Say how much a choice helps in a small fresh run of a language model, and its gate."""
    last = stats.last_of(tables["lot"])
    true = {
        "chosen by the oracle": at(tables["curated"], "facts", last, "true"),
        "chosen at random": at(tables["lot"], "facts", last, "true"),
        "in generation 0": at(tables["lot"], "facts", 0, "true"),
    }
    n = int(size.n or 0)
    say(
        f"This run: a tiny OPT, {n} texts chosen out of {8 * n}, seeds: {size.seeds}, generations 0 to {last}. Share "
        f"of true statements in generation {last}: {listed({name: f'{each:.2f}' for name, each in true.items()})}."
    )
    say(said(gate(tables, "lot")))
    language_run.who_is_back(tables, STUDY.titles(STUDY.conditions))


def text(tables: Tables, quantity: str, source: str) -> None:
    """Figure: a quantity ("truth", "variety", "perplexity") of language models by generation.

    Counts depend on how much is generated, so that variety compares only conditions with eight texts for each prompt.

    source  which run it is, for the caption
    """
    title, metric, item = MEASURED[quantity]
    alone = {"sampled": "no choice", "zero-shot": CONDITIONS["zero-shot"].title}
    told = {CONDITIONS[label].title: table for label, table in tables.items() if label not in alone}
    if quantity != "variety":
        told |= {name: tables[label] for label, name in alone.items() if label in tables}
    ends = {CONDITIONS[label].title: at(tables[label], metric, item=item).value for label in ("lot", "curated")}
    show(
        figures.by_arm(told, metric, item=item, ylabel=title),
        stats.listing(told, {title: (metric, item)}),
        f"curation-text-{quantity}",
        f"{title.capitalize()} by generation; thick: mean over seeds, thin: single seeds. {source}.",
        f"Lines by generation. {title.capitalize()} in the last one: "
        + listed({name: f"{value:.3g}" for name, value in ends.items()})
        + ".",
    )


def text_in_numbers(tables: Tables) -> None:
    """Say in a table what each condition has in its last generation."""
    columns = ("truth", "perplexity", "variety")
    digits = {"truth": ".2f", "perplexity": ".2f", "variety": ".0f"}

    def cells(table: pd.DataFrame, generation: int | None) -> list[str]:
        return [f"{at(table, *_place(each, generation)):{digits[each]}}" for each in columns]

    last = stats.last_of(tables["lot"])
    lines = [["generation 0", *cells(tables["lot"], 0)]]
    lines += [[CONDITIONS[label].title, *cells(table, None)] for label, table in tables.items()]
    say(markdown((f"generation {last}", "true statements", "perplexity", "different true facts"), lines))


def _place(quantity: str, generation: int | None) -> tuple[str, int | None, str]:
    """Metric, generation and item of a quantity, as `at` takes them."""
    _, metric, item = MEASURED[quantity]
    return metric, generation, item
