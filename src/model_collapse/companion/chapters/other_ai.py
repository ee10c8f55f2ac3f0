"""Chapter `other_ai`: models that read each other, a first mover and a latecomer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

import numpy as np
import pandas as pd

from model_collapse import streams
from model_collapse.analysis import figures, stats
from model_collapse.analysis.stats import Estimate
from model_collapse.companion.book import language_run
from model_collapse.companion.book.estimates import at, curves, listed, markdown, spans
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.claims import Tables, family, rows
from model_collapse.companion.claims.exchange import best, concepts, draws_that_differ
from model_collapse.companion.claims.language import NO_EFFECT
from model_collapse.companion.records import Recorded
from model_collapse.companion.studies.gate import UNTOUCHED, gate, said
from model_collapse.companion.studies.other_ai import STUDY, Size
from model_collapse.companion.studies.study import Study
from model_collapse.errors import InputError
from model_collapse.exchange import Agent, Reads, exchange
from model_collapse.families.discrete import Discrete
from model_collapse.loop import generations
from model_collapse.regimes.replace import Replace
from model_collapse.theory import exchange as theory
from model_collapse.theory import zipf_law

NAMES: Mapping[str, str] = {"M1": "alone", "M2": "dealt, 2 models", "M4": "dealt, 4 models"}
"""Short names of conditions in figures of models of numbers; others have their titles."""

PERPLEXITY = {"perplexity": ("perplexity", "")}


def size(
    profile: str,
    *,
    replicates: int | None = None,
    blocks: int | None = None,
    seeds: int | None = None,
    seed: int | None = None,
) -> Size:
    """The size of the chapter, with the reader's changes. InputError lists the allowed values."""
    found = STUDY.at(profile, replicates=replicates, n=blocks, seeds=seeds, start=seed)
    if found.replicates < 2:
        raise InputError("replicates must be at least 2")
    if found.seeds < 2:
        raise InputError("seeds must be at least 2")
    return found


def word_size(profile: str) -> Size:
    """The size of the word models that goes with a profile."""
    return STUDY.at("words-laptop" if profile == "t4" else f"words-{profile}")


def variety(tables: Tables, experiment: Study[Size] = STUDY) -> None:
    """Figure: chance that two draws differ, of one model and of two, against {eq}`exchange-identity` (CF-X2)."""
    names = {label: NAMES.get(label, experiment.condition(label).title) for label in tables}
    differ = {label: draws_that_differ(table) for label, table in tables.items()}
    expected = {label: _heterozygosity(experiment, label, table) for label, table in tables.items()}
    places = {"two draws of one model": ("within", (0, 0)), "one draw of each of two": ("between", (0, 1))}
    panels = {
        title: {
            names[label]: stats.pick(found, metric)
            for label, found in differ.items()
            if metric in set(found["metric"].astype(str))
        }
        for title, (metric, _) in places.items()
    }
    forms = {
        title: {names[label]: lambda g, form=form, place=place: form(g)[:, *place] for label, form in expected.items()}
        for title, (_, place) in places.items()
    }
    first = next(iter(tables.values()))
    show(
        figures.against_theory(panels, forms, ylabel="chance that they differ"),
        curves(panels["two draws of one model"]),
        "exchange-heterozygosity",
        f"Chance that two draws differ, within a model and between two models; means with 95 % bands over "
        f"{first['replicate'].nunique()} chains, {rows(first)} rows per model, {family(first)['symbols']} symbols; "
        "dashed: {eq}`exchange-identity`.",
        "Two panels over generations. Left: a model alone and models that swap lose variety fastest, and equally fast. "
        "Reading half of another's rows is slower, two models that share everything slower still, four slowest. "
        "Right: between models that swap hardly anything changes. All curves lie on their closed forms.",
    )
    last = stats.last_of(first)
    lines = [
        (
            names[label],
            f"{at(differ[label], 'within'):.2f}",
            f"{float(expected[label](np.array([last]))[0, 0, 0]):.2f}",
            f"{theory.effective_rows(rows(table), *_reading(experiment, label)):.0f}",
        )
        for label, table in tables.items()
    ]
    head = ("reading", f"two draws differ, generation {last}", "closed form", "rows that a model alone would need")
    say(markdown(head, lines))


