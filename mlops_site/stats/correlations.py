"""How numbers move together, and whether they do so otherwise than they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy  # loads its parts at their first use

from mlops_site.stats.columns import Kind
from mlops_site.stats.scored import Floats

if TYPE_CHECKING:
    import pandas as pd

MOST_FEATURES, MOST_ROWS = 40, 20_000
MOST = 0.9999  # of a coefficient, whose z would be infinite
FEWEST = 30  # rows in which both numbers of a pair are known


class Correlations(NamedTuple):
    """Spearman's correlation of each pair of d features, shape (d, d), NaN where one of them is constant, and the
    rows in which both are known, shape (d, d)."""

    features: tuple[str, ...]
    values: Floats
    counts: Floats

    def to_json(self) -> dict[str, Any]:
        """The pairs above the diagonal, row by row; what is not known is null."""
        above = np.triu_indices(len(self.features), 1)
        values = [None if np.isnan(value) else round(float(value), 4) for value in self.values[above]]
        return {"features": list(self.features), "values": values, "counts": self.counts[above].astype(int).tolist()}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Correlations:
        """The reverse of `to_json`; anything else raises ValueError, TypeError or KeyError."""
        names = tuple(str(name) for name in said["features"])
        above, parts = np.triu_indices(len(names), 1), []
        for name, own in (("values", 1.0), ("counts", 0.0)):
            part = np.full((len(names), len(names)), own)
            part[above] = np.array([np.nan if value is None else value for value in said[name]], dtype=np.float64)
            part.T[above] = part[above]
            parts.append(part)
        return cls(names, parts[0], parts[1])


class PairChange(NamedTuple):
    """A pair of features whose correlation was `before` and is `now`, in `n` rows; two-sided p-value."""

    first: str
    second: str
    before: float
    now: float
    n: int
    p_value: float

    @property
    def change(self) -> float:
        return self.now - self.before


def correlations(rows: Floats, features: Sequence[str]) -> Correlations:
    """Of n rows of d numbers, shape (n, d), NaN for missing. Ranks are taken among the present values of each column,
    and a pair is summed where both are present: without missing values this is Spearman's coefficient exactly.

    >>> found = correlations(np.array([[1.0, 9.0], [2.0, 4.0], [3.0, 1.0]]), ["age", "visits"])
    >>> float(found.values[0, 1]), float(found.counts[0, 1])
    (-1.0, 3.0)
    """
    present = ~np.isnan(rows)
    ranks = scipy.stats.rankdata(rows, axis=0, nan_policy="omit") if len(rows) else rows
    centred = np.where(present, ranks - np.nansum(ranks, axis=0) / np.maximum(present.sum(axis=0), 1), 0.0)
    known = present.astype(np.float64)
    squares = np.square(centred).T @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (centred.T @ centred) / np.sqrt(squares * squares.T)
    return Correlations(tuple(features), np.clip(values, -1.0, 1.0), known.T @ known)


def of_frame(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> Correlations:
    """Of the numbers of a canonical frame, the first 40 of them, and of at most 20,000 rows, evenly spaced."""
    names = [name for name in frame.columns if kinds[name] == "number"][:MOST_FEATURES]
    part = frame[names].iloc[:: max(1, len(frame) // MOST_ROWS)]
    return correlations(part.to_numpy(dtype=np.float64, na_value=np.nan), names)


def changes(window: Correlations, reference: Correlations) -> list[PairChange]:
    """Each pair that both know, with Fisher's z test of a difference; standard errors are those of Bonett and Wright
    (2000), Psychometrika 65, for Spearman's coefficient. A pair with fewer than 30 rows on a side is left out."""
    names = [name for name in reference.features if name in window.features]
    (now, n), (before, m) = (_pairs(side, names) for side in (window, reference))
    known = np.isfinite(now) & np.isfinite(before) & (np.minimum(n, m) >= FEWEST)
    now, before, n, m = now[known], before[known], n[known], m[known]
    errors = np.sqrt((1 + now**2 / 2) / (n - 3) + (1 + before**2 / 2) / (m - 3))
    z = (np.arctanh(np.clip(now, -MOST, MOST)) - np.arctanh(np.clip(before, -MOST, MOST))) / errors
    p_values = 2 * scipy.stats.norm.sf(np.abs(z))
    firsts, seconds = (places[known] for places in np.triu_indices(len(names), 1))
    rows = zip(firsts, seconds, before.tolist(), now.tolist(), n.astype(int).tolist(), p_values.tolist(), strict=True)
    return [PairChange(names[i], names[j], *figures) for i, j, *figures in rows]


def _pairs(side: Correlations, names: Sequence[str]) -> tuple[Floats, Floats]:
    """Coefficients and rows of the pairs of these features, above the diagonal."""
    places = [side.features.index(name) for name in names]
    above, within = np.triu_indices(len(names), 1), np.ix_(places, places)
    return side.values[within][above], side.counts[within][above]
