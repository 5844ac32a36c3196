"""Two versions on the rows that both holdouts have: the interval of each metric's difference."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import pandas as pd
import scipy  # loads its parts at their first use

from mlops_site.core.errors import StewardError
from mlops_site.stats import intervals, metrics
from mlops_site.stats.scored import ScoredRows
from registry.models import Version
from registry.selectors.held_rows import Side, rows_of, sampled, scored, side_of

MIN_SHARED_ROWS = 50
MAX_SHARED_ROWS = 20_000  # more take minutes, and a width that nobody needs
DRAWS, FEWEST_DRAWS = 1000, 200
CELLS = 5_000_000  # rows times draws


class Paired(NamedTuple):
    """v2 minus v1 by metric name with its interval, from `rows` shared holdout rows (of more, MAX_SHARED_ROWS are
    chosen by their key's hash); `note` says why there is none."""

    differences: dict[str, intervals.Interval]
    rows: int
    note: str = ""


def paired(first: Version, second: Version) -> Paired:
    """The paired bootstrap of both holdouts joined by row_key. Source: `stats.intervals.paired_bootstrap`."""
    sides = []
    for version in (first, second):
        if (side := side_of(version)) is None:
            return Paired({}, 0, f"{version.number} was registered without holdout predictions")
        sides.append(side)
    if first.signature["classes"] != second.signature["classes"]:
        return Paired({}, 0, "the versions tell different classes apart")
    if first.signature["positive_class"] != second.signature["positive_class"]:
        return Paired({}, 0, "the versions give the probability of different classes")
    try:
        return _compute(sides[0], sides[1])
    except StewardError as error:  # not kept in memory: the file may be restored
        return Paired({}, 0, f"a holdout cannot be read: {error.detail}")


@lru_cache(maxsize=128)
def _compute(first: Side, second: Side) -> Paired:
    before, after = rows_of(first), rows_of(second)
    if not (before["row_key"].is_unique and after["row_key"].is_unique):
        return Paired({}, 0, "the holdouts name a row twice")
    # a suffix for every column: merge gives none to a column that only one of the two has
    one, two = (frame.set_index("row_key").add_suffix(f"_{n}") for n, frame in ((1, before), (2, after)))
    joined = one.join(two, how="inner")
    if len(joined) < MIN_SHARED_ROWS:
        return Paired({}, len(joined), f"the holdouts share {len(joined)} rows, fewer than {MIN_SHARED_ROWS}")
    if not (joined["label_1"] == joined["label_2"]).all():
        return Paired({}, len(joined), "the holdouts give the same rows different labels")
    joined = sampled(joined, MAX_SHARED_ROWS)
    try:
        old, new = (scored(_part(joined, n), side) for n, side in ((1, first), (2, second)))
    except ValueError as error:
        return Paired({}, len(joined), f"the holdouts do not fit the signature: {error}")
    return Paired(_differences(old, new), len(joined))


def _part(joined: pd.DataFrame, number: int) -> pd.DataFrame:
    """One side's columns under their own names."""
    end = f"_{number}"
    return joined.filter(regex=f"{end}$").rename(columns=lambda name: str(name).removesuffix(end))


def _differences(one: ScoredRows, two: ScoredRows) -> dict[str, intervals.Interval]:
    found = {}
    draws = max(FEWEST_DRAWS, min(DRAWS, CELLS // len(one)))
    for name in metrics.names(one.task_type):
        try:
            interval = intervals.paired_bootstrap(name, one, two, draws=draws)
        except ValueError:  # a metric without a value on these rows has no interval either
            continue
        found[name] = interval if draws == DRAWS else _standard(interval)
    return found


def _standard(found: intervals.Interval) -> intervals.Interval:
    """The standard interval of many rows: few draws give a good standard error, but poor percentiles.

    Source: Efron and Tibshirani (1993), chapter 12.
    """
    half = float(scipy.special.ndtri((1 + found.level) / 2)) * found.se
    return replace(found, lower=found.estimate - half, upper=found.estimate + half)