def _reading(experiment: Study[Size], label: str) -> tuple[int, theory.Who, float]:
    """Models, who reads whom, and the share of others' rows, of a condition."""
    condition = experiment.condition(label)
    asked = condition.reads or ("all" if condition.models > 1 else "own")
    (who,) = (name for name in get_args(theory.Who) if name == asked)
    return condition.models, who, 0.5 if condition.others is None else condition.others


def _heterozygosity(experiment: Study[Size], label: str, table: pd.DataFrame) -> Callable[[np.ndarray], np.ndarray]:
    """Closed form of a condition by generation, (generations, models, models)."""
    settings = family(table)
    distribution = zipf_law(settings["symbols"], settings["zipf"])
    models, who, share = _reading(experiment, label)
    return lambda g: theory.heterozygosity(g + 1, rows(table), distribution, models, who, share)


def survivors(tables: Tables, experiment: Study[Size] = STUDY) -> None:
    """Figure: symbols that one model still has, between the bounds of {eq}`exchange-survival` (CF-X7)."""
    left = {
        NAMES.get(label, experiment.condition(label).title): stats.over_models(table) for label, table in tables.items()
    }
    first = next(iter(tables.values()))
    M, distribution = rows(first), zipf_law(family(first)["symbols"], family(first)["zipf"])
    dealt = {NAMES[label]: int(label.removeprefix("M")) for label in tables if label in NAMES}
    real = float(theory.survival_bounds(np.array(1), distribution, M, 1)[1].sum())
    title = f"{M} rows per model, {len(distribution)} symbols"
    show(
        figures.against_theory(
            {title: {name: stats.pick(table, "support") for name, table in left.items()}},
            {
                title: {
                    name: lambda g, models=models: theory.survival_bounds(g + 1, distribution, M, models)[0].sum(
                        axis=-1
                    )
                    for name, models in dealt.items()
                }
            },
            ylabel="symbols that a model still has",
            limits={title: [real]},
        ),
        stats.listing(left, {"symbols": ("support", "")}),
        "exchange-survivors",
        f"Symbols that one model still has, means with 95 % bands over {first['replicate'].nunique()} chains; dashed: "
        "lower bound of {eq}`exchange-survival`, dotted: its upper bound.",
        "Falling curves. A model alone and models that swap lose equally many symbols and have the fewest left. Two "
        "models that share everything keep more, four more still. Real rows alone stay level, on the upper bound.",
    )
    last = stats.last_of(first)
    say(
        f"Symbols left in generation {last}: "
        + listed({name: f"{at(table, 'support'):.1f}" for name, table in left.items()})
        + f" (95 % intervals over chains). {M} real rows have {real:.1f} different symbols on average."
    )


def split_knowledge(tables: Tables, experiment: Study[Size] = STUDY) -> None:
    """Figure: what models learn that their own real data lacked, and how far apart they are where both knew."""
    shown = ("split own", "split half", "split tenth")
    told = {experiment.condition(label).title: concepts(tables[label]) for label in shown}
    panels = {"share of lacking symbols learned": ("learned", ""), "distance on shared symbols (nats)": ("apart", "")}
    first = tables[shown[0]]
    show(
        figures.side_by_side(told, panels),
        stats.listing(told, panels),
        "exchange-concepts",
        "Left: share of the symbols missing from a model's real data that it has now. Right: Jensen-Shannon divergence "
        "of the two models on the symbols that both knew. Means with 95 % bands over "
        f"{first['replicate'].nunique()} chains.",
        "Two panels over generations. Left: models that read only their own learn nothing of what they lack. With "
        "exchange they learn it at once, and then slowly forget it. Right: models that read only their own drift "
        "apart, models that exchange stay together.",
    )
    last = stats.last_of(first)
    say(
        f"In generation {last} a model has this share of the symbols that its real data lacked: "
        + listed({label: f"{at(table, 'learned'):.2f}" for label, table in told.items()})
        + ". The two models are apart on the symbols that both knew by "
        + listed({label: f"{at(table, 'apart'):.3f} nats" for label, table in told.items()})
        + " (95 % intervals over chains)."
    )


