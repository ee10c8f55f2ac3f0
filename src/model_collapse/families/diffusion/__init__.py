"""Denoising diffusion (Ho, Jain & Abbeel 2020, arXiv:2006.11239): images are noise, cleaned a little at a time.

`network` has the network, how it is trained to take noise away, and how it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from model_collapse.corpora.images import as_images
from model_collapse.data import Data, Rows, Source
from model_collapse.errors import InputError
from model_collapse.families._images import Trained

if TYPE_CHECKING:
    from model_collapse.families._network import Fitted

SIDE = {"small": 8, "large": 28}
"""Pixels along an edge of what each preset reads."""

CHANNELS = {"small": (16, 32), "large": (16, 32, 64)}
"""Channels of its U-Net at that resolution, at half of it, and so on."""

BATCH = {"small": 32, "large": 64}
"""Images per step."""

LR = {"scratch": 4e-3, "base": 1e-3}
"""Adam's learning rate from random weights, and from those of a base model, which are nearly right."""

Auto = Literal["auto"]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Diffusion(Trained):
    """A denoising diffusion model, fitted by mean squared error with Adam; one sample turns noise into images.

    An image x, scaled to -1 .. 1, is mixed with standard normal noise z: x_t = sqrt(a_t) x + sqrt(1 - a_t) z, where a_t
    falls from 1 to 0 in t = 1 .. T along a squared cosine (Nichol & Dhariwal 2021, arXiv:2102.09672). The loss of an
    image is the squared error, per pixel, of what the network says about x_t at a random t.
    """

    preset: Annotated[
        Literal["small", "large"], Field(description="U-Net: small for 8 x 8 pixels, large for 28 x 28")
    ] = "small"
    start: Annotated[
        Literal["scratch", "base"],
        Field(description="each generation from random weights, or from one model of all real training images"),
    ] = "scratch"
    base_steps: Annotated[int, Field(ge=1, description="steps of the optimiser that train the model of start=base")] = (
        2000
    )
    timesteps: Annotated[int, Field(ge=2, le=10_000, description="noise levels T in training")] = 1000
    prediction: Annotated[
        Literal["sample", "epsilon", "v_prediction"],
        Field(description="what the network predicts: the image x, the noise z, or sqrt(a_t) z - sqrt(1 - a_t) x"),
    ] = "sample"
    sampler: Annotated[
        Literal["ddim", "ddpm"], Field(description="ddim: new noise as eta says; ddpm: new noise at every step")
    ] = "ddim"
    sampling_steps: Annotated[int, Field(ge=1, le=10_000, description="steps from noise to image; divides T")] = 20
    eta: Annotated[float, Field(ge=0, le=1, description="share of ddpm's noise at each step of sampler=ddim")] = 0.0
    temperature: Annotated[
        float,
        Field(gt=0, allow_inf_nan=False, description="factor of all noise in sampling; below 1: more typical images"),
    ] = 1.0
    epochs: Annotated[int, Field(ge=1, description="passes over the training set")] = 30
    steps: Annotated[
        int, Field(ge=0, description="steps of the optimiser instead of epochs; 0: as many as epochs say")
    ] = 0
    lr: Annotated[
        Auto | Rate,
        Field(description="Adam's learning rate, falling linearly to 0; auto: 4e-3 from scratch, 1e-3 from a base"),
    ] = "auto"
    batch: Annotated[Auto | Count, Field(description="images per step; auto: 32 of small, 64 of large")] = "auto"
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False, description="Adam's L2 penalty")] = 0.0
    evaluate: Annotated[int, Field(ge=2, description="largest number of images measured, and of test images")] = 1000
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        Field(description="of training and sampling; auto: CPU fp32, GPU bf16 from compute capability 8, older fp16"),
    ] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024, description="CPU threads; more than one may change the last bits")] = 1

    def __post_init__(self) -> None:
        if self.timesteps % self.sampling_steps:
            raise InputError(
                f"family.sampling_steps={self.sampling_steps}: it must divide family.timesteps={self.timesteps}"
            )
        if self.sampler == "ddpm" and self.eta:
            raise InputError(f"family.eta={self.eta:g} needs family.sampler=ddim")

    @property
    def side(self) -> int:
        """Pixels along an edge."""
        return SIDE[self.preset]

    @property
    def learning_rate(self) -> float:
        """`lr` with "auto" resolved."""
        return LR[self.start] if self.lr == "auto" else self.lr

    @property
    def rows_per_step(self) -> int:
        """`batch` with "auto" resolved."""
        return BATCH[self.preset] if self.batch == "auto" else self.batch

    def base_settings(self) -> dict[str, Any] | None:
        """The settings that the base model depends on, or None if there is none."""
        if self.start == "scratch":
            return None
        names = ("preset", "base_steps", "timesteps", "prediction", "batch", "weight_decay", "precision", "threads")
        return {name: vars(self)[name] for name in names}

    def base(self, source: Source, rng: np.random.Generator) -> Fitted | None:
        """What every generation starts from: a model of all real training images, whatever n; None from scratch."""
        if self.start == "scratch":
            return None
        longer = replace(self, start="scratch", steps=self.base_steps, lr="auto")
        return longer.fit(Data.real(Rows(as_images(source).pictures.train)), rng)

    def fit(
        self,
        data: Data,
        rng: np.random.Generator,
        *,
        start: Fitted | None = None,
        validation: Data | None = None,
    ) -> Fitted:
        """A new network, trained on images (n, side, side) from the weights of `start`, or from random ones."""
        from model_collapse.families.diffusion import network

        return network.fit(self, data, rng, start)

    def sample(self, model: Fitted, n: int, rng: np.random.Generator, *, given: Any = None) -> Rows:
        """n images, from normal noise: Rows (n, side, side), uint8."""
        return Rows(np.concatenate([shard().x for shard in self.shards(model, n, rng)]))

    def shards(
        self, model: Fitted, n: int, rng: np.random.Generator, *, given: Any = None
    ) -> Iterator[Callable[[], Rows]]:
        """What `sample` writes, as calls that each write the next `network.SHARD` rows and depend on no other."""
        from model_collapse.families.diffusion import network

        return network.shards(self, model, n, rng)
