"""Chapter `copies`: a scanner and a printer that copy their own copies, in the loop of every model of this book."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.datasets import load_sample_image

from model_collapse import streams
from model_collapse.analysis import figures, stats
from model_collapse.companion.book.estimates import at, below, listed, markdown
from model_collapse.companion.book.notebook import say, show
from model_collapse.companion.claims import Tables
from model_collapse.companion.claims.copies import lost_per_copy
from model_collapse.companion.studies.copies import EXACT, STUDY, Size
from model_collapse.corpora import images
from model_collapse.data import Data, Rows, Source
from model_collapse.errors import InputError
from model_collapse.families.scanner import Scanner
from model_collapse.interfaces import Regime
from model_collapse.loop import generations
from model_collapse.regimes.accumulate import Accumulate
from model_collapse.regimes.replace import Replace
from model_collapse.theory.copies import copying_error, copying_error_line, depth_law, power_spectrum, psnr


@dataclass(frozen=True)
class Device:
    """The device that makes the copies; it copies the last copy, the original (given) or any earlier one (regime)."""

    scanner: Scanner = field(default_factory=Scanner)
    given: Literal["training", "original"] = "training"
    regime: Regime = field(default_factory=Replace)

    def copies(self, pictures: np.ndarray, last: int, seed: int) -> np.ndarray:
        """The pictures (n, side, side), and copies 1 to last of each: (last + 1, n, side, side)."""
        source = Source(Data.real(Rows(pictures)), fresh=lambda m, rng: Rows(pictures[:m]))
        turns = generations(
            source,
            self.scanner,
            self.regime,
            len(pictures),
            streams.stream(seed),
            last=last - 1,
            given=self.given,
        )
        return np.stack([pictures, *(turn.sample.x for turn in turns)])

    def error(self, copy: np.ndarray, power: np.ndarray) -> np.ndarray:
        """Closed form {eq}`copies-error` of the mean squared error of a copy, for pictures of this power spectrum."""
        n = copy if self.given == "training" else np.ones_like(copy)
        return copying_error(n, power, self.scanner.blur, self.scanner.noise, self.scanner.levels)


PLAIN = Scanner(**EXACT)
"""A scanner that copies as it is."""

DEVICES: Mapping[str, Device] = {
    "scanner": Device(),
    "blur alone": Device(replace(PLAIN, blur=0.5)),
    "noise alone": Device(replace(PLAIN, noise=4.0)),
    "JPEG alone": Device(replace(PLAIN, jpeg=10)),
    "control": Device(given="original"),
}
"""The devices that copy the flower."""


def size(
    profile: str,
    *,
    corpus: str | None = None,
    copies: int | None = None,
    n: int | None = None,
    replicates: int | None = None,
    seed: int | None = None,
) -> Size:
    """The size of the chapter, with the reader's changes. InputError lists the allowed values."""
    found = STUDY.at(profile, corpus=corpus, copies=copies, n=n, seeds=replicates, seed=seed)
    if found.seeds < 2 or found.copies < 5 or int(found.n or 0) < 10:
        raise InputError("this chapter is written for at least 2 replicates, 5 copies and 10 pictures")
    return found


def flower(side: int = 128) -> np.ndarray:
    """A square of 384 pixels of scikit-learn's photograph of a dahlia, in grey, shrunk: (1, side, side)."""
    shrink = 384 // side
    square = load_sample_image("flower.jpg").mean(axis=2)[20:404, 128:512]
    return np.rint(square.reshape(side, shrink, side, shrink).mean(axis=(1, 3))).astype(np.uint8)[None]