def shared_errors(tables: Tables, experiment: Study[Size] = STUDY) -> None:
    """Figure: squared error of one model's mean and of the mean of all, against {eq}`exchange-drift` (CF-X4)."""
    names = {label: experiment.condition(label).title for label in tables}
    models = {label: experiment.condition(label).models for label in tables}
    parts = {label: _errors(table, models[label]) for label, table in tables.items()}
    panels = {
        part: {names[label]: found[part] for label, found in parts.items() if part in found}
        for part in ("one model", "common to all")
    }
    forms = {
        part: {names[label]: _drift(table, experiment, label, part) for label, table in tables.items()}
        for part in panels
    }
    first = next(iter(tables.values()))
    last, M = stats.last_of(first), rows(first)
    show(
        figures.against_theory(panels, forms, ylabel="M x squared error of the mean"),
        curves(panels["one model"]),
        "exchange-drift",
        f"Squared error of a fitted mean, times {M}: of one model, and of the mean of all models; 95 % bands over "
        f"{first['replicate'].nunique()} chains; dashed: {{eq}}`exchange-drift`.",
        "Two panels over generations. The error of a model alone grows in a straight line. With four models that share "
        "everything it grows at a quarter of that rate, and nearly all of it is common to all four. With 5 per cent "
        "real rows both errors level off.",
    )
    lines = []
    for label, found in parts.items():
        one = found["one model"]
        count, who, _ = _reading(experiment, label)
        kept = 1 - experiment.condition(label).settings["regime.real_fraction"]
        radius = theory.spectral_radius(kept * theory.reading_weights(count, who))
        error = stats.mean(one[one["generation"] == last]["value"])
        expected = float(forms["one model"][names[label]](np.array([last]))[0])
        lines.append((names[label], f"{error:.1f}", f"{expected:.1f}", f"{radius:.2f}"))
    head = ("reading", f"M x squared error of one model, generation {last}", "closed form", "spectral radius")
    say(markdown(head, lines))


def _errors(table: pd.DataFrame, models: int) -> dict[str, pd.DataFrame]:
    """M times the square of a model's error, and of the part that is common to all, one row per chain."""
    wide = stats.by_model(table).pivot(index=["generation", "replicate"], columns="model", values="value")
    squares = {"one model": (wide**2).mean(axis=1), "common to all": wide.mean(axis=1) ** 2}
    parts = {
        name: (rows(table) * value).rename("value").reset_index().assign(item="") for name, value in squares.items()
    }
    return parts if models > 1 else {"one model": parts["one model"]}


def _drift(table: pd.DataFrame, experiment: Study[Size], label: str, part: str) -> Callable[[np.ndarray], np.ndarray]:
    """Closed form of M E[mu_k mu_l], within a model or of the mean over models."""
    models, who, _ = _reading(experiment, label)
    share, M = experiment.condition(label).settings["regime.real_fraction"], rows(table)

    def form(g: np.ndarray) -> np.ndarray:
        drift = M * theory.mean_drift(g + 1, M, models, who, real_fraction=share)
        return drift[:, 0, 0] if part == "one model" else drift.mean(axis=(1, 2))

    return form


def word_models(tables: Tables, experiment: Study[Size] = STUDY) -> None:
    """Figure: perplexity of word models that share one real text, by how many they are."""
    by_count = _titled(tables, experiment)
    first = next(iter(by_count.values()))
    show(
        figures.by_arm(by_count, "perplexity", ylabel="perplexity on real test text", yscale="log"),
        stats.listing(by_count, PERPLEXITY),
        "exchange-words",
        f"N-gram models that share {rows(tables['M1'])} blocks of real text: perplexity on real test text, mean over "
        f"the models; thick: mean over {first['replicate'].nunique()} seeds, thin: single seeds.",
        "Rising curves on a logarithmic axis. The more models share the text, the higher the perplexity, in every "
        "generation: one model alone is always best.",
    )
    last = stats.last_of(first)
    say(
        f"Perplexity in generation {last}: "
        + listed({label: f"{at(table, 'perplexity'):.1f}" for label, table in by_count.items()})
        + f" (95 % intervals over seeds). The best number of models: {spans(best(tables))}."
    )


