"""A scanner and a printer: one copy of every given picture, with the device's errors. Nothing is learned."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import scipy
from pydantic import Field

from model_collapse.data import Data, Rows
from model_collapse.errors import InputError
from model_collapse.families._images import Images
from model_collapse.theory.copies import WHITE, transfer

BATCH = 1024
"""Pictures that are copied at a time, so that memory does not grow with their number."""


@dataclass(frozen=True)
class Scanner(Images):
    """Copies every given picture: blurred, with noise, in `levels` grey levels, and if asked for through a JPEG file.

    y = round(K x + noise e): K diffuses grey over the pixels (`theory.copies`), e is normal and new in every pixel of
    every copy, and rounding goes to the nearest of `levels` grey levels from black to white. With given=training and
    the regime `replace` row i of generation t is a copy of row i of generation t - 1; with given=original it is one
    more copy of the original. JPEG needs Pillow, whose version decides its bits.

    Levels are evenly spread where levels - 1 divides 255 (256, 86, 52, 18, 16); others are rounded to whole greys.
    """

    blur: Annotated[
        float, Field(ge=0, le=100, allow_inf_nan=False, description="standard deviation of the blur, in pixels")
    ] = 0.5
    noise: Annotated[
        float, Field(ge=0, le=255, allow_inf_nan=False, description="standard deviation of the noise, in grey levels")
    ] = 4.0
    levels: Annotated[int, Field(ge=2, le=256, description="grey levels kept, evenly from 0 to 255")] = 52
    jpeg: Annotated[int, Field(ge=0, le=95, description="quality of a JPEG file in between; 0: none")] = 0
    evaluate: Annotated[int, Field(ge=1, description="largest number of pictures that are measured")] = 360

    conditional: ClassVar[bool] = True
    checkpoints: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = ("psnr", "mse", "sharpness")
    more_metrics: ClassVar[tuple[str, ...]] = (
        "confidence",
        "class_entropy",
        "classes",
        "frechet",
        "manifold",
        "pixel_sd",
        "real_images",
    )

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Scanner:
        """The device itself, whatever the data. No randomness is used."""
        return self

    def sample(self, model: Scanner, n: int, rng: np.random.Generator, *, given: Rows | None = None) -> Rows:
        """One copy of each of the n given pictures: Rows (n, side, side) of uint8."""
        if given is None or len(given) != n:
            raise InputError(
                f"scanner copies pictures: it needs {n} given ones, not {0 if given is None else len(given)}"
            )
        return Rows(np.concatenate([model.copy(given.x[i : i + BATCH], rng) for i in range(0, n, BATCH)]))

    def copy(self, pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Copies of uint8 pictures (n, side, side)."""
        waves = scipy.fft.dctn(pictures.astype(float), axes=(1, 2), norm="ortho")
        x = scipy.fft.idctn(waves * transfer(pictures.shape[-1], self.blur), axes=(1, 2), norm="ortho")
        x += self.noise * rng.standard_normal(x.shape)
        step = WHITE / (self.levels - 1)
        y = np.rint(np.rint(np.clip(x, 0, WHITE) / step) * step).astype(np.uint8)
        return np.stack([_through_jpeg(picture, self.jpeg) for picture in y]) if self.jpeg else y


def _through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """A grey picture (side, side), saved as JPEG and read again."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
