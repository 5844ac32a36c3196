"""Size and significance of a difference between two samples, from counts or distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads scipy.stats at its first use: half of what a process takes to start
from numpy.typing import ArrayLike, NDArray
from scipy import special

Counts = NDArray[np.int64]

KOLMOGOROV_MEAN = 0.8687  # sqrt(pi / 2) * ln 2, the mean of sqrt(n) D without a difference
_LIMIT_FROM = 2_000  # rows from which on the limit's first correction is within 1 % of the finite distribution
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
    """P(a KS distance of `n` rows to their own distribution is at least `distance`).

    SciPy's finite distribution takes longer the more rows there are, to a millisecond a feature at a million. From
    2,000 on it is Kolmogorov's limit at sqrt(n) D + 1 / (6 sqrt(n)), whose cost is fixed: within 1 % of the finite one
    down to 1e-5. Source: Vrbik (2018), Small-sample corrections to Kolmogorov-Smirnov test statistic.

    >>> round(ks_p_value(0.02, 5_000), 4), round(ks_p_value(0.02, 1_000), 4)
    (0.0361, 0.8109)
    """
    if n < _LIMIT_FROM:
        return float(np.clip(scipy.stats.kstwo.sf(distance, n), 0.0, 1.0))
    root = float(np.sqrt(n))
    return float(special.kolmogorov(root * distance + 1 / (6 * root)))


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
    p_value = float(special.chdtrc(freedom, statistic)) if freedom else 1.0
    effect = min(1.0, float(np.sqrt(max(statistic - freedom, 0.0) * (1 / n + 1 / m))))
    return Difference(statistic, p_value, effect, psi(ours, theirs))


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
