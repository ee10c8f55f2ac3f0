"""What the paper states of its experiments, setting by setting: a run with all of it is at full scale, any other small.

Sources: the article's section on language models, the script released with it, and for images the released notebook;
`book/deviations.md` lists the settings that they leave open, which are not here. For conditions that the paper did not
run (sampling instead of beams, another regime), the claim's own runs of the paper's size take their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from model_collapse.companion.records import settings

PUBLISHED: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "lm": {
        "family.preset": ("opt-125m",),
        "family.start": ("pretrained",),
        "family.tokenizer": ("auto", "opt"),  # the model's own
        "corpus": ("wikitext-2-raw",),
        "family.block": (64,),
        "family.epochs": (5,),
        "family.steps": (0,),
        "family.lr": (2e-5, "auto"),  # of the released script, as is the batch
        "family.batch": (128, "auto"),
        "family.lora": (0,),
        "family.continued": (False,),
        "family.checkpoint": ("best",),
        "family.decoding": ("beam",),
        "family.beams": (5,),
        "family.repetition_penalty": (1.0,),
        "family.temperature": (1.0,),
        "family.top_k": (0,),
        "family.top_p": (1.0,),
        "family.end": ("forbidden",),  # at least and at most 64 new tokens
        "family.watermark": ("none",),
        "exchange.models": (None,),
    },
    "vae": {
        "family.preset": ("paper",),
        "family.latent": (20,),
        "family.beta": (1.0,),
        "family.latents": ("fresh",),
        "family.output": ("mean",),
        "family.lr": (1e-3, "auto"),
        "family.batch": (256, "auto"),
        "corpus": ("mnist",),
        "exchange.models": (None,),
    },
}
"""Family -> setting -> values that are the paper's. Other families are in no experiment of it."""

LEAST: Mapping[str, Mapping[str, int]] = {
    # All blocks of WikiText-2's training text, some 37,700, and of its test text, some 4,500.
    "lm": {"rows": 37_000, "family.evaluate": 4_600},
    # 30 passes over all images of MNIST.
    "vae": {"rows": 30 * 60_000},
}
"""Family -> the least of what there are to be: real rows that generation 0 read, blocks to measure by."""

VAE_STEPS = 7_000
"""Steps of 30 passes over 60,000 images in batches of 256 are 7,050, or half a batch less in each pass."""


def as_published(table: pd.DataFrame, arguments: Mapping[str, Any] | None = None) -> bool:
    """Whether every setting that the paper states is the paper's in the run of this table.

    arguments  of `plan`, of this condition of a claim at the paper's size, where they differ from PUBLISHED
    """
    try:
        run = settings.of_table(table)
    except LookupError:
        return False  # it does not say how it was made
    family = run["family"]
    if family not in PUBLISHED:
        return False
    asked = settings.asked(arguments) if arguments and arguments["family"] == family else {}
    for key, allowed in PUBLISHED[family].items():
        wanted = (asked[key],) if key in asked and asked[key] not in allowed else allowed
        if settings.value(run, key) not in wanted:
            return False
    found = {"rows": int(table.loc[table["generation"] == 0, "n_train"].iloc[0])}
    if any((found.get(key) or settings.value(run, key)) < least for key, least in LEAST[family].items()):
        return False
    return family != "vae" or not 0 < settings.value(run, "family.steps") < VAE_STEPS
