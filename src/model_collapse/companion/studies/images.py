"""The arms of the image experiments in one table, and the sizes they are run at; as `language` for text.

    runs = images.runs("vae", ("full", "control"), images.SCALES["vae"]["laptop"])
    tables, written = study(runs, folder)

All arms of a scale take the same number of steps of the optimiser in every generation, however large their training
sets are. In `full` each generation is trained on what the one before wrote and on nothing else, as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from model_collapse import families, registry
from model_collapse.companion.studies.language import Arm, Scale
from model_collapse.corpora import images
from model_collapse.engine.plan import plan
from model_collapse.engine.spec import Run
from model_collapse.errors import InputError

ARMS: Mapping[str, Arm] = {
    "full": Arm("only what was written"),
    # The published notebook decodes new latents for every batch: each image is trained on once.
    "published": Arm("only what was written, new latents in every batch", settings={"family.latents": "fresh"}),
    "drawn": Arm("only what was written, pixels drawn", settings={"family.output": "bernoulli"}),
    # full, augmentation and fresh are after the loops of Alemohammad et al. 2024 (arXiv:2307.01850), who add what was
    # written to all real images. Here the last two have one size and share: they differ in nothing but whether the real
    # half is of generation 0's images or drawn anew from those that it has not seen.
    "augmentation": Arm("half real, always the same set", "mix", {"regime.real_fraction": 0.5}),
    "fresh": Arm("half real, drawn anew every time", "fresh", {"regime.real_fraction": 0.5}),
    "accumulate": Arm("everything so far", "accumulate"),
    "control": Arm("control: real images only", "mix", {"regime.real_fraction": 1.0}),
    # Bohacek & Farid 2023 (arXiv:2311.12202) had 3.3 % of a model's own images in a training set.
    "share-3": Arm("3 % written, the rest real", "mix", {"regime.real_fraction": 0.97}),
    "healing": Arm(
        "only what was written up to generation 2, then real and new",
        "heal",
        {"regime.until": 2, "regime.real_fraction": 0.5},
    ),
    "pretty": Arm("only what was written, noise times 0.8", settings={"family.temperature": 0.8}),
}

METRICS = (
    "training_loss",
    "confidence",
    "class_entropy",
    "classes",
    "frechet",
    "manifold",
    "sharpness",
    "pixel_sd",
    "real_images",
)
"""What is measured of any images."""

LATENTS = (*METRICS, "latent_sd", "latent_mean", "latent_histogram")
"""And where a model has an encoder."""

DIGITS: Mapping[str, Any] = {
    "family.preset": "small",
    # As published a pixel counts as much as the KL term of a whole image of 28 x 28; of 8 x 8 at beta 1 hardly a
    # latent is used, and generation 2 is one picture.
    "family.beta": 0.5,
    "family.steps": 640,
    "family.epochs": 40,
}
"""512 images in batches of 32, 40 times."""

PAPER: Mapping[str, Any] = {"family.preset": "paper", "family.epochs": 30}

ALL_ARMS: Mapping[str, Any] = {**PAPER, "family.steps": 7050}
"""30 passes over 60,000 images in batches of 256, however large a training set is."""

DENOISER: Mapping[str, Any] = {"family.preset": "small", "family.steps": 400}
"""512 images in batches of 32, 25 times."""

LARGE: Mapping[str, Any] = {"family.preset": "large", "family.steps": 5000}

SCALES: Mapping[str, Mapping[str, Scale]] = {
    "vae": {
        "smoke": Scale(
            "digits",
            128,
            2,
            2,
            model={**DIGITS, "family.steps": 80, "family.epochs": 20},
            metrics=LATENTS,
        ),
        # Fewer steps than recorded, so that both chapters together take three minutes of four cores.
        "laptop": Scale(
            "digits", 512, 5, 3, model={**DIGITS, "family.steps": 480, "family.epochs": 30}, metrics=LATENTS
        ),
        # As many seeds as a verdict at 99.99 % asks for: recorded, and the claims are judged by it too.
        "digits": Scale("digits", 512, 5, 12, seed=1, model=DIGITS, metrics=LATENTS),
        # What `verify` runs: chains enough for VA-1 and VA-2, going by the spread over the twelve above.
        "verify": Scale("digits", 512, 5, 8, model=DIGITS, metrics=("frechet",)),
        # All of MNIST and the published network, a third of its passes, in arithmetic that halves a processor's time.
        "mnist": Scale(
            "mnist", "all", 5, 3, model={**PAPER, "family.epochs": 10, "family.precision": "bf16"}, metrics=LATENTS
        ),
        "t4": Scale("mnist", 30_000, 5, 3, model={**ALL_ARMS, "family.steps": 3540}, metrics=LATENTS),
        "paper": Scale("mnist", 30_000, 20, 5, model={**ALL_ARMS, "family.epochs": 60}, metrics=LATENTS),
    },
    "diffusion": {
        "smoke": Scale("digits", 128, 3, 2, model={**DENOISER, "family.steps": 60}, metrics=METRICS),
        "laptop": Scale("digits", 512, 3, 3, model={**DENOISER, "family.steps": 256}, metrics=METRICS),
        "digits": Scale("digits", 512, 4, 6, seed=1, model=DENOISER, metrics=METRICS),
        # Fewer steps than recorded, and more chains: what `verify` runs.
        "verify": Scale("digits", 512, 4, 8, model={**DENOISER, "family.steps": 256}, metrics=("frechet", "manifold")),
        "t4": Scale("mnist", 10_000, 5, 3, model=LARGE, metrics=METRICS),
        "paper": Scale("mnist", 30_000, 9, 5, model={**LARGE, "family.steps": 20_000}, metrics=METRICS),
    },
}


PRESETS: Mapping[str, Mapping[int, Mapping[str, Any]]] = {
    "vae": {8: {"family.preset": "small"}, 28: {"family.preset": "paper", "family.beta": 1.0}},
    "diffusion": {8: {"family.preset": "small"}, 28: {"family.preset": "large"}},
}
"""Settings that go with pixels along an edge, for a reader's own images."""


