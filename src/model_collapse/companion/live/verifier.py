"""How good whoever chooses the data must be."""

from __future__ import annotations

import numpy as np

from model_collapse import theory
from model_collapse.companion.live.element import Axis, Curve, Element, Slider, Values

ERRORS = tuple(round(0.025 * k, 3) for k in range(39))
DIMENSIONS = 20


def compute(right: float, wrong: float, rows: float) -> Values:
    """Accuracy of a classifier that learns from the labels kept, with `rows` rows and with infinitely many."""
    errors = np.array(ERRORS)
    point = float(theory.curation.breakdown_point(right, wrong))
    return Values(
        {
            "accuracy": theory.curation.averaging_accuracy(int(rows), DIMENSIONS, errors, right, wrong),
            "endless": np.where(errors < point, 1.0, np.where(errors > point, 0.0, 0.5)),
        },
        {"point": point},
    )


ELEMENT = Element(
    name="verifier",
    title="How good must the verifier be?",
    lead="A model labels data, and some labels are wrong. A verifier keeps most right ones and drops most wrong "
    "ones, but errs, too. The next model learns from the kept labels.",
    sliders=(
        Slider("right", "Right labels that are kept", (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), 0.8, percent=True),
        Slider("wrong", "Wrong labels that are kept", (0.1, 0.2, 0.4, 0.6, 0.8, 1.0), 0.4, percent=True),
        Slider("rows", "Labels before the choice", (100, 1000), 1000),
    ),
    along=Slider("error", "Share of wrong labels", ERRORS, 0.4, percent=True),
    x=Axis("share of wrong labels", 0, 0.95, percent=True),
    y=Axis("accuracy of the next model", 0, 1, percent=True),
    curves=(Curve("accuracy", "with these labels"), Curve("endless", "with labels without end", dashed=True)),
    said="With {error:%} wrong labels the next model is right in {accuracy:%} of cases. The breakdown point is at "
    "{point:%} wrong labels: beyond it most of the kept labels are wrong.",
    alt="Accuracy is high while few labels are wrong and falls steeply at the breakdown point, two thirds of "
    "wrong labels.",
    compute=compute,
    source="`curation.breakdown_point`, `curation.averaging_accuracy` in 20 dimensions",
)
