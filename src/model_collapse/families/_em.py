"""Expectation maximisation (EM) for mixtures of normal distributions in the plane, many chains at once.

Start and stopping rule are those of scikit-learn's GaussianMixture with full covariances: greedy k-means++, k-means,
then EM until the mean log-likelihood per row changes by less than `tol`.

A log-density is a linear form in the features 1, x, y, xx, yy, xy of a row, so that an E step is one small matrix
product per chain and an M step another. Shapes: R chains, K components, N rows; features (R, 6, N); statistics
(R, K, 6), the sums of the features over the rows of each component. `weighed` are the features times the rows'
weights, or the features themselves where all weigh 1. A chain that is done leaves the arrays at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NO_ROWS = 1e-3
"""No component counts for fewer rows than this: what it has is rounding, and it must not be divided by."""

KMEANS_STEPS, KMEANS_TOL = 300, 1e-4
"""As in scikit-learn; the tolerance is for the squared shift of all centres, in mean variances of a coordinate."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """R mixtures: weights (R, K), means (R, K, 2), covariances (R, K, 2, 2), steps that EM took (R,)."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    iterations: np.ndarray


def fit(
    x: np.ndarray,
    weight: np.ndarray | None,
    components: int,
    rng: np.random.Generator,
    *,
    tol: float,
    max_iter: int,
    reg_covar: float,
) -> Mixture:
    """Mixtures of `components` normal distributions for rows x (R, 2, N), weighted by (R, N) or by 1 each."""
    # About the middle of the data, so that sums of squares lose no digits to where the data lie.
    middle = x.mean(axis=2)
    features = features_of(x - middle[..., None])
    weighed = features if weight is None else features * weight[:, None]
    centres = kmeans(features, weighed, seeds(features, weighed, components, rng))
    start = split(weighed, weighed.sum(axis=2), nearest(features, centres))
    statistics, iterations = maximise(features, weighed, start, tol=tol, max_iter=max_iter, reg_covar=reg_covar)
    n, means, spread = parameters(statistics, reg_covar)
    return Mixture(
        weights=(n / n.sum(axis=0)).T,
        means=means.T + middle[:, None],
        covariances=spread[[0, 2, 2, 1]].T.reshape(*n.T.shape, 2, 2),
        iterations=iterations,
    )


def features_of(x: np.ndarray) -> np.ndarray:
    """1, x, y, xx, yy, xy of rows (R, 2, N): shape (R, 6, N)."""
    features = np.empty((len(x), 6, x.shape[2]))
    features[:, 0] = 1
    features[:, 1:3] = x
    np.square(x, out=features[:, 3:5])
    np.multiply(x[:, 0], x[:, 1], out=features[:, 5])
    return features