def run(family: str, arm: str, scale: Scale) -> Run:
    """One arm at a scale, checked. InputError lists the arms."""
    if arm not in ARMS:
        raise InputError(f"arm {arm}: known are {', '.join(ARMS)}")
    return plan(**arguments(family, arm, scale), seed=scale.seed)


def arguments(family: str, arm: str, scale: Scale) -> dict[str, Any]:
    """Arguments of `plan` for one arm at a scale, all but the seed."""
    chosen = ARMS[arm]
    settings = {**scale.model, **chosen.settings}
    if isinstance(scale.n, int):
        # In the arm fresh a model writes half of n. Distances of few images are larger, so all arms are measured by it.
        settings["family.evaluate"] = max(2, min(int(settings.get("family.evaluate", 1000)), scale.n // 2))
    return {
        "family": family,
        "regime": chosen.regime,
        "n": scale.n,
        "generations": scale.generations,
        "replicates": scale.seeds,
        "settings": settings,
        "corpus": scale.corpus,
        "metrics": scale.metrics,
    }


def runs(family: str, arms: Iterable[str], scale: Scale) -> dict[str, Run]:
    """Arm -> run, for `study`."""
    return {arm: run(family, arm, scale) for arm in arms}


def named(family: str, profile: str, **overrides: Any) -> Scale:
    """The scale of a family's profile, with every override that is not None, and the preset that a corpus asks for.

    InputError lists profiles.
    """
    known = SCALES[family]
    if profile not in known:
        raise InputError(f"profile {profile}: this chapter has {', '.join(known)}")
    scale = replace(known[profile], **{name: value for name, value in overrides.items() if value is not None})
    if overrides.get("corpus") is None:
        return scale
    side, fits = images.load(scale.corpus).side, PRESETS[family]
    if side not in fits:
        raise InputError(
            f"corpus={scale.corpus}: images of {side} x {side} pixels; {family} reads edges of "
            f"{' or '.join(map(str, fits))} pixels"
        )
    return replace(scale, model={**scale.model, **fits[side]})


def steps(run: Run) -> int:
    """Steps of the optimiser that a run takes in every generation, where it says how many, or as its epochs say."""
    settings = run.family_args
    family = registry.build(families, run.family, settings)
    rows, epochs = run.n * family.passes, settings["epochs"] // family.passes
    return settings["steps"] or epochs * -(-rows // family.rows_per_step)
