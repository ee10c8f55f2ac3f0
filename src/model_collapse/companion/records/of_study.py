"""The study that a record is of: whether it is that study, as it is now.

    {"name": "language_model", "size": "wikitext", "version": "9f..."}     in the manifest

`version` is a hash of all settings that the study had at that size when the record was made. If the study has them
still, the record has to match it: the same conditions with the same settings, or it is refused. If it has not, the
record is of an earlier version of the study. It is read and shown as such, with its differences; which claims it
serves depends on its settings alone (`serves`), whatever it says that it is of. A version of null was not noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_collapse import store
from model_collapse.companion import studies
from model_collapse.companion.records import settings
from model_collapse.companion.studies.study import Size, Study
from model_collapse.errors import InputError


def described(study: Study[Any], size: str) -> dict[str, Any]:
    """What a manifest says of the study and size that a record is of."""
    return {"name": study.name, "size": size, "version": _version(_asked(study, study.at(size)))}


def pretrained_on(folders: tuple[str, ...]) -> str:
    """The folder with the training text of several folders."""
    return "+".join(folders)


def wrong(about: Mapping[str, Any]) -> str:
    """What is wrong with a record that says that it is of the study as it is now, in a few words; "" if nothing."""
    named = about["study"]
    if named is None:
        return ""
    if set(named) != {"name", "size", "version"} or not all(isinstance(named[key], str) for key in ("name", "size")):
        return "names no study in its manifest"
    try:
        asked = _now(named)
    except InputError:
        return ""  # a study that is gone, or was never here
    if named["version"] != _version(asked):
        return ""
    found = _different(about, asked)
    return f"is not the study {named['name']} at size {named['size']}: {found[0]}" if found else ""


def otherwise(about: Mapping[str, Any]) -> str:
    """How a record differs from its study as it is now, in a few words; "" if it does not, or is of no study."""
    named = about["study"]
    if named is None:
        return ""
    whose = f"of an earlier version of the study {named['name']}"
    try:
        found = _different(about, _now(named))
    except InputError:
        return f"{whose}, which had a size {named['size']}"
    return f"{whose}: {'; '.join(found)}" if found else ""


def arm_otherwise(about: Mapping[str, Any], arm: str) -> str:
    """How one condition differs from its study's current settings, metrics aside, in a few words; "" if it does not."""
    named = about["study"]
    if named is None:
        return "is of no study"
    try:
        asked = _now(named)
    except InputError:
        return f"is of the study {named['name']}, which has no size {named['size']} here"
    if arm not in asked:
        return "is not in its study"
    differs = settings.different(about["arms"][arm]["run"], asked[arm])
    differs.pop("metrics", None)
    return f"has {settings.said(differs)}" if differs else ""


def _now(named: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Condition -> settings that the named study asks for now. InputError if there is none of that name or size."""
    study = studies.find(named["name"])
    return _asked(study, study.at(named["size"]))


def _asked(study: Study[Any], size: Size) -> dict[str, dict[str, Any]]:
    asked = {label: settings.asked({**each, "seed": size.seed}) for label, each in study.arguments(size).items()}
    if size.record and size.record.pretrain:
        together = {"family.pretrain": pretrained_on(size.record.pretrain)}
        asked = {label: each | together for label, each in asked.items()}
    return asked


def _version(asked: Mapping[str, Mapping[str, Any]]) -> str:
    return store.digest(asked)


def _different(about: Mapping[str, Any], asked: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How conditions differ from the study's settings, those with equal differences together."""
    arms = about["arms"]
    found = [f"arm {arm} is not in it" for arm in arms if arm not in asked]
    found += [f"arm {arm} is missing" for arm in asked if arm not in arms]
    by_difference: dict[str, list[str]] = {}
    for arm in (arm for arm in asked if arm in arms):
        if differs := settings.different(arms[arm]["run"], asked[arm]):
            by_difference.setdefault(settings.said(differs), []).append(arm)
    for said, which in by_difference.items():
        found.append(f"{f'arm {which[0]}' if len(which) == 1 else f'{len(which)} arms'} with {said}")
    return found
