"""Chapter `provenance`: watermarks, a trained detector and a perfect record, and what their errors are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.companion import claims
from model_collapse.companion.book import language_run
from model_collapse.companion.book.estimates import at, below, joined, markdown, points
from model_collapse.companion.book.findings import counted
from model_collapse.companion.book.notebook import runs_folder, say, show
from model_collapse.companion.claims import Tables
from model_collapse.companion.claims.provenance import excess, roc, unrecognised
from model_collapse.companion.studies.gate import gate, said
from model_collapse.companion.studies.language_model import Size
from model_collapse.companion.studies.provenance import LOOP, STUDY, WORLDS
from model_collapse.engine import card
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError
from model_collapse.theory import provenance as theory

MARKED = ("marked", "marked-beam", "synthid")
"""Conditions whose text carries a watermark."""

GREEN = 0.25
"""Share of the vocabulary that is green."""

LONG_ENOUGH = 200
"""Tokens of the texts that the claims on marks are about."""

REAL = 5
"""Real rows in every training set of the chains of normal distributions."""

CASES: Mapping[str, tuple[str, float]] = {
    "same real rows, 10 %": ("fixed", 0.1),
    "same real rows, 50 %": ("fixed", 0.5),
    "new real rows, 10 %": ("fresh", 0.1),
}
"""Regime and real share of these chains."""


def size(
    profile: str,
    *,
    preset: str | None = None,
    corpus: str | None = None,
    n: int | str | None = None,
    generations: int | None = None,
    seeds: int | None = None,
    seed: int | None = None,
) -> Size:
    """The size of the chapter, with the reader's changes. InputError lists the allowed values."""
    found = STUDY.at(profile, preset=preset, corpus=corpus, n=n, generations=generations, seeds=seeds, seed=seed)
    if found.generations < 1 or found.seeds < 2 - (profile == "smoke"):
        raise InputError("generations must be at least 1, and seeds at least 2")
    return found


def adoption_size(profile: str, size: Size) -> Size:
    """The size of the word models of which only some mark their text."""
    return replace(STUDY.sizes["adoption-smoke" if profile == "smoke" else "adoption"], seed=size.seed)


def drift_runs(profile: str, size: Size) -> dict[tuple[str, float], Run]:
    """(case, share of generated rows that pass the filter) -> a chain of normal distributions of known variance."""
    chains, passing = (64, (0.0, 0.1, 1.0)) if profile == "smoke" else (1024, (0.0, 0.03, 0.1, 0.3, 1.0))
    return {
        (title, f): plan(**unrecognised(f, g, regime, replicates=chains), seed=size.seed)
        for title, (regime, g) in CASES.items()
        for f in passing
    }


def claimed_runs(profile: str, size: Size) -> dict[str, dict[str, Run]]:
    """The runs of the claims on such chains, by claim."""
    found = {name: claims.runs_of(claims.named(name), size.seed) for name in ("WM-3", "WM-3b", "NC-provenance")}
    if profile != "smoke":
        return found
    return {name: {label: replace(run, replicates=64) for label, run in runs.items()} for name, runs in found.items()}


def found_by_mark(runs: Mapping[str, Tables], name: str, source: str) -> None:
    """Figure `name`: ROC curves of the watermarks' tests ({eq}`provenance-z`, SynthID) and of the trained detector.

    runs    "watermarks" and "trained detector" -> tables of the run that shows them; one may be missing
    source  which run it is, for titles
    """
    asked = {"watermarks": ("watermark", MARKED), "trained detector": ("detector", ("A", "marked"))}
    panels: dict[str, dict[str, pd.DataFrame]] = {}
    lines = []
    for what, tables in runs.items():
        metric, labels = asked[what]
        title = f"{source}, {what}"
        panels[title] = {}
        for label in labels:
            for g in sorted({0, stats.last_of(tables[label])}):
                curve, area = roc(tables[label], metric, g)
                line = f"{STUDY.condition(label).title.partition(':')[0]}, generation {g}"
                panels[title][line] = curve
                lines.append((title, line, area))
    least = min(lines, key=lambda line: line[2])
    show(
        figures.roc(panels),
        below(
            {(title, label): curve for title, own in panels.items() for label, curve in own.items()}, "panel", "text"
        ),
        name,
        "ROC curves of {eq}`provenance-z`, of SynthID's test and of the trained detector; A generates with five beams. "
        f"{source.capitalize()}.",
        "Panels with the share of real texts accused on a logarithmic axis and the share of generated texts found, one "
        f"line per way of generating. The hardest to find is {least[1]}: the area below its curve is {least[2]:.2f}.",
    )
    say(markdown(("", "text", "area below the curve"), [(title, line, f"{area:.3f}") for title, line, area in lines]))


