"""Chapter `how_much`: how much synthetic data is too much, and when it helps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.companion.book.estimates import at, below, curves, listed, markdown, plane
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.claims import Tables, family, rows
from model_collapse.companion.claims.how_much import amounts, by_share, closed_form, effects, harmful_from
from model_collapse.companion.studies.how_much import SHARES, STUDY, TEXT_SHARES, Size
from model_collapse.errors import InputError
from model_collapse.theory import blend, mixed, real_share, zipf_law

Form = Callable[[float, np.ndarray], np.ndarray]
"""A closed form of the share of real rows and the number of fits."""

WORTH = "nats per token by which\nthey raise the loss"
"""Of synthetic text, in figures."""


def size(
    profile: str,
    *,
    generations: int | None = None,
    chains: int | None = None,
    corpus: str | None = None,
    blocks: int | None = None,
    seeds: int | None = None,
    seed: int | None = None,
) -> Size:
    """The size of the chapter, with the reader's changes. InputError lists the allowed values."""
    found = STUDY.at(profile, turns=generations, chains=chains, corpus=corpus, n=blocks, seeds=seeds, seed=seed)
    if found.turns < 4 or found.chains < 2 or found.seeds < 2 or int(found.n or 0) < 96:
        raise InputError("this chapter needs at least 4 generations, 2 chains, 2 seeds and 96 blocks")
    return found


def shares(name: str, profile: str) -> tuple[float, ...]:
    """Shares of synthetic rows that are tried with models of numbers ("means", "symbols") or of words ("text")."""
    if profile == "smoke":
        return (0.0, 0.5, 1.0)
    return TEXT_SHARES if name == "text" else SHARES


