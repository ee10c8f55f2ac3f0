"""A sweep file: what it may say, and the runs that follow from it.

study: gaussian                   a study of the book ...
size: smoke
conditions: [mle, unbiased]       ... all of the size's conditions if none are named

family: gaussian                  or arguments of `engine.plan.plan`, shared by all runs,
sizes:                            times sizes
  small: {n: 10, generations: 5}
  large: {n: 100, generations: 20}
conditions:                       times conditions
  A: {}
  B: {regime: mix, settings: {regime.real_fraction: 0.1}}

seeds: [1, 2, 3]                  times seeds, in either
folder: results                   where state and tables lie; default: the file's name with .sweep
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model_collapse.companion import studies
from model_collapse.companion.studies.study import command
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError

Scalar = bool | int | float | str


class Arguments(BaseModel):
    """Arguments of `engine.plan.plan`, which checks their values; a nearer one takes the place of a shared one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    family: str | None = None
    regime: str | None = None
    n: int | str | None = None
    generations: int | None = None
    replicates: int | None = None
    given: str | None = None
    filter: list[str] | None = None
    settings: dict[str, Scalar] = Field(default_factory=dict)
    corpus: str | None = None
    metrics: list[str] | None = None
    every: int | None = None
    models: int | None = None
    reads: str | None = None
    share: float | None = None
    real: str | None = None
    first: str | None = None

    def stated(self) -> dict[str, Any]:
        """What is said, without the settings."""
        return {name: getattr(self, name) for name in Arguments.model_fields if name != "settings"}


class Content(Arguments):
    """All that a sweep file may say."""

    study: str | None = None
    size: str | None = None
    sizes: Annotated[dict[str, Arguments | None], Field(min_length=1)] | None = None
    conditions: (
        Annotated[list[str], Field(min_length=1)] | Annotated[dict[str, Arguments | None], Field(min_length=1)] | None
    ) = None
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] | None = None
    folder: Annotated[str, Field(min_length=1)] | None = None


@dataclass(frozen=True)
class Source:
    """How a sweep is asked for, so that another process asks for the same one.

    file    a sweep file; None: a study of the book at a size
    folder  where its state lies, absolute; "": as the file says, or beside it
    """

    file: str | None = None
    study: str | None = None
    size: str | None = None
    folder: str = ""

    def __str__(self) -> str:
        return self.file or f"study {self.study} at size {self.size}"

    @property
    def words(self) -> list[str]:
        """The same as arguments of `model-collapse sweep run`."""
        asked = [self.file] if self.file else ["--study", str(self.study), "--size", str(self.size)]
        return [*asked, *(["--folder", self.folder] if self.folder else [])]


@dataclass(frozen=True)
class Sweep:
    """Runs by label ("small, A, seed 1"), the `model-collapse chain` that each equals, and where their state lies."""

    source: Source
    folder: Path
    runs: Mapping[str, Run]
    commands: Mapping[str, str]

    def table(self, run: Run) -> Path:
        """Where the finished table of a run lies: where `engine.execute.run_all` looks for it too."""
        return self.folder / f"{run.run_id}.parquet"