def marks_in_numbers(runs: Mapping[str, Tables]) -> None:
    """Say in a table what the tests find in generation 0, with every pair of tokens counted once or with repeats.

    runs  which run -> tables
    """
    lines = []
    for source, tables in runs.items():
        for label in MARKED:
            real = [at(tables[label], "watermark", 0, item).value for item in ("real", "real repeats")]
            text = [at(tables[label], "watermark", 0, item) for item in ("written", "written repeats")]
            z = at(tables[label], "watermark", 0, "z")
            found = [
                _over_seeds(text[0], ".0%"),
                _over_seeds(text[1], ".0%"),
                f"{z:.1f}",
                f"{real[0]:.2%}",
                f"{real[1]:.2%}",
            ]
            lines.append([source, STUDY.condition(label).title, *found])
    head = ("run", "text, generation 0", "found, z > 4", "with repeats", "mean z", "real texts accused", "with repeats")
    say(markdown(head, lines))


def _over_seeds(found: stats.Estimate, spec: str) -> str:
    """A mean with its interval; of seeds that all have the same value, the value, for their interval says nothing."""
    return f"{found.value:{spec}} in all {found.n} seeds" if np.isclose(found.low, found.high) else f"{found:{spec}}"


def green_share(table: pd.DataFrame, tokens: int) -> None:
    """Say what share of green tokens the mean z of sampled texts means, and how many tokens a text needs.

    tokens  pairs of tokens in a text
    """
    z = at(table, "watermark", 0, "z").value
    green = GREEN + z * np.sqrt(GREEN * (1 - GREEN) / tokens)
    say(
        f"A mean z of {z:.2f} in this run's sampled texts is a green share of about {green:.0%}, where chance has "
        f"{GREEN:.0%}. To find 95 % of such texts at z > 4 takes about {float(theory.green_tokens(green)):.0f} "
        "different pairs of tokens."
    )


def repeats(runs: Mapping[str, pd.DataFrame], tokens: int) -> None:
    """Figure: unmarked texts of condition A that the test accuses, and their repeated triples of tokens.

    runs    which run -> table of A
    tokens  pairs of tokens in a text of this run
    """
    panels = {
        "every repeat counted": ("watermark", "written repeats"),
        "every pair counted once": ("watermark", "written"),
        "repeated triples of tokens": ("repeated_3", ""),
    }
    figure = figures.side_by_side(runs, panels)
    for ax in figure.axes:
        # Shares: what an interval of few seeds says beyond 0 and 1 cannot be.
        ax.set_ylim(-0.03, 1.03)
    ends = {
        (title, source): [at(table, metric, g, item) for g in (0, stats.last_of(table))]
        for title, (metric, item) in panels.items()
        for source, table in runs.items()
    }
    last = {title: ends[title, list(runs)[-1]][1].value for title in panels}
    show(
        figure,
        stats.listing(runs, panels),
        "provenance-repeats",
        "Share of unmarked texts with z > 4, with every repeat counted and with every pair counted once, and share of "
        "repeated triples of tokens, condition A; means with 95 % bands over seeds, cut off at 0 and 1.",
        f"Three panels over generations. In the last generation the test accuses {last['every repeat counted']:.1%} of "
        f"the unmarked texts if every repeat is counted and {last['every pair counted once']:.1%} if every pair is "
        f"counted once, while {last['repeated triples of tokens']:.0%} of their triples of tokens are repeats.",
    )
    lines = [(*place, *(_over_seeds(each, ".1%") for each in pair)) for place, pair in ends.items()]
    say(markdown(("", "run", "generation 0", "last generation"), lines))
    real = {name: stats.per_replicate(table, "watermark", 0, "real repeats").iloc[0] for name, table in runs.items()}
    say(
        "*Negative control:* of the real test texts, with every repeat counted, "
        + ", ".join(f"{value:.2%} ({name})" for name, value in real.items())
        + f" are accused; independent tokens would give {float(theory.green_power(GREEN, tokens)):.3%}."
    )


def loop(tables: Tables, name: str, source: str) -> None:
    """Figure `name`: perplexity by the filter between generated text and the next model.

    source  which run it is, for the caption
    """
    titles = STUDY.titles(label for label in (*LOOP, "zero-shot") if label in tables)
    told = {title: tables[label] for label, title in titles.items()}
    drawn = told
    if stats.pick(tables["unmarked"], "perplexity")["value"].tolist() == (
        stats.pick(tables["known"], "perplexity")["value"].tolist()
    ):
        # The same curve: a watermark that is always found is a perfect record.
        together = {titles["known"]: f"{titles['known']} (and by the watermark)"}
        drawn = {together.get(title, title): table for title, table in told.items() if title != titles["unmarked"]}
    ends = {title: (at(table, "perplexity", 0), at(table, "perplexity")) for title, table in told.items()}
    change = {title: _change(table) for title, table in told.items()}
    show(
        figures.by_arm(drawn, "perplexity", ylabel="perplexity on real test text"),
        stats.listing(told, {"perplexity on real text": ("perplexity", "")}),
        name,
        "Perplexity on real test text by the filter between generated text and the next model; thick: means over "
        f"seeds, thin: single seeds. {source}.",
        "Perplexity over generations. In the last one: "
        + "; ".join(f"{title} {end.value:.3g}" for title, (_, end) in ends.items())
        + ".",
    )
    lines = [(title, f"{start:.3g}", f"{end:.3g}", change[title]) for title, (start, end) in ends.items()]
    say(markdown(("perplexity on real text", "generation 0", "last generation", "change"), lines))


