"""Comparisons with chance in them, few enough for a correct program to fail a whole file with probability 1e-3."""

from __future__ import annotations

import numpy as np
from scipy import stats


class Comparisons:
    """The comparisons of one test file: at most `most`, each two-sided at level 1e-3 / most (Bonferroni).

    They are counted per process; pytest-xdist keeps a file in one process with `--dist loadfile`, as `make test` does.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.level = 1e-3 / most
        self.z = float(stats.norm.isf(self.level / 2))
        self.made: list[str] = []

    def count(self, name: str) -> None:
        """Notes a comparison; fails if it is one more than the error rate allows."""
        self.made.append(name)
        assert len(self.made) <= self.most, f"{name}: more than {self.most} comparisons"

    def within(
        self,
        name: str,
        values: np.ndarray,
        expected: float,
        variance: float | None = None,
        floor: float = 0.0,
        slack: float = 0.0,
    ) -> None:
        """The mean of `values` (R,) is `expected`, within z standard errors (known ones where `variance` is given).

        `floor` is the least standard deviation to go by, `slack` what rounding may add to the difference.
        """
        self.count(name)
        deviation = max(np.sqrt(np.var(values, ddof=1) if variance is None else variance), floor)
        error = deviation / np.sqrt(len(values))
        assert abs(np.mean(values) - expected) < self.z * error + slack, (
            f"{name}: mean {np.mean(values):.6g}, expected {float(expected):.6g}, s.e. {error:.2g}"
        )

    def same_distribution(self, name: str, one: np.ndarray, other: np.ndarray) -> None:
        """Kolmogorov and Smirnov's test of two samples; with ties it errs on the side of equality."""
        self.count(name)
        p = stats.ks_2samp(one, other).pvalue
        assert p > self.level, f"{name}: p = {p:.1e}"
