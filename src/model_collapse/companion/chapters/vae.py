"""Chapter `vae`: digits of variational autoencoders that are trained on their own pictures.

Each function takes tables by condition of the study `vae`, of this run or of a recorded one.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from model_collapse.analysis import figures, stats
from model_collapse.companion.book.estimates import at, joined, markdown
from model_collapse.companion.book.findings import Tables, chosen, counted, ends, from_to, run_of, show_panels
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.chapters._images import gallery
from model_collapse.companion.claims import images as claims
from model_collapse.companion.records import Recorded
from model_collapse.companion.studies._images import CONDITIONS
from model_collapse.companion.studies.study import Size
from model_collapse.corpora import images as corpora
from model_collapse.engine.spec import Run

CLAIMS = ("VA-1", "VA-1c", "VA-1b", "VA-2", "FR-1", "NC-vae")

MODELS = {"small": "a small VAE", "paper": "the published VAE"}

NOTEBOOK = "the notebook's five runs"

MERGING = {
    "classifier's confidence": ("confidence", ""),
    "entropy of classes (nats)": ("class_entropy", ""),
    "spread of pixels": ("pixel_sd", ""),
}

QUALITY = {
    "Fréchet distance": ("frechet", ""),
    "precision": ("manifold", "precision"),
    "recall": ("manifold", "recall"),
}

LOOPS = ("full", "augmentation", "fresh", "accumulate", "control")


def introduce(tables: Tables, runs: Mapping[str, Run], scale: Size, profile: str) -> None:
    """The runs."""
    first, settings, n = tables["full"].iloc[0], runs["full"].family_args, runs["full"].n
    passes = f"{settings['steps']} steps" if settings["steps"] else f"{settings['epochs']} passes over {n} images"
    say(
        f"**This run:** {MODELS[settings['preset']]}, corpus {first['corpus']}, {n} images, {passes} in each "
        f"generation, generations 0 to {scale.generations}, {counted(scale.seeds, 'seed')}, profile {profile}, on "
        f"{first['device']}."
    )


def pictures(tables: Tables, images: Tables) -> None:
    """What the published loop writes, and how its sharpness (variance of the Laplacian) changes."""
    table, last = tables["published"], stats.last_of(tables["published"])
    sharp, real = [at(table, "sharpness", g) for g in (0, last)], at(table, "real_images", 0, "sharpness").value
    gallery(
        images["published"],
        "vae-pictures",
        "Images of the published loop, generation by generation.",
        f"Sharpness is {sharp[0].value:.3g} in the first row and {sharp[1].value:.3g} in the last.",
    )
    say(
        f"Sharpness goes from {sharp[0]:.3f} in generation 0 to {sharp[1]:.3f} in generation {last}; real images have "
        f"{real:.3f}. Generation 0 is softer than real images even without recursion, as pictures of VAEs are."
    )


def pictures_of_the_control(tables: Tables, images: Tables) -> None:
    """The negative control: every generation is trained on real images."""
    table, last = tables["control"], stats.last_of(tables["control"])
    sharp = [at(table, "sharpness", g) for g in (0, last)]
    gallery(
        images["control"],
        "vae-pictures-control",
        "The negative control: every generation is trained on real images.",
        f"Sharpness is {sharp[0].value:.3g} in the first row and {sharp[1].value:.3g} in the last.",
    )
    say(f"In the control, sharpness is {sharp[0]:.3f} in generation 0 and {sharp[1]:.3f} in generation {last}.")


def pictures_of_mnist(record: Recorded) -> None:
    """Images of the published network in the recorded run on MNIST."""
    table = record.tables["published"]
    gallery(
        record.written["published"],
        "vae-pictures-recorded",
        f"Images of the published loop on MNIST. Recorded run `{record.name}`.",
        "Sharpness in the first row and the last: " + ends({"published": table}, "sharpness") + ".",
    )


def latents(table: pd.DataFrame, record: str = "") -> None:
    """Where the encoder of generation 0 places what later generations write: all latents together, mean over seeds.

    record  name of the recorded run that the table is of; "": this run
    """
    chosen = [g for g in (0, 1, 2, 3, 5, 9, 20) if g <= stats.last_of(table)]
    show(
        figures.histograms(
            table,
            "latent_histogram",
            chosen,
            xlabel="latent mean, by generation 0's encoder",
            ylabel="share",
            yscale="log",
            log=False,
        ),
        pd.concat([figures.bins(table, "latent_histogram", g).assign(generation=g) for g in chosen]),
        "vae-latents-recorded" if record else "vae-latents",
        "Where the encoder of generation 0 places what later generations write: all latents together, mean over seeds. "
        f"{run_of(record)}.",
        "Step lines, one for each generation. Standard deviation in generation 0 and "
        f"in the last: {ends({'published': table}, 'latent_sd')}.",
    )
    widths = joined(f"{at(table, 'latent_sd', g):.3f} in generation {g}" for g in (0, stats.last_of(table)))
    say(f"The standard deviation of these places is {widths}.")


def against_the_notebook(tables: Tables, records: Mapping[str, Recorded]) -> None:
    """Published numbers beside ours, condition `published`: spread of latent means, and training loss."""
    spread = {"this run": tables["published"], NOTEBOOK: claims.published()}
    spread |= {f"recorded, {name}": found.tables["published"] for name, found in records.items()}
    beside = {
        "standard deviation of latent means": ("latent_sd", ""),
        "training loss (nats per image)": ("training_loss", ""),
    }
    ours = {label: table for label, table in spread.items() if label != NOTEBOOK}
    show(
        figures.side_by_side(spread, beside, yscale="log"),
        stats.listing(spread, beside),
        "vae-published",
        "Published numbers beside ours, condition *published*: standard deviation of generation 0's latent means, "
        "and loss of the last pass over a generation's own training set. Means with 95 % bands over runs; the "
        "published loss is of one run.",
        "Two panels over generations with logarithmic axes. Standard deviation of latent means in generation 0 and "
        f"in the last: {ends(ours, 'latent_sd')}; published, generations 1 to 5: 0.69 to 0.44. Training loss: "
        f"{ends(ours, 'training_loss')}; published, 98.6 to 158.",
    )
    lines = [
        (f"the notebook, run {run + 1}", "", *(f"{sd:.3f}" for sd in sds), f"{sds[-1] / sds[0]:.2f}")
        for run, sds in enumerate(claims.PUBLISHED_SD)
    ]
    for label, table in ours.items():
        if stats.last_of(table) >= 5:
            fifth = stats.ratio(_spread(table, 5), _spread(table, 1))
            lines.append((label, *(f"{at(table, 'latent_sd', g):.3f}" for g in range(6)), f"{fifth:.2f}"))
    head = ("standard deviation in generation", *(str(g) for g in range(6)), "5 over 1")
    say(markdown(head, lines))


def against_the_notebook_on_mnist(record: Recorded) -> None:
    """Spread of latent means on MNIST over the mean of the published runs, generation by generation."""
    theirs, ours = (
        stats.by_generation(stats.pick(table, "latent_sd")).set_index("generation")["mean"]
        for table in (claims.published(), record.tables["published"])
    )
    shares = joined(f"{ours[g] / theirs[g]:.2f}" for g in theirs.index)
    say(f"Recorded on MNIST, over the mean of the notebook's runs, ours are {shares} in generations 1 to 5.")


def pictures_measured(scale: Size, runs: Mapping[str, Run]) -> None:
    """From how many pictures a standard deviation comes."""
    count = min(runs["full"].family_args["evaluate"], len(corpora.load(str(scale.corpus)).test))
    say(
        f"The notebook took 100 pictures for each of its numbers; here it is {count}. How far latents spread depends "
        "on the pictures and on beta, so the two sizes compare by their ratios only."
    )


def own_diet(tables: Tables) -> None:
    """Loss of every model on its own training set, {eq}`vae-loss`, against the control."""
    last = stats.last_of(tables["published"])
    losses = {label: [at(tables[label], "training_loss", g) for g in (0, last)] for label in ("published", "control")}
    say(
        f"On its own training set, generation 0 has a loss of {losses['published'][0]:.1f} nats per image and "
        f"generation {last} one of {losses['published'][1]:.1f}; in the control they are {losses['control'][0]:.1f} "
        f"and {losses['control'][1]:.1f}."
    )


def classes(tables: Tables) -> None:
    """What a classifier of real digits says of written ones: its confidence, and how the classes are shared out."""
    arms = chosen(tables, ("published", "full", "control"), CONDITIONS)
    show_panels(
        arms,
        MERGING,
        "vae-classes",
        "Mean probability of the likeliest class, entropy of the shares of classes, and standard deviation over "
        "images of a pixel; means with 95 % bands over seeds.",
    )
    table, last = tables["published"], stats.last_of(tables["published"])
    shares = {str(label): at(table, "classes", last, str(label)).value for label in range(10)}
    common = max(shares, key=lambda label: shares[label])
    say(
        f"In generation {last} of the published loop, the commonest class is {common} with "
        f"{at(table, 'classes', last, common):.0%} of the images (generation 0: {at(table, 'classes', 0, common):.0%})."
    )


def errors(tables: Tables) -> None:
    """New latents in every batch, one finite set, or drawn pixels: latent spread, entropy of classes, sharpness."""
    which = {
        "latent standard deviation": ("latent_sd", ""),
        "entropy of classes (nats)": ("class_entropy", ""),
        "sharpness": ("sharpness", ""),
    }
    arms = chosen(tables, ("published", "full", "drawn", "control"), CONDITIONS)
    show_panels(
        arms,
        which,
        "vae-errors",
        "Spread of latents under generation 0's encoder, entropy of classes and sharpness by generation; means with "
        "95 % bands over seeds.",
    )
    errors_in_numbers(tables)


def errors_in_numbers(tables: Tables, record: str = "") -> None:
    """What a finite set costs beyond ever new images, and writing means beyond draws.

    record  name of the recorded run that the tables are of; "": this run
    """
    end, three = stats.last_of(tables["full"]), ("published", "full", "drawn")
    falls = {label: _spread(tables[label], 0) - _spread(tables[label], end) for label in three}
    kept = {label: stats.ratio(_spread(tables[label], end), _spread(tables[label], 0)) for label in three}
    say(
        f"*{run_of(record)}:* up to generation {end}, the loss of latent "
        f"spread with new latents in every batch is {stats.ratio(falls['published'], falls['full']):.2f} times that "
        "with a finite set.\n\n"
        + markdown(
            ("condition", f"latent spread in generation {end} over generation 0", "entropy of classes, nats"),
            ((label, f"{kept[label]:.2f}", f"{at(tables[label], 'class_entropy', end):.2f}") for label in three),
        )
    )


def _spread(table: pd.DataFrame, generation: int) -> pd.Series:
    return stats.per_replicate(table, "latent_sd", generation)


def loops(tables: Tables) -> None:
    """Fréchet distance from real test images, precision and recall, with and without real images in training sets."""
    arms = chosen(tables, LOOPS, CONDITIONS)
    show_panels(
        arms,
        QUALITY,
        "vae-loops",
        "Distance from real test images, precision and recall by generation; means with 95 % bands over seeds.",
    )
    last = stats.last_of(tables["full"])
    far = {label: at(own, "frechet", last) for label, own in arms.items()}
    say(
        f"At generation {last} the distance is {far['full']:.1f} without real images, {far['augmentation']:.1f} with "
        f"the same real ones, {far['fresh']:.1f} with others drawn anew, {far['accumulate']:.1f} where everything is "
        f"kept and {far['control']:.1f} in the control; real training images have "
        f"{at(tables['full'], 'real_images', 0, 'frechet').value:.2f}."
    )
    from_to(arms, {"Fréchet distance": QUALITY["Fréchet distance"]})


def training_sets(tables: Tables, runs: Mapping[str, Run]) -> None:
    """How large the last training sets are, and how much of them is real."""
    ended = {label: table[table["generation"] == stats.last_of(table)].iloc[0] for label, table in tables.items()}
    say(
        markdown(
            ("condition", "images in the last training set", "of them real", "steps"),
            (
                (label, f"{end['n_train']}", f"{end['share_real']:.0%}", f"{claims.steps(runs[label])}")
                for label, end in ended.items()
            ),
        )
    )


def mnist(record: Recorded) -> None:
    """What became of the recorded chains on MNIST, chain by chain, and what real images have."""
    from_to(
        record.tables,
        {
            name: metric
            for name, metric in {**MERGING, **QUALITY, "sharpness": ("sharpness", "")}.items()
            if name not in ("spread of pixels", "precision")
        },
    )
    table = record.tables["published"]
    falls = {metric: _always(table, metric) for metric in ("latent_sd", "confidence", "class_entropy")}
    rises = _always(table, "training_loss", -1)
    real = {
        name: at(table, "real_images", 0, name).value
        for name in ("confidence", "class_entropy", "frechet", "sharpness")
    }
    say(
        f"Of {table['replicate'].nunique()} chains, the latent spread falls in every single generation in "
        f"{falls['latent_sd']}, the training loss rises in every one in {rises}, confidence falls in every one in "
        f"{falls['confidence']}, the entropy of classes in {falls['class_entropy']}. Real training images have, by "
        f"the same measures, a confidence of {real['confidence']:.3f}, an entropy of {real['class_entropy']:.3f}, a "
        f"distance of {real['frechet']:.2f} and a sharpness of {real['sharpness']:.3f}."
    )


def _always(table: pd.DataFrame, metric: str, sign: int = 1) -> int:
    """In how many chains a metric falls from every generation to the next; with sign -1: rises."""
    values = stats.pick(table, metric).pivot(index="replicate", columns="generation", values="value")
    return int((sign * values.diff(axis=1).iloc[:, 1:] < 0).all(axis=1).sum())
