"""Chapter `diversity`: what perplexity hides. Variety, certainty and truth of generated text.

Each function takes tables by condition of the study `language_model`, shows one figure and describes it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.book import language_run
from model_collapse.companion.book.estimates import at, joined, markdown
from model_collapse.companion.book.findings import Tables, chosen, ends, from_to, run_of, show_panels
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.records import Recorded
from model_collapse.companion.studies import language_model

MAIN = ("A", "sampled", "control")

CLAIMS = ("DIV-1", "SUR-1", "COR-1", "NC-diversity")

KINDS = {
    "words": ("type_token_ratio", ""),
    "pairs": ("distinct_2", ""),
    "patterns": ("skeletons", ""),
    "meaning": ("state_diversity", ""),
}

CHECKED = KINDS | {"perplexity": ("perplexity", ""), "entropy on real text": ("entropy", "test")}


def of(tables: Tables, labels: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """The tables of these conditions by their titles, as far as they are there, and of a reader's own."""
    return language_run.titled(chosen(tables, labels, language_model.CONDITIONS))


def plane(tables: Tables) -> None:
    """Perplexity on real text against different pairs of tokens over all pairs that were written."""
    axes = {"perplexity": ("perplexity", ""), "different pairs": ("distinct_2", "")}
    arms = of(tables, (*MAIN, "zero-shot"))
    show(
        figures.paths(
            arms, *axes.values(), xlabel="perplexity on real test text", ylabel="different pairs / all generated pairs"
        ),
        stats.listing(arms, axes),
        "diversity-plane",
        "Perplexity of each generation on real test text against the share of different pairs of tokens in what it "
        "wrote, means over seeds; from the ring (generation 0) to the number of the last one.",
        f"A path for each condition. Perplexity at its ends: {ends(arms, 'perplexity')}. Share of different pairs: "
        f"{ends(arms, 'distinct_2')}.",
    )
    last = stats.last_of(tables["A"])
    times = {
        metric: stats.ratio(_at_end(tables["sampled"], metric), _at_end(tables["A"], metric))
        for metric in ("perplexity", "distinct_2")
    }
    apart = {metric: abs(np.log(estimate.value)) for metric, estimate in times.items()}
    further = "share of different pairs" if apart["distinct_2"] > apart["perplexity"] else "perplexity"
    say(
        f"At generation {last}, where text is sampled perplexity is {times['perplexity']:.3g} times that of A, and "
        f"the share of different pairs {times['distinct_2']:.3g} times. The {further} sets the two further apart."
    )
    of_first = stats.ratio(
        stats.per_replicate(tables["control"], "distinct_2", last), stats.per_replicate(tables["A"], "distinct_2", 0)
    )
    say(
        f"The control's last share of different pairs is {of_first:.3g} times that of A in generation 0; both models "
        "learned from real text alone. What beams alone do to variety is in [the chapter on "
        "decoding](13_decoding.ipynb)."
    )


def _at_end(table: pd.DataFrame, metric: str) -> pd.Series:
    return stats.per_replicate(table, metric, stats.last_of(table))


def kinds(tables: Tables, record: str = "") -> None:
    """Change since generation 0 of four kinds of diversity of generated text, seed by seed.

    record  name of the recorded run that the tables are of; "": this run
    """
    arms = of(tables, MAIN)
    if not arms:
        return
    moved = {label: pd.concat([stats.relative(own, *kind) for kind in KINDS.values()]) for label, own in arms.items()}
    show(
        figures.relative(arms, KINDS),
        stats.listing(moved, KINDS),
        "diversity-kinds-recorded" if record else "diversity-kinds",
        "Four kinds of diversity of the generated text, change since generation 0, seed by seed; means with 95 % bands "
        f"over seeds. {run_of(record)}.",
        "One panel for each condition. Change up to the last generation: "
        + "; ".join(
            f"{label}, " + ", ".join(f"{kind} {change(own, *metric).value:.0%}" for kind, metric in KINDS.items())
            for label, own in arms.items()
        )
        + ".",
    )
    lost = {kind: change(tables["sampled"], *metric) for kind, metric in KINDS.items()}
    say(
        f"Where text is sampled, up to generation {stats.last_of(tables['sampled'])} "
        + joined(f"{kind} change by {estimate:.0%}" for kind, estimate in lost.items())
        + f". In the control, which cannot collapse, pairs change by {change(tables['control'], 'distinct_2'):.0%}: "
        "that much is the noise of training."
    )
    from_to(arms, KINDS, relative=True)


def change(table: pd.DataFrame, metric: str, item: str = "") -> Estimate:
    """Last generation less generation 0, over generation 0, seed by seed."""
    rows = stats.relative(table, metric, item)
    return stats.mean(rows[rows["generation"] == stats.last_of(table)]["value"])