def read(source: Source) -> Sweep:
    """The sweep that is asked for, everything checked. InputError in one line for what is not allowed."""
    if source.file is None:
        content, beside = Content(study=source.study, size=source.size), Path(f"{source.study}-{source.size}")
    else:
        beside = Path(source.file)
        content = _content(beside)
    folder = Path(source.folder or (beside.parent / content.folder if content.folder else beside.with_suffix(".sweep")))
    where = f"{source.file}: " if source.file else ""
    try:
        arguments = _of_study(content) if content.study is not None or content.size is not None else _written(content)
        runs, commands = {}, {}
        for label, given in arguments.items():
            try:
                runs[label], commands[label] = plan(**given), command(given)
            except InputError as error:
                raise InputError(f"{label}: {error}" if label else str(error)) from None
    except InputError as error:
        raise InputError(f"{where}{error}") from None
    return Sweep(source, folder.resolve(), runs, commands)


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which the library would quietly take the second, and characters that no
    name of a file may have: NUL and halves of surrogate pairs."""

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        found = super().construct_scalar(node)
        if bad := next((each for each in found if each == "\0" or "\ud800" <= each <= "\udfff"), None):
            name = "a NUL character" if bad == "\0" else "half a surrogate pair"
            raise yaml.constructor.ConstructorError(None, None, f"{name} in it", node.start_mark)
        return found

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        # Keys that are merged from an anchor (`<<: *name`) may be there too: the mapping's own one counts.
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in own]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _content(file: Path) -> Content:
    try:
        said = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # a SafeLoader: data and no code
    except FileNotFoundError:
        raise InputError(f"{file}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from None
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{file}{place}: not YAML ({problem or 'unreadable'})") from None
    except RecursionError:
        raise InputError(f"{file}: not YAML (nested too deeply)") from None
    if not isinstance(said, dict):
        raise InputError(f"{file}: a sweep file names a study and its size, or a family and conditions")
    try:
        return Content.model_validate(said)
    except ValidationError as error:
        raise InputError(f"{file}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first complaint in one line, with where it is and, of an unknown key, what is allowed."""
    errors = error.errors()
    # Of what may be a list or a mapping, the complaint that goes deepest is about the one that was written.
    found = max((each for each in errors if each["loc"][:1] == errors[0]["loc"][:1]), key=lambda each: len(each["loc"]))
    place = [str(part) for part in found["loc"] if "[" not in str(part)]
    place = place[:-1] if len(place) > 1 and place[-1] in ("bool", "int", "float", "str") else place
    if found["type"] == "extra_forbidden":
        allowed = Content if len(place) == 1 else Arguments
        return f"{'.'.join(place)}: no such key; there are {', '.join(allowed.model_fields)}"
    if found["type"] == "string_type" and found["loc"][-1] == "[key]":
        return f"{'.'.join(place)}: a name that YAML reads as a number, or as yes or no, needs quotes"
    if "settings" in place[:-1]:
        return f"{'.'.join(place)}: must be a number, a word, true or false"
    said = _PLAIN.get(found["type"], found["msg"])
    return f"{'.'.join(place)}: {said[0].lower()}{said[1:]}"


_PLAIN = {
    "dict_type": "must be a mapping, as in {small: {n: 10}}",
    "model_type": "must be a mapping, as in {n: 10}",
    "list_type": "must be a list, as in [1, 2]",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_type": "must be a word",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
}
"""Type of pydantic's complaint -> what is required."""


def _of_study(content: Content) -> dict[str, dict[str, Any]]:
    """Label -> arguments of `plan`, for the conditions of a study times seeds."""
    if content.study is None or content.size is None:
        raise InputError("a study of the book needs both study and size")
    own = [name for name in (*Arguments.model_fields, "sizes") if getattr(content, name) not in (None, {})]
    if own or isinstance(content.conditions, dict):
        raise InputError(
            f"{own[0] if own else 'conditions'}: the study says what is run; beside it there may be a list of its "
            "conditions, seeds and folder"
        )
    study = studies.find(content.study)
    size = study.at(content.size)
    if size.record and size.record.pretrain:
        raise InputError(
            f"size {content.size}: its models are pre-trained on {' and '.join(size.record.pretrain)} together, which "
            f"is put there by model-collapse record {content.study} --size {content.size}"
        )
    arguments = study.arguments(size, content.conditions)
    seeds = content.seeds or [size.seed]
    named = [
        (_label(label, f"seed {seed}" if len(seeds) > 1 else ""), {**given, "seed": seed})
        for label, given in arguments.items()
        for seed in seeds
    ]
    return _distinct(named)


def _written(content: Content) -> dict[str, dict[str, Any]]:
    """The same for conditions that are written out, times sizes times seeds."""
    if isinstance(content.conditions, list):
        raise InputError("conditions: a list names conditions of a study; name study and size too, or write them out")
    seeds = content.seeds or [0]
    named = []
    for size, shared in (content.sizes or {"": None}).items():
        for condition, own in (content.conditions or {"": None}).items():
            parts = [content, *(part for part in (shared, own) if part)]
            said = {name: value for part in parts for name, value in part.stated().items() if value is not None}
            settings = {name: value for part in parts for name, value in part.settings.items()}
            if "family" not in said:
                raise InputError(
                    "family: name one, for all runs or for each size or condition; or a study and its size"
                )
            for seed in seeds:
                label = _label(size, condition, f"seed {seed}" if len(seeds) > 1 else "")
                named.append((label, {"regime": "replace", **said, "settings": settings, "seed": seed}))
    return _distinct(named)


def _distinct(named: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """By label. InputError where two have the same."""
    arguments: dict[str, dict[str, Any]] = {}
    for label, given in named:
        if not label.isprintable():
            raise InputError(f"{label!r}: names of sizes and conditions must be printable, in one line")
        if label in arguments:
            raise InputError(f"two runs are called {label!r}; name every size, condition and seed once")
        arguments[label] = given
    return arguments


def _label(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
