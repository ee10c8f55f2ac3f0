"""The network: a U-Net that is told a noisy image and how noisy it is; how it is trained and how it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DModel
from torch import Tensor

from model_collapse import hardware
from model_collapse.data import Data, Rows
from model_collapse.families._network import Fitted, built, memory, minimise, weights
from model_collapse.families.diffusion import CHANNELS, SIDE

if TYPE_CHECKING:
    from model_collapse.families.diffusion import Diffusion

SHARD = 512
"""Images written at a time. A fixed number, since each shard has a seed of its own."""


def shape(preset: str) -> dict[str, Any]:
    """Arguments of UNet2DModel: one residual block per resolution and direction.

    No attention: a step on 8 x 8 pixels takes a third longer with it, and the images become no better.
    """
    channels = CHANNELS[preset]
    return {
        "sample_size": SIDE[preset],
        "in_channels": 1,
        "out_channels": 1,
        "block_out_channels": list(channels),
        "layers_per_block": 1,
        "down_block_types": ["DownBlock2D"] * len(channels),
        "up_block_types": ["UpBlock2D"] * len(channels),
        "add_attention": False,
        "norm_num_groups": 8,
    }


def fit(settings: Diffusion, data: Data, rng: np.random.Generator, start: Fitted | None) -> Fitted:
    """A network trained on the rows of `data` from the weights of `start`, or from random ones."""
    device = hardware.device()
    with hardware.threads(settings.threads), hardware.seeded(int(rng.integers(2**63)), device), memory():
        config = shape(settings.preset) if start is None else start.config
        module = built(UNet2DModel, start, device) if start else UNet2DModel(**config).to(device)
        levels = noise_levels(settings)

        def loss(images: Tensor) -> Tensor:
            return squared_error(module, levels, images)

        losses = minimise(module, loss, data, rng, settings, decay=True)
    return Fitted(config, weights(module), losses)


def noise_levels(settings: Diffusion) -> DDIMScheduler:
    """How an image is mixed with noise at each level, and how a step from level to level takes noise away."""
    levels = DDIMScheduler(
        settings.timesteps,
        beta_schedule="squaredcos_cap_v2",
        prediction_type=settings.prediction,
        timestep_spacing="trailing",
    )
    # In single precision 1 - a - sigma^2, of which the step takes the root, may round to less than nothing.
    levels.alphas_cumprod = levels.alphas_cumprod.double()
    return levels


def squared_error(module: torch.nn.Module, levels: DDIMScheduler, images: Tensor) -> Tensor:
    """Mean over pixels (b,) of the squared error about images (b, side, side), each at a level drawn for it.

    Each level is uniform, but together they are spread evenly, one in each of b equal parts of the range, which makes
    the loss of a batch less noisy (Kingma et al. 2021, arXiv:2107.00630). Grey levels 0 .. 255 are -1 .. 1 to the
    network.
    """
    x = images[:, None].float() / 127.5 - 1
    noise = torch.randn_like(x)
    parts = torch.randperm(len(x), device=x.device) + torch.rand(len(x), device=x.device)
    last = levels.config.num_train_timesteps - 1
    t = (parts / len(x) * (last + 1)).long().clamp(max=last)
    said = module(levels.add_noise(x, noise, t), t).sample.float()
    wanted = {"sample": x, "epsilon": noise, "v_prediction": levels.get_velocity(x, noise, t)}
    return (said - wanted[levels.config.prediction_type]).square().mean((1, 2, 3))


def shards(settings: Diffusion, model: Fitted, n: int, rng: np.random.Generator) -> Iterator[Callable[[], Rows]]:
    """Calls that each write the next SHARD of n images."""
    seeds = rng.integers(2**63, size=-(-n // SHARD))
    for i, seed in enumerate(seeds):
        count = min(SHARD, n - i * SHARD)
        yield lambda count=count, seed=int(seed): Rows(_write(settings, model, count, seed))  # type: ignore[misc]


@torch.inference_mode()
def _write(settings: Diffusion, model: Fitted, n: int, seed: int) -> np.ndarray:
    """n images, uint8 (n, side, side), by steps of DDIM (Song, Meng & Ermon 2021, arXiv:2010.02502, eq. 12).

    What the network takes for the image is cut to -1 .. 1 in every step. DDPM is DDIM with eta = 1. Long steps lose
    variance even where the network is never wrong: of normal pixels with sd 0.2, 20 of 1000 steps leave 71 % of it.
    """
    device = hardware.device()
    dtype = hardware.precision(settings.precision, device)
    eta = 1.0 if settings.sampler == "ddpm" else settings.eta
    levels = noise_levels(settings)
    levels.set_timesteps(settings.sampling_steps)
    with hardware.threads(settings.threads), hardware.seeded(seed, device), memory():
        module = built(UNet2DModel, model, device).eval()
        size = (n, 1, settings.side, settings.side)

        def noise() -> Tensor:
            return settings.temperature * torch.randn(size, device=device)

        x = noise()
        for t in levels.timesteps.tolist():
            with hardware.mixed(dtype, device):
                said = module(x, t).sample.float()
            new = noise() if eta else None
            x = levels.step(said, t, x, eta, use_clipped_model_output=True, variance_noise=new).prev_sample
        return ((x[:, 0].clamp(-1, 1) + 1) * 127.5).round().byte().cpu().numpy()