def one_picture(size: Size, devices: Mapping[str, Device] = DEVICES) -> None:
    """Figure: the flower and some of its copies, by device."""
    picture, last = flower(), size.copies
    shown = [c for c in (0, 1, 5, 20) if c < last] + [last]
    chains = {name: device.copies(picture, last, size.seed) for name, device in devices.items()}
    lost = pd.DataFrame(
        {"copy": c, "device": name, "psnr": _psnr(chain[c], picture)}
        for name, chain in chains.items()
        for c in shown[1:]
    )
    show(
        figures.grid(
            {_copy(c): np.concatenate([chain[c] for chain in chains.values()]) for c in shown}, columns=list(devices)
        ),
        lost,
        "copies-flower",
        f"One photograph, copied up to {last} times. From left to right: blur, noise and rounding together, each copy "
        "made from the last; blur alone; noise alone; JPEG files of quality 10 alone; and the first device again, but "
        "copying the original every time. Photograph: flower.jpg of scikit-learn (flickr user vultilion, CC BY 2.0), "
        "cut and in grey.",
        "A grid of grey pictures of a dahlia, a row for the original and for some of its copies, a column for each "
        "device. In the first column the petals are gone after twenty copies and a grainy ball is left. Blur alone "
        "leaves a smooth ball, noise alone all petals under grain. The JPEG column is blocky from the first copy on "
        "and then stays as it is. In the control all copies look like the original.",
    )
    first, end = (lost[lost["copy"] == c].set_index("device")["psnr"] for c in (1, last))
    head = ("PSNR of one chain, dB", *devices)
    lines = [(_copy(c), *(f"{found[name]:.1f}" for name in devices)) for c, found in ((1, first), (last, end))]
    say(markdown(head, lines))


def _copy(c: int) -> str:
    """Name of copy c."""
    return "original" if c == 0 else f"copy {c}"


def _psnr(copy: np.ndarray, original: np.ndarray) -> float:
    """PSNR in dB over all pictures."""
    return float(psnr(np.mean((copy.astype(float) - original) ** 2)))


def error_by_copy(size: Size, devices: Mapping[str, Device] = DEVICES) -> None:
    """Figure: PSNR of the flower's copies against {eq}`copies-error`; JPEG, which has no closed form, is left out."""
    picture, last = flower(), size.copies
    power = power_spectrum(picture)
    drawn = {name: device for name, device in devices.items() if not device.scanner.jpeg}
    tables = {name: _chains(picture, device, size) for name, device in drawn.items()}
    forms = {name: _form(device, power) for name, device in drawn.items()}
    show(
        figures.against_theory(
            {"flower": {name: stats.pick(table, "psnr") for name, table in tables.items()}},
            {"flower": forms},
            ylabel="PSNR (dB)",
        ),
        stats.listing(tables, {"PSNR": ("psnr", "")}),
        "copies-psnr",
        f"PSNR of the flower's copies; generation g is copy g + 1. Mean over {size.seeds} chains with a 95 % band; "
        "dashed: {eq}`copies-error`.",
        "Four curves over generations. Scanner, blur and noise fall, fast at first, close to their dashed closed "
        "forms; towards the end blur alone and noise alone lie above them. The control is flat.",
    )
    lines = [
        (name, f"{at(table, 'psnr'):.2f}", f"{float(forms[name](np.array([last - 1]))[0]):.2f}")
        for name, table in tables.items()
    ]
    say(markdown(("device", f"PSNR of copy {last}, dB", "closed form"), lines))
    usual = Scanner()
    intercept, slope = copying_error_line(power, usual.blur, usual.noise, usual.levels)
    variance = float(picture.var())
    say(
        f"Without noise the error of the scanner would end at the variance of the picture, {variance:.0f} (PSNR "
        f"{float(psnr(variance)):.1f} dB): an even grey. With noise it ends on a line, {intercept:.0f} + {slope:.4f} "
        "per copy."
    )


def _chains(pictures: np.ndarray, device: Device, size: Size, seeds: int | None = None) -> pd.DataFrame:
    """PSNR and mean squared error of one device by replicate; copies 1, 2, ... are generations 0, 1, ..."""
    found = []
    for seed in range(size.seed, size.seed + (seeds or size.seeds)):
        chain = device.copies(pictures, size.copies, seed)
        error = np.mean((chain[1:].astype(float) - pictures) ** 2, axis=(1, 2, 3))
        about = {"generation": np.arange(len(error)), "replicate": seed, "item": ""}
        found += [
            pd.DataFrame({**about, "metric": "psnr", "value": psnr(error)}),
            pd.DataFrame({**about, "metric": "mse", "value": error}),
        ]
    return pd.concat(found)


