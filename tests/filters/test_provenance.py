"""Filters that know or guess who wrote a row, the data card, and the checks of WM-* and DET-1.

Seeded. Where chance decides, bounds are many standard errors wide, or the comparison is exact.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_collapse import corpora, detection, families, registry, streams
from model_collapse.cli import main
from model_collapse.companion.claims import named
from model_collapse.companion.claims.provenance import excess, unrecognised
from model_collapse.corpora.images import load
from model_collapse.data import Data, Rows
from model_collapse.engine import card
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.errors import InputError
from model_collapse.families.ngram import Ngram
from model_collapse.filters.detector import Detector
from model_collapse.filters.provenance import Provenance
from model_collapse.loop import Reference, step
from model_collapse.theory import mixed
from model_collapse.theory import provenance as theory

# Provenance --------------------------------------------------------------------------------------------------------


def half_real(n: int, chains: int | None = None) -> Data:
    x = np.zeros((n, chains) if chains else n)
    rows = Rows(x, stacked=bool(chains))
    return Data.concat([Data.real(rows), Data.of(rows, born=3, author=1)])


@pytest.mark.parametrize("chains", [None, 5])
def test_with_its_defaults_it_keeps_exactly_the_real_rows(chains):
    """The perfect case: the column `born`."""
    verdict = Provenance()(half_real(30, chains), np.random.default_rng(0), None)
    assert verdict.shape == ((60,) if chains is None else (60, chains))
    assert verdict[:30].all() and not verdict[30:].any()


def test_each_error_has_its_rate_and_each_chain_its_own_errors():
    judge = Provenance(missed=0.2, false_alarms=0.1, adoption=0.5)
    verdict = judge(half_real(4000, 50), np.random.default_rng(1), None)
    assert verdict[:4000].mean() == pytest.approx(0.9, abs=0.005)
    # Half carry no mark, and a fifth of the others are missed.
    assert verdict[4000:].mean() == pytest.approx(0.6, abs=0.005)
    assert float(theory.unrecognised(0.2, 0.5)) == pytest.approx(0.6)
    assert abs(np.corrcoef(verdict[:, 0], verdict[:, 1])[0, 1]) < 0.5 and (verdict[:, 0] != verdict[:, 1]).any()


def test_nobody_marks_and_nothing_is_dropped():
    assert Provenance(adoption=0)(half_real(9), np.random.default_rng(0), None).all()
    assert Provenance(missed=1)(half_real(9), np.random.default_rng(0), None).all()


def test_replace_and_a_perfect_filter_leave_nothing(capsys):
    assert main("chain discrete replace -n 9 -g 1 --set family.sampling=draw --filter provenance".split()) == 2
    assert "filter provenance: nothing is left to train on of 9 rows" in capsys.readouterr().err


# Theory ------------------------------------------------------------------------------------------------------------


def test_without_a_filter_the_limits_are_those_of_the_regimes():
    for variance in ("estimated", "known"):
        old = mixed.fresh_drift_limit(50, 0.1, variance=variance)
        assert theory.filtered_drift_limit(5, 45, 1.0, variance=variance) == pytest.approx(float(old))
        old = mixed.mix_drift_limit(50, 0.1, variance=variance)
        assert theory.filtered_drift_limit(5, 45, 1.0, kept=50, variance=variance) == pytest.approx(float(old))
        old = mixed.fixed_drift_limit(5, 9, variance=variance)
        assert theory.filtered_drift_limit(5, 45, 1.0, kept=5, variance=variance) == pytest.approx(float(old))
    np.testing.assert_allclose(theory.filtered_drift_limit(5, 45, [0.0, 0.0]), [0.2, 0.2])


CASES: Mapping[str, dict[str, Any]] = {
    "fresh, discrete": {"family": "discrete", "regime": "fresh", "settings": {"regime.real_fraction": 0.2}},
    "mix, known": {"regime": "mix", "settings": {"regime.real_fraction": 0.2, "family.variance": "known"}},
    "fixed, estimated": {"regime": "fixed", "n": 6, "settings": {"regime.synthetic": 4}},
    "fresh, false alarms": {
        "regime": "fresh",
        "settings": {"regime.real_fraction": 0.5, "provenance.false_alarms": 0.3, "family.variance": "known"},
    },
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_filtered_drift_against_simulation(case):
    """Means over 3000 chains at a late generation, within 4.4 standard errors: level 1e-5 each."""
    chosen = {"family": "gaussian", "n": 30} | CASES[case]
    settings = {"family.sampling": "draw", "provenance.missed": 0.4, **chosen.pop("settings")}
    discrete = chosen["family"] == "discrete"
    settings |= {"family.symbols": 4} if discrete else {}
    run = plan(
        **chosen,
        generations=40,
        every=40,
        replicates=3000,
        metrics=("heterozygosity",) if discrete else ("mean",),
        settings=settings,
        filter=("provenance",),
        seed=5,
    )
    table = execute(run)[0].query("generation == 40")
    real, kept = {"fresh": (6, None), "mix": (6, 30), "fixed": (6, 6)}[chosen["regime"]]
    alarms = settings.get("provenance.false_alarms", 0.0)
    real = 15 if alarms else real
    V = theory.filtered_drift_limit(
        real,
        30 - real,
        0.4,
        false_alarms=alarms,
        kept=kept,
        variance=settings.get("family.variance", "estimated"),
    )
    if discrete:
        q = registry.build(families, "discrete", {"symbols": 4}).distribution
        values, V = table["value"].to_numpy(), (1 - V) * (1 - np.sum(q**2))
    else:
        values = table["value"].to_numpy() ** 2
    assert abs(values.mean() - V) < 4.4 * values.std() / np.sqrt(len(values))


def test_the_harm_left_is_the_limit_of_large_sets():
    k, g = 400, 0.1
    drift = k * theory.filtered_drift_limit(k, 3600, [1, 0.3, 0.05, 0], kept=k, variance="known")
    np.testing.assert_allclose((drift - 1) / (drift[0] - 1), theory.harm_left([1, 0.3, 0.05, 0], g), atol=0.005)
    assert theory.harm_left(0.1, 1e-6) > 0.999 and theory.harm_left(1e-8, 1e-6) < 0.02


# Detector ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain() -> Reference:
    """Pairs of words, of 200 blocks: text that is poor and looks it."""
    family = Ngram(block=64)
    source = corpora.load("embedded").source(200, **family.reading())
    first = step(0, source.train, source, family, 200, streams.stream(2))
    return Reference(first, source, family)


def test_the_threshold_has_its_rate_of_false_alarms_on_rows_held_out(chain):
    judge = detection.trained(chain)
    assert detection.trained(chain) is judge, "trained once"
    for rate in (0.01, 0.05, 0.3):
        shares = [np.mean(scores > judge.threshold(rate)) for scores in judge.held_out]
        assert rate - 1 / min(map(len, judge.held_out)) <= max(shares) <= rate
    # New real rows, and those that the first model read: the threshold is set by 100 to 128 others of either kind.
    for rows in (chain.source.fresh(1000, np.random.default_rng(3)), chain.source.train.rows):
        assert np.mean(judge.scores(rows) > judge.threshold(0.05)) < 0.15


def test_written_rows_are_found_and_dropped(chain):
    real = Data.real(chain.source.fresh(200, np.random.default_rng(4)))
    data = Data.concat([real, chain.first.sample])
    judge = detection.trained(chain)
    _, area = detection.roc(*(judge.scores(part.rows) for part in (real, chain.first.sample)))
    assert area > 0.8
    lenient, strict = (Detector(false_alarms=a)(data, np.random.default_rng(0), chain) for a in (0.05, 0.5))
    assert lenient[:200].mean() > 0.85 and lenient[200:].mean() < 0.8
    assert strict[:200].mean() < 0.7 and strict[200:].mean() < 0.2
    weight = Detector(mode="weigh")(data, np.random.default_rng(0), chain)
    assert weight[:200].mean() > 2 * weight[200:].mean() and ((weight >= 0) & (weight <= 1)).all()


def test_without_a_difference_nothing_is_told_apart(chain):
    """Negative control: real rows in the place of written ones."""
    fake = Data.of(chain.source.fresh(200, np.random.default_rng(5)), born=1, author=1)
    same = Reference(type(chain.first)(0, chain.first.train, chain.first.model, fake), chain.source, chain.family)
    judge = detection.trained(same)
    real, wrote = (judge.scores(chain.source.fresh(400, np.random.default_rng(seed))) for seed in (6, 7))
    _, area = detection.roc(real, wrote)
    assert 0.42 < area < 0.58


def test_images_are_told_apart_by_the_same_classifier():
    family = registry.build(families, "scanner", {})
    source = load("digits").source(200, **family.reading())
    first = step(0, source.train, source, family, 200, streams.stream(2))
    reference = Reference(first, source, family)
    judge = detection.trained(reference)
    _, area = detection.roc(judge.scores(source.test.rows), judge.scores(first.sample.rows))
    assert area > 0.9


def test_too_few_real_rows_are_one_line(chain):
    few = type(chain.source)(
        **{**vars(chain.source), "validation": Data.real(chain.source.train.rows.take(np.arange(5)))}
    )
    with pytest.raises(InputError, match=r"^--filter detector: it needs 8 real rows .* there are 5$"):
        detection.trained(Reference(chain.first, few, chain.family))


def test_roc_of_weighed_scores_is_that_of_as_many_rows():
    real, wrote = np.array([0.0, 1.0, 1.0, 2.0]), np.array([1.0, 2.0, 2.0, 3.0])
    curve, area = detection.roc(real, wrote)
    binned, again = detection.roc(
        np.array([0.0, 1, 2]), np.array([1.0, 2, 3]), weights=(np.array([0.25, 0.5, 0.25]), np.array([0.25, 0.5, 0.25]))
    )
    # P(wrote > real) + P(equal) / 2, by hand over 16 pairs: 10.5 above or half.
    assert area == pytest.approx(again) == pytest.approx(np.mean([(w > r) + (w == r) / 2 for w in wrote for r in real]))
    pd.testing.assert_frame_equal(binned, curve)


# Filters in the loop -----------------------------------------------------------------------------------------------


REFUSED = {
    "nothing is marked": ("lm mix --filter watermark", "--filter watermark: nothing is marked; use lm with --set"),
    "no opt": ("ngram mix --filter watermark", "--filter watermark: nothing is marked"),
    "numbers": (
        "gaussian mix --set family.sampling=draw --filter detector",
        "--filter detector: it reads text or images, not numbers; use --filter provenance",
    ),
    "too little to learn from": (
        "ngram mix --set family.evaluate=7 --filter detector",
        "--filter detector: it learns from real validation blocks; set family.evaluate to 8 or more, not 7",
    ),
    "moments": ("gaussian mix --filter provenance", "--filter provenance: exact sampling cannot subsample; set"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_judged_is_one_line(arguments, said, capsys):
    assert main(["chain", *arguments.split()]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("family", "regime", "filters"),
    [
        ("discrete", "fresh", "provenance"),
        ("kde", "subsample", "provenance"),
        ("ngram", "accumulate", "detector"),
        ("scanner", "mix", "detector"),
        ("scanner", "fixed", "provenance"),
    ],
)
def test_they_work_with_families_of_every_kind(family, regime, filters):
    drawn = {"family.sampling": "draw"} if family == "discrete" else {}
    table, _ = execute(plan(family, regime, n=60, generations=2, filter=(filters,), settings=drawn))
    first = table.query("generation == 1").iloc[0]
    assert first["n_train"] <= {"accumulate": 120, "fixed": 120}.get(regime, 60)
    if filters == "provenance":
        assert first["share_real"] == 1


def test_kept_rows_are_repeated_where_it_is_asked_for():
    settings = {"family.sampling": "draw", "provenance.top_up": True, "regime.real_fraction": 0.2}
    table, _ = execute(plan("discrete", "mix", n=50, generations=1, filter=("provenance",), settings=settings))
    assert table.query("generation == 1")["n_train"].iloc[0] == 50


# Data card ---------------------------------------------------------------------------------------------------------


def test_a_written_corpus_has_a_card_that_the_hub_reads(tmp_path: Path, capsys):
    hub = pytest.importorskip("huggingface_hub")
    out = tmp_path / "a.parquet"
    command = f"chain ngram mix -n 20 -g 2 --filter provenance --set provenance.missed=0.5 --out {out}".split()
    assert main(command) == 0
    place = tmp_path / "a.parquet.texts.md"
    assert str(place) in capsys.readouterr().out
    said = place.read_text(encoding="utf-8")
    read = hub.DatasetCard.load(place).data.to_dict()
    about = json.loads(json.dumps(card.store.about(out)))
    assert read["license"] == "cc-by-4.0" and read["source_datasets"] == ["embedded"]
    assert read["run_id"] == about["run_id"] and "machine-generated" in read["tags"]
    for part in (
        card.store.checksum(tmp_path / "a.parquet.texts.parquet"),
        "A model wrote every entry",
        "regime `mix`, filter `provenance`",
        about["created_at"][:10],
        "| `regime.real_fraction` | 0.1 |",
        "**Watermark**: none",
    ):
        assert part in said
    before = place.stat().st_mtime_ns
    assert main(command) == 0 and place.stat().st_mtime_ns == before, "a finished run touches nothing"
    place.unlink()
    assert main(command) == 0 and place.read_text(encoding="utf-8") == said, "a function of the run's files"


def test_numbers_have_no_card(tmp_path: Path):
    assert main(f"chain gaussian replace -n 5 -g 1 --out {tmp_path}/a.parquet".split()) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]
    assert card.write(tmp_path / "a.parquet") is None


# Claims ------------------------------------------------------------------------------------------------------------


def simulated(missed: float, regime: str = "fixed") -> pd.DataFrame:
    return execute(plan(**unrecognised(missed, 0.1, regime, replicates=2048), seed=3))[0]


def test_wm_3_sees_a_filter_that_changes_nothing():
    tables = {"all": simulated(1.0), "a tenth": simulated(0.1), "none": simulated(0.0)}
    assert named("WM-3").judge(tables).holds
    unmoved = tables["all"].assign(regime_args=tables["a tenth"]["regime_args"].iloc[0])
    assert not named("WM-3").judge({**tables, "a tenth": unmoved}).holds


def test_new_real_rows_make_the_filter_a_loss():
    """Under `fresh` generated rows carry what earlier real rows said: k V is 0.53 without a filter, 1 with one."""
    drift = [excess(simulated(missed, "fresh")) for missed in (1.0, 0.0)]
    # n is that of generation 0 there, ten times the real rows of a training set.
    ratio = drift[0].mean() / drift[1].mean()
    expected = theory.filtered_drift_limit(5, 45, [1.0, 0.0], variance="known")
    assert ratio == pytest.approx(expected[0] / expected[1], rel=0.1) and ratio < 0.6


def by_hand(values: Mapping[str, Any], metric: str = "watermark", last: int = 2) -> pd.DataFrame:
    """A table of six chains: {item: value, or one per generation}, with noise of a thousandth."""
    noise = np.random.default_rng(8)
    rows = [
        {
            "run_id": "x",
            "family": "lm",
            "family_args": "{}",
            "corpus": "wikitext-2-v1",
            "replicate": r,
            "generation": g,
            "n_train": 192,
            "metric": metric,
            "item": item,
            "value": float(np.broadcast_to(value, last + 1)[g]) + noise.normal(0, 1e-3) * (item != "real rows"),
        }
        for r in range(6)
        for g in range(last + 1)
        for item, value in values.items()
    ]
    return pd.DataFrame(rows)


GOOD = {"written": 0.99, "real": 0.0, "real rows": 1024}
RISING = {"written": 0.01, "written repeats": [0.02, 0.2, 0.4]}

JUDGED: Mapping[str, tuple[str, Mapping[str, pd.DataFrame], bool]] = {
    "found": ("WM-1", {"marked": by_hand(GOOD)}, True),
    "one in ten not found": ("WM-1", {"marked": by_hand(GOOD | {"written": 0.9})}, False),
    "real texts accused": ("WM-1", {"marked": by_hand(GOOD | {"real": 0.03})}, False),
    "too few real texts": ("WM-1", {"marked": by_hand(GOOD | {"real rows": 100})}, False),
    "repeats accuse": ("WM-2", {"A": by_hand(RISING)}, True),
    "from the start": ("WM-2", {"A": by_hand(RISING | {"written repeats": 0.4})}, False),
    "counted once as well": ("WM-2", {"A": by_hand(RISING | {"written": 0.4})}, False),
    "beams weaken": ("WM-2b", {"marked": by_hand(GOOD), "marked-beam": by_hand(GOOD | {"written": 0.5})}, True),
    "beams do not": ("WM-2b", {"marked": by_hand(GOOD), "marked-beam": by_hand(GOOD)}, False),
    "weighing helps": (
        "DET-1",
        {"polluted": by_hand({"": [50, 60, 60]}, "perplexity"), "weighed": by_hand({"": [50, 55, 55]}, "perplexity")},
        True,
    ),
    "weighing harms": (
        "DET-1",
        {"polluted": by_hand({"": [50, 55, 55]}, "perplexity"), "weighed": by_hand({"": [50, 60, 60]}, "perplexity")},
        False,
    ),
}


@pytest.mark.parametrize(("claim", "tables", "holds"), JUDGED.values(), ids=JUDGED)
def test_claims_say_yes_and_no(claim, tables, holds):
    assert named(claim).judge(tables).holds is holds
