"""Images: pictures of a corpus, and of each generation a few are kept to be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

import pyarrow as pa

from model_collapse import streams
from model_collapse.corpora import images
from model_collapse.data import Rows, Source
from model_collapse.interfaces import Family, Generation
from model_collapse.modalities._modality import Modality, Wanted
from model_collapse.streams import Stream

if TYPE_CHECKING:
    from model_collapse.interfaces import Corpus

SHOWN = 20
"""So many images are kept of each generation, always from the same random numbers: the same latents."""


class Images(Modality):
    """Grey images."""

    corpus: ClassVar[str] = "digits"
    metrics: ClassVar[str] = "model_collapse.metrics.images"
    generated: ClassVar[str] = "images"
    unit: ClassVar[str] = "images"

    def load(self, name: str) -> images.Pictures:
        return images.load(name)

    def check(self, family: Family, corpus: Corpus | None, n: int, metrics: Sequence[str]) -> None:
        cast(images.Pictures, corpus).source(n, **{**family.reading(), "passes": 1})

    def most(self, family: Family, corpus: Corpus | None) -> int:
        return len(cast(images.Pictures, corpus).train)

    def kinds(self, family: Family, corpus: Corpus | None) -> None:
        return None

    def source(self, family: Family, wanted: Wanted) -> Source:
        reading = family.reading()
        pictures, part = self.load(wanted.corpus), wanted.part
        return part.take(pictures.source(wanted.n * part.of, **reading), reading["passes"])

    def with_model(self, family: Family) -> bool:
        return True

    def table(self, generation: Generation, family: Family, source: Source, stream: Stream) -> Mapping[str, pa.Array]:
        """The first images of those that were copied, or else new ones."""
        if family.conditional:
            x = generation.sample.x[:SHOWN]
        else:
            x = cast(Rows, family.sample(generation.model, SHOWN, stream(-1, streams.SHOWN))).x
        return {"image": pa.array([row.tobytes() for row in x], pa.binary())}


IMAGES = Images()