def sums(features: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Sums (R, k, f) of features (R, f, N) over rows of which the shares (R, k, N) count."""
    return share @ features.swapaxes(1, 2)


def split(weighed: np.ndarray, total: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Statistics of K components, from those of all rows and the shares (R, K - 1, N) of all but the first."""
    others = sums(weighed, share)
    first = total[:, None] - others.sum(axis=1, keepdims=True)
    return np.concatenate([first, others], axis=1)


def still_running(done: np.ndarray, *arrays: np.ndarray) -> list[np.ndarray]:
    """The chains that are not `done`, of arrays whose first axis is R. In place: the last move up to the gaps."""
    left = len(done) - np.count_nonzero(done)
    gaps, last = np.flatnonzero(done[:left]), left + np.flatnonzero(~done[left:])
    for array in {id(array): array for array in arrays}.values():
        array[gaps] = array[last]
    return [array[:left] for array in arrays]


# EM ----------------------------------------------------------------------------------------------------------------


def maximise(
    features: np.ndarray,
    weighed: np.ndarray,
    statistics: np.ndarray,
    *,
    tol: float,
    max_iter: int,
    reg_covar: float,
) -> tuple[np.ndarray, np.ndarray]:
    """EM from the statistics of a start until a chain's mean log-likelihood changes by less than `tol`.

    Gives the statistics after the last M step and the number of steps (R,). Uses `features` and `weighed` up.
    """
    step = step_of_two if statistics.shape[1] == 2 else step_of_many
    ended, iterations = np.empty_like(statistics), np.empty(len(features), int)
    running, before = np.arange(len(features)), np.full(len(features), -np.inf)
    total = weighed.sum(axis=2)
    for i in range(1, max_iter + 1):
        likelihood, statistics = step(features, weighed, total, log_densities(statistics, reg_covar))
        likelihood /= total[:, 0]
        change = np.abs(likelihood - before)
        before = likelihood
        if change.min() >= tol and i < max_iter:
            continue
        done = (change < tol) | (i == max_iter)
        ended[running[done]], iterations[running[done]] = statistics[done], i
        features, weighed, statistics, total, running, before = still_running(
            done, features, weighed, statistics, total, running, before
        )
        if len(running) == 0:
            break
    return ended, iterations


def step_of_many(
    features: np.ndarray, weighed: np.ndarray, total: np.ndarray, log_density: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One E and one M step: log-likelihood (R,) before it, up to a constant, and statistics after it."""
    first = log_density[:, 0]
    apart = np.ascontiguousarray((log_density[:, 1:] - first[:, None]).T)
    share = apart @ features
    top = share.max(axis=1, keepdims=True, initial=0)
    share -= top
    np.exp(share, out=share)
    norm = np.exp(-top) + share.sum(axis=1, keepdims=True)
    share /= norm
    top += np.log(norm)
    likelihood = sums(weighed[:, :1], top)[:, 0, 0] + (first * total.T).sum(axis=0)
    return likelihood, split(weighed, total, share)


def step_of_two(
    features: np.ndarray, weighed: np.ndarray, total: np.ndarray, log_density: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same for two components of log-densities m - u and m + u: one hyperbolic tangent per row, without overflow.

    With h = tanh u the second component's share is (1 + h) / 2, and the log-likelihood of a row is
    ln(exp(m - u) + exp(m + u)) = m + |u| + ln 2 - ln(1 + |h|).
    """
    first, second = log_density[:, 0], log_density[:, 1]
    apart = np.empty((len(features), 1, 6))
    np.subtract(second.T, first.T, out=apart[:, 0])
    apart *= 0.5
    u = apart @ features
    h = np.tanh(u)
    statistics = np.empty((len(features), 2, 6))
    np.add(total, sums(weighed, h)[:, 0], out=statistics[:, 1])
    statistics[:, 1] *= 0.5
    np.subtract(total, statistics[:, 1], out=statistics[:, 0])
    np.abs(u, out=u)
    np.abs(h, out=h)
    u -= np.log1p(h, out=h)
    middle = first + second
    middle *= total.T
    return sums(weighed[:, :1], u)[:, 0, 0] + 0.5 * middle.sum(axis=0), statistics


def parameters(statistics: np.ndarray, reg_covar: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (K, R), means (2, K, R) and covariances xx, yy, xy (3, K, R) of each component."""
    # When few chains are left, what costs is every single call: hence in place, and on a copy that lies in this order.
    moments = statistics.T.copy()
    n, rest = moments[0], moments[1:]
    np.maximum(n, NO_ROWS, out=n)
    rest /= n
    means, spread = rest[:2], rest[2:]
    square, cross = spread[:2], spread[2]
    square -= means * means
    square += reg_covar
    cross -= means[0] * means[1]
    return n, means, spread


def log_densities(statistics: np.ndarray, reg_covar: float) -> np.ndarray:
    """ln of weight times density, up to a constant, as coefficients (6, K, R) of the features.

    ln n - ln(det C) / 2 - (x - m)' C^-1 (x - m) / 2, multiplied out. The inverse of C has yy, xx, -xy over det C in the
    places of xx, yy, xy.
    """
    n, means, spread = parameters(statistics, reg_covar)
    square, cross = spread[:2], spread[2]
    det = square[0] * square[1]
    det -= cross * cross
    spread /= det
    form = np.empty((6, *n.shape))
    constant, linear, swapped = form[0], form[1:3], square[::-1]
    np.multiply(swapped, means, out=linear)
    linear -= cross * means[::-1]
    np.multiply(swapped, -0.5, out=form[3:5])
    form[5] = cross
    means *= linear
    n *= n
    n /= det
    np.log(n, out=constant)
    constant -= means[0]
    constant -= means[1]
    constant *= 0.5
    return form


# k-means -----------------------------------------------------------------------------------------------------------


def seeds(features: np.ndarray, weighed: np.ndarray, components: int, rng: np.random.Generator) -> np.ndarray:
    """K of the rows (R, K, 2) by greedy k-means++ (Arthur & Vassilvitskii 2007): the best of 2 + ln K tries each."""
    x, weight = features[:, 1:3], weighed[:, 0]
    each = np.arange(len(features))
    first = _choose(weight, rng.random((len(features), 1)))[:, 0]
    centres = [x[each, :, first]]
    closest = _squared_distances(features, centres[0][:, None])[:, 0]
    for _ in range(1, components):
        tries = _choose(closest * weight, rng.random((len(features), 2 + int(np.log(components)))))
        points = x[each[:, None], :, tries]
        distances = np.minimum(_squared_distances(features, points), closest[:, None])
        best = sums(weighed[:, :1], distances)[..., 0].argmin(axis=1)
        centres.append(points[each, best])
        closest = distances[each, best]
    return np.stack(centres, axis=1)


def _choose(mass: np.ndarray, mark: np.ndarray) -> np.ndarray:
    """For marks (R, k) in [0, 1), the rows at which the running sum of mass (R, N) passes that share of its end."""
    running = mass.cumsum(axis=1)
    mark = mark * running[:, -1:]
    return np.count_nonzero(running[:, None] < mark[..., None], axis=2)


def _squared_distances(features: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(R, k, N) of every row to points (R, k, 2)."""
    form = np.ones((*points.shape[:2], 5))
    form[..., 0] = np.square(points).sum(axis=2)
    form[..., 1:3] = -2 * points
    return np.maximum(form @ features[:, :5], 0)


def nearest(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """1.0 where a row is closest to a centre, (R, K - 1, N) for all centres (R, K, 2) but the first; ties go to it."""
    square = np.square(centres).sum(axis=2)
    form = np.empty((len(centres), centres.shape[1] - 1, 3))
    form[..., 0] = 0.5 * (square[:, :1] - square[:, 1:])
    form[..., 1:] = centres[:, 1:] - centres[:, :1]
    closer = form @ features[:, :3]
    if closer.shape[1] < 2:
        return (closer > 0).astype(float)
    best = np.where(closer.max(axis=1) > 0, closer.argmax(axis=1), -1)
    return (best[:, None] == np.arange(closer.shape[1])[:, None]).astype(float)


def kmeans(features: np.ndarray, weighed: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Lloyd's algorithm from `centres` (R, K, 2) until they shift by no more than the tolerance; the last centres."""
    ended, running = centres.copy(), np.arange(len(features))
    total = weighed[:, :5].sum(axis=2)
    means = total[:, 1:] / total[:, :1]
    tol = KMEANS_TOL * (means[:, 2:] - np.square(means[:, :2])).mean(axis=1)
    total = total[:, :3].copy()
    rows = features[:, :3].copy()
    heavy = rows if weighed is features else weighed[:, :3].copy()
    for _ in range(KMEANS_STEPS):
        share = nearest(rows, centres)
        clusters = split(heavy, total, share)
        if clusters[..., 0].min() < NO_ROWS:
            _fill(clusters, rows, heavy, share, centres)
        moved = clusters[..., 1:] / clusters[..., :1]
        done = np.square(moved - centres).sum(axis=(1, 2)) <= tol
        centres = moved
        ended[running] = centres
        if done.any():
            rows, heavy, total, running, centres, tol = still_running(done, rows, heavy, total, running, centres, tol)
        if len(running) == 0:
            break
    return ended


def _fill(clusters: np.ndarray, rows: np.ndarray, heavy: np.ndarray, share: np.ndarray, centres: np.ndarray) -> None:
    """Give each empty one of the clusters (R, K, 3) the row that is farthest from its own centre, as scikit-learn does.

    Where all rows lie on their centres, an empty cluster goes where the largest one is.
    """
    for r in np.flatnonzero(clusters[..., 0].min(axis=1) < NO_ROWS):
        own = np.arange(1, share.shape[1] + 1) @ share[r]
        own = own.astype(int)
        distance = np.square(rows[r, 1:] - centres[r, own].T).sum(axis=0) * (heavy[r, 0] > 0)
        far = np.argsort(distance)[::-1]
        for k, row in zip(np.flatnonzero(clusters[r, :, 0] < NO_ROWS), far, strict=False):
            if distance[row] == 0:
                clusters[r, k] = clusters[r, clusters[r, :, 0].argmax()]
            else:
                clusters[r, own[row]] -= heavy[r, :, row]
                clusters[r, k] = heavy[r, :, row]