def language_models(tables: Tables, name: str, source: str, experiment: Study[Size] = STUDY) -> None:
    """Figure `name`: perplexity of OPTs that share one real text, by how many they are; and the gate.

    source  which run it is, for the caption
    """
    told = _titled(sharing(tables), experiment)
    untouched = {label: tables[label] for label in ("zero-shot",) if label in tables}
    if untouched:
        say(said(gate(tables, "M1")))
        language_run.who_is_back(tables, {label: experiment.condition(label).title for label in tables})
    ends = {label: (at(table, "perplexity", 0), at(table, "perplexity")) for label, table in told.items()}
    leader = min(ends, key=lambda label: ends[label][1].value)
    last = stats.last_of(next(iter(told.values())))
    show(
        figures.by_arm(told | _titled(untouched, experiment), "perplexity", ylabel="perplexity on real test text"),
        stats.listing(told, PERPLEXITY),
        name,
        "OPTs that share the same real text: perplexity on real test text, mean over the models; thick: mean over "
        f"seeds, thin: single seeds. {source}.",
        f"Perplexity over generations, one curve for each number of models that share the text. In generation {last} "
        f"it is lowest with {leader} ({ends[leader][1].value:.3g}).",
    )
    say(
        f"Perplexity in generation 0 and in generation {last}: "
        + listed({label: f"{start:.2f}, {end:.2f}" for label, (start, end) in ends.items()})
        + f" (95 % intervals over seeds). {_best_number(tables)}"
    )


def _best_number(tables: Tables) -> str:
    """The best number of models by generation, up to the last one in which it is better than the untouched model."""
    found = best(sharing(tables))
    known = len(found)
    if UNTOUCHED in tables:
        lowest = np.min([_mean_loss(table) for table in sharing(tables).values()], axis=0)
        learned = _mean_loss(tables[UNTOUCHED])[0] - lowest > NO_EFFECT
        known = int(np.flatnonzero(learned)[-1]) + 1 if learned.any() else 0
    lines = [f"The best number of models: {spans(found[:known])}."] if known else []
    if known < len(found):
        lines.append(
            f"From generation {known} on no number is better than the untouched model by more than {NO_EFFECT:g} nats "
            "per token, so that there is nothing left to compare."
        )
    return " ".join(lines)


def _mean_loss(table: pd.DataFrame) -> np.ndarray:
    """Nats per token by generation, mean over the models and over the seeds."""
    rows_of = stats.pick(table, "perplexity")
    return np.log(rows_of["value"]).groupby(rows_of["generation"]).mean().to_numpy()


def sharing(tables: Tables) -> dict[str, pd.DataFrame]:
    """The conditions in which several models, or one, share the text."""
    return {label: table for label, table in tables.items() if label.startswith("M")}


def _titled(tables: Tables, experiment: Study[Size]) -> dict[str, pd.DataFrame]:
    """Tables of the mean over models by the title of their condition."""
    return {experiment.condition(label).title: stats.over_models(table) for label, table in tables.items()}


def first_mover(tables: Tables) -> None:
    """Figure: symbols left to the first mover, to the latecomer, and to pairs of equals."""
    told = _movers(tables)
    count = next(iter(tables.values()))["replicate"].nunique()
    show(
        figures.against_theory(
            {"": {label: stats.pick(table, "support") for label, table in told.items()}},
            {},
            ylabel="symbols that a model still has",
        ),
        stats.listing(told, {"symbols": ("support", "")}),
        "exchange-first-mover",
        "Symbols left to the first mover, half of whose training sets are its own real rows, and to the latecomer; "
        f"means with 95 % bands over {count} chains.",
        "Four falling curves that level off. Both keep real data: most symbols left. The first mover has almost as "
        "many, the latecomer clearly fewer, and fewest are left where nobody keeps real data.",
    )
    end = {label: stats.per_replicate(table, "support", stats.last_of(table)) for label, table in told.items()}
    lost = {
        label: stats.mean(1 - end[label] / stats.per_replicate(table, "support", 0)) for label, table in told.items()
    }
    lead = stats.paired(end["the first mover"], end["the latecomer"])
    gift = stats.paired(end["the latecomer"], end["nobody keeps real data"])
    last = stats.last_of(told["the latecomer"])
    say(
        f"Share of the symbols of generation 0 that is lost in generation {last}: "
        + listed({label: f"{value:.0%}" for label, value in lost.items()})
        + f" (95 % intervals over chains). The first mover has {lead:.1f} symbols more than the latecomer. The "
        f"latecomer has {gift:.1f} more than where nobody keeps real data."
    )


