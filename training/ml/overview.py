"""How the columns of a table look, read off its profile: no row is touched."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlops_site.stats.bins import CategoryBins, Counts, NumericBins
from mlops_site.stats.columns import Kind
from mlops_site.stats.profile import Profile

TOP = 5
QUARTERS = (0.25, 0.5, 0.75)


class ColumnLook(NamedTuple):
    """One column. `low`, `high`, `mean` and `sd` (of all present numbers) are exact; `quartiles` are exact for up to
    100 different values, else within a bin, about 1 % of the rows. `top` are the most frequent levels with their rows,
    `others` the rows of all the rest."""

    name: str
    kind: Kind
    rows: int
    missing: int
    unreadable: int
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    sd: float | None = None
    quartiles: tuple[float, float, float] | None = None
    top: tuple[tuple[str, int], ...] = ()
    others: int = 0

    @property
    def missing_share(self) -> float:
        return self.missing / self.rows if self.rows else 0.0


def overview(profile: Profile) -> list[ColumnLook]:
    """Every column of the profile, in its order.

    >>> import pandas as pd
    >>> from mlops_site.stats.profile import profile, reference_bins
    >>> frame = pd.DataFrame({"age": [20, 30, None], "plan": ["a", "b", "a"]})
    >>> bins = reference_bins(frame, {"age": "number", "plan": "category"}, salt="x")
    >>> age, plan = overview(profile(frame, bins))
    >>> (age.mean, age.missing, plan.top)
    (25.0, 1, (('a', 2), ('b', 1)))
    """
    return [_look(profile, name) for name in profile.bins.features]


def _look(profile: Profile, name: str) -> ColumnLook:
    bins, counts = profile.bins.features[name], profile.counts_of(name)
    gaps = (profile.rows, int(counts[-2]), int(counts[-1]))
    if isinstance(bins, CategoryBins):
        top = _top(bins, counts)
        others = int(counts[:-2].sum()) - sum(rows for _, rows in top)
        return ColumnLook(name, "category", *gaps, top=top, others=others)
    found = profile.moments[name]
    if not found.count:
        return ColumnLook(name, "number", *gaps)
    spread = float(np.sqrt(found.variance or 0.0))
    return ColumnLook(
        name, "number", *gaps, low=found.low, high=found.high, mean=found.mean, sd=spread,
        quartiles=_quartiles(bins, counts),
    )  # fmt: skip


def _top(bins: CategoryBins, counts: Counts) -> tuple[tuple[str, int], ...]:
    known = counts[: len(bins.levels)]
    order = np.argsort(-known, kind="stable")[:TOP]
    return tuple((bins.levels[place], int(known[place])) for place in order if known[place])


def _quartiles(bins: NumericBins, counts: Counts) -> tuple[float, float, float]:
    """The upper edges of the bins in which they lie: of up to 100 different values, the values themselves."""
    reached = np.cumsum(counts[1 : len(bins.edges)])
    places = np.searchsorted(reached, np.array(QUARTERS) * reached[-1])
    below, middle, above = (bins.edges[1 + int(place)] for place in places)
    return below, middle, above
