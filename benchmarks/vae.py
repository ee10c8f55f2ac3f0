"""The published way to train a VAE on images, and the next one on what it writes: one batch after another.

The protocol of the paper on MNIST (a loader that turns picture after picture into a tensor, a summed loss, Adam, new
latents decoded by the previous network for every batch), one epoch each, in fp32, as a yardstick for speed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

LATENT, BATCH = 20, 256


class Pictures(Dataset):
    """Pictures (n, 28, 28), uint8; each is made a PIL picture and then a tensor (1, 28, 28) in [0, 1]."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> Tensor:
        picture = Image.fromarray(self.pixels[i])
        rows = torch.from_numpy(np.array(picture)).view(picture.height, picture.width, 1)
        return rows.permute(2, 0, 1).contiguous().float().div(255)


class Network(nn.Module):
    """Two convolutions down to the latents' means and log variances, two transposed ones up again."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(1, 64, 4, stride=2, padding=1)
        self.down2 = nn.Conv2d(64, 128, 4, stride=2, padding=1)
        self.mean = nn.Linear(128 * 7 * 7, LATENT)
        self.log_variance = nn.Linear(128 * 7 * 7, LATENT)
        self.widen = nn.Linear(LATENT, 128 * 7 * 7)
        self.up1 = nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1)

    def decode(self, z: Tensor) -> Tensor:
        """Pictures (n, 1, 28, 28) of latents (n, 20)."""
        hidden = self.widen(z).view(-1, 128, 7, 7)
        return torch.sigmoid(self.up2(functional.relu(self.up1(hidden))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is made of pictures (n, 1, 28, 28), with mean and log variance (n, 20) of their latents."""
        hidden = functional.relu(self.down2(functional.relu(self.down1(x)))).flatten(1)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return self.decode(z), mean, log_variance


def train(network: Network, batches: Iterable[Tensor]) -> float:
    """One pass over `batches`; the mean loss of a picture, in nats."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-5)
    total, count = 0.0, 0
    for x in batches:
        made, mean, log_variance = network(x)
        error = functional.binary_cross_entropy(made, x, reduction="sum")
        loss = error - (1 + log_variance - mean**2 - log_variance.exp()).sum() / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total, count = total + loss.item(), count + len(x)
    return total / count


def written(network: Network, n: int) -> Iterator[Tensor]:
    """Batches of n pictures that a network decodes from new latents."""
    for first in range(0, n, BATCH):
        with torch.no_grad():
            x = network.decode(torch.randn(min(BATCH, n - first), LATENT))
        yield x


def generations(pixels: np.ndarray, order: np.ndarray, seed: int) -> tuple[float, float]:
    """Mean loss of a picture, in nats, of a network on pictures (n, 28, 28), uint8, in this order, and of the next one
    on as many that the first has written."""
    torch.manual_seed(seed)
    network = Network()
    # A generator of its own: the loader would draw from the one that the network draws from.
    loader = DataLoader(Pictures(pixels), BATCH, sampler=order.tolist(), generator=torch.Generator())
    real = train(network, loader)
    return real, train(Network(), written(network, len(pixels)))
