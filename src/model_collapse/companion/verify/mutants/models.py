"""Faults of families: what a fit estimates, and what a model writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from model_collapse import loop
from model_collapse.companion.verify.mutants import Patch, fault
from model_collapse.data import Rows
from model_collapse.families import _em, discrete, gaussian
from model_collapse.families._numbers import bartlett
from model_collapse.families._shares import multinomial
from model_collapse.families.discrete import Discrete
from model_collapse.families.gaussian import Gaussian
from model_collapse.families.kde import Kde
from model_collapse.families.ngram import Ngram
from model_collapse.families.regression import Regression
from model_collapse.families.vae import Vae


@fault(family="gaussian")
def divisor_always_n() -> Iterator[Patch]:
    """The unbiased estimator of a variance divides by n too."""
    original = Gaussian.fit
    yield Gaussian, "fit", lambda self, *args, **at: original(replace(self, estimator="mle"), *args, **at)


@fault(family="gaussian")
def divisor_always_n_less_one() -> Iterator[Patch]:
    """The maximum-likelihood estimator of a variance divides by n - 1 too."""
    original = Gaussian.fit
    yield Gaussian, "fit", lambda self, *args, **at: original(replace(self, estimator="unbiased"), *args, **at)


@fault(family="gaussian")
def scatter_of_n_degrees() -> Iterator[Patch]:
    """The scatter of n rows about their mean is drawn with n degrees of freedom."""
    yield gaussian, "bartlett", lambda chains, dim, freedom, rng: bartlett(chains, dim, freedom + 1, rng)


@fault(family="discrete")
def rarest_symbol_never_written() -> Iterator[Patch]:
    """A sampler never writes the last symbol of its list; the first is written instead."""

    def without_last(share: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        counts = multinomial(share, n, rng)
        if counts.shape[1] > 1:
            counts[:, 0] += counts[:, -1]
            counts[:, -1] = 0
        return counts

    yield discrete, "multinomial", without_last


@fault(family="discrete")
def counts_smoothed() -> Iterator[Patch]:
    """Every symbol that was seen counts once more than it was seen."""
    original = Discrete.fit

    def fit(self: Discrete, *args: Any, **at: Any) -> discrete.Categorical:
        model, n = original(self, *args, **at), len(args[0])
        value = np.where(model.share > 0, model.share * n + 1, 0)
        return replace(model, share=value / value.sum(axis=1, keepdims=True))

    yield Discrete, "fit", fit


@fault(family="kde")
def kernels_without_width() -> Iterator[Patch]:
    """A kernel density estimate writes its rows again, without a draw from the kernel."""
    original = Kde.sample

    def sample(self: Kde, model: Any, *args: Any, **at: Any) -> Rows:
        return original(self, replace(model, kernel=np.zeros_like(model.kernel)), *args, **at)

    yield Kde, "sample", sample


@fault(family="gmm")
def covariances_not_updated() -> Iterator[Patch]:
    """EM updates weights and means, and leaves the covariances as k-means had them."""
    original = _em.maximise

    def maximise(features: Any, weighed: Any, start: np.ndarray, **at: Any) -> tuple[np.ndarray, np.ndarray]:
        _, _, spread = _em.parameters(start, 0.0)
        ended, steps = original(features, weighed, start, **at)
        n, means, _ = _em.parameters(ended, 0.0)
        second = np.concatenate([spread[:2] + means**2, (spread[2] + means[0] * means[1])[None]])
        return (np.concatenate([np.ones((1, *n.shape)), means, second]) * n).T.copy(), steps

    yield _em, "maximise", maximise


@fault(family="gmm")
def em_of_one_step() -> Iterator[Patch]:
    """EM ends after its first step."""
    original = _em.maximise
    yield _em, "maximise", lambda *args, **at: original(*args, **at | {"max_iter": 1})


@fault(family="regression")
def least_squares_with_a_penalty() -> Iterator[Patch]:
    """Least squares has a small ridge penalty that nobody asked for."""
    original = Regression.fit
    yield Regression, "fit", lambda self, *args, **at: original(replace(self, ridge=0.01), *args, **at)


@fault(family="regression")
def labels_without_noise() -> Iterator[Patch]:
    """Written labels lack their noise."""
    original = Regression.sample
    yield Regression, "sample", lambda self, *args, **at: original(replace(self, written_noise=0.0), *args, **at)


@fault(family="scanner")
def copies_of_the_original() -> Iterator[Patch]:
    """What should be copied is the last copy, and the original is copied again."""
    original = loop.step
    yield loop, "step", lambda *args, **settings: original(*args, **settings | {"given": "original"})


@fault(family="ngram")
def prompts_read_from_the_wrong_end() -> Iterator[Patch]:
    """An n-gram model goes on from the first words of its prompt, not from the last."""
    original = Ngram.sample

    def sample(self: Ngram, model: Any, n: int, rng: np.random.Generator, *, given: Rows | None = None) -> Rows:
        assert given is not None
        return original(self, model, n, rng, given=Rows(given.x[:, ::-1]))

    yield Ngram, "sample", sample


@fault(family="ngram")
def shorter_contexts_forgotten() -> Iterator[Patch]:
    """An n-gram model writes without ever falling back to a shorter context."""
    original = Ngram.sample
    yield Ngram, "sample", lambda self, *args, **at: original(replace(self, back=0.0), *args, **at)


@fault(family="lm")
def beams_are_greedy() -> Iterator[Patch]:
    """Beam search keeps one beam."""
    from model_collapse.families.lm import Lm

    original = Lm.shards

    def shards(self: Lm, *args: Any, **at: Any) -> Any:
        return original(replace(self, decoding="greedy") if self.decoding == "beam" else self, *args, **at)

    yield Lm, "shards", shards


@fault(family="lm")
def temperature_ignored() -> Iterator[Patch]:
    """Tokens are drawn at temperature 1 whatever is asked for."""
    from model_collapse.families.lm import Lm

    original = Lm.shards
    yield Lm, "shards", lambda self, *args, **at: original(replace(self, temperature=1.0), *args, **at)


@fault(family="lm")
def labels_one_token_early() -> Iterator[Patch]:
    """Training asks for the token that was just read, not for the next one."""
    from model_collapse.families.lm import training

    yield training, "functional", _one_token_early()


@fault(family="lm")
def scores_one_token_early() -> Iterator[Patch]:
    """The loss on text is that of the token that was just read, not of the next one."""
    from model_collapse.families.lm import scoring

    yield scoring, "functional", _one_token_early()


def _one_token_early() -> SimpleNamespace:
    from torch.nn import functional

    def early(logits: Any, following: Any, **at: Any) -> Any:
        return functional.cross_entropy(logits, following.roll(1), **at)

    return SimpleNamespace(cross_entropy=early)


@fault(family="lm")
def green_share_of_one_half() -> Iterator[Patch]:
    """The test for a watermark takes half the vocabulary to be green, whatever share the writer marked."""
    from model_collapse.families.lm import watermark

    original = watermark.z
    yield watermark, "z", lambda at, *args, **how: original(replace(at, watermark_share=0.5), *args, **how)


@fault(family="lm")
def watermark_of_another_key() -> Iterator[Patch]:
    """The test for a watermark has another key than the writer."""
    from model_collapse.families.lm import watermark

    original = watermark.z
    yield watermark, "z", lambda at, *args, **how: original(replace(at, watermark_key=1), *args, **how)


@fault(family="vae")
def training_images_written() -> Iterator[Patch]:
    """An image model writes the images that it was trained on."""
    fit, sample, kept = Vae.fit, Vae.sample, {}

    def learn(self: Vae, data: Any, *args: Any, **at: Any) -> Any:
        kept["x"] = data.rows.x
        return fit(self, data, *args, **at)

    def write(self: Vae, model: Any, n: int, rng: np.random.Generator, **at: Any) -> Rows:
        return Rows(kept["x"][np.arange(n) % len(kept["x"])]) if kept else sample(self, model, n, rng, **at)

    yield Vae, "fit", learn
    yield Vae, "sample", write
