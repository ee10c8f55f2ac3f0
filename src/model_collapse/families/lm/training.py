"""Fitting: next-token cross-entropy over shuffled blocks with AdamW."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from model_collapse import distributed, hardware
from model_collapse.data import Data
from model_collapse.errors import InputError
from model_collapse.families.lm.dropout import PartOfBatch
from model_collapse.families.lm.lora import adapted, merged
from model_collapse.families.lm.model import LmModel, build, unbuild
from model_collapse.families.lm.products import products
from model_collapse.families.lm.scoring import checked, token_losses

if TYPE_CHECKING:
    from model_collapse.families.lm import Lm


def train(
    start: LmModel,
    data: Data,
    rng: np.random.Generator,
    settings: Lm,
    *,
    epochs: int,
    lr: float,
    schedule: str | None = None,
    steps: int = 0,
    validation: Data | None = None,
    progress: Callable[[str], None] | None = None,
) -> LmModel:
    """`start` after `epochs` passes over rows (n, block), or after the one of them with the lowest validation loss.

    A weighted row counts weight / (mean weight) times. With `steps` that number of steps is taken, in the passes that
    it needs, the last one cut short. `schedule` is the settings' own unless one is named. A start without weights reads
    every row at a random place among the model's positions: writing goes on after a prompt, at positions that rows read
    from the first one on would leave untrained.

    Where several processes call it together (`distributed.everywhere`), each reads its part of every batch, and all
    have the same weights after it.

    InputError if the loss stops being a number; ExternalError if the GPU has too little memory.
    """
    device, team = hardware.device(), distributed.here()
    initial, dropout = (int(seed) for seed in rng.integers(2**63, size=2))
    less = f"use --set family.batch={max(1, settings.blocks_per_step // 2)}"
    with hardware.threads(settings.threads), hardware.memory(less), hardware.seeded(dropout, device), products():
        blocks = checked(start, data.x, device)
        weight = _relative(data.weight, len(blocks), device)
        held_out = None if validation is None else checked(start, validation.x, device)
        dropped = None if settings.dropout == "auto" else settings.dropout
        module = adapted(build(start, initial, device, dropped), settings)
        step = _Step(module, settings, lr, team)

        def held_out_loss(rows: torch.Tensor) -> float:
            return float(team.each(len(rows), lambda part: token_losses(module, rows[part])).mean())

        per_epoch = math.ceil(len(blocks) / settings.blocks_per_step)
        steps = steps or epochs * per_epoch
        epochs = math.ceil(steps / per_epoch)
        rates = _rates(steps, lr, settings.warmup, schedule or settings.schedule)
        room = start.positions - blocks.shape[1] + 1 if start.weights is None else 1
        lowest, kept, best = math.inf, epochs, None
        if held_out is not None and settings.checkpoint == "any" and start.weights is not None:
            lowest, kept, best = held_out_loss(held_out), 0, step.trained()
        for epoch in range(epochs):
            module.train()
            order = torch.from_numpy(rng.permutation(len(blocks))).to(device)
            place = torch.from_numpy(rng.integers(room, size=len(blocks))).to(device)
            parts = order.split(settings.blocks_per_step)
            due = rates[epoch * per_epoch : (epoch + 1) * per_epoch]
            steps_taken = [step(blocks[p], weight[p], place[p], rate) for p, rate in zip(parts, due, strict=False)]
            losses = team.total(torch.stack(steps_taken))
            _check_numbers(losses, f"epoch {epoch + 1} of {epochs}", lr)
            said = f"epoch {epoch + 1} of {epochs}, training loss {float(losses[-1]):.3f}"
            if held_out is not None:
                loss = held_out_loss(held_out)
                said += f", validation loss {loss:.3f}"
                if loss < lowest:
                    lowest, kept, best = loss, epoch + 1, step.trained()
            if progress:
                progress(said)
        if best:
            step.restore(best)
        weights = unbuild(merged(module, settings), team.whole)
    if not all(bool(torch.isfinite(w).all()) for w in weights.values()):
        raise _diverged(f"the last step of epoch {epochs}", lr)
    before = start.config.get("training", {}).get("tokens_seen", 0)
    # The last batch of a whole pass is what is left of the rows.
    passes, more = divmod(min(kept * per_epoch, steps), per_epoch)
    rows = passes * len(blocks) + more * settings.blocks_per_step
    seen = {"tokens_seen": before + rows * blocks.shape[1], "epoch": kept}
    return LmModel(start.config | {"training": seen}, weights)


def _layers(module: PreTrainedModel) -> list[torch.nn.Module]:
    """The layers of a transformer, inner ones first."""
    names = module._no_split_modules or ()
    return [part for part in reversed(list(module.modules())) if type(part).__name__ in names]


class _Step:
    """One step of AdamW. The optimiser and the loss scaling live as long as one training."""

    def __init__(self, module: PreTrainedModel, settings: Lm, lr: float, team: distributed.Alone) -> None:
        self.module, self.clip, self.team = module, settings.clip, team
        self.chunk = settings.chunk or settings.blocks_per_step
        self.device = module.device
        self.dtype = hardware.precision(settings.precision, self.device)
        if self.device.type == "cpu" and self.dtype == torch.bfloat16:
            # Fused attention is slow there, its gradient most of all: plain products take a quarter of its time.
            module.set_attn_implementation("eager")
        self.prepared = team.prepared(module, _layers(module))
        self.moved = [weight for weight in module.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(self.moved, lr=lr, weight_decay=settings.weight_decay, fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)

    def trained(self) -> list[torch.Tensor]:
        """Copies, on the CPU, of what this process keeps of the weights that training moves."""
        return [self.team.own(weight.detach()).to("cpu", copy=True) for weight in self.moved]

    def restore(self, trained: list[torch.Tensor]) -> None:
        """Have these weights again."""
        for weight, was in zip(self.moved, trained, strict=True):
            self.team.own(weight.detach()).copy_(was)

    def __call__(self, blocks: torch.Tensor, weight: torch.Tensor, place: torch.Tensor, rate: float) -> torch.Tensor:
        """Move the weights once; blocks (b, block), weight and first position (b,). This process' part of the loss
        before the move."""
        for group in self.optimizer.param_groups:
            group["lr"] = float(rate)
        self.optimizer.zero_grad()
        losses = []
        parts = [slice(at, min(at + self.chunk, len(blocks))) for at in range(0, len(blocks), self.chunk)]
        for part in parts:
            with ExitStack() as but_the_last:
                if part is not parts[-1]:
                    but_the_last.enter_context(self.team.apart(self.prepared))
                    # Every part draws the masks of the whole batch, and keeps those of its rows.
                    but_the_last.enter_context(hardware.undrawn(self.device))
                losses.append(self._gradient(blocks, weight, place, part))
        if self.clip:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return torch.stack(losses).sum()

    def _gradient(self, blocks: torch.Tensor, weight: torch.Tensor, place: torch.Tensor, part: slice) -> torch.Tensor:
        """Add the gradient of a part of a batch, of which each process reads its share; its part of the mean loss."""
        whole, own = len(blocks), self.team.part(part.stop - part.start)
        if own.start == own.stop:
            # Gradients are averaged over processes: who has no row reads one that counts for nothing.
            own, weight = slice(0, 1), torch.zeros_like(weight)
        rows = slice(part.start + own.start, part.start + own.stop)
        divided = rows.stop - rows.start < whole
        drops: AbstractContextManager[object] = PartOfBatch(rows, whole) if divided else nullcontext()
        blocks, weight, place = blocks[rows], weight[rows], place[rows]
        positions = place[:, None] + torch.arange(blocks.shape[1] - 1, device=self.device)
        with hardware.mixed(self.dtype, self.device), drops:
            logits = self.prepared(input_ids=blocks[:, :-1], position_ids=positions, use_cache=False).logits
        losses = functional.cross_entropy(logits.float().flatten(0, 1), blocks[:, 1:].flatten(), reduction="none")
        loss = (losses.view(len(blocks), -1).mean(1) * weight).sum() / whole
        # The mean over processes, of shares that are as many times as large, is the gradient of the whole.
        self.scaler.scale(loss * self.team.count).backward()
        return loss.detach()


def _relative(weight: np.ndarray | None, n: int, device: torch.device) -> torch.Tensor:
    """Weights (n,) with mean 1."""
    relative = np.ones(n) if weight is None else weight / weight.mean()
    return torch.from_numpy(relative.astype(np.float32)).to(device)


LOWEST_LR = 1e-6
"""Where the cosine schedule ends."""


def _rates(steps: int, lr: float, warmup: float, schedule: str) -> np.ndarray:
    """Learning rate at each step, shape (steps,): a linear rise to `lr`, then constant, linear to 0, or half a cosine
    down to LOWEST_LR."""
    done = np.arange(steps)
    rise = round(warmup * steps)
    gone = np.maximum(done - rise, 0) / max(steps - rise, 1)
    lowest = min(LOWEST_LR, lr)
    rates = {
        "constant": np.full(steps, lr),
        "linear": lr * (1 - gone),
        "cosine": lowest + (lr - lowest) * (1 + np.cos(np.pi * gone)) / 2,
    }[schedule]
    return np.minimum(rates, lr * (done + 1) / rise) if rise else rates


def _check_numbers(losses: torch.Tensor, where: str, lr: float) -> None:
    """InputError naming the first step of an epoch whose loss is no number; asked once per epoch, since it waits for
    the GPU."""
    bad = torch.nonzero(~torch.isfinite(losses))
    if len(bad):
        raise _diverged(f"{where}, step {int(bad[0, 0]) + 1} of {len(losses)}", lr)


def _diverged(where: str, lr: float) -> InputError:
    return InputError(f"family.lr={lr:g}: training diverged in {where} (the loss is no number); use a smaller one")
