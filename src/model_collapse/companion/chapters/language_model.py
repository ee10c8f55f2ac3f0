"""Chapter `language_model`: what happens to a language model that is trained on its own text.

Each function takes tables by condition of the study `language_model`, shows one figure and describes it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.book.estimates import at, joined, markdown
from model_collapse.companion.book.findings import Tables, counted, ends, moves
from model_collapse.companion.book.language_run import nats, paths_of, titled
from model_collapse.companion.book.notebook import say, show, written
from model_collapse.companion.claims.language import cross_entropy, gap, sign_changes
from model_collapse.companion.records import Recorded
from model_collapse.companion.studies.language_model import GRID, Size

CLAIMS = ("RE-1", "RE-2", "RE-3", "SH-2", "SH-9", "SH-4", "SH-5a", "SH-5b", "NC-language-model", "ACC-4", "ACC-5")
"""Claims that a run of these conditions is put to, as far as it has them."""

KEPT = ("A", "sampled", "grow", "subsample", "accumulate")
"""How text that a model wrote may be handled; all but A are sampled."""

CORNERS = {"5 epochs": ("published", "B5"), "10 epochs": ("A10", "published-B")}
"""Epochs -> without and with a tenth of real text."""

BANDS = ("common", "medium", "rare")

PAPER_ROW = ("the paper: OPT-125m, all of WikiText-2, 5 seeds", "115", "34", "20 to 28", '"only minor"', "not shown")


def labels(scale: Size) -> list[str]:
    """The conditions of this chapter; a true distribution that can write is known of the invented corpus alone."""
    perfect = ["perfect"] if scale.corpus == "embedded" else []
    return ["A", "B", "control", "placebo", *perfect, "zero-shot", *GRID]


def perplexity(tables: Tables) -> None:
    """Perplexity on real test text, exp of the mean loss per token, by generation."""
    arms = titled({label: rows for label, rows in tables.items() if label not in GRID})
    rows = {title: stats.pick(own, "perplexity") for title, own in arms.items()}
    show(
        figures.by_arm(arms, "perplexity", ylabel="perplexity on real test text"),
        pd.concat(rows, names=["arm"]).reset_index("arm")[["arm", "replicate", "generation", "value"]],
        "language-perplexity",
        "Perplexity on real test text by generation; thick: mean over seeds, thin: single seeds.",
        f"Lines over generations. Mean perplexity in generation 0 and in the last one: {ends(arms, 'perplexity')}.",
    )
    rises = {label: gap(own) for label, own in tables.items() if label not in (*GRID, "zero-shot")}
    means = {label: stats.mean(rise) for label, rise in rises.items()}
    titles = dict(zip(tables, titled(tables), strict=True))
    start, first = (stats.per_replicate(tables["A"], "perplexity", g) for g in (0, 1))
    say(
        f"The model before fine-tuning has perplexity {at(tables['zero-shot'], 'perplexity', 0):.2f}; generation 0, "
        f"which learned from real text, has {at(tables['A'], 'perplexity', 0):.2f}. After that, perplexity "
        f"{moves(means['A'])} in A, {moves(means['B'])} in B and {moves(means['control'])} in the control. A's rise "
        "in its first step alone is "
        f"{stats.paired(first, start):.2f}. The difference "
        f"between the mean rises of A and B is {stats.paired(rises['A'], rises['B']):.2f}."
    )
    say(
        "Mean perplexity of the later generations less that of generation 0, with 95 % intervals over seeds:\n\n"
        + markdown(
            ("condition", "rise of perplexity"), ((titles[label], f"{mean:.2f}") for label, mean in means.items())
        )
    )
    if possible := max(stats.last_of(tables["A"]) - 2, 0):
        turns = sign_changes(tables["A"]).mean()
        say(
            f"After generation 1 the curves of A change direction {turns:.3g} times on average ({possible} times is "
            f"the most possible){': collapse need not be a smooth rise' if turns > 0 else ''}."
        )


def epochs_or_real_text(tables: Tables) -> None:
    """The mean rise of perplexity for 5 or 10 epochs, without or with a tenth of real text, and both main effects."""
    last = min(stats.last_of(tables[label]) for label in GRID)
    gaps = {label: gap(tables[label][tables[label]["generation"] <= last]) for label in GRID}
    points = {
        epochs: pd.DataFrame([_point(share, gaps[label]) for share, label in zip((0, 10), pair, strict=True)])
        for epochs, pair in CORNERS.items()
    }
    # Side by side, or equal intervals would hide each other.
    moved = {epochs: own.assign(x=own["x"] + by) for by, (epochs, own) in zip((-0.4, 0.4), points.items(), strict=True)}
    rises = {label: stats.mean(own) for label, own in gaps.items()}
    show(
        figures.points_by_arm(
            {"": moved}, {}, xlabel="real text in every training set, %", ylabel="mean rise of perplexity"
        ),
        pd.concat(points, names=["epochs"]).reset_index("epochs"),
        "language-grid",
        f"Mean rise of perplexity over generation 0, generations 1 to {last}, with 95 % intervals over seeds.",
        "Two points at 0 % and two at 10 % of real text. Mean rises: "
        + "; ".join(
            f"{epochs}, {without} {rises[one].value:.3g}, {with_real} {rises[other].value:.3g}"
            for epochs, (one, other) in CORNERS.items()
            for without, with_real in [("without real text", "with a tenth of it")]
        )
        + ".",
    )
    five, ten, five_real, ten_real = (gaps[label] for label in ("published", "A10", "B5", "published-B"))
    data = stats.mean((five + ten - five_real - ten_real) / 2)
    epochs = stats.mean((ten + ten_real - five - five_real) / 2)
    say(
        f"A tenth of real text lowers the rise by {data:.2f} points at the same number of epochs. Ten epochs instead "
        f"of five change it by {epochs:.2f} points at the same share of real text."
    )
    if not ten.ne(five).any():
        say(
            "Ten epochs made exactly the same models as five here: the kept epoch, with the lowest loss on real "
            "validation text, was never one of the last five."
        )
    else:
        together = stats.mean((ten - ten_real) - (five - five_real))
        say(f"The help of real text differs between ten and five epochs by {together:.2f} points.")


def _point(share: float, rise: pd.Series) -> dict[str, float]:
    mean = stats.mean(rise)
    return {"x": float(share), "y": mean.value, "low": mean.low, "high": mean.high}


def two_averages(tables: Tables) -> None:
    """Perplexity by block over that by token, {eq}`language-perplexities`; never below 1 (Jensen)."""
    arms = titled({label: tables[label] for label in ("A", "B", "control")})
    ratios = {title: _by_block_over_by_token(own) for title, own in arms.items()}
    assert all((own["value"] >= 1 - 1e-6).all() for own in ratios.values()), "an exponential of a mean is never above"
    show(
        figures.by_arm(ratios, "ratio", ylabel="perplexity by block / by token"),
        pd.concat({title: stats.by_generation(own) for title, own in ratios.items()}, names=["arm"]).reset_index("arm"),
        "language-two-perplexities",
        "How many times as high perplexity is if it is averaged by block ({eq}`language-perplexities`); thick: mean "
        "over seeds.",
        f"Lines over generations, all above 1. Mean ratio in generation 0 and in the last: {ends(ratios, 'ratio')}.",
    )
    table, last = tables["A"], stats.last_of(tables["A"])
    block = "perplexity_block_mean"
    ratio = ratios[next(iter(arms))]
    later = pd.concat({g: stats.per_replicate(table, block, g) for g in range(1, last + 1)}).groupby("replicate").mean()
    by_block = stats.mean(later - stats.per_replicate(table, block, 0))
    say(
        f"In A the average by block is {at(ratio, 'ratio', 0):.3f} times the one by token in generation 0, and "
        f"{at(ratio, 'ratio', last):.3f} times in generation {last}. The mean rise is {stats.mean(gap(table)):.2f} "
        f"by token and {by_block:.2f} by block. If a paper does not say how it averages, its perplexity is uncertain "
        "by about this amount."
    )


def _by_block_over_by_token(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the metric `ratio`."""
    by_block = stats.pick(table, "perplexity_block_mean").set_index(["replicate", "generation"])["value"]
    by_token = stats.pick(table, "perplexity").set_index(["replicate", "generation"])["value"]
    return (by_block / by_token).reset_index().assign(metric="ratio", item="")


