"""One contract for all siblings: every family, regime and filter that lies in its folder, found by scanning."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from model_collapse import families, filters, interfaces, loop, metrics, regimes, registry, streams
from model_collapse.corpora.images import load
from model_collapse.data import Data, Moments, Rows, Source
from model_collapse.engine.execute import execute
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError
from model_collapse.loop import History, generations
from model_collapse.metrics import images, text

FAMILIES, REGIMES, FILTERS = (registry.names(package) for package in (families, regimes, filters))
NUMERIC = [name for name in FAMILIES if registry.member(families, name).reads == "numbers"]
OF_IMAGES = [name for name in FAMILIES if registry.member(families, name).reads == "images"]
MEMBERS = [(families, name) for name in FAMILIES] + [(regimes, name) for name in REGIMES]
MEMBERS += [(filters, name) for name in FILTERS]
N = 12


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def same_bits(one: Any, other: Any) -> bool:
    """Equal arrays all the way down."""
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if is_dataclass(one):
        return all(same_bits(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return one == other


def frozen(data: Any) -> None:
    """Make every array of a data object refuse to be written into."""
    for f in fields(data):
        value = getattr(data, f.name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        elif is_dataclass(value):
            frozen(value)


# What was found ----------------------------------------------------------------------------------------------------


def test_the_scan_finds_those_known_by_name():
    """Without this, a scan that finds nothing would pass every test below."""
    assert {"gaussian", "discrete", "ngram", "lm"} <= set(FAMILIES)
    assert {"accumulate", "fixed", "fresh", "grow", "mix", "replace", "subsample", "weigh"} <= set(REGIMES)
    assert "gaussian" in NUMERIC and "lm" not in NUMERIC
    assert {"diffusion", "scanner", "vae"} <= set(OF_IMAGES)
    for package, known in ((families, FAMILIES), (regimes, REGIMES), (filters, FILTERS)):
        files = {path.stem for folder in package.__path__ for path in _modules(folder)}
        assert set(known) == files - {"__init__"}, "a file is a member, and every member a file"


def _modules(folder: str) -> list[Path]:
    found = [path for path in Path(folder).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    return [path for path in found if not path.name.startswith("_")]


def test_an_unknown_name_lists_the_known_ones():
    for package, known in ((families, FAMILIES), (regimes, REGIMES)):
        with pytest.raises(InputError, match=f"'nobody' is not among the .*; known: {', '.join(known)}$"):
            registry.member(package, "nobody")


@pytest.mark.parametrize(("package", "name"), MEMBERS)
def test_members_are_frozen_dataclasses_with_described_settings(package: ModuleType, name: str):
    cls = registry.member(package, name)
    assert is_dataclass(cls) and cls.__module__ == f"{package.__name__}.{name}"
    assert len(registry.summary(cls)) > 10
    member = registry.build(package, name, {})
    with pytest.raises(FrozenInstanceError):
        member.anything = 1
    listed = registry.settings(cls)
    assert [setting["name"] for setting in listed] == [f.name for f in fields(cls)]
    for setting in listed:
        assert len(setting["description"]) > 3, f"{name}.{setting['name']} has no description"
        assert "\n" not in setting["description"]
    json.dumps(listed)
    assert hash(member) == hash(registry.build(package, name, {})) and member == registry.build(package, name, {})


@pytest.mark.parametrize(("package", "name"), MEMBERS)
def test_settings_survive_text_and_json(package: ModuleType, name: str):
    """The defaults, written as on the command line or as in a record, build the same member."""
    member = registry.build(package, name, {})
    values = {f.name: getattr(member, f.name) for f in fields(member)}
    assert registry.build(package, name, json.loads(json.dumps(values))) == member
    text = {key: str(value) for key, value in values.items() if value is not None}
    assert registry.build(package, name, text) == member


@pytest.mark.parametrize(("package", "name"), MEMBERS)
def test_bad_settings_are_one_line(package: ModuleType, name: str):
    cls = registry.member(package, name)
    with pytest.raises(InputError, match=rf"^here\.nothing: {name} has no such setting; it has ") as refused:
        registry.build(package, name, {"nothing": 1}, "here")
    assert all(f.name in str(refused.value) for f in fields(cls)) and "\n" not in str(refused.value)
    for f in fields(cls):
        if isinstance(f.default, int | float) and not isinstance(f.default, bool):
            for bad in ("text", "nan", "-1e400", ""):
                with pytest.raises(InputError, match=rf"^here\.{f.name}={bad}: ") as refused:
                    registry.build(package, name, {f.name: bad}, "here")
                assert "\n" not in str(refused.value)


# Families ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_families_share_their_signatures(name: str):
    cls = registry.member(families, name)
    for method in ("fit", "sample"):
        assert parameters(getattr(cls, method)) == parameters(getattr(interfaces.Family, method)), method
    assert cls.reads in ("numbers", "text", "images")
    for method in ("score", "entropy") if cls.reads == "text" else ():
        assert [parameter for parameter, _, _ in parameters(getattr(cls, method))] == ["self", "model", "rows"], method
    assert isinstance(cls.conditional, bool) and isinstance(cls.checkpoints, bool)
    assert cls.rows >= 1 and cls.block_size >= 1 and cls.metrics
    for method in ("base", "base_settings", "device", "save", "load", "source", "reading"):
        assert getattr(cls, method).__doc__, method


@pytest.mark.parametrize("name", FAMILIES)
def test_families_have_the_optional_methods_that_they_declare(name: str):
    """A family has of its own exactly the methods that its declarations ask for; the others refuse to be called."""
    cls, plain = registry.member(families, name), interfaces.Family

    def own(method: str) -> bool:
        return getattr(cls, method) is not getattr(plain, method)

    methods = {"likelihood": "score", "truth": "miss", "certainty": "certainty", "reward": "reward"}
    declared = {method: score in cls.scores for score, method in methods.items()} | {
        "entropy": "likelihood" in cls.scores,
        "states": cls.has_states,
        "kinds": own("distribution"),
        "marks": any(field.name == "watermark" for field in fields(cls)),
        "save": cls.checkpoints,
        "load": cls.checkpoints,
        "source": cls.reads == "numbers",
        "reading": cls.reads != "numbers",
    }
    assert declared == {method: own(method) for method in declared}
    assert cls.scores <= set(methods)


def test_a_method_that_is_not_declared_says_so():
    rows = Rows(np.zeros((1, 1)))
    with pytest.raises(TypeError, match=r"^family Gaussian: it does not declare what `kinds` is for$"):
        registry.build(families, "gaussian", {}).kinds(rows)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_metric_of_a_family_is_one_documented_function(name: str):
    """And no two modules for one kind of data define one name, for a table knows a metric by its name alone."""
    cls = registry.member(families, name)
    package = {"numbers": metrics, "text": text, "images": images}[cls.reads]
    names = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.ispkg]
    modules = [importlib.import_module(f"{package.__name__}.{module}") for module in names]
    defined = Counter(
        key
        for module in modules
        for key, value in vars(module).items()
        # One measure may serve text and images; a module that passes it on says so.
        if inspect.isfunction(value) and (value.__module__ == module.__name__ or key in getattr(module, "__all__", ()))
    )
    every = (*cls.metrics, *cls.more_metrics)
    assert len(set(every)) == len(every)
    for metric, function in metrics.chosen(every, cls).items():
        assert defined[metric] == 1, f"{metric} is defined {defined[metric]} times"
        assert list(inspect.signature(function).parameters) == ["m"]
        assert function.__name__ == metric and function.__doc__
    with pytest.raises(InputError, match="--metrics: 'nothing' is not a metric of this family; it has "):
        metrics.chosen(("nothing",), cls)


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.parametrize("regime_name", REGIMES)
def test_numeric_families_repeat_and_change_nothing(name: str, regime_name: str):
    """Pure methods: the same streams give the same bits, and no array handed in is written into.

    A pairing may be refused, but then by an InputError that names the way out.
    """
    family, regime = registry.build(families, name, {}), registry.build(regimes, regime_name, {})

    def chain() -> list[loop.Generation]:
        stream = streams.stream(3)
        source = family.source(N, stream(-1, streams.SOURCE), 2)
        frozen(source.train)
        made = []
        start = family.base(source, stream(-1, streams.BASE))
        for generation in generations(source, family, regime, N, stream, last=3, start=start):
            frozen(generation.sample)
            frozen(generation.train)
            made.append(generation)
        return made

    try:
        first = chain()
    except InputError as error:
        assert "set " in str(error) and "\n" not in str(error)
        assert not family.draws_rows, "where rows are drawn nothing stands in the way"
        return
    for one, other in zip(first, chain(), strict=True):
        assert same_bits(one.sample, other.sample) and same_bits(one.train, other.train)
        assert same_bits(one.model, other.model)
    assert not same_bits(first[1].sample.rows, first[2].sample.rows)
    reference = loop.Reference(first[0], family.source(N, np.random.default_rng(0), 2), family)
    for metric in metrics.chosen(family.metrics, family).values():
        for generation in first:
            value = metric(metrics.Measurement(generation, reference))
            for entry in value.values() if isinstance(value, dict) else [value]:
                assert np.shape(entry) in ((), (2,)) and not np.any(np.isnan(entry))


@pytest.mark.parametrize("sampling", ["exact", "draw"])
@pytest.mark.parametrize("name", NUMERIC)
def test_numeric_families_say_whether_they_draw_rows(name: str, sampling: str):
    cls = registry.member(families, name)
    assert cls.can_summarise == any(f.name == "sampling" for f in fields(cls))
    family = registry.build(families, name, {"sampling": sampling} if cls.can_summarise else {})
    source = family.source(N, np.random.default_rng(1), 2)
    model = family.fit(source.train, np.random.default_rng(2), start=None)
    wrote = family.sample(model, N, np.random.default_rng(3), given=source.train.rows if cls.conditional else None)
    assert isinstance(wrote, Rows) == family.draws_rows


@pytest.mark.parametrize("name", FAMILIES)
def test_only_numbers_can_be_drawn_as_statistics(name: str):
    if name not in NUMERIC:
        assert registry.build(families, name, {}).draws_rows and not registry.member(families, name).can_summarise


def accepts(family: Any, regime_name: str) -> bool:
    """Whether a chain of a numeric family goes on to generation 2."""
    stream = streams.stream(3)
    source = family.source(N, stream(-1, streams.SOURCE), 2)
    try:
        chain = generations(source, family, registry.build(regimes, regime_name, {}), N, stream, last=2)
        return len(list(chain)) == 3
    except InputError:
        return False


@pytest.mark.parametrize("name", NUMERIC)
def test_numeric_families_accept_most_regimes(name: str):
    """At least 5 of the 11 where sampling is exact, and all but one where rows are drawn."""
    draw = {"sampling": "draw"} if draws(name) else {}
    for settings, least in (({}, 5), (draw, len(REGIMES) - 1)):
        family = registry.build(families, name, settings)
        accepted = [regime for regime in REGIMES if accepts(family, regime)]
        assert {"replace", "accumulate"} <= set(accepted) and len(accepted) >= least, (settings, accepted)


@pytest.mark.parametrize("name", NUMERIC)
def test_numeric_families_write_as_many_rows_as_asked_for_and_their_sources_draw_new_ones(name: str):
    family = registry.build(families, name, {})
    source = family.source(N, np.random.default_rng(1), 3)
    assert len(source.train) == N and np.all(source.train.born == 0) and np.all(source.train.author == 0)
    new = [source.draw(5, np.random.default_rng(seed)) for seed in (2, 2, 3)]
    assert all(len(data) == 5 and np.all(data.born == 0) for data in new)
    assert same_bits(new[0], new[1]) and not same_bits(new[0].rows, new[2].rows)
    model = family.fit(source.train, np.random.default_rng(4), start=None)
    for n in (1, 2, 50):
        assert len(family.sample(model, n, np.random.default_rng(5))) == n


SHORT = {"epochs": 2, "steps": 3, "evaluate": 10}
"""Settings with which a fit takes no time, of families that have them."""


def of_images(name: str) -> Any:
    known = {f.name for f in fields(registry.member(families, name))}
    return registry.build(families, name, {key: value for key, value in SHORT.items() if key in known})


def bits_of(model: Any) -> Any:
    """A model with its tensors as arrays, all the way down."""
    if hasattr(model, "detach"):
        return model.detach().cpu().numpy()
    if isinstance(model, dict):
        return {key: bits_of(value) for key, value in model.items()}
    if is_dataclass(model):
        return {f.name: bits_of(getattr(model, f.name)) for f in fields(model)}
    return list(model) if isinstance(model, tuple) else model


def same_model(one: Any, other: Any) -> bool:
    one, other = bits_of(one), bits_of(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_model(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_model, one, other))
    return same_bits(one, other)


@pytest.mark.parametrize("name", OF_IMAGES)
@pytest.mark.parametrize("regime_name", REGIMES)
def test_families_of_images_repeat_and_change_nothing(name: str, regime_name: str):
    """As numeric ones: the same streams give the same bits, nothing handed in is written into, metrics are finite."""
    if registry.member(families, name).checkpoints:
        pytest.importorskip("torch")
    family, regime = of_images(name), registry.build(regimes, regime_name, {})
    source = load("digits").source(N, **family.reading())
    side = source.train.rows.x.shape[1]
    size = regime.size
    frozen(source.test)

    def chain() -> list[loop.Generation]:
        made = []
        rows = N * family.passes
        for generation in generations(source, family, regime, rows, streams.stream(3), last=2):
            frozen(generation.sample)
            frozen(generation.train)
            written = generation.sample.rows.x
            assert written.dtype == np.uint8 and written.shape == (size(generation.t, rows), side, side)
            made.append(generation)
        return made

    frozen(source.train)
    first, again = chain(), chain()
    for one, other in zip(first, again, strict=True):
        assert same_bits(one.sample, other.sample) and same_bits(one.train, other.train)
        assert same_model(one.model, other.model)
    assert not same_bits(first[1].sample.rows, first[2].sample.rows)
    reference = loop.Reference(first[0], source, family)
    for measure, metric in metrics.chosen(family.metrics, family).items():
        for generation in first:
            try:
                value = metric(metrics.Measurement(generation, reference))
            except InputError as error:
                assert "set " in str(error) and "\n" not in str(error), measure
                continue
            for entry in value.values() if isinstance(value, dict) else [value]:
                assert np.shape(entry) == () and np.isfinite(entry), measure


@pytest.mark.parametrize("name", OF_IMAGES)
def test_families_of_images_write_as_many_as_asked_for(name: str):
    if registry.member(families, name).checkpoints:
        pytest.importorskip("torch")
    family = of_images(name)
    source = load("digits").source(N, **family.reading())
    model = family.fit(source.train, np.random.default_rng(4), start=None)
    for n in (1, 2, 50):
        given = source.train.rows.take(np.arange(n) % len(source.train)) if family.conditional else None
        made = [family.sample(model, n, np.random.default_rng(seed), given=given).x for seed in (5, 5, 6)]
        assert made[0].shape == (n, *source.train.rows.x.shape[1:]) and made[0].dtype == np.uint8
        assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])


@pytest.mark.parametrize("name", [name for name in OF_IMAGES if registry.member(families, name).checkpoints])
def test_models_of_images_are_saved_bit_for_bit(name: str, tmp_path: Path):
    """As safetensors and JSON, never as code; and the model that comes back writes the same images."""
    pytest.importorskip("torch")
    family = of_images(name)
    model = family.fit(load("digits").source(N, **family.reading()).train, np.random.default_rng(4), start=None)
    family.save(model, tmp_path)
    back = family.load(tmp_path)
    assert same_model(back, model)
    assert {file.suffix for file in tmp_path.iterdir()} == {".safetensors", ".json"}
    wrote = [family.sample(each, 5, np.random.default_rng(5)).x for each in (model, back)]
    assert np.array_equal(*wrote)


# Filters -----------------------------------------------------------------------------------------------------------

TOY: dict[str, dict[str, Any]] = {
    "lm": {"family.pretrain": "none", "family.epochs": 1, "family.block": 16, "family.evaluate": 16},
    "ngram": {"family.block": 16, "family.evaluate": 16},
    "vae": {"family.steps": 2},
    "diffusion": {"family.steps": 1, "family.timesteps": 10, "family.sampling_steps": 1},
}
"""Settings with which a generation takes a moment."""


def draws(family: str) -> bool:
    """Whether a family can be told to draw every row."""
    return bool(registry.member(families, family).can_summarise)


def judged(name: str, family: str) -> Run:
    """A small run of a family with a filter. InputError where the filter cannot judge it."""
    settings = dict(TOY.get(family, {}))
    if draws(family):
        settings["family.sampling"] = "draw"
    if (name, family) == ("watermark", "lm"):
        settings["family.watermark"] = "green"
    replicates = 2 if family in NUMERIC else 1
    asked = {"regime": "accumulate", "n": 24, "generations": 1, "seed": 3, "filter": [name], "settings": settings}
    return plan(family, **asked, replicates=replicates)


FEWEST = {"curate": 4, "detector": 5, "provenance": 12, "reweigh": 4, "surprise": 2, "verifier": 4}
"""Filter -> how many families it judges, at least."""


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_judges_as_many_families_as_it_did(name: str):
    """So that refusing everything does not pass for judging. A filter that is not listed judges one at least."""
    accepted = []
    for family in FAMILIES:
        with contextlib.suppress(InputError):
            judged(name, family)
            accepted.append(family)
    assert len(accepted) >= FEWEST.get(name, 1), accepted


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", FILTERS)
def test_filters_judge_a_family_or_refuse_it_before_any_work(name: str, family: str, monkeypatch: pytest.MonkeyPatch):
    """In one line that names the filter. What is judged is a training set like any other: a second run is the same."""
    monkeypatch.setenv("MODEL_COLLAPSE_JOBS", "1")
    try:
        run = judged(name, family)
    except InputError as error:
        assert str(error).startswith((f"--filter {name}", f"{name}.")) and "\n" not in str(error)
        return
    first, second = (execute(run, jobs=1)[0].drop(columns="seconds") for _ in range(2))
    assert first["generation"].max() == 1 and np.all(first["n_train"] > 0)
    assert first.equals(second)


@pytest.mark.parametrize("name", NUMERIC)
def test_a_row_of_weight_0_is_no_row(name: str):
    """Where stacked chains drop rows of their own, these stay with weight 0: every metric is as if they were gone."""
    family = registry.build(families, name, {"sampling": "draw"} if draws(name) else {})
    source = family.source(4 * N, np.random.default_rng(5), 3)
    kept = np.arange(4 * N) % 3 > 0

    def measured(train: Data) -> list[np.ndarray]:
        model = family.fit(train, np.random.default_rng(6))
        rows = family.sample(model, 4 * N, np.random.default_rng(7), given=source.train.rows)
        generation = loop.Generation(0, train, model, Data.of(rows, born=1, author=1), source.train.rows)
        measurement = metrics.Measurement(generation, loop.Reference(generation, source, family))
        values = (metric(measurement) for metric in metrics.chosen(family.metrics, family).values())
        return [np.asarray(part, float) for v in values for part in (v.values() if isinstance(v, dict) else [v])]

    without, weightless = source.train.filtered(kept), source.train.filtered(kept.astype(float))
    np.testing.assert_array_equal(weightless.counted, len(without))
    for one, other in zip(measured(without), measured(weightless), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


# Regimes -----------------------------------------------------------------------------------------------------------


def past(kind: str, size: Callable[[int, int], int], generation: int = 3) -> tuple[Source, list[Data]]:
    """A source and what generations 0 .. generation - 1 wrote, as plain rows, stacked rows, or moments."""
    rng = np.random.default_rng(7)

    def rows(n: int, rng: np.random.Generator) -> Rows | Moments:
        if kind == "moments":
            return Moments(n, rng.standard_normal((4, 1)), rng.random((4, 1, 1)))
        return Rows(rng.standard_normal((n, 4, 1) if kind == "stacked" else (n, 5)), stacked=kind == "stacked")

    written = [Data.of(rows(size(t, N), rng), t + 1, 1) for t in range(generation)]
    return Source(Data.real(rows(N, rng)), fresh=rows), written


def test_what_may_be_asked_of_members_is_declared_once():
    """No member leaves anything to be guessed: what it does not say itself it inherits."""
    for name in REGIMES:
        assert issubclass(registry.member(regimes, name), interfaces.Regime), name
    for name in FILTERS:
        assert issubclass(registry.member(filters, name), interfaces.Filter), name
    for name in FAMILIES:
        assert issubclass(registry.member(families, name), interfaces.Family), name
    plain = registry.build(regimes, "replace", {})
    assert plain.size(3, N) == N and not interfaces.Regime.whole
    plain = interfaces.Filter
    assert (plain.top_up, plain.candidates, plain.by_place) == (False, 1, False)


@pytest.mark.parametrize("kind", ["plain", "stacked", "moments"])
@pytest.mark.parametrize("name", REGIMES)
def test_regimes_make_a_training_set_and_change_nothing(name: str, kind: str):
    """Same signature, a known need, provenance for every row, no write into what they read, no hidden randomness."""
    regime = registry.build(regimes, name, {})
    assert parameters(type(regime).__call__) == parameters(interfaces.Regime.__call__)
    assert regime.needs in ("nothing", "last", "all")
    size = regime.size
    assert [name for name, _, _ in parameters(size)] == ["t", "n"]
    assert all(isinstance(size(t, n), int) and size(t, n) >= 1 for t in (0, 1, 50) for n in (1, N))
    source, written = past(kind, size)
    history = History(written[-1], Data.concat([source.train, *written]) if regime.needs == "all" else None)
    for data in (source.train, history.last, history.pool):
        if data is not None:
            frozen(data)
    try:
        made = [regime(source, history, N, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    except InputError as error:
        assert kind == "moments" and str(error) == "exact sampling cannot subsample; set family.sampling=draw"
        return
    assert same_bits(made[0], made[1]), "all randomness comes from the generator"
    for data in made:
        assert len(data) >= 1 and data.rows.chains == source.train.rows.chains
        assert data.born.shape == data.author.shape and len(data.born) == (
            len(data.size) if kind == "moments" else len(data)
        )
        assert np.all((data.born >= 0) & (data.born <= 3)) and np.array_equal(data.author > 0, data.born > 0)
        assert np.all((data.share_real >= 0) & (data.share_real <= 1))
    if kind != "moments":
        # A row that is in nobody's sample is a new real one.
        births = {row.tobytes(): int(born) for part in (source.train, *written) for row, born in _rows(part)}
        assert all(births.get(row.tobytes(), 0) == born for row, born in _rows(made[0])), "a row has another's birth"


def test_most_regimes_take_moments():
    """At least 8 of the 11; the others pick rows, and there are none."""
    accepted = []
    for name in REGIMES:
        regime = registry.build(regimes, name, {})
        source, written = past("moments", regime.size)
        history = History(written[-1], Data.concat([source.train, *written]) if regime.needs == "all" else None)
        with contextlib.suppress(InputError):
            regime(source, history, N, np.random.default_rng(1))
            accepted.append(name)
    assert {"replace", "accumulate"} <= set(accepted) and len(accepted) >= 8, accepted


def _rows(data: Data) -> list[tuple[np.ndarray, int]]:
    """Every row of every chain with its birth."""
    x = data.rows.x if data.rows.stacked else data.rows.x[:, None]
    born = np.broadcast_to(data.born.reshape(len(data), -1), x.shape[:2])
    return [(x[i, r], int(born[i, r])) for i in range(len(x)) for r in range(x.shape[1])]


# Without torch -----------------------------------------------------------------------------------------------------


def test_theory_needs_no_torch():
    """Listing families, a Gaussian chain and the closed forms work where torch and its friends cannot be imported."""
    code = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        absent = {"torch", "transformers", "tokenizers", "datasets", "huggingface_hub", "diffusers", "sklearn", "PIL"}
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from model_collapse import cli, theory
for kind in ("families", "regimes", "filters", "corpora"):
    assert cli.main([kind]) == 0
assert cli.main(["chain", "gaussian", "-n", "5", "-g", "1"]) == 0
theory.expected_variance(3, 10)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("gaussian", "lm", "vae", "diffusion", "scanner", "digits", "mnist"))
