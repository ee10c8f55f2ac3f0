"""Networks of images as values, and how they are trained: shuffled batches, Adam, as many steps as asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model_collapse import hardware
from model_collapse.data import Data
from model_collapse.errors import InputError

WEIGHTS, CONFIG = "model.safetensors", "config.json"

RISE = 20
"""Steps in which a learning rate that decays rises first."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted network.

    config   what the network is built from
    weights  name -> fp32 tensor on the CPU
    losses   mean loss of a row on its own training set, in each pass over it, in the unit of the family's loss
    """

    config: dict[str, Any]
    weights: dict[str, Tensor] = field(default_factory=dict)
    losses: tuple[float, ...] = ()


def save(model: Fitted, folder: Path) -> None:
    """Write a model into an existing folder."""
    save_file(model.weights, folder / WEIGHTS)
    told = {"config": model.config, "losses": model.losses}
    (folder / CONFIG).write_text(json.dumps(told, indent=1), encoding="utf-8")


def load(folder: Path) -> Fitted:
    """The model that `save` wrote, bit for bit."""
    told = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return Fitted(told["config"], load_file(folder / WEIGHTS), tuple(told["losses"]))


def weights(module: nn.Module) -> dict[str, Tensor]:
    """A module's weights as a value."""
    return {name: w.detach().float().cpu().contiguous().clone() for name, w in module.state_dict().items()}


def built(kind: Callable[..., nn.Module], model: Fitted, device: torch.device) -> Any:
    """The module of a fitted network on the device; the model's own weights are left alone."""
    # On "meta" nothing is drawn from the caller's generators.
    with torch.device("meta"):
        module = kind(**model.config)
    module.load_state_dict({name: w.clone() for name, w in model.weights.items()}, assign=True)
    return module.to(device)


def memory() -> AbstractContextManager[None]:
    """Turns exhausted memory into one line that says what to do."""
    return hardware.memory("use --set family.batch=N with a smaller N")


class Training(Protocol):
    """Settings that all trained families of images have; see their descriptions in the families."""

    @property
    def epochs(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def precision(self) -> Any: ...
    @property
    def rows_per_step(self) -> int: ...


def minimise(
    module: nn.Module,
    loss: Callable[[Tensor], Tensor],
    data: Data,
    rng: np.random.Generator,
    settings: Training,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    parts: int = 1,
    decay: bool = False,
) -> tuple[float, ...]:
    """Train `module` in place on the rows of `data`; the mean loss of a row in each pass, or in each of its parts.

    loss   images (b, side, side), uint8 on the module's device -> loss of each of them, (b,)
    parts  equal parts of all steps whose losses are told apart, where a pass is as long as several; 1: pass by pass

    A row of weight w counts w / (mean weight) times. Rows come in a new order in each pass. With steps > 0 that number
    of steps is taken, in the passes that it needs, the last one cut short; else `epochs` passes. Both are the settings'
    own unless they are given. With `decay` the learning rate rises during the first RISE steps, and falls linearly from
    the settings' own to 0. What is random in `loss` draws from torch's own generators, which the caller has seeded.

    InputError if the loss stops being a number.
    """
    device = next(module.parameters()).device
    images = torch.tensor(np.ascontiguousarray(data.x)).to(device)
    relative = np.ones(len(images)) if data.weight is None else data.weight / data.weight.mean()
    weight = torch.from_numpy(relative.astype(np.float32)).to(device)
    batch = min(settings.rows_per_step, len(images))
    per_pass = math.ceil(len(images) / batch)
    steps = (settings.steps if steps is None else steps) or (epochs or settings.epochs) * per_pass
    dtype = hardware.precision(settings.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    adam: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    optimizer = torch.optim.Adam(module.parameters(), **adam, fused=True)
    module.train()
    totals: list[Tensor] = []
    sizes: list[int] = []
    ends: list[int] = []
    left = steps
    while left:
        order = torch.from_numpy(rng.permutation(len(images))).to(device)
        for rows in order.split(batch)[:left]:
            if decay:
                optimizer.param_groups[0]["lr"] = settings.learning_rate * min((steps - left + 1) / RISE, left / steps)
            optimizer.zero_grad()
            with hardware.mixed(dtype, device):
                each = loss(images[rows]).float() * weight[rows]
            # The sum over the batch, as published: with the mean, Adam's decay of the weights would count for more.
            scaler.scale(each.sum()).backward()
            scaler.step(optimizer)
            scaler.update()
            totals.append(each.detach().sum())
            sizes.append(len(rows))
            left -= 1
        if not bool(torch.isfinite(torch.stack(totals)).all()):
            raise InputError(
                f"family.lr={settings.learning_rate:g}: training diverged (the loss is no number); use a smaller one"
            )
        ends.append(len(totals))
    sums = torch.stack(totals).cpu().numpy().astype(float)
    if parts > 1:
        parts = min(parts, steps)
        ends = [steps * (part + 1) // parts for part in range(parts)]
    starts = [0, *ends[:-1]]
    return tuple(float(sums[a:b].sum() / sum(sizes[a:b])) for a, b in zip(starts, ends, strict=True))
