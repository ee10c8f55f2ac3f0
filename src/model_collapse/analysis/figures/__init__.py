"""Figures: pure functions of tidy tables. Nothing here runs a chain or reads a file, and nothing needs torch.

One module per theme; all are called as `figures.NAME`.
"""

from model_collapse.analysis.figures.arms import (
    Metrics,
    bins,
    by_arm,
    by_item,
    histograms,
    paths,
    relative,
    side_by_side,
)
from model_collapse.analysis.figures.chains import ellipses, fitted_densities, shares_of_chains
from model_collapse.analysis.figures.curves import Curves, against_theory, fans, medians, stacked
from model_collapse.analysis.figures.families import by_family, forest, learning_curves, prices
from model_collapse.analysis.figures.look import band, plain_ticks, style, styled
from model_collapse.analysis.figures.phase import phase
from model_collapse.analysis.figures.pictures import grid, of_generations, pixels
from model_collapse.analysis.figures.scatter import laws, points, points_by_arm, roc

__all__ = [
    "Curves",
    "Metrics",
    "against_theory",
    "band",
    "bins",
    "by_arm",
    "by_family",
    "by_item",
    "ellipses",
    "fans",
    "fitted_densities",
    "forest",
    "grid",
    "histograms",
    "laws",
    "learning_curves",
    "medians",
    "of_generations",
    "paths",
    "phase",
    "pixels",
    "plain_ticks",
    "points",
    "points_by_arm",
    "prices",
    "relative",
    "roc",
    "shares_of_chains",
    "side_by_side",
    "stacked",
    "style",
    "styled",
]
