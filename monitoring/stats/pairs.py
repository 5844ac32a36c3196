"""Features that move together otherwise than in training: on a sample of rows, for a profile knows no pairs."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import pandas as pd

from mlops_site.stats.correlations import Correlations, PairChange, changes, correlations
from mlops_site.stats.intervals import holm
from mlops_site.stats.profile import Profile
from mlops_site.stats.scored import Floats
from monitoring.stats.limits import ALPHA, MOST_CHANGE, Edits, QualityFinding


def moved(
    reference: Profile, edits: Edits | None, sample: pd.DataFrame | None, correlated: Correlations | None
) -> Iterator[QualityFinding]:
    """Correlations that changed, one finding for each feature that explains them: the one with most such pairs first,
    then the one with most of those left."""
    if sample is None or correlated is None:
        return
    said = {name: (edits or {}).get((name, "correlation")) or {} for name in reference.bins.features}
    most = {
        name: float(said[name].get("max_change", MOST_CHANGE))
        for name in correlated.features
        if name in said and not said[name].get("off")
    }
    names = [name for name in correlated.features if name in most]
    found = changes(correlations(numbers_of(sample, names), names), correlated)
    adjusted = holm([pair.p_value for pair in found]).tolist()
    left = [
        pair
        for pair, p_value in zip(found, adjusted, strict=True)
        if p_value <= ALPHA and abs(pair.change) > max(most[pair.first], most[pair.second])
    ]
    while left:
        name = max(names, key=lambda name: sum(name in (pair.first, pair.second) for pair in left))
        own = sorted((pair for pair in left if name in (pair.first, pair.second)), key=lambda pair: -abs(pair.change))
        left = [pair for pair in left if pair not in own]
        yield _of_pairs(name, own, most[name])


def _of_pairs(name: str, own: list[PairChange], most: float) -> QualityFinding:
    first = own[0]
    told = "; ".join(
        f"with {pair.second if pair.first == name else pair.first} {pair.now:+.2f} instead of {pair.before:+.2f}"
        for pair in own[:3]
    )
    rest = f" and {len(own) - 3} more" if len(own) > 3 else ""
    message = f"{name} is correlated otherwise in {first.n:,} rows: {told}{rest}; a change of at most {most:g}"
    return QualityFinding(name, "correlation", first.now, first.before, first.n, True, message, most)


def numbers_of(frame: pd.DataFrame, names: Collection[str]) -> Floats:
    """Columns as numbers, shape (n, d); what is none is missing."""
    columns = [
        pd.to_numeric(frame[name], errors="coerce") if name in frame else np.full(len(frame), np.nan) for name in names
    ]
    if not columns:
        return np.empty((len(frame), 0))
    rows = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])
    rows[~np.isfinite(rows)] = np.nan
    return rows