def seen_by_the_first(tables: Tables) -> None:
    """Perplexity of written blocks under the model of generation 0: median and 99 % quantile over blocks."""
    quantiles = {"median block": ("written_perplexity", "q50"), "99 % quantile": ("written_perplexity", "q99")}
    arms = titled({label: tables[label] for label in ("A", "control")})
    show(
        figures.side_by_side(arms, quantiles, yscale="log"),
        stats.listing(arms, quantiles),
        "language-histogram",
        "Perplexity, under the model of generation 0, of the generated blocks of each generation: median and 99 % "
        "quantile over blocks, with 95 % bands over seeds; logarithmic axes.",
        "Two panels over generations, A and the control. Median block in generation 0 and the last: "
        f"{ends(arms, *quantiles['median block'])}. 99 % quantile: {ends(arms, *quantiles['99 % quantile'])}.",
    )
    last = stats.last_of(tables["A"])
    middle = {g: at(tables["A"], "written_perplexity", g, "q50") for g in (0, 1, last)}
    tails = {g: stats.mean(_written(tables["A"], "q99", g) / _written(tables["A"], "q50", g)) for g in (1, last)}
    say(
        f"The median block of A has perplexity {middle[0]:.2f} under generation 0 when it comes from generation 0, "
        f"{middle[1]:.2f} when it comes from generation 1, and {middle[last]:.2f} for generation {last}. The 99 % "
        f"quantile is {tails[1]:.2f} times the median in generation 1 and {tails[last]:.2f} times in generation {last}."
    )