def _form(device: Device, power: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """PSNR by generation, in closed form."""
    return lambda g: psnr(device.error(g + 1, power))


def first_digits(corpus: str) -> np.ndarray:
    """The first picture of each class of a corpus."""
    found = images.load(corpus)
    return found.train[np.unique(found.train_labels, return_index=True)[1]]


def digits(tables: Tables, size: Size) -> None:
    """Figure: the first picture of each class, copied from its own last copy again and again."""
    last = _last_copy(tables)
    corpus = str(size.corpus)
    chain = Device().copies(first_digits(corpus), last, size.seed)
    show(
        figures.grid({_copy(c): chain[c] for c in (0, 1, 2, 5, last)}),
        stats.listing({"copies of copies": tables["copies of copies"]}, {"PSNR": ("psnr", "")}),
        "copies-digits",
        f"The first picture of each class of {corpus}, copied from its own last copy again and again.",
        "Rows of small pictures of digits, one of each class, the same in every row. They are sharp in the first row, "
        "blurred but legible in the second and third, and hardly more than grey spots in the last.",
    )


def _last_copy(tables: Tables) -> int:
    """The last copy of the study's runs."""
    return stats.last_of(tables["copies of copies"]) + 1


def psnr_of_digits(tables: Tables, size: Size) -> None:
    """Figure: PSNR of all pictures by generation, and dB lost per copy by the control and by JPEG."""
    show(
        figures.by_arm(tables, "psnr", ylabel="PSNR (dB)"),
        stats.listing(tables, {"PSNR": ("psnr", "")}),
        "copies-digits-psnr",
        f"PSNR of {size.n} pictures of {size.corpus}; thick: mean over {size.seeds} chains (JPEG draws nothing: all "
        "its chains are the same), thin: single chains.",
        "Three curves by generation. Copies of copies fall, fast at first. JPEG alone falls a little and is then "
        "level. The control is level: copies of the original do not get worse.",
    )
    level = 0.9999
    control = lost_per_copy({"control": tables["control: copies of the original"]}, level)
    stopped = lost_per_copy({"JPEG": tables["JPEG alone"]}, level)
    assert not control.low > 0, "copies of the original must not get worse"
    last, side = _last_copy(tables), images.load(str(size.corpus)).side
    say(
        "The least that is lost from one copy to the next: "
        f"{control:.2g} dB in the control, where it must not be above 0, and {stopped:.2g} dB with JPEG alone, where "
        f"it is 0 once nothing changes ({level:.2%} intervals). These pictures have {side} pixels along an edge, and "
        f"{last} blurs are one of {Scanner().blur * last**0.5:.1f} pixels: small pictures blur fast."
    )


def changing_pixels(size: Size) -> None:
    """Figure: share of pixels that change from each copy to the next, and after which copy none moves any more."""
    devices = {
        "JPEG, quality 50": Device(replace(PLAIN, jpeg=50)),
        "blur, 16 levels": Device(Scanner(blur=0.5, noise=0, levels=16)),
        "blur, 52 levels": Device(Scanner(blur=0.5, noise=0, levels=52)),
        "blur, 52 levels, noise": Device(),
    }
    pictures, last = images.load(str(size.corpus)).train[: int(size.n or 0)], size.copies
    moving = {name: device.copies(pictures, last, size.seed) for name, device in devices.items()}
    changed = {
        name: pd.DataFrame(
            {
                "generation": np.arange(1, last),
                "replicate": 0,
                "metric": "changed",
                "item": "",
                "value": np.mean(chain[2:] != chain[1:-1], axis=(1, 2, 3)),
            }
        )
        for name, chain in moving.items()
    }
    show(
        figures.by_arm(changed, "changed", ylabel="share of pixels that change"),
        below({name: table[["generation", "value"]] for name, table in changed.items()}, "device"),
        "copies-changed",
        f"Share of all pixels of {size.n} pictures of {size.corpus} in which copy g + 1 differs from copy g.",
        "Four curves by generation. JPEG and both blurs without noise fall to zero, the coarser rounding sooner. The "
        "device with noise stays high throughout.",
    )
    still = {name: _stops(chain) for name, chain in moving.items()}
    jpeg = _stops(DEVICES["JPEG alone"].copies(flower(), last, size.seed))
    assert jpeg is not None, "a JPEG file of a JPEG file must stop to change"
    assert still["blur, 52 levels, noise"] is None, "noise must not stop"
    lines = [
        (
            name,
            f"not within {last}" if still[name] is None else f"copy {still[name]}",
            f"{_psnr(chain[-1], chain[0]):.1f}",
        )
        for name, chain in moving.items()
    ]
    say(
        f"The flower as a JPEG file: no pixel moves after copy {jpeg}. The {size.n} pictures here:\n\n"
        + markdown(("device", "no pixel of any picture moves after", "PSNR at the end, dB"), lines)
    )


def _stops(chain: np.ndarray) -> int | None:
    """Copy after which no pixel moves, or None."""
    still = np.flatnonzero(np.all(chain[1:] == chain[:-1], axis=(1, 2, 3)))
    return int(still[0]) if len(still) else None


def drawer(size: Size) -> None:
    """Figure: mean squared error by what each copy is made from, {eq}`copies-error` averaged over depths."""
    picture, last = flower(64), size.copies
    by_depth = Device().error(np.arange(last + 1), power_spectrum(picture))
    ways = {
        "last copy": Device(),
        "any picture, at random": Device(regime=Accumulate()),
        "original": Device(given="original"),
    }
    tables = {name: _chains(picture, device, size, 6 * size.seeds) for name, device in ways.items()}
    forms: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "last copy": lambda g: by_depth[g + 1],
        "any picture, at random": lambda g: np.array([depth_law(c + 1) @ by_depth[: c + 2] for c in g]),
        "original": lambda g: np.full(len(g), by_depth[1]),
    }
    title = "each copy is made from"
    show(
        figures.against_theory(
            {title: {name: stats.pick(table, "mse") for name, table in tables.items()}},
            {title: forms},
            ylabel="mean squared error",
        ),
        stats.listing(tables, {"mean squared error": ("mse", "")}),
        "copies-drawer",
        "Mean squared error of copies of the flower (64 x 64 pixels) by what each is made from: mean over "
        f"{6 * size.seeds} chains with a 95 % band; dashed: {{eq}}`copies-error`, averaged over how many copies deep a "
        "picture is.",
        "Three curves with dashed closed forms. The error of copies of the last copy rises steeply and bends over. "
        "That of copies of a picture drawn at random rises slowly. That of copies of the original is level.",
    )
    errors = {name: (at(table, "mse"), forms[name](np.array([last - 1]))[0]) for name, table in tables.items()}
    say(
        f"Mean squared error of copy {last}, and by the closed form: "
        + listed({name: f"{found:.0f}, {exact:.0f}" for name, (found, exact) in errors.items()})
        + f" (95 % intervals over chains). The copy from the drawer is {depth_law(last) @ np.arange(last + 1):.2f} "
        "copies deep on average."
    )