def how_sure(tables: Tables) -> None:
    """Entropy of the next token on real text and on the model's own, and Zipf's exponent of the written tokens."""
    sureness = {
        "entropy on real text (nats)": ("entropy", "test"),
        "entropy on its own (nats)": ("entropy", "written"),
        "Zipf's exponent": ("zipf", ""),
    }
    arms = of(tables, (*MAIN, "zero-shot"))
    show_panels(
        arms,
        sureness,
        "diversity-entropy",
        "Entropy of the next token, on real test text and on the model's own text, and Zipf's exponent of the "
        "generated tokens; means with 95 % bands over seeds.",
    )
    real = stats.per_replicate(tables["A"], "real_text", 0, "zipf")
    if len(real):
        say(f"By the same count, the real training text has a Zipf exponent of {real.mean():.2f}.")
    last = stats.last_of(tables["A"])
    moved = {
        name: (at(tables[label], "entropy", 0, "test"), at(tables[label], "entropy", last, "test"))
        for name, label in (("in A", "A"), ("where text is sampled", "sampled"))
    }
    own = [at(tables[label], "entropy", last, "written") for label in ("A", "sampled")]
    say(
        f"From generation 0 to {last}, the entropy on real text goes "
        + joined(f"from {begin:.2f} to {end:.2f} nats {name}" for name, (begin, end) in moved.items())
        + f". On their own text it ends at {own[0]:.2f} and {own[1]:.2f}."
    )
    from_to(of(tables, MAIN), sureness | {"different generated tokens": ("vocabulary", "")})


def still_said(tables: Tables) -> None:
    """Share of the items of the real training text that still occur at least once, by rarity."""
    bands = {band: ("rare_coverage", band) for band in ("common", "medium", "rare")}
    arms = of(tables, (*MAIN, "zero-shot"))
    show_panels(
        arms,
        bands,
        "diversity-rare",
        "Share of the items of the real training text that still occur at least once, by rarity; means with "
        "95 % bands over seeds.",
        shared=True,
    )
    sampled, last = tables["sampled"], stats.last_of(tables["sampled"])
    rare, common = ([at(sampled, "rare_coverage", g, band) for g in (0, last)] for band in ("rare", "common"))
    say(
        f"Where text is sampled, {rare[0]:.1%} of the rare items still occur in generation 0 and {rare[1]:.1%} in "
        f"generation {last}; of the common ones {common[0]:.1%} and {common[1]:.1%}."
    )
    from_to(of(tables, MAIN), bands)


def states_facts(tables: Tables) -> bool:
    """Whether truth can be told: the corpus has facts, and every generation of sampled text states some."""
    return knows_facts(tables) and bool(stats.pick(tables["sampled"], "facts", item="true")["value"].notna().all())


def knows_facts(tables: Tables) -> bool:
    """Whether the true distribution of the corpus is known."""
    return "facts" in {*tables["A"]["metric"]}


def people(tables: Tables) -> None:
    """Share of all statements that are about people of each group of the invented world."""
    if not states_facts(tables):
        if knows_facts(tables):
            say("At this size the sampled models state nothing that could be true or false in some generation.")
        return
    groups = {f"people of the {group}": ("groups", f"people/{group}") for group in ("coast", "hill", "island")}
    arms = of(tables, ("sampled", "control"))
    show_panels(
        arms,
        groups,
        "diversity-groups",
        "Share of all statements that are about people of each group; means with 95 % bands over seeds.",
    )
    sampled, last = tables["sampled"], stats.last_of(tables["sampled"])
    island, coast = ([at(sampled, "groups", g, f"people/{group}") for g in (0, last)] for group in ("island", "coast"))
    say(
        f"The island's people get {island[0]:.2%} of all statements of sampled text in generation 0 and "
        f"{island[1]:.2%} in generation {last}; those of the coast {coast[0]:.1%} and {coast[1]:.1%}."
    )


def truth(tables: Tables) -> None:
    """Share of generated statements that are true, and number of different true facts."""
    if not states_facts(tables):
        return
    facts = {"share of statements true": ("facts", "true"), "different true facts": ("facts", "different")}
    arms = of(tables, (*MAIN, "zero-shot"))
    show_panels(
        arms,
        facts,
        "diversity-facts",
        "Share of generated statements that are true, and number of different true facts; means with 95 % bands over "
        "seeds.",
    )
    sampled, last = tables["sampled"], stats.last_of(tables["sampled"])
    true, different = ([at(sampled, "facts", g, item) for g in (0, last)] for item in ("true", "different"))
    say(
        f"In sampled text {true[0]:.1%} of the statements are true in generation 0 and {true[1]:.1%} in generation "
        f"{last}. It states {different[0]:.0f} and {different[1]:.0f} different true facts."
    )
    from_to(of(tables, MAIN), facts)


