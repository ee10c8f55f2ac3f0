"""Work for one process: a block of replicate chains of a run, what it is made of and where it lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from model_collapse import modalities, paths, store, streams
from model_collapse.data import Source
from model_collapse.engine.choices import Choices
from model_collapse.engine.layout import CHOICES, kept_models, state_folder
from model_collapse.engine.spec import Run
from model_collapse.interfaces import Family, Regime
from model_collapse.modalities import Part, Wanted


@dataclass(frozen=True)
class Unit:
    """Work for one process: a block of chains of a run."""

    run: Run
    out: Path
    block: int
    keep_models: bool = False
    model: int = 0

    @property
    def agents(self) -> list[Unit]:
        """The unit for each of the models that read each other, or this one alone."""
        return [replace(self, model=model) for model in range(self.run.models)]

    @property
    def turns(self) -> int:
        """How many generations of all its models the unit stands for."""
        return (self.run.generations + 1) * self.run.models

    @property
    def place(self) -> Path:
        """Where the block's state lies."""
        return state_folder(self.out) / f"block-{self.block:04d}"

    @property
    def name(self) -> str:
        """Which of several models this is, "model 2"; "" if there is only one."""
        return f"model {self.model + 1}" if self.run.models > 1 else ""

    @property
    def folder(self) -> Path:
        """Where the model's finished generations lie."""
        return self.place / self.name.replace(" ", "-")

    @property
    def models(self) -> Path:
        """Where the models lie that are still needed, or that the user wants to keep."""
        place = kept_models(self.out) if self.keep_models else state_folder(self.out)
        return place / self.folder.relative_to(state_folder(self.out))

    @property
    def choices(self) -> Choices:
        """What was chosen for the machine, for all blocks of the run."""
        return Choices(state_folder(self.out) / CHOICES)

    @property
    def result(self) -> Path:
        """Where the finished block lies."""
        return self.place.with_suffix(".done")

    @property
    def base_folder(self) -> Path:
        """Where the pre-trained model that it starts from is kept."""
        return paths.cache() / "bases" / str(self.base_key)

    @property
    def done(self) -> bool:
        """Whether the block is finished and undamaged."""
        return store.intact(self.result)

    @property
    def chains(self) -> int:
        """How many chains the block has."""
        return min(self.run.block_size, self.run.replicates - self.first_chain)

    @property
    def first_chain(self) -> int:
        """Number of the block's first chain among all of the run."""
        return self.block * self.run.block_size

    @property
    def family(self) -> Family:
        """The family with the run's settings."""
        return self.run.members.family

    @cached_property
    def base_key(self) -> str | None:
        """Names the pre-trained model that the run starts from; runs with equal keys share it. None: no such model."""
        wanted = self.family.base_settings()
        if wanted is None:
            return None
        return store.digest(wanted, self.run.content, self.run.seed, self.run.source, self.run.lock, self._base_block)

    @property
    def _base_block(self) -> int:
        """The block whose stream the pre-trained model is drawn from."""
        return self.block if self.family.own_base else 0

    @property
    def base_rng(self) -> np.random.Generator:
        """Where the pre-trained model comes from; unless chains have their own, they share one, as in the paper."""
        return streams.stream(self.run.seed, self._base_block)(-1, streams.BASE)

    def source(self, *, pretraining: bool = False) -> Source:
        """Real data for the block's chains; of the text to pre-train on no more than a block unless it is asked for."""
        run, real = self.run, self.run.exchange["real"] if self.run.exchange else "same"
        # Models that read a corpus have parts of one draw from it.
        stream = replace(self, model=0).stream if real == "same" or run.corpus else self.stream
        part = Part() if real == "same" else Part(self.model, run.models, split=real == "split")
        wanted = Wanted(run.corpus, run.n, stream, self.chains, part, pretraining)
        return modalities.of(self.family).source(self.family, wanted)

    @property
    def regime(self) -> Regime:
        """The regime with the run's settings; the first of several models may have its own."""
        members = self.run.members
        return members.first if members.first and self.model == 0 else members.regime

    @property
    def stream(self) -> streams.Stream:
        """The model's random streams."""
        return streams.stream(self.run.seed, self.block, self.model)
