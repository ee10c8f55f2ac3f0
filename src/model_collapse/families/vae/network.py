"""The network: two convolutions down to means and variances of the latents, and the mirror image back up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model_collapse import hardware
from model_collapse.data import Data
from model_collapse.families._network import Fitted, built, memory, minimise, weights

if TYPE_CHECKING:
    from model_collapse.families.vae import Vae

TOGETHER = 256
"""Images decoded or encoded at a time: of more, what they need in between leaves the processor's caches."""


class Network(nn.Module):
    """Both convolutions halve the edge (kernel 4, stride 2, padding 1); so `side` is a multiple of 4.

    A ReLU follows each convolution and the first transposed one. Nothing nonlinear lies between `widen` and `up`.
    """

    def __init__(self, side: int, channels: tuple[int, int], latent: int) -> None:
        super().__init__()
        first, second = channels
        self.edge, inner = side // 4, second * (side // 4) ** 2
        self.down = nn.Conv2d(1, first, 4, stride=2, padding=1)
        self.further_down = nn.Conv2d(first, second, 4, stride=2, padding=1)
        self.mean, self.log_variance = nn.Linear(inner, latent), nn.Linear(inner, latent)
        self.widen = nn.Linear(latent, inner)
        self.up = nn.ConvTranspose2d(second, first, 4, stride=2, padding=1)
        self.further_up = nn.ConvTranspose2d(first, 1, 4, stride=2, padding=1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log variances of the latents, (n, latent) each, of images (n, side, side) in [0, 1]."""
        hidden = functional.relu_(self.down(x[:, None].contiguous(memory_format=torch.channels_last)))
        hidden = functional.relu_(self.further_down(hidden)).flatten(1)
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, z: Tensor) -> Tensor:
        """Logits of the pixels, (n, side, side), of latents (n, latent).

        `widen` and `up` together are one linear map of the latents, so `up` is applied to the columns and the bias of
        `widen`, which are latent + 1 images, and not to all n: the same function, with less than half of the work.
        """
        columns = torch.cat([self.widen.weight.T, self.widen.bias[None]]).unflatten(1, (-1, self.edge, self.edge))
        images = functional.conv_transpose2d(columns, self.up.weight, stride=2, padding=1).permute(0, 2, 3, 1)
        assert self.up.bias is not None and self.further_up.bias is not None
        bias = (images[-1] + self.up.bias).flatten()
        hidden = functional.relu_(functional.linear(z, images[:-1].flatten(1).T, bias))
        # One channel is left: a product for the 4 x 4 pixels around each position, and their sums, take a tenth of the
        # time of a transposed convolution.
        around = hidden.unflatten(1, (-1, len(self.up.bias))) @ self.further_up.weight.flatten(1)
        return functional.fold(around.mT, 4 * self.edge, 4, stride=2, padding=1)[:, 0] + self.further_up.bias


def fit(settings: Vae, data: Data, rng: np.random.Generator) -> Fitted:
    """A network of these settings, trained on the rows of `data`."""
    from model_collapse.families.vae import SHAPES

    config = {**SHAPES[settings.preset], "latent": settings.latent}
    device = hardware.device()
    with hardware.threads(settings.threads), hardware.seeded(int(rng.integers(2**63)), device), memory():
        module = _placed(Network(**config), device)

        def loss(images: Tensor) -> Tensor:
            x = images.float() / 255
            mean, log_variance = (part.float() for part in module.encode(x))
            z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
            logits = module.decode(z).float()
            error = functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2))
            return error + settings.beta * divergence(mean, log_variance)

        losses = minimise(
            module, loss, data, rng, settings, epochs=settings.epochs // settings.passes, parts=settings.passes
        )
    return Fitted(config, weights(module), losses)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag exp(log_variance)) || N(0, I)) in nats, (n,), of (n, latent) each."""
    return (mean**2 + log_variance.exp() - 1 - log_variance).sum(1) / 2


@torch.inference_mode()
def sample(settings: Vae, model: Fitted, n: int, rng: np.random.Generator) -> np.ndarray:
    """n images from standard normal latents, uint8 (n, side, side)."""
    device = hardware.device()
    module = _built(model, device)
    written = np.empty((n, settings.side, settings.side), np.uint8)
    with hardware.threads(settings.threads), memory():
        for first in range(0, n, TOGETHER):
            part = written[first : first + TOGETHER]
            z = torch.from_numpy(rng.standard_normal((len(part), settings.latent), np.float32)).to(device)
            with hardware.mixed(hardware.precision(settings.precision, device), device):
                pixels = torch.sigmoid(module.decode(z).float()).cpu().numpy()
            if settings.output == "bernoulli":
                pixels = rng.random(pixels.shape, np.float32) < pixels
            part[:] = np.round(pixels * np.float32(255))
    return written


@torch.inference_mode()
def encode(settings: Vae, model: Fitted, x: np.ndarray) -> np.ndarray:
    """Means of the latents of images, (n, latent), in fp32 whatever the training precision."""
    device = hardware.device()
    module = _built(model, device)
    with hardware.threads(settings.threads), memory():
        parts = torch.tensor(x).split(TOGETHER)
        return np.concatenate([module.encode(part.to(device).float() / 255)[0].cpu().numpy() for part in parts])


def _built(model: Fitted, device: torch.device) -> Network:
    return _placed(built(Network, model, device), device).eval()


def _placed(module: Network, device: torch.device) -> Network:
    """On the device, its weights in the order of memory in which convolutions are fastest."""
    return module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
