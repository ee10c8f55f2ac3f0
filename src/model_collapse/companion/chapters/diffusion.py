"""Chapter `diffusion`: small diffusion models that are trained on their own pictures.

Each function takes tables by condition of the study `diffusion`, of this run or of a recorded one.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from model_collapse.analysis import stats
from model_collapse.companion.book.estimates import at, joined
from model_collapse.companion.book.findings import Tables, chosen, counted, ends, from_to, run_of, show_panels
from model_collapse.companion.book.notebook import say
from model_collapse.companion.chapters._images import gallery
from model_collapse.companion.claims import images as claims
from model_collapse.companion.records import Recorded
from model_collapse.companion.studies._images import CONDITIONS
from model_collapse.companion.studies.study import Size
from model_collapse.engine.spec import Run

CLAIMS = ("NC-diffusion", "FR-2")

MAIN = ("full", "accumulate", "fresh", "control")

QUALITY = {
    "Fréchet distance": ("frechet", ""),
    "precision": ("manifold", "precision"),
    "recall": ("manifold", "recall"),
    "entropy of classes (nats)": ("class_entropy", ""),
}


def introduce(tables: Tables, runs: Mapping[str, Run], scale: Size, profile: str) -> None:
    """The runs."""
    first, run = tables["full"].iloc[0], runs["full"]
    say(
        f"**This run:** a small diffusion model, corpus {first['corpus']}, {run.n} images, {claims.steps(run)} steps "
        f"in each generation, {run.family_args['sampling_steps']} steps from noise to image, generations 0 to "
        f"{scale.generations}, {counted(scale.seeds, 'seed')}, profile {profile}, on {first['device']}."
    )


def pictures(tables: Tables, images: Tables, label: str) -> None:
    """What the models of one condition write, a row for each generation."""
    own = {label: tables[label]}
    gallery(
        images[label],
        f"diffusion-pictures-{label}",
        f"Images of condition *{label}*, one row per generation.",
        f"Sharpness in the first row and in the last: {ends(own, 'sharpness')}. Share of real images that lie among "
        f"those written: {ends(own, 'manifold', 'recall')}.",
    )


def sharpness(tables: Tables) -> None:
    """Variance of the Laplacian in generation 0 and in the last."""
    values = {label: [at(tables[label], "sharpness", g) for g in (0, stats.last_of(tables[label]))] for label in MAIN}
    say(
        "Sharpness (variance of the Laplacian) in generation 0 and in the last: "
        + joined(f"{label} {begin:.2f} and {end:.2f}" for label, (begin, end) in values.items())
        + f"; real images have {at(tables['full'], 'real_images', 0, 'sharpness').value:.2f}."
    )


def quality(tables: Tables, labels: tuple[str, ...], name: str, record: str = "") -> None:
    """Fréchet distance from real test images, precision, recall and entropy of classes of some conditions.

    name    of the figure
    record  name of the recorded run that the tables are of; "": this run
    """
    arms = chosen(tables, labels, CONDITIONS)
    show_panels(
        arms,
        QUALITY,
        name,
        "Distance from real test images, precision, recall and entropy of classes; means with 95 % bands over seeds. "
        f"{run_of(record)}.",
    )
    say(
        f"Up to generation {max(map(stats.last_of, arms.values()))}, recall goes from "
        + joined(f"{' to '.join(_recalls(table))} ({label})" for label, table in arms.items())
        + "."
    )
    from_to(arms, {title: QUALITY[title] for title in ("Fréchet distance", "recall")})


def _recalls(table: pd.DataFrame) -> list[str]:
    return [f"{at(table, 'manifold', g, 'recall').value:.2f}" for g in (0, stats.last_of(table))]


def beyond_the_control(tables: Tables) -> None:
    """Distance in the last generation, less that of the control."""
    last = stats.last_of(tables["full"])
    far = {label: stats.per_replicate(tables[label], "frechet", last) for label in MAIN}
    say(
        f"At generation {last} the distance is larger than in the control by "
        + joined(f"{stats.mean(far[label] - far['control']):.2f} ({label})" for label in MAIN if label != "control")
        + f"; real training images have a distance of {at(tables['full'], 'real_images', 0, 'frechet').value:.2f}. "
        "The control is the yardstick, not 0: it has what a short training does wrong in every generation anew."
    )


def healing(record: Recorded) -> None:
    """What 3 % of own images cost, and what real images repair, in the recorded run."""
    quality(record.tables, ("full", "healing", "share-3", "control"), "diffusion-healing", record.name)
    end = stats.last_of(record.tables["full"])
    far = {
        label: stats.per_replicate(record.tables[label], "frechet", end)
        for label in ("full", "healing", "share-3", "fresh", "control")
    }
    less = {label: stats.paired(far["healing"], far[label]) for label in ("full", "fresh", "control")}
    say(
        f"With 3 % of its own images, the distance at generation {end} is "
        f"{stats.paired(far['share-3'], far['control']):.2f} above that of the control. The chain that heals has "
        f"{at(record.tables['healing'], 'frechet', 2):.2f} at generation 2 and {stats.mean(far['healing']):.2f} at "
        f"generation {end}. That differs by {less['full']:.2f} from the chain that never healed, by "
        f"{less['fresh']:.2f} from the one that had new real images from the start, and by {less['control']:.2f} "
        "from the control; below 0 is closer to real images."
    )


def before_any_recursion(tables: Tables, record: str = "") -> None:
    """What writing with less noise changes in generation 0.

    record  name of the recorded run that the tables are of; "": this run
    """
    changed = {}
    for item in ("precision", "recall"):
        pretty, full = (stats.per_replicate(tables[label], "manifold", 0, item) for label in ("pretty", "full"))
        changed[item] = stats.paired(pretty, full)
    clear = "The loss of recall is clear." if changed["recall"].high < 0 else "No loss of recall is clear."
    say(
        f"{run_of(record)}: in generation 0, before any recursion, less noise changes "
        f"{joined(f'{item} by {change:.3f}' for item, change in changed.items())}. {clear}"
    )
