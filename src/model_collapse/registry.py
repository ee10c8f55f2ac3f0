"""Members by name: a file in families/, regimes/ or filters/ is a member, and its file name is its name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from types import ModuleType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from model_collapse.errors import InputError

RENAMED = {"opt": "lm"}
"""Names that members had, and have now: commands and records of earlier versions go on working."""


def names(package: ModuleType) -> list[str]:
    """Names of all members, sorted. Nothing is imported, so a family that needs torch is listed without it."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_"))


def member(package: ModuleType, name: str) -> Any:
    """The class of that name, or of one it had: `regimes/mix.py` defines `Mix`. InputError lists the known names."""
    name = RENAMED.get(name, name)
    kind = package.__name__.rpartition(".")[2]
    if name not in names(package):
        known = ", ".join(names(package)) or "none yet"
        raise InputError(f"{name!r} is not among the {kind}; known: {known}")
    module = importlib.import_module(f"{package.__name__}.{name}")
    return getattr(module, "".join(part.capitalize() for part in name.split("_")))


def summary(cls: type) -> str:
    """First line of a member's docstring."""
    return (cls.__doc__ or "").strip().splitlines()[0]


def settings(cls: type) -> list[dict[str, Any]]:
    """Every setting of a member: name, default, type in words, description."""
    hints = get_type_hints(cls, include_extras=True)
    listed = []
    for field in fields(cls):
        described = [m.description for m in getattr(hints[field.name], "__metadata__", ()) if hasattr(m, "description")]
        listed.append(
            {
                "name": field.name,
                "default": None if field.default is MISSING else field.default,
                "type": _in_words(hints[field.name]),
                "description": described[0] if described else "",
            }
        )
    return listed


def _in_words(hint: Any) -> str:
    """A type as a reader of settings needs it: "int", "one of mle, unbiased", "auto or float"."""
    if hasattr(hint, "__metadata__"):
        return _in_words(hint.__origin__)
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return ("one of " if len(parts) > 1 else "") + ", ".join(map(str, parts))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join("None" if part is NoneType else _in_words(part) for part in parts)
    return hint.__name__


def build(package: ModuleType, name: str, values: Mapping[str, Any], prefix: str | None = None) -> Any:
    """The member with these settings; text is read as the setting's type ("0.1" as a share).

    InputError in one line for an unknown name, an unknown setting, or a value that is not allowed. `prefix` is how
    the caller writes the settings ("family.epochs").
    """
    cls = member(package, name)
    known = [field.name for field in fields(cls)]
    prefix = prefix or name
    checked = {}
    for key, value in values.items():
        if key not in known:
            raise InputError(f"{prefix}.{key}: {name} has no such setting; it has {', '.join(known) or 'none'}")
        try:
            checked[key] = _checks(cls)[key].validate_python(value)
        except ValidationError as error:
            # A setting of several types says what each of them allows.
            said = " or ".join(dict.fromkeys(e["msg"][0].lower() + e["msg"][1:] for e in error.errors()))
            raise InputError(f"{prefix}.{key}={value}: {said}") from None
    try:
        return cls(**checked)
    except TypeError:
        missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in checked]
        raise InputError(f"{prefix}: {name} needs {', '.join(missing)}") from None


@cache
def _checks(cls: type) -> dict[str, TypeAdapter[Any]]:
    """What checks a setting's value, by its name; making it takes longer than many a run."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: TypeAdapter(hints[field.name]) for field in fields(cls)}
