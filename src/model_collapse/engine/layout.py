"""Where the parts of a run lie beside its file: the state of one that is not finished, and models that are kept."""

from __future__ import annotations

from pathlib import Path

DESCRIBED = "run.json"
"""In a run's state: which run it is."""

CHOICES = "choices.json"
"""In a run's state: what was chosen for the machine."""


def state_folder(out: Path) -> Path:
    """Where the state of the unfinished run of `out` lies."""
    return out.with_name(out.name + ".state")


def kept_models(out: Path) -> Path:
    """Where the models of the run of `out` are left if they are asked for."""
    return out.with_name(out.name + ".models")


def finished_generations(block: Path) -> list[Path]:
    """Folders of the finished generations of a block's model, or of its models in turn."""
    # Not with **: it would look into folders that are just being removed.
    names = ("generation-????", *(f"model-{number}/generation-????" for number in ("[1-9]", "[1-9][0-9]")))
    return [folder for name in names for folder in sorted(block.glob(name))]