def _movers(tables: Tables) -> dict[str, pd.DataFrame]:
    """Tables of the first mover and of the latecomer, and means over pairs of equals."""
    told = {
        "nobody keeps real data": stats.over_models(tables["M2"]),
        "the first mover": stats.of_model(tables["first"], 1),
        "the latecomer": stats.of_model(tables["first"], 2),
    }
    return told | ({"both keep real data": stats.over_models(tables["both"])} if "both" in tables else {})


def first_mover_of_text(tables: Tables, name: str, source: str) -> None:
    """Figure `name`: perplexity, and generated facts if there are enough seeds for bands, of first mover and latecomer.

    source  which run it is, for the caption
    """
    told = _movers(tables)
    panels = {**PERPLEXITY, "different true facts generated": ("facts", "different")}
    nats = {label: _nats(table) for label, table in told.items()}
    cost = {label: stats.mean(end - start) for label, (start, end) in nats.items()}
    ahead = stats.paired(nats["the latecomer"][1], nats["the first mover"][1])
    last = stats.last_of(told["the latecomer"])
    several = told["the latecomer"]["replicate"].nunique() > 3
    drawn = "perplexity on real test text"
    if several:
        figure = figures.side_by_side(told, panels)
        drawn += ", and different true facts that each generates; means with 95 % bands over seeds"
    else:
        figure = figures.by_arm(told, "perplexity", ylabel=drawn)
        drawn += "; thick: mean over seeds, thin: single seeds, of a pair their mean"
    show(
        figure,
        stats.listing(told, panels),
        name,
        f"First mover and latecomer, OPTs: {drawn}. {source}.",
        f"Lines over generations for the first mover, the latecomer and pairs of equals. In generation {last} the "
        f"latecomer's loss is {ahead.value:.2g} nats above the first mover's.",
    )
    say(
        f"Rise of the loss from generation 0 to {last}, in nats per token: "
        + listed({label: f"{value:.3f}" for label, value in cost.items()})
        + f". The latecomer's loss is {ahead:.3f} nats above the first mover's (95 % intervals over seeds)."
    )


def _nats(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Loss in nats per token in generation 0 and in the last one, by replicate."""
    last = stats.last_of(table)
    start, end = (np.log(stats.per_replicate(table, "perplexity", g)) for g in (0, last))
    return start, end


def controls(still: pd.DataFrame, size: Size, record: Recorded | None = None) -> None:
    """Say that one model in an exchange is the plain chain, and that models which read only real rows do not move.

    still   two models that read their own real rows only
    record  a recorded run whose trends are said as well
    """
    _alone_is_the_plain_chain(size.start)
    moved = still.groupby(["replicate", "item"], observed=True)["value"].nunique()
    assert (moved == 1).all(), "models that read the same real rows must not move"
    lines = (
        "One model in an exchange is the plain chain, bit for bit. Two models that read only their own real rows keep "
        "every symbol, in all chains."
    )
    if record is not None and "control" in record.tables:
        lines += (
            f" In the recorded run the loss of two OPTs that read only real text changes by "
            f"{_trend(record.tables['control']):.3f} nats over all generations (trend), that of two that read each "
            f"other by {_trend(record.tables['M2']):.3f} (95 % intervals over seeds)."
        )
    say(lines)


def _alone_is_the_plain_chain(seed: int, rows: int = 100) -> None:
    """Fails unless an exchange of one model generates the same rows as the loop itself."""
    kind, stream = Discrete(sampling="draw"), streams.stream(seed)
    source = kind.source(rows, stream(-1, streams.SOURCE), 5)
    plain = generations(source, kind, Replace(), rows, stream, last=5)
    alone = exchange([Agent(source, kind, Replace(), stream)], Reads("deal"), rows, last=5)
    for one, (other,) in zip(plain, alone, strict=True):
        assert (one.sample.x == other.sample.x).all(), "one model in an exchange is not the plain chain"


def _trend(table: pd.DataFrame) -> Estimate:
    """Slope of the loss (mean over models) times the number of generations, by least squares for each seed."""
    found = stats.pick(stats.over_models(table), "perplexity")
    wide = found.assign(value=np.log(found["value"])).pivot(index="generation", columns="replicate", values="value")
    return stats.mean(stats.last_of(table) * np.polyfit(wide.index, wide.to_numpy(), 1)[0])