def distance(tables: Tables) -> None:
    """Kullback-Leibler divergence of the true distribution of articles from the model's, {eq}`diversity-kl`."""
    if not knows_facts(tables):
        return
    parts = {"nats per article": ("kl", "mean"), "of these, for the article's end": ("kl", "end")}
    arms = of(tables, (*MAIN, "zero-shot"))
    show_panels(
        arms,
        parts,
        "diversity-kl",
        "{eq}`diversity-kl` over 256 new true articles, and how much of it is for the sign that ends an article; "
        "means with 95 % bands over seeds.",
    )
    last = stats.last_of(tables["A"])
    begin, *end = at(tables["A"], "kl", 0, "mean"), *(at(tables[label], "kl", last, "mean") for label in MAIN)
    low, high = (stats.per_replicate(tables["sampled"], "kl", last, side).iloc[0] for side in ("low", "high"))
    say(
        f"The divergence goes from {begin:.0f} to {end[0]:.0f} nats per article in A and to {end[1]:.0f} where text "
        f"is sampled; the control ends at {end[2]:.0f}. The choice of articles alone puts the last sampled model of "
        f"the first seed between {low:.0f} and {high:.0f}."
    )


def surprise(tables: Tables) -> None:
    """What reading all, the least surprising half, or the most surprising half of the written text does."""
    effects = {
        "entropy on real text (nats)": ("entropy", "test"),
        "perplexity on real text": ("perplexity", ""),
        "different pairs": ("distinct_2", ""),
    }
    labels = ("sampled", "unsurprising", "surprising")
    arms = of(tables, labels)
    show_panels(
        arms,
        effects,
        "diversity-surprise",
        "Trained on all generated text, its least surprising half, or its most surprising half: entropy and "
        "perplexity on real text, and different generated pairs; means with 95 % bands over seeds.",
    )
    last = stats.last_of(tables["sampled"])
    entropy = {label: at(tables[label], "entropy", last, "test") for label in labels}
    perplexity = {label: at(tables[label], "perplexity", last) for label in labels}
    say(
        f"At generation {last}, the entropy on real text is {entropy['unsurprising']:.2f} nats after unsurprising "
        f"text, {entropy['surprising']:.2f} after surprising text and {entropy['sampled']:.2f} after all of it. "
        f"Perplexities are {perplexity['unsurprising']:.3g}, {perplexity['surprising']:.3g} and "
        f"{perplexity['sampled']:.3g}."
    )
    from_to(arms, effects)


def trends(tables: Tables) -> None:
    """Rise of the least-squares line over all generations, over the mean, seed by seed: is the control flat?"""
    found = {label: {name: trend(tables[label], *metric) for name, metric in CHECKED.items()} for label in MAIN}
    say(
        markdown(
            ("trend over all generations", *MAIN),
            ((name, *(f"{found[label][name]:.0%}" for label in MAIN)) for name in CHECKED),
        )
    )
    largest = {label: max(abs(estimate.value) for estimate in own.values()) for label, own in found.items()}
    outside = [name for name, estimate in found["control"].items() if estimate.low > 0 or estimate.high < 0]
    leave = "leaves" if len(outside) == 1 else "leave"
    which = f": {', '.join(outside)}" if outside else ""
    say(
        "Relative to the mean over all generations, a trend can exceed 100 %. "
        f"The largest of the control is {largest['control']:.0%} of the mean, that of A {largest['A']:.0%}. Of "
        f"the control's {len(CHECKED)} intervals {len(outside)} {leave} out "
        f"0{which}. One interval in twenty does so by chance, and the six are not "
        "independent."
    )
    _equal_amounts(tables["A"])


def trend(table: pd.DataFrame, metric: str, item: str = "") -> Estimate:
    """(last generation) x (least-squares slope) / mean, by seed."""
    wide = stats.pick(table, metric, item=item).pivot(index="generation", columns="replicate", values="value")
    return stats.mean(stats.last_of(table) * np.polyfit(wide.index, wide, 1)[0] / wide.mean())


def _equal_amounts(table: pd.DataFrame) -> None:
    """Shares of different words compare only for the same amount of text in every generation."""
    words, ratio = (stats.pick(table, metric)["value"].to_numpy() for metric in ("vocabulary", "type_token_ratio"))
    tokens = (words / ratio).round()
    assert (tokens == tokens[0]).all(), "the same amount of text in every generation"


def recorded_of(record: Recorded | None) -> dict[str, pd.DataFrame]:
    """The tables of a record that this chapter shows; none without a record."""
    return {} if record is None else {label: record.tables[label] for label in MAIN if label in record.tables}