def _written(table: pd.DataFrame, quantile: str, generation: int) -> pd.Series:
    return stats.per_replicate(table, "written_perplexity", generation, quantile)


def one_prompt(tables: Tables, texts: Tables, row: int = 7) -> None:
    """How each generation of A continues one block of real text, and how much the blocks repeat."""
    own = texts["A"][texts["A"]["replicate"] == 0].set_index(["generation", "row"])
    row, last = min(row, int(own.index.get_level_values("row").max())), stats.last_of(tables["A"])
    shown = {f"generation {g}": str(own.loc[(g, row), "text"]) for g in paths_of(last)}
    written(
        {"prompt (real)": str(own.loc[(0, row), "prompt"])} | shown,
        caption=f"Condition A, first seed: how each generation continues block {row} of the real training text.",
    )
    repeated, distinct = ({g: at(tables["A"], metric, g) for g in (0, last)} for metric in ("repeated_3", "distinct_3"))
    say(
        f"Block {row} was chosen before the run. Over all blocks, the share of sequences of three tokens that a "
        f"block repeats is {repeated[0]:.2f} in generation 0 and {repeated[last]:.2f} in generation {last}; "
        f"different sequences of three tokens are {distinct[0]:.3f} of all at first and {distinct[last]:.3f} at the "
        "end. Generation 0 already repeats itself: that comes from beam search, not from the loop."
    )


def rare_things(tables: Tables) -> None:
    """Share of facts (or tokens) of the real training text that are still written, relative to generation 0, by rarity.

    Which goes first is decided by the share that is left, rare less common, paired by seed.
    """
    facts = str(tables["A"]["corpus"].iloc[0]) == "embedded"
    say(
        "The invented corpus describes a small world in which every fact has a known probability. Which facts of the "
        "real training text are still stated in the text of a generation?"
        if facts
        else "Which tokens (words and parts of words) of the real training text, by how often they occur, are still "
        "used?"
    )
    what, last = "facts" if facts else "tokens", stats.last_of(tables["A"])
    shares = {band: {g: _share(tables["A"], band, g) for g in (0, last)} for band in BANDS}
    say(
        f"In A the share of {what} that are still generated goes, from generation 0 to {last}, "
        + joined(
            f"from {stats.mean(own[0]).value:.1%} to {stats.mean(own[last]).value:.1%} for {band} ones"
            for band, own in shares.items()
        )
        + ". What generation 0, trained on real text, does not write was missing before the loop began."
    )
    kept = {band: own[last] / own[0] for band, own in shares.items()}
    if not all(np.isfinite(own).all() for own in kept.values()):
        say(
            f"**Rare {what} first?** This run cannot tell: generation 0 does not generate any of one kind in some seed."
        )
        return
    arms = titled({label: tables[label] for label in ("A", "control")})
    metrics = {band: ("rare_coverage", band) for band in BANDS}
    show(
        figures.relative(arms, metrics),
        stats.listing({title: _relative(own) for title, own in arms.items()}, metrics),
        "language-rare",
        f"Change of the share of {what} that are still generated, since generation 0, for common, medium and rare "
        "ones; means with 95 % bands over seeds.",
        "Two panels over generations. In A, the shares left at the end, relative to generation 0: "
        + "; ".join(f"{band} {own.mean():.0%}" for band, own in kept.items())
        + ".",
    )
    say(f"**Rare {what} first?** {_first_to_go(kept, what)}")


def _share(table: pd.DataFrame, band: str, generation: int) -> pd.Series:
    return stats.per_replicate(table, "rare_coverage", generation, band)