def _change(table: pd.DataFrame) -> str:
    """Change of perplexity since generation 0, with its interval over seeds."""
    last = stats.last_of(table)
    end, start = (stats.per_replicate(table, "perplexity", g) for g in (last, 0))
    return f"{stats.paired(end, start):.3g}"


def gate_of(tables: Tables) -> None:
    """Say whether generation 0 has learned anything, and which conditions have lost all of it."""
    say(said(gate(tables)))
    language_run.who_is_back(tables, STUDY.titles(STUDY.conditions))


def errors_of_filters(runs: Mapping[str, Tables]) -> None:
    """Say in a table what filters leave, and how often the detector errs about the last generation's text.

    runs  which run -> tables
    """
    lines = []
    for source, tables in runs.items():
        assert (tables["known"]["share_real"] == 1).all(), "the perfect record lets nothing through"
        for label in LOOP[:-1]:
            table = tables[label]
            turns = table[table["generation"] > 0].drop_duplicates(["replicate", "generation"])
            wrong = [at(table, "detector", item=item) for item in ("false alarms", "misses", "auc")]
            left = [f"{turns['n_train'].mean():.0f}", f"{turns['share_real'].mean():.0%}"]
            rates = [f"{wrong[0]:.0%}", f"{wrong[1]:.0%}", f"{wrong[2]:.2f}"]
            lines.append([source, STUDY.condition(label).title, *left, *rates])
    head = ("run", "filter", "rows left", "of these real", "detector: real accused", "generated missed", "area")
    say(markdown(head, lines))


def what_a_filter_gains(runs: Mapping[str, Tables]) -> None:
    """Say how much of a perfect record's gain is only the smaller training set.

    runs  which run -> tables
    """
    pairs = {
        "no filter less perfect record": ("polluted", "known"),
        "no filter less rows dropped at random": ("polluted", "thinned"),
        "rows dropped at random less perfect record": ("thinned", "known"),
        "real text only less perfect record": ("control", "known"),
        "no filter less real text only": ("polluted", "control"),
    }
    gaps = {
        source: {name: stats.paired(_last(tables[one]), _last(tables[other])) for name, (one, other) in pairs.items()}
        for source, tables in runs.items()
    }
    lines = [(name, *(f"{found[name]:.3g}" for found in gaps.values())) for name in pairs]
    said_of = []
    for source, tables in runs.items():
        steps = claims.family(tables["polluted"]).get("steps", 0)
        taken = (
            f"all conditions take {counted(steps, 'step')}" if steps else "fewer rows also mean fewer steps of training"
        )
        fewer = gaps[source]["no filter less rows dropped at random"]
        if fewer.low > 0:
            answer = "Fewer rows help there by themselves."
        elif fewer.high < 0:
            answer = "Fewer rows harm there by themselves."
        else:
            answer = "Whether fewer rows help by themselves is not clear there."
        said_of.append(f"In the {source} {taken}. {answer}")
    say(
        "*Read with care.* A filter that drops rows leaves fewer of them, and that alone changes the next model. "
        "Differences of perplexity in the last generation, with 95 % intervals over seeds; above 0: the second is "
        "better.\n\n" + markdown(("difference", *runs), lines) + f"\n\n{' '.join(said_of)} Rows are dropped at "
        "random until as few are left as with the perfect record. Real text only is whole and has more rows. The "
        "weights of the detector leave all rows."
    )


def _last(table: pd.DataFrame) -> pd.Series:
    """Perplexity in the last generation, by seed."""
    return stats.per_replicate(table, "perplexity", stats.last_of(table))


def claimed_of_marks(tables: Tables, tokens: int) -> Mapping[str, Tables]:
    """Tables of the claims on how well a mark is found; none, and a line that says so, where the texts are too short.

    tokens  pairs of tokens in a text
    """
    named = ("WM-1", "WM-2b")
    if tokens >= LONG_ENOUGH:
        return dict.fromkeys(named, tables)
    say(
        f"*Not judged here:* {joined(named)} are about texts of {LONG_ENOUGH} tokens. The texts of this run have "
        f"{tokens}."
    )
    return {}


