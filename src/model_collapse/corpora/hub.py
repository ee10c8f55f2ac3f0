"""Data sets and files of the Hugging Face hub, at a pinned revision: from its local cache, else downloaded."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from model_collapse.errors import OutsideError

PATIENCE = 5.0
"""Seconds to wait for the hub's first answer before it counts as out of reach."""


def dataset(repository: str, configuration: str, revision: str, *, instead: str) -> dict[str, list[str]]:
    """The column `text` of every split of a data set, read with the `datasets` library.

    OutsideError in one line if it cannot be had; `instead` says what the user can do. With HF_HUB_OFFLINE=1 only what
    was downloaded before is used.
    """
    import datasets
    from huggingface_hub import constants

    try:
        if not constants.HF_HUB_OFFLINE:
            _reach(constants.ENDPOINT)
        loaded = datasets.load_dataset(repository, configuration, revision=revision)
    except Exception as error:  # errors of many libraries; for the user they all mean the same
        raise OutsideError(f"{repository} cannot be had from the hub ({type(error).__name__}); {instead}") from error
    return {split: list(loaded[split]["text"]) for split in loaded}


def fetch(repository: str, files: Sequence[str], revision: str, *, instead: str, kind: str = "model") -> Path:
    """The local folder of a repository, holding at least `files`; `kind` is "model" or "dataset".

    OutsideError in one line if they are not in the local cache and the hub cannot give them; `instead` says what
    the user can do without it.
    """
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    def cached(name: str) -> Path | None:
        found = try_to_load_from_cache(repository, name, revision=revision, repo_type=kind)
        return Path(found) if isinstance(found, str) else None

    missing = [name for name in files if cached(name) is None]
    try:
        if missing:
            # The hub's own client tries for half a minute and prints each try; one short look is enough to know.
            if not constants.HF_HUB_OFFLINE:
                _reach(constants.ENDPOINT)
            for name in missing:
                hf_hub_download(repository, name, revision=revision, repo_type=kind)
    except Exception as error:  # the client raises errors of many libraries; for the user they all mean the same
        line = f"{repository} is not in the hub's local cache and the hub cannot be reached ({type(error).__name__})"
        raise OutsideError(f"{line}; {instead}") from error
    first = Path(files[0])
    folder = cached(files[0])
    assert folder is not None
    return folder.parents[len(first.parts) - 1]


def _reach(address: str) -> None:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=PATIENCE):
            pass
    except urllib.error.HTTPError:
        pass  # It answered; whether it has the file is for the client to find out.
