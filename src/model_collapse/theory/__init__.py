"""Closed forms that the simulations are held to. numpy and scipy only.

n counts fits: generation g of a table has been fitted n = g + 1 times. M is the number of rows per generation. CF-* are
the names used in the book.
"""

from model_collapse.theory.discrete import (
    absorption_time,
    absorption_time_approximation,
    accumulated_heterozygosity,
    both_alive,
    both_alive_bounds,
    expected_heterozygosity,
    expected_support,
    fixation_probability,
    forgetting_time,
    inbreeding,
    loss_probability,
    poisson_survival,
    stationary_variance,
    survival,
    survival_bounds,
    survival_rate,
    transition_matrix,
    zipf_law,
)
from model_collapse.theory.gaussian import (
    Estimator,
    accumulated_mean_drift,
    accumulated_variance,
    accumulated_variance_limit,
    expected_deviation,
    expected_fourth_moment,
    expected_log_variance,
    expected_variance,
    expected_w2_squared,
    mean_drift,
    variance_of_log_variance,
)
from model_collapse.theory.gmm import l2_of_normals, regularised_variance

__all__ = [
    "Estimator",
    "absorption_time",
    "absorption_time_approximation",
    "accumulated_heterozygosity",
    "accumulated_mean_drift",
    "accumulated_variance",
    "accumulated_variance_limit",
    "both_alive",
    "both_alive_bounds",
    "expected_deviation",
    "expected_fourth_moment",
    "expected_heterozygosity",
    "expected_log_variance",
    "expected_support",
    "expected_variance",
    "expected_w2_squared",
    "fixation_probability",
    "forgetting_time",
    "inbreeding",
    "l2_of_normals",
    "loss_probability",
    "mean_drift",
    "poisson_survival",
    "regularised_variance",
    "stationary_variance",
    "survival",
    "survival_bounds",
    "survival_rate",
    "transition_matrix",
    "variance_of_log_variance",
    "zipf_law",
]