def perfect_copies(tables: Tables, size: Size) -> None:
    """Figure: what is left after exact copies of pictures drawn at random, beside what the scanner leaves."""
    last, corpus = _last_copy(tables), str(size.corpus)
    originals = first_digits(corpus)
    line = lineage(len(originals), last, size.seed)
    scanned = Device().copies(originals, last, size.seed)[last]
    show(
        figures.grid({"original": originals, "by scanner": scanned, "at random": originals[np.sort(line[-1])]}),
        pd.DataFrame({"generation": np.arange(last + 1), "originals left": [len(np.unique(each)) for each in line]}),
        "copies-lots",
        f"{len(originals)} pictures of {corpus}, and their copies after {last} generations: by the scanner, "
        "and by a perfect device from pictures drawn at random.",
        "Three rows of small pictures. The originals are different digits. After the scanner all are blurred beyond "
        "reading. Drawn at random, the pictures are sharp, and only one or a few different ones are left.",
    )
    n, seeds = int(size.n or 0), range(size.seed, size.seed + 6 * size.seeds)
    left = stats.mean([len(np.unique(lineage(n, last, seed)[-1])) / n for seed in seeds])
    say(
        f"Of {n} originals, {left:.1%} still have a copy after {last} generations at random (95 % interval over "
        f"{left.n} chains), and each of these copies is exact. After the same number of copies by the scanner every "
        f"original has one, with a PSNR of {at(tables['copies of copies'], 'psnr'):.1f} dB."
    )


def lineage(m: int, last: int, seed: int) -> np.ndarray:
    """Which of m originals each picture goes back to, if each generation draws from the one before: (last + 1, m)."""
    rng, lines = np.random.default_rng(seed), [np.arange(m)]
    for _ in range(last):
        lines.append(rng.choice(lines[-1], m))
    return np.stack(lines)
