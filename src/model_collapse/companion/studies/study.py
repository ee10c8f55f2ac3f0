"""A study: conditions, which differ from one base, and sizes, which say what all of them share.

    text = studies.find("language_model")
    text.runs("laptop", ("A", "control"))               label -> Run, for `engine.execute.run_all`
    text.runs(text.at("laptop", n=96, seeds=2), ("A",))  the same with other numbers
    text.vary("A", epochs=20)                           a study that has a condition "A, epochs=20" as well
    text.table("laptop", ("A", "control"))              what is run, and the command that each condition equals

Chapters, claims, verification and records ask the same study, so that a condition means the same everywhere.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from model_collapse import families, filters, regimes, registry
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Condition:
    """How a run differs from the base, which is a chain that replaces, with the settings of the size.

    title        in a legend or a table
    settings     of family, regime and filters ("regime.real_fraction"), over those of the size
    given        what a conditional model continues: original, training or fresh; None: as the size says
    n            rows per generation; None: as the size says
    generations  the last one, where the condition needs no more; None: as the size says
    models       number of models that share the n rows and read each other
    reads        who reads whom, see `exchange.Reads`
    others       share of what a model reads that others wrote, for the readings all and ring
    part         the real data of each model: own, same or split
    first        regime of the first of them
    """

    title: str
    regime: str = "replace"
    settings: Mapping[str, Any] = field(default_factory=dict)
    given: str | None = None
    filters: tuple[str, ...] = ()
    n: int | None = None
    generations: int | None = None
    models: int = 1
    reads: str | None = None
    others: float | None = None
    part: str | None = None
    first: str | None = None


@dataclass(frozen=True)
class Record:
    """How a size is recorded.

    name      of the record in `records/`
    bins      conditions whose histograms are kept
    pretrain  folders under $MODEL_COLLAPSE_DATA whose text, together, models are pre-trained on; none: as settings say
    """

    name: str
    bins: tuple[str, ...] = ()
    pretrain: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Size:
    """What all conditions share. A chapter with numbers of its own adds fields.

    n         rows per generation, blocks of text or images; "all": every one of the corpus; None: the family's default
    seeds     replicates
    settings  of the family
    metrics   what is measured; None: all that fits, or the family's default
    labels    conditions that are run at this size; none: every one
    own       label -> fields of the size that are others for this condition; generations are at most the size's
    """

    n: int | str | None = None
    generations: int = 9
    seeds: int = 1
    seed: int = 0
    family: str = ""
    corpus: str | None = None
    given: str = "original"
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] | None = None
    every: int = 1
    labels: tuple[str, ...] = ()
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    record: Record | None = None


S = TypeVar("S", bound=Size)


@dataclass(frozen=True)
class Study(Generic[S]):
    """Conditions and sizes.

    family    of the models; a size may name another
    adapt     a size and its changes -> the size with the settings that these changes need, such as another corpus's
    complete  a size -> the size with derived settings filled in, for each run
    """

    name: str
    sizes: Mapping[str, S]
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    family: str = ""
    adapt: Callable[[S, Mapping[str, Any]], S] = lambda size, changed: size
    complete: Callable[[S], S] = lambda size: size

    def at(self, size: str | S, **changes: Any) -> S:
        """The size of that name, with every change that is not None. InputError lists what is allowed."""
        found = self._named(size) if isinstance(size, str) else size
        known = [each.name for each in fields(found)]
        if odd := next((name for name in changes if name not in known), None):
            raise InputError(f"{odd}: not a part of a size; those of study {self.name} have {', '.join(known)}")
        changed = {name: value for name, value in changes.items() if value is not None}
        return self.adapt(replace(found, **changed), changed) if changed else found

    def runs(self, size: str | S, labels: Iterable[str] | None = None) -> dict[str, Run]:
        """Label -> checked run, from the seed of the size; of all conditions of the size unless labels are given."""
        seed = self.at(size).seed
        return {label: plan(**given, seed=seed) for label, given in self.arguments(size, labels).items()}

    def arguments(self, size: str | S, labels: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """Label -> arguments of `plan`, all but the seed."""
        chosen = self.at(size)
        if labels is None:
            labels = chosen.labels or self.conditions
        return {label: self._of(label, chosen) for label in ((labels,) if isinstance(labels, str) else labels)}

    def vary(self, label: str, **changes: Any) -> Study[S]:
        """The study with one condition more, named after a known one and what is changed of it: "A, epochs=20".

        changes  settings of the family, the regime or a filter in use by their bare names, or fields of `Condition`
        """
        base = self.condition(label)
        parts = {each.name for each in fields(Condition)} - {"title", "settings"}
        made = replace(base, **{name: value for name, value in changes.items() if name in parts})
        owners = self._owners(made)
        kept = {
            key: value
            for key, value in base.settings.items()
            if key.partition(".")[2] in owners.get(key.partition(".")[0], ())
        }
        given = {_owner(name, owners): value for name, value in changes.items() if name not in parts}
        said = ", ".join(f"{name}={value}" for name, value in changes.items())
        made = replace(made, title=f"{base.title}, {said}", settings={**kept, **given})
        return replace(self, conditions={**self.conditions, f"{label}, {said}": made})

    def table(self, size: str | S, labels: Iterable[str] | None = None) -> pd.DataFrame:
        """What is run: condition, title, what differs from the base, and the command that makes the same run."""
        import pandas as pd

        chosen = self.at(size)
        rows = [
            (label, self.condition(label).title, self.differs(label, chosen), command({**given, "seed": chosen.seed}))
            for label, given in self.arguments(chosen, labels).items()
        ]
        return pd.DataFrame(rows, columns=["condition", "title", "differs", "command"])

    def differs(self, label: str, size: str | S) -> str:
        """How a condition differs from the base, in a few words; "" for the base itself."""
        found, base = self.condition(label), Condition("")
        parts = {
            each.name: getattr(found, each.name)
            for each in fields(Condition)
            if each.name not in ("title", "settings") and getattr(found, each.name) != getattr(base, each.name)
        }
        chosen = self.at(size)
        own = dict(chosen.own.get(label, {}))
        more = {key: value for key, value in own.pop("settings", {}).items() if chosen.settings.get(key) != value}
        parts = {**parts, **found.settings, **more, **own}
        return ", ".join(f"{name}={_said(value)}" for name, value in parts.items())

    def condition(self, label: str) -> Condition:
        """The condition of that label. InputError lists the known ones."""
        if label not in self.conditions:
            raise InputError(f"condition {label}: study {self.name} has {', '.join(self.conditions) or 'none'}")
        return self.conditions[label]

    def titles(self, labels: Iterable[str]) -> dict[str, str]:
        """Label -> title."""
        return {label: self.condition(label).title for label in labels}

    def _named(self, size: str) -> S:
        if size not in self.sizes:
            raise InputError(f"size {size}: study {self.name} has {', '.join(self.sizes)}")
        return self.sizes[size]

    def _of(self, label: str, size: S) -> dict[str, Any]:
        """Arguments of `plan` for one condition."""
        condition = self.condition(label)
        own = dict(size.own.get(label, {}))
        lasts = (size.generations, own.get("generations"), condition.generations)
        own["generations"] = min(last for last in lasts if last is not None)
        size = self.complete(replace(size, **own))
        n = size.n if condition.n is None else condition.n
        if condition.models > 1:
            if not isinstance(n, int) or n < condition.models:
                raise InputError(f"n must be at least {condition.models}, a row for every model of condition {label}")
            n = n // condition.models
        rest = {
            "every": size.every if size.every > 1 else None,
            "models": condition.models if condition.models > 1 else None,
            "reads": condition.reads,
            "share": condition.others,
            "real": condition.part,
            "first": condition.first,
        }
        return {
            "family": size.family or self.family,
            "regime": condition.regime,
            "n": n,
            "generations": size.generations,
            "replicates": size.seeds,
            "given": condition.given or size.given,
            "filter": condition.filters,
            "settings": {**size.settings, **condition.settings},
            "corpus": size.corpus,
            "metrics": size.metrics,
            **{name: value for name, value in rest.items() if value is not None},
        }

    def _owners(self, condition: Condition) -> dict[str, list[str]]:
        """Who has settings in a condition ("family", "regime", "curate") -> their names."""
        members = {
            "family": registry.member(families, self.family),
            "regime": registry.member(regimes, condition.regime),
            **{name: registry.member(filters, name) for name in condition.filters},
            **({"first": registry.member(regimes, condition.first)} if condition.first else {}),
        }
        return {owner: [each.name for each in fields(cls)] for owner, cls in members.items()}


def _owner(name: str, owners: Mapping[str, list[str]]) -> str:
    """A setting with its owner, "family.epochs". InputError lists what there is."""
    for owner, known in owners.items():
        if name in known:
            return f"{owner}.{name}"
    allowed = "; ".join(f"{owner} {', '.join(known)}" for owner, known in owners.items() if known)
    raise InputError(f"{name}: no setting of this condition; allowed are {allowed}")


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


OPTIONS: Mapping[str, str] = {
    "n": "-n",
    "generations": "-g",
    "seed": "--seed",
    "replicates": "--replicates",
    "given": "--given",
    "corpus": "--corpus",
    "every": "--every",
    "models": "--models",
    "reads": "--reads",
    "share": "--share",
    "real": "--real",
    "first": "--first",
}
"""Argument of `plan` -> option of `model-collapse chain`, which has the same defaults."""


def command(arguments: Mapping[str, Any]) -> str:
    """The `model-collapse chain` that makes the run of these arguments of `plan`."""
    words = ["model-collapse", "chain", arguments["family"], arguments.get("regime", "replace")]
    for name, parameter in inspect.signature(plan).parameters.items():
        value = arguments.get(name, parameter.default)
        if name in OPTIONS and value is not None and value != parameter.default:
            words += [OPTIONS[name], str(value)]
    for name in arguments.get("filter", ()):
        words += ["--filter", name]
    for key, value in (arguments.get("settings") or {}).items():
        words += ["--set", f"{key}={value}"]
    if arguments.get("metrics") is not None:
        words += ["--metrics", ",".join(arguments["metrics"])]
    return shlex.join(words)
