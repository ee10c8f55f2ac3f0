"""A variational autoencoder of images (Kingma & Welling 2014, arXiv:1312.6114): the paper's experiment on MNIST.

`network` has the network itself, how it is trained and how it writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from model_collapse.data import Data, Rows
from model_collapse.families._images import Trained

if TYPE_CHECKING:
    from model_collapse.families._network import Fitted

SHAPES: dict[str, dict[str, Any]] = {
    "small": {"side": 8, "channels": (32, 64)},
    "paper": {"side": 28, "channels": (64, 128)},
}
"""Pixels along an edge, and channels of the two convolutions; `paper` has 647,081 weights at 20 latents."""

BATCH, LR = {"small": 32, "paper": 256}, {"small": 3e-3, "paper": 1e-3}
"""Images per step and Adam's learning rate; those of `paper` are the notebook's."""

Auto = Literal["auto"]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Vae(Trained):
    """A variational autoencoder, fitted by the evidence lower bound with Adam; it decodes normal latents.

    The loss of an image x in [0, 1]^(side x side) is, in nats, with z drawn from the encoder's q(z | x),
    -sum_pixels [x ln p(z) + (1 - x) ln(1 - p(z))] + beta KL(q(z | x) || N(0, I)). Defaults are those of the notebook
    released with the paper, but for the size: `preset=paper` is the network itself.
    """

    preset: Annotated[
        Literal["small", "paper"], Field(description="small: 8 x 8 pixels; paper: the published network, 28 x 28")
    ] = "small"
    latent: Annotated[int, Field(ge=1, le=1000, description="dimensions of the latent space")] = 20
    beta: Annotated[float, Field(ge=0, allow_inf_nan=False, description="weight of the KL term")] = 1.0
    latents: Annotated[
        Literal["finite", "fresh"],
        Field(
            description="finite: n images are generated and trained on in `epochs` passes; fresh (published): epochs * "
            "n are generated, from new latents for every batch, and used once"
        ),
    ] = "finite"
    output: Annotated[
        Literal["mean", "bernoulli"],
        Field(description="the generated pixel: mean of the decoder's distribution (published), or a draw"),
    ] = "mean"
    epochs: Annotated[int, Field(ge=1, description="passes over n images")] = 30
    steps: Annotated[
        int, Field(ge=0, description="steps of the optimiser instead of epochs; 0: as many as epochs say")
    ] = 0
    lr: Annotated[Auto | Rate, Field(description="Adam's learning rate; auto: 3e-3 of small, 1e-3 of paper")] = "auto"
    batch: Annotated[Auto | Count, Field(description="images per step; auto: 32 of small, 256 of paper")] = "auto"
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False, description="Adam's L2 penalty")] = 1e-5
    evaluate: Annotated[int, Field(ge=2, description="largest number of images measured, and of test images")] = 1000
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        Field(description="of training and sampling; auto: CPU fp32, GPU bf16 from compute capability 8, older fp16"),
    ] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024, description="CPU threads; more than one may change the last bits")] = 1

    metrics: ClassVar[tuple[str, ...]] = (*Trained.metrics, "latent_sd")
    more_metrics: ClassVar[tuple[str, ...]] = (*Trained.more_metrics, "latent_mean", "latent_histogram")

    @property
    def side(self) -> int:
        """Pixels along an edge."""
        return SHAPES[self.preset]["side"]

    @property
    def passes(self) -> int:
        """Times n images that a generation writes."""
        return self.epochs if self.latents == "fresh" else 1

    @property
    def learning_rate(self) -> float:
        """`lr` with "auto" resolved."""
        return LR[self.preset] if self.lr == "auto" else self.lr

    @property
    def rows_per_step(self) -> int:
        """`batch` with "auto" resolved."""
        return BATCH[self.preset] if self.batch == "auto" else self.batch

    def fit(
        self, data: Data, rng: np.random.Generator, *, start: None = None, validation: Data | None = None
    ) -> Fitted:
        """A new network, trained on images (n, side, side) from random weights."""
        from model_collapse.families.vae import network

        return network.fit(self, data, rng)

    def sample(self, model: Fitted, n: int, rng: np.random.Generator, *, given: Any = None) -> Rows:
        """n images, decoded from latents z ~ N(0, I): Rows (n, side, side), uint8."""
        from model_collapse.families.vae import network

        return Rows(network.sample(self, model, n, rng))

    def encode(self, model: Fitted, rows: Rows) -> np.ndarray:
        """Mean of q(z | x) for each image: (n, side, side) -> (n, latent), float32."""
        from model_collapse.families.vae import network

        return network.encode(self, model, rows.x)