def drift(tables: Mapping[tuple[str, float], pd.DataFrame]) -> None:
    """Figure: squared error of the mean by the share of generated rows that pass, against {eq}`provenance-drift`."""
    passing = sorted({f for _, f in tables})
    measured = {}
    for title, (regime, g) in CASES.items():
        # `excess` counts generation 0's rows, which under `fresh` are more than the real ones of a later set.
        real = 1 if regime == "fixed" else g
        measured[title] = points({f: stats.mean(real * excess(tables[title, f])) for f in passing})
    forms = {title: _limit(*case) for title, case in CASES.items()}
    chains = next(iter(tables.values()))["replicate"].nunique()
    show(
        figures.points_by_arm(
            {"": measured},
            {"": forms},
            xlabel="share of generated rows that pass",
            ylabel="squared error of the mean times k",
        ),
        below(measured, "case"),
        "provenance-drift",
        f"Squared error of the mean in units of what {REAL} real rows are worth, by the share of generated rows that a "
        f"filter lets pass; {chains} chains, 95 % intervals; dashed: {{eq}}`provenance-drift`.",
        "Points on three dashed curves over the share of generated rows that pass. Where the real rows stay the same, "
        "the error rises as more generated rows pass. Where the real rows are new every time, it falls.",
    )
    gaps = [
        np.abs(own["y"] - forms[title](own["x"].to_numpy())) / ((own["high"] - own["low"]) / 2)
        for title, own in measured.items()
    ]
    gap = float(pd.concat(gaps).max())
    say(
        f"The farthest of the {len(tables)} points lies {gap:.1f} half-widths of its 95 % interval from the closed "
        f"form. (Where the real rows stay the same, the {len(passing)} points of a curve share them.)"
    )


def _limit(regime: str, g: float) -> Callable[[np.ndarray], np.ndarray]:
    """k V in the long run, by the share of generated rows that pass (CF-P3)."""
    m, kept = round(REAL / g) - REAL, REAL if regime == "fixed" else None
    return lambda f: REAL * theory.filtered_drift_limit(REAL, m, f, kept=kept, variance="known")


def adoption(tables: Tables) -> None:
    """Figure: perplexity of word models over that of generation 0, by the share of generated text that is marked."""
    growth = {
        world: {
            float(label.partition(" ")[2]): _growth(table)
            for label, table in tables.items()
            if label.partition(" ")[0] == world
        }
        for world in WORLDS
    }
    titles = {world: title for world, (title, _, _) in WORLDS.items()}
    measured = {titles[world]: points(found) for world, found in growth.items()}
    first = next(iter(tables.values()))
    last, seeds = stats.last_of(first), first["replicate"].nunique()
    kept, quarter = growth["kept"], growth["quarter"]
    show(
        figures.points_by_arm(
            {title: {"chain of word pairs": table} for title, table in measured.items()},
            {},
            xlabel="share of generated text that is marked",
            ylabel="perplexity over generation 0's",
        ),
        below(measured, "world"),
        "provenance-adoption",
        f"Perplexity of generation {last} on real text over that of generation 0, by the share of generated text that "
        f"carries a mark; means with 95 % intervals over {seeds} chains.",
        "Two panels over the share of marked text. Where all real text is kept, perplexity goes from "
        f"{kept[0.0].value:.3g} times that of generation 0 down to {kept[1.0].value:.3g} times. Where only a quarter "
        f"of a set of fixed size is real, it goes from {quarter[0.0].value:.3g} times to {quarter[1.0].value:.3g}.",
    )
    half = (kept[0.0].value - kept[0.5].value) / (kept[0.0].value - kept[1.0].value)
    say(
        f"Where real text is kept, perplexity goes to {kept[0.0]:.3g} times that of generation 0 if nobody marks, "
        f"{kept[0.5]:.3g} times if half is marked, {kept[0.9]:.3g} times at nine tenths and {kept[1.0]:.3g} times if "
        f"all is marked. The first half of the marks brings {half:.0%} of the gain. Where the set is a quarter real "
        f"and nothing fills the gap, perplexity goes to {quarter[0.0]:.3g} times without marks and {quarter[1.0]:.3g} "
        "times with all of them: losing the rows costs more than their errors did."
    )


def _growth(table: pd.DataFrame) -> stats.Estimate:
    """Perplexity of the last generation over that of generation 0, mean over chains."""
    end, start = (stats.per_replicate(table, "perplexity", g) for g in (stats.last_of(table), 0))
    return stats.mean(end / start)


def data_card(run: Run) -> None:
    """Show the beginning of the data card of the texts of a run."""
    described = card.card(runs_folder() / f"{run.run_id}.parquet")
    say("````text\n" + described.split("| setting")[0].strip() + "\n````")
