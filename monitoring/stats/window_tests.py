"""Many windows of one feature judged at once, as `profile_drift` judges each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops_site.stats.bins import CategoryBins, FeatureBins, NumericBins
from mlops_site.stats.compare_profiles import each_expecting_unseen
from mlops_site.stats.effects import KOLMOGOROV_MEAN, chi_square_differences, ks_p_values
from mlops_site.stats.scored import Floats


def judged(
    counts: Floats, reference: NDArray[np.int64], bins: FeatureBins, enough: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """p-values and effects (W,) of W windows, from their counts and those of the reference without unreadable values,
    (W, width) and (width,). A window without `enough` rows has a p-value of 1 and no effect."""
    p_values, effects = np.ones(len(counts)), np.zeros(len(counts))
    if enough.any():
        is_number = isinstance(bins, NumericBins)
        own = counts[enough]
        p_values[enough], effects[enough] = (
            judged_numbers(own, reference) if is_number else judged_levels(own, reference, bins)  # type: ignore[arg-type]
        )
    return p_values, effects


def judged_numbers(counts: Floats, reference: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Of windows with rows."""
    n, m = counts.sum(axis=1), int(reference.sum())
    gaps = np.cumsum(counts, axis=1) * m - np.cumsum(reference) * n[:, None]
    distance = np.abs(gaps).max(axis=1) / (n * m)
    p_values = ks_p_values(distance, np.maximum(1, np.rint(n * m / (n + m))))
    noise = KOLMOGOROV_MEAN**2 * (1 / n + 1 / m)
    return p_values, np.sqrt(np.maximum(distance**2 - noise, 0.0))


def judged_levels(counts: Floats, reference: NDArray[np.int64], bins: CategoryBins) -> tuple[Floats, Floats]:
    """Of windows with rows; counts are rounded to whole rows."""
    whole = np.rint(counts).astype(np.int64)
    return chi_square_differences(whole, each_expecting_unseen(whole, reference, bins))


def q_values(p_values: Floats) -> Floats:
    """By Benjamini and Hochberg over the features (F, W), each window for itself."""
    order = np.argsort(p_values, axis=0)
    scaled = np.take_along_axis(p_values, order, axis=0) * len(p_values) / np.arange(1, len(p_values) + 1)[:, None]
    ranked = np.minimum.accumulate(scaled[::-1], axis=0)[::-1]
    answer = np.empty_like(ranked)
    np.put_along_axis(answer, order, np.minimum(ranked, 1.0), axis=0)
    return answer
