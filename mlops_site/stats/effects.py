"""Size and significance of a difference between two samples, from counts or distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads its parts at their first use
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

KOLMOGOROV_MEAN = 0.8687  # sqrt(pi / 2) * ln 2, the mean of sqrt(n) D without a difference
_SMALL = 0.3  # p-value from which on the corrected limit is the better of two approximations
_FEW, _VERY_FEW = 90, 10  # rows below which a small one, and any, is not within 1 % of the finite distribution
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class Difference:
    """One test: its statistic, p-value, effect size in [0, 1] and population stability index."""

    statistic: float
    p_value: float
    effect: float
    psi: float


def ks_difference(distance: float, n: int, m: int, *, table: tuple[Counts, Counts]) -> Difference:
    """Judge a KS distance of samples of n and m; `table` holds both samples' counts for the PSI.

    The effect is sqrt(max(D^2 - b^2, 0)) with b = 0.8687 sqrt(1/n + 1/m), the mean distance of equal
    distributions. The p-value is SciPy's asymptotic one for two samples; with ties, atoms or a distance
    taken at bin edges only, D can but be smaller, so that the p-value is too large, never too small.

    >>> counts = np.array([50, 50])
    >>> ks_difference(0.0, 100, 100, table=(counts, counts))
    Difference(statistic=0.0, p_value=1.0, effect=0.0, psi=0.0)
    """
    noise = KOLMOGOROV_MEAN * np.sqrt(1 / n + 1 / m)
    p_value = ks_p_value(distance, max(1, round(n * m / (n + m))))
    return Difference(distance, p_value, float(np.sqrt(max(distance**2 - noise**2, 0.0))), psi(*table))


def ks_p_value(distance: float, n: int) -> float:
    """P(a KS distance of `n` rows to their own distribution is at least `distance`): `ks_p_values` of one.

    >>> round(ks_p_value(0.02, 5_000), 4), round(ks_p_value(0.02, 1_000), 4)
    (0.0361, 0.8109)
    """
    return float(ks_p_values(np.array([distance]), np.array([n]))[0])


def ks_p_values(distances: Floats, rows: ArrayLike) -> Floats:
    """P(a KS distance of n rows to their own distribution is at least so large), of W distances (W,) and their rows
    (W,).

    SciPy's finite distribution takes 0.2 ms to a millisecond a distance. These are within 1 % of it down to 1e-5, at a
    fixed cost: where it is large, Kolmogorov's limit at z + 1 / (6 sqrt(n)) + (z - 1) / (4 n), z being sqrt(n) D (Vrbik
    2018, Small-sample corrections to Kolmogorov-Smirnov test statistic); where it is small, twice the one-sided
    one, by the logarithm of its expansion to n ** -1.5 (Lauwerier 1963, The asymptotic expansion of the statistical
    distribution of N. V. Smirnov, Z. Wahrscheinlichkeitstheorie 2). Few rows take SciPy's.
    """
    n = np.asarray(rows, dtype=np.float64)
    root = np.sqrt(n)
    z = root * distances
    near = z + 1 / (6 * root) + (z - 1) / (4 * n)
    found: Floats = scipy.special.kolmogorov(near)
    small = found < _SMALL
    terms = -2 * z**2 - 2 * z / (3 * root) + 4 / 9 * (z**2 - z**4) / n + (4 * z / 45 - 88 * z**3 / 405) / n**1.5
    both = 2 * np.exp(-2 * near**2) - found  # what twice the one side counts twice
    few = (n < _FEW) & (small | (n < _VERY_FEW))
    found = np.where(small, np.maximum(2 * np.exp(np.minimum(terms, 0.0)) - both, 0.0), found)
    if few.any():
        found[few] = np.clip(scipy.stats.kstwo.sf(distances[few], n[few]), 0.0, 1.0)
    return found


def chi_square_difference(current: Counts, reference: Counts) -> Difference:
    """Chi-square test of two samples' counts over k levels, both of shape (k,), pooled by `pool`.

    The effect is Cohen's w = sqrt(X^2 (1/n + 1/m)), which for a large reference is his
    sqrt(sum (p - q)^2 / q), corrected for bias by taking X^2 less its degrees of freedom, its mean without
    a difference, and cut at 1. Source: Cohen (1988), chapter 7.

    >>> round(chi_square_difference(np.array([600, 400]), np.array([50000, 50000])).effect, 2)
    0.2
    """
    ours, theirs = pool(current, reference)
    n, m = int(ours.sum()), int(theirs.sum())
    expected = (ours + theirs) / (n + m)
    misses = np.square(ours - n * expected) / n + np.square(theirs - m * expected) / m
    statistic, freedom = float((misses / expected).sum()), len(ours) - 1
    p_value = float(scipy.special.chdtrc(freedom, statistic)) if freedom else 1.0
    effect = min(1.0, float(np.sqrt(max(statistic - freedom, 0.0) * (1 / n + 1 / m))))
    return Difference(statistic, p_value, effect, psi(ours, theirs))


def chi_square_differences(current: Counts, reference: Counts) -> tuple[Floats, Floats]:
    """p-values and effects (W,) of W pairs of samples at once, both (W, k): what `chi_square_difference` finds of each
    pair with rows on both sides."""
    ours, theirs, groups = _pooled(current, reference)
    n, m = ours.sum(axis=1, keepdims=True), theirs.sum(axis=1, keepdims=True)
    expected = (ours + theirs) / (n + m)
    misses = np.square(ours - n * expected) / n + np.square(theirs - m * expected) / m
    statistic = np.divide(misses, expected, out=np.zeros_like(misses), where=expected > 0).sum(axis=1)
    freedom = groups - 1
    p_values = np.where(freedom > 0, scipy.special.chdtrc(np.maximum(freedom, 1), statistic), 1.0)
    effects = np.sqrt(np.maximum(statistic - freedom, 0.0) * (1 / n + 1 / m)[:, 0])
    return p_values, np.minimum(effects, 1.0)


def _pooled(current: Counts, reference: Counts) -> tuple[Floats, Floats, Counts]:
    """`pool` of each of W pairs (W, k): the groups first, then nothing, and how many groups there are (W,)."""
    totals = current + reference
    order = np.argsort(totals, axis=1, kind="stable")
    ordered = np.take_along_axis(totals, order, axis=1)
    share = np.minimum(current.sum(axis=1), reference.sum(axis=1)) / np.maximum(totals.sum(axis=1), 1)
    group, gathered = np.zeros(len(totals), dtype=np.int64), np.zeros(len(totals))
    groups = np.empty_like(order)
    for place in range(totals.shape[1]):
        full = (gathered >= _LEAST_EXPECTED) & (ordered[:, place] > 0)
        group = group + full
        gathered = np.where(full, 0.0, gathered) + ordered[:, place] * share
        groups[:, place] = group
    last = (gathered < _LEAST_EXPECTED) & (group > 0)
    groups -= last[:, None] & (groups == group[:, None])
    at = (groups + np.arange(len(totals))[:, None] * totals.shape[1]).ravel()
    sides = [np.take_along_axis(side, order, axis=1).ravel() for side in (current, reference)]
    first, second = (
        np.bincount(at, weights=side, minlength=totals.size).astype(np.float64).reshape(totals.shape) for side in sides
    )
    return first, second, group + 1 - last


def pool(current: Counts, reference: Counts) -> tuple[Counts, Counts]:
    """Join the rarest levels until each expects 5 in the smaller sample; empty levels vanish.

    The order is that of the levels' totals, which does not depend on the side they come from; nor may the
    order of the levels given, which decides between equal totals.
    """
    totals = current + reference
    order = np.argsort(totals, kind="stable")
    order = order[totals[order] > 0]
    share = min(current.sum(), reference.sum()) / max(totals.sum(), 1)
    firsts, gathered = [0], 0.0
    for position, total in enumerate(totals[order].tolist()):
        if gathered >= _LEAST_EXPECTED:
            firsts.append(position)
            gathered = 0.0
        gathered += total * share
    if gathered < _LEAST_EXPECTED and len(firsts) > 1:
        firsts.pop()
    return np.add.reduceat(current[order], firsts), np.add.reduceat(reference[order], firsts)


def psi(current: ArrayLike, reference: ArrayLike) -> float:
    """Population stability index of two samples' counts over the same B bins, less its bias.

    Without a difference its mean is (B - 1)(1/n + 1/m), which is subtracted (0 at least). Half a count is
    added to every bin, so that one that is empty on one side does not make it infinite.

    >>> psi([10, 90], [10, 90]), round(psi([300, 700], [100, 900]), 2)
    (0.0, 0.27)
    """
    counts = np.array([current, reference], dtype=np.float64)
    counts = counts[:, counts.any(axis=0)]
    p, q = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
    bias = (counts.shape[1] - 1) * (1 / np.maximum(counts.sum(axis=1), 1)).sum()
    return max(0.0, float(np.sum((p - q) * np.log(p / q)) - bias))