def _relative(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([stats.relative(table, "rare_coverage", band) for band in BANDS])


def _first_to_go(kept: Mapping[str, pd.Series], what: str) -> str:
    """The answer, from the shares that are left by seed."""
    left = joined(f"{own.mean():.0%} of the {band} {what}" for band, own in kept.items())
    more = stats.paired(100 * kept["rare"], 100 * kept["common"])
    if more.high < 0:
        answer = "Yes, in this run: a smaller part is left of rare ones than of common ones"
    elif more.low > 0:
        answer = "No, not in this run: a larger part is left of rare ones than of common ones"
    else:
        answer = (
            "This run does not show it: the difference between rare and common ones is within the scatter of its seeds"
        )
    return (
        f"{answer}. Left at the end, of the text of generation 0: {left}. Rare less common is {more:.1f} percentage "
        "points."
    )


def beside(tables: Tables, records: Mapping[str, Recorded]) -> None:
    """This run and the recorded ones: perplexity over that of generation 0, and the numbers of the paper."""
    runs: dict[str, Tables] = {"this run": tables} | {name: found.tables for name, found in records.items()}
    conditions = [label for label in ("A", "B", "control", "placebo") if all(label in own for own in runs.values())]
    panels = {
        name: {title: _times_the_first(rows) for title, rows in titled({c: own[c] for c in conditions}).items()}
        for name, own in runs.items()
    }
    if records:
        flat = {(name, title): stats.by_generation(rows) for name, own in panels.items() for title, rows in own.items()}
        show(
            figures.against_theory(panels, {}, ylabel="perplexity over that of generation 0", yscale="log"),
            pd.concat(flat, names=["run", "arm"]).reset_index(["run", "arm"]),
            "language-recorded",
            "Perplexity on real test text over that of generation 0, on a logarithmic axis, for this run and the "
            "recorded ones, with 95 % bands over seeds.",
            "One panel for each run. In the last generation, in multiples of generation 0: "
            + "; ".join(f"{name}, {ends(own, 'perplexity')}" for name, own in panels.items())
            + ".",
        )
    lines = [
        (_short(name, own), _before(own), f"{at(own['A'], 'perplexity', 0):.2f}", *_rises(own))
        for name, own in runs.items()
    ]
    head = ("run", "before fine-tuning", "generation 0", "more in A", "more in B", "more in the control")
    say(markdown(head, [*lines, PAPER_ROW]))


def _short(name: str, tables: Tables) -> str:
    first = tables["A"].iloc[0]
    return (
        f"{name}: {first['corpus']}, {first['n_train']} blocks, {counted(tables['A']['replicate'].nunique(), 'seed')}"
    )


def _times_the_first(table: pd.DataFrame) -> pd.DataFrame:
    return stats.relative(table, "perplexity").assign(value=lambda rows: rows["value"] + 1)


def _before(tables: Tables) -> str:
    return f"{at(tables['zero-shot'], 'perplexity', 0):.2f}" if "zero-shot" in tables else "not run"


def _rises(tables: Tables) -> list[str]:
    return [f"{stats.mean(gap(tables[c])):.2f}" if c in tables else "not run" for c in ("A", "B", "control")]


def accumulate(records: Mapping[str, Recorded]) -> None:
    """Cross-entropy where sampled text replaces what was there, or is added to it, in the first record that has these.

    After Gerstgrasser et al. 2024 (arXiv:2404.01413).
    """
    conditions = KEPT[1:]
    found = next((record for record in records.values() if {*conditions} <= {*record.tables}), None)
    if found is None:
        say("No recorded run has these conditions yet. The last exercise shows how to run them.")
        return
    tables = {label: found.tables[label] for label in conditions}
    entropies = {title: nats(own) for title, own in titled(tables).items()}
    before = f"; before fine-tuning it is {_untouched(found.tables):.2f}" if "zero-shot" in found.tables else ""
    show(
        figures.against_theory({"": entropies}, {}, ylabel="cross-entropy, nats per token"),
        pd.concat({title: stats.by_generation(rows) for title, rows in entropies.items()}, names=["arm"]).reset_index(
            "arm"
        ),
        "language-accumulate",
        f"Cross-entropy on real test text by generation, with 95 % bands over seeds{before}. Recorded run "
        f"`{found.name}`.",
        f"Four curves over generations. Nats per token in generation 0 and the last: {ends(entropies, 'perplexity')}.",
    )
    changes = {label: cross_entropy(own) for label, own in tables.items()}
    last, titles = min(own.columns[-1] for own in changes.values()), dict(zip(tables, entropies, strict=True))
    say(
        f"From generation 0 to {last}, the last that all have, cross-entropy changes by "
        + joined(f"{stats.mean(own[last] - own[0]):.3f} nats ({titles[label]})" for label, own in changes.items())
        + "."
    )


def _untouched(tables: Tables) -> Estimate:
    return stats.mean(cross_entropy(tables["zero-shot"])[0])