def real_rows(name: str, profile: str, size: Size) -> dict[int, int]:
    """Numbers of real rows that are tried -> chains for each."""
    smoke, R = profile == "smoke", size.chains
    return {
        "means": {10: R, 40: R} if smoke else {10: R, 100: R, 1000: max(R // 4, 2)},
        "symbols": {10: R, 30: R} if smoke else {20: 2 * R, 60: R, 200: R // 2},
        "text": dict.fromkeys((20, 40) if smoke else (40, 200, 800), 2),
    }[name]


def beside_writer(profile: str, size: Size) -> tuple[list[int], list[int]]:
    """Real blocks of the learners, and synthetic blocks that they add, of models of words."""
    most = int(size.n or 0)
    if profile == "smoke":
        return [most >> 2, most], [0, most]
    return [most >> i for i in (6, 4, 2, 1, 0)], [0, most // 16, most // 4, most]


def error(tables: Mapping[int, Tables]) -> None:
    """Figure: mean square error of a mean over that of real rows only, against {eq}`how-much-factor`.

    tables  real rows -> tables of the shares of synthetic rows
    """
    maps, forms, worst = _beside_theory(tables, _squared, lambda M: _factor(M, "estimated"))
    for part in maps.values():
        alone = part[part["x"] == 0]["value"]
        assert np.ptp(alone) < 1e-9, "a fit to the same real rows must be the same fit in every generation"
    show(
        figures.phase(
            maps,
            forms,
            (1.2, 1.5, 2, 4, 8, 16),
            label="error over that of real data only",
            scale="log",
            xlabel="share of synthetic rows",
            ylabel="generation",
        ),
        below(maps, "panel"),
        "how-much-gaussian",
        "Mean square error of the mean of a normal distribution over that of the same real rows alone, by share of "
        "synthetic rows and generation; colours: simulated, lines: {eq}`how-much-factor`.",
        "Heat maps, one for each number of real rows. The error stays as it was where all rows are real, and in the "
        "first generations. It grows towards the upper right corner, where nearly all rows are synthetic and many "
        "generations have passed. Contours of the closed form follow the colours.",
    )
    title = list(maps)[-1]
    last = int(maps[title]["y"].max())
    found = {g: (harmful_from(maps[title], g, 2), harmful_from(forms[title], g, 2)) for g in (last // 3, last)}
    still = dict.fromkeys(f"{maps[title].query('x == 0')['value'].agg(end):.2f}" for end in ("min", "max"))
    say(
        f"With {title}, the error is at least twice that of real data only from this share of synthetic rows on: "
        + " and ".join(f"{_from(x)} in generation {g} (closed form {_from(exact)})" for g, (x, exact) in found.items())
        + f". The mean farthest from the closed form is {worst:.1f} standard errors away, of "
        f"{sum(len(part) for part in maps.values())}. *Negative control:* without synthetic rows the error stays as it "
        f"was, at {' to '.join(still)} times."
    )


def _beside_theory(
    tables: Mapping[int, Tables],
    measured: Callable[[pd.DataFrame, int], pd.DataFrame],
    form: Callable[[int], Form],
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame], float]:
    """Planes of share and generation by title, measured and in closed form, and their largest distance.

    tables    real rows -> tables of the shares of synthetic rows
    measured  of a table and its real rows
    form      closed form for a number of real rows

    The distance is that of a mean over chains, in standard errors.
    """
    maps, forms, worst = {}, {}, 0.0
    for M, own in tables.items():
        title, found = f"{M} real rows", [measured(table, M) for table in own.values()]
        parts = [by_share([each], _means) for each in found]
        exact = [closed_form(part, form(M)) for part in parts]
        maps[title], forms[title] = pd.concat(parts, ignore_index=True), pd.concat(exact, ignore_index=True)
        worst = max(worst, *(_off(each, part["value"].to_numpy()) for each, part in zip(found, exact, strict=True)))
    return maps, forms, worst


def _from(share: float) -> str:
    """A share that is reached, in words."""
    return "none" if np.isnan(share) else f"{share:.2f}"


def _squared(table: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Squared errors of the mean times a number of rows: 1 on average where these alone are read."""
    found = stats.pick(table, "mean")
    return found.assign(value=rows * found["value"] ** 2)


def _factor(M: int, variance: mixed.Variance) -> Form:
    """M V_n by the share of real rows and the number of fits, {eq}`how-much-factor`."""
    return lambda share, n: M * mixed.mix_moments(n, M, share, variance=variance)[0]


def _means(found: pd.DataFrame) -> pd.Series:
    """Mean over chains by generation."""
    return found.groupby("generation")["value"].mean()


def _off(found: pd.DataFrame, exact: np.ndarray) -> float:
    """Largest distance of a mean over chains from its closed form, in standard errors."""
    return stats.deviation(found, lambda g: exact[g])


def symbols_left(tables: Mapping[int, Tables]) -> None:
    """Figure: share of the real data's symbols that a generation still reads, against {eq}`how-much-presence`.

    tables  real rows -> tables of the shares of synthetic rows
    """
    settings = family(next(iter(next(iter(tables.values())).values())))
    q = zipf_law(settings["symbols"], settings["zipf"])
    start = {M: float(real_share.mix_presence(1, q, M, 1.0).sum()) for M in tables}

    def left(table: pd.DataFrame, M: int) -> pd.DataFrame:
        found = stats.pick(table, "support")
        return found.assign(value=found["value"] / start[M])

    maps, forms, worst = _beside_theory(tables, left, lambda M: _presence(q, M, start[M]))
    show(
        figures.phase(
            maps,
            forms,
            (0.25, 0.5, 0.75, 0.9),
            label="symbols still read, of those in the real data",
            xlabel="share of synthetic rows",
            ylabel="generation",
        ),
        below(maps, "panel"),
        "how-much-discrete",
        f"Share of the symbols of the real data that a generation still reads, {len(q)} symbols with shares by Zipf's "
        "distribution; colours: simulated, lines: {eq}`how-much-presence`.",
        "Heat maps, one for each number of real rows. The more rows are synthetic, and the later the generation, the "
        "fewer symbols are read. Only without any real rows does the loss continue without end. Contours follow the "
        "colours.",
    )
    title = list(maps)[-1]
    last = int(maps[title]["y"].max())
    now, exact = (part[part["y"] == last].set_index("x")["value"] for part in (maps[title], forms[title]))
    say(
        f"With {title}, the share of symbols still read in generation {last} is "
        + "; ".join(
            f"{now[share]:.2f} at {share:.0%} synthetic (closed form {exact[share]:.2f})"
            for share in (0.5, 0.9, 1.0)
            if share in now.index
        )
        + f". The mean farthest from the closed form is {worst:.1f} standard errors away."
    )


def _presence(q: np.ndarray, M: int, start: float) -> Form:
    """Share of the symbols of the real data still read, by the share of real rows and the number of fits."""
    return lambda share, n: real_share.mix_presence(n, q, M, share).sum(axis=-1) / start


def text(tables: Mapping[int, Tables]) -> None:
    """Figure: nats per token of word models above real text only; contours of {eq}`how-much-factor` for one share.

    tables  real blocks -> tables of the shares of synthetic blocks
    """
    maps, forms = {}, {}
    for n, own in tables.items():
        found = [stats.pick(table, "perplexity") for table in own.values()]
        losses = [each.assign(value=np.log(each["value"])) for each in found]
        title, M = f"{n} real blocks", 64 * n
        maps[title] = by_share(losses, _rise)
        forms[title] = closed_form(maps[title], _factor(M, "known"))
    corpus = next(iter(next(iter(tables.values())).values()))["corpus"].iloc[0]
    show(
        figures.phase(
            maps,
            forms,
            (1.5, 2, 4),
            label="nats per token above real data only",
            scale="root",
            xlabel="share of synthetic rows",
            ylabel="generation",
        ),
        below(maps, "panel"),
        "how-much-ngram",
        f"Loss of n-gram models of pairs on real test text ({corpus}) above that of the same real blocks alone, mean "
        "of 2 chains; lines: error of a single share, {eq}`how-much-factor`, in units of that of real data only.",
        "Heat maps of text, much like those of numbers: the loss stays low at the left and at the bottom, and is "
        "highest in the upper right corner.",
    )
    lost = {title: part[part["y"] == part["y"].max()].set_index("x")["value"] for title, part in maps.items()}
    assert all(each[0.0] == 0 for each in lost.values()), "real blocks only must be the same counts always"
    say(
        "Nats per token above real data only in the last generation, with half and with all of the rows synthetic: "
        + "; ".join(f"{title} {each[0.5]:.2f} and {each[1.0]:.2f}" for title, each in lost.items())
        + ". Without synthetic rows nothing changes."
    )


def _rise(losses: pd.DataFrame) -> pd.Series:
    """Mean over chains by generation, less that of generation 0."""
    means = _means(losses)
    return means - means[0]


def endless(table: pd.DataFrame) -> None:
    """Say how much variance is left after many generations with enough rows to lose nothing."""
    kept = at(table, "variance")
    assert abs(kept.value - 1) < 1e-3, "an unbiased model and unlimited rows must lose nothing"
    say(
        f"With {rows(table):.0e} rows per generation, none of them real after the first, generation "
        f"{int(table['generation'].max())} has {kept.value:.5f} of the true variance (mean over {kept.n} chains)."
    )


def breeds(tables: Tables) -> None:
    """Figure: breeds left, share of the commonest, spread, by how many new real rows there are.

    With it a table of the first generations that differ from the control (Fieller's interval), and the limit of the
    error of a share by the closed form of `fresh`.
    """
    panels = {
        "breeds left": ("breeds_left", ""),
        "share of the commonest": ("majority_share", ""),
        "spread within breeds": ("within_deviation", ""),
        "variance of the trait": ("trait_variance", ""),
    }
    control = tables["control"]
    show(
        figures.side_by_side(tables, panels),
        stats.listing(tables, panels),
        "how-much-breeds",
        f"Ten breeds, {rows(control)} rows per generation, from new real rows only (control) to none; means with 95 % "
        f"bands over {control['replicate'].nunique()} chains.",
        "Four panels. With 1 and 5 per cent synthetic rows all curves lie on the control. With 5 and 1 per cent real "
        "rows breeds die out, the commonest takes a larger share and the spread within breeds narrows. Without any "
        "real rows all this is faster.",
    )
    little = [label for label in tables if label != "control"]
    lines = []
    for quantity, (metric, _) in panels.items():
        reached = [_moved(tables[label], control, metric) for label in little]
        lines.append([quantity, *("never" if g is None else str(g) for g in reached)])
    say(
        "First generation that differs from the control by more than 5 % (95 % interval):\n\n"
        + markdown(["", *little], lines)
    )
    real = {label: STUDY.condition(label).settings["regime.real_fraction"] for label in little}
    limit = {label: float(rows(control) * mixed.fresh_drift_limit(rows(control), g)) for label, g in real.items() if g}
    say(
        "One or five per cent of synthetic rows of an unbiased model do next to nothing. By the closed form of `fresh`"
        f" the error of a share, in units of that of {rows(control)} real rows, ends at "
        + ", ".join(f"{value:.3g} ({label})" for label, value in limit.items())
        + "."
    )


def _moved(table: pd.DataFrame, control: pd.DataFrame, metric: str, by: float = 0.05) -> int | None:
    """First generation whose mean differs from the control's by more than a share, with its whole interval."""
    for g in np.unique(table["generation"]):
        change = stats.ratio(stats.per_replicate(table, metric, g), stats.per_replicate(control, metric, g))
        if change.low > 1 + by or change.high < 1 - by:
            return int(g)
    return None


def biased(tables: Tables) -> None:
    """Figure: share of the symbols that the writer never generates, which falls to 1 - s at once and stays there."""
    settings = family(next(iter(tables.values())))
    known = settings["top_k"]
    true = zipf_law(settings["symbols"], settings["zipf"])[known:].sum()
    tails = {label: _tail(table, known, true) for label, table in tables.items()}
    real = {label: STUDY.condition(label).settings["regime.real_fraction"] for label in tables}
    title = f"{settings['symbols'] - known} rarest of {settings['symbols']} symbols"
    show(
        figures.against_theory(
            {title: tails},
            {title: {label: lambda t, g=g: np.where(t > 0, g, 1.0) for label, g in real.items()}},
            ylabel="share over the true one",
        ),
        curves(tails),
        "how-much-biased",
        "Share of the ten rarest symbols over their true share, where synthetic rows come from a model of its ten "
        "commonest; dashed: $1 - s$ from generation 1 on.",
        "Four curves that step down from generation 0 to generation 1 and are level from there. The more synthetic "
        "rows, the lower; each lies on its dashed line.",
    )
    ends = {
        label: stats.mean(part[part["generation"] == part["generation"].max()]["value"])
        for label, part in tails.items()
    }
    say(
        "Share of the rare symbols over the true one in the last generation: "
        + listed({label: f"{value:.4f}" for label, value in ends.items()})
        + " (95 % intervals over chains)."
    )


def _tail(table: pd.DataFrame, known: int, true: float) -> pd.DataFrame:
    """Share of the symbols rarer than the known ones, over the true one, by chain and generation."""
    found = stats.pick(table, "share").astype({"item": str}).astype({"item": int})
    total = found[found["item"] > known].groupby(["generation", "replicate"], as_index=False)["value"].sum()
    return total.assign(item="", value=total["value"] / true)


def learners(tables: Tables) -> None:
    """Figure: error of learners with few real rows and many synthetic ones over that of their real rows alone."""
    first = next(iter(tables.values()))
    N, mixes = rows(first), {label: amounts(table) for label, table in tables.items()}
    names = {label: f"{k} real rows" for label, (k, _) in mixes.items()}
    (m,) = {m for _, m in mixes.values()}
    ratio = {names[label]: _squared(table[table["generation"] > 0], mixes[label][0]) for label, table in tables.items()}
    exact = {names[label]: _learner(k, m, N) for label, (k, _) in mixes.items()}
    title = f"{m} rows of a model of {N}"
    show(
        figures.against_theory(
            {title: ratio}, {title: exact}, ylabel="error over that of the real rows alone", limits={title: [1.0]}
        ),
        curves(ratio),
        "how-much-worth",
        f"Mean square error of learners with few real rows and {m} synthetic ones, over that of their real rows alone; "
        f"generation 1 reads the text of a model of {N} rows. Dashed: closed form; dotted: neither gain nor harm.",
        "Curves that begin at generation 1. The learner with 10 real rows starts far below 1, the one with 50 a little "
        "below, the one with 90 above. All curves rise, and in time all lie above 1: synthetic data help only for some "
        "generations.",
    )
    start = {label: stats.mean(part[part["generation"] == 1]["value"]) for label, part in ratio.items()}
    g = np.arange(1, 499)
    over = {label: int(np.argmax(form(g) > 1)) + 1 for label, form in exact.items()}
    say(
        "Error over that of the real rows alone in generation 1: "
        + listed({label: f"{value:.2f}" for label, value in start.items()})
        + " (95 % intervals over chains). By the closed form the gain is gone from generation "
        + ", ".join(f"{value} ({label})" for label, value in over.items())
        + " on."
    )


def _learner(k: int, m: int, N: int) -> Callable[[np.ndarray], np.ndarray]:
    """k V_n of regime `blend`, by generation."""
    return lambda g: k * blend.blend_moments(g + 1, N, k, m, variance="known")[0]


def worth_of_text(tables: Tables) -> None:
    """Figure: what synthetic blocks do to the loss of word models, by how many real ones are beside them.

    The contour is where a mean would neither gain nor lose, {eq}`how-much-even`.
    """
    found = effects(tables)
    first = next(iter(tables.values()))
    most = rows(first)
    measured = plane({(m, k): effect for (k, m), effect in found.items()})
    even = measured.assign(
        value=[
            float(np.log(k * 64 * blend.blend_moments(2, 64 * most, 64 * k, 64 * m, variance="known")[0]))
            for k, m in zip(measured["y"], measured["x"], strict=True)
        ]
    )
    title = f"generating model: {most} blocks"
    show(
        figures.phase(
            {title: measured},
            {title: even},
            (0,),
            xlabel="synthetic blocks",
            ylabel="real blocks",
            label=WORTH,
            scale="signed",
        ),
        measured,
        "how-much-worth-ngram",
        f"What synthetic blocks do to the loss of n-gram models on real test text ({first['corpus'].iloc[0]}), by the "
        "number of real blocks beside them; line: where a mean would neither gain nor lose, {eq}`how-much-even`.",
        "A heat map in two colours. With few real blocks synthetic ones lower the loss, with many they raise it. The "
        "line of the closed form separates the two roughly.",
    )
    largest = max(m for _, m in found)
    say(
        f"Nats per token by which {largest} synthetic blocks raise the loss: "
        + listed({f"{k} real blocks": f"{found[k, largest]:.3f}" for k in sorted({k for k, _ in found})})
        + " (95 % intervals over chains)."
    )


def worth_for_transformer(runs: Mapping[str, Tables]) -> None:
    """Figure: the same for tiny OPTs, generation by generation, of the recorded run if there is one.

    runs  "recorded" and "this run" -> tables; {} for a run that is not there
    """
    planes = {
        f"{run}, generation {g}": plane({(m, k): effect for (k, m), effect in effects(own, generation=g).items()})
        for run, own in runs.items()
        for g in range(1, max((stats.last_of(table) for table in own.values()), default=0) + 1)
    }
    recorded = {title: each for title, each in planes.items() if title.startswith("recorded")}
    show(
        figures.phase(recorded or planes, xlabel="synthetic blocks", ylabel="real blocks", label=WORTH, scale="signed"),
        below(planes, "panel"),
        "how-much-worth-opt",
        f"A tiny OPT from random weights, {'recorded run `how-much`' if recorded else 'this run'}. What synthetic "
        "blocks do to the loss on real test text, by the number of real blocks beside them.",
        "Heat maps in two colours, one for each generation. The fewer real blocks there are, the more do synthetic "
        "ones lower the loss.",
    )
    for run, own in runs.items():
        if found := effects(own):
            worth = {f"{k} real and {m} synthetic": f"{effect:.3f}" for (k, m), effect in found.items()}
            say(
                f"{run.capitalize()}, nats per token by which synthetic blocks raise the loss in generation 1: "
                + listed(worth)
                + " (95 % intervals over seeds)."
            )
