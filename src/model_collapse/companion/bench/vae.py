"""The paper's VAE on MNIST and a next one on what it writes, against the published loop over batches."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import numpy as np

from model_collapse.companion import bench
from model_collapse.companion.bench import Benchmark, Pairs, Result, result
from model_collapse.corpora import images
from model_collapse.data import Data
from model_collapse.errors import ExternalError
from model_collapse.families.vae import Vae


@dataclass(frozen=True)
class Generations:
    """On the CPU: one epoch on `rows` real images from random weights, as many images written, and one epoch of a new
    network on those. The published way computes in fp32.
    """

    precision: Literal["fp32", "bf16"] = "fp32"
    goal: float = 3
    corpus: str = "mnist"
    rows: int = 5120
    pairs: int = 5
    threads: int = 2

    published = "vae"

    def measure(self, name: str, published: ModuleType) -> Result:
        """Times for both networks. Met only if both ways have the same losses in the median pair: on real images, where
        they start from the same weights and see the same batches and noise, to 1e-5 of the loss in fp32 and 1e-2 in
        bf16; on written ones, where weights and latents differ, to 5e-2.

        ExternalError without MNIST.
        """
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        from model_collapse import hardware

        family = Vae(preset="paper", epochs=1, precision=self.precision, threads=self.threads)
        try:
            pictures = images.load(self.corpus)
        except ExternalError as error:
            raise ExternalError(f"bench {name}: {error}") from None
        data = pictures.source(self.rows, **family.reading()).train
        losses: dict[str, list[tuple[float, float]]] = {"ours": [], "theirs": []}

        def ours(pair: int) -> None:
            rng = np.random.default_rng(pair)
            first = family.fit(data, rng)
            wrote = family.sample(first, self.rows, rng)
            second = family.fit(Data.of(wrote, 1, 0), rng)
            losses["ours"].append((first.losses[0], second.losses[0]))

        def theirs(pair: int) -> None:
            # What our first fit draws: the seed of weights and noise, then an order.
            rng = np.random.default_rng(pair)
            seed, order = int(rng.integers(2**63)), rng.permutation(self.rows)
            with torch.random.fork_rng(devices=[]):
                losses["theirs"].append(published.generations(data.x, order, seed))

        with hardware.threads(self.threads):
            pairs = Pairs.time(ours, theirs, self.pairs)
            peak = bench.product_rate(self.precision)
        both = np.array([losses["ours"], losses["theirs"]])
        # Not the largest: where the loss spikes in the first steps, rounding grows a hundredfold.
        real, written = np.median(abs(both[0] / both[1] - 1), axis=0).tolist()
        with FlopCounterMode(display=False) as counter:
            ours(0)
        share = counter.get_total_flops() / float(np.median(pairs.ours)) / peak
        (real_one, written_one), (real_other, written_other) = np.median(both, axis=1)
        note = (
            f"one epoch on {self.rows:,} of {len(pictures.train):,} images of {pictures.name} and one on as many "
            f"written by the first network, {family.rows_per_step} per step, ours in {self.precision}, theirs in fp32; "
            f"median loss of a real image {real_one:.5g} nats, theirs {real_other:.5g}, of a written "
            f"one {written_one:.4g}, theirs {written_other:.4g}; we reach {share:.0%} of the rate "
            "of a large matrix product"
        )
        also = real < (1e-5 if self.precision == "fp32" else 1e-2) and written < 5e-2
        return result(name, pairs, 1, self.goal, note, peak=share, also=also, threads=self.threads)


BENCHMARKS: dict[str, Benchmark] = {"vae": Generations(), "vae-bf16": Generations(precision="bf16")}
