"""How sure a number is: bootstrap intervals of any metric, Wilson's interval, and many tests at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy  # loads its parts at their first use
from numpy.typing import ArrayLike, NDArray

from mlops_site.stats import metrics
from mlops_site.stats.scored import Floats, ScoredRows

_CELLS = 500_000  # weights held at a time; a block that stays in the cache is twice as fast


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval and standard error.

    `draws` counts the bootstrap draws that had a value; `p_value`, two-sided for "the true difference
    is 0", is set by `paired_bootstrap` only and cannot fall below 2 / (draws + 1).
    """

    estimate: float
    lower: float
    upper: float
    se: float
    level: float = 0.95
    draws: int = 0
    p_value: float | None = None


Measure = str | metrics.Formula


def bootstrap(
    metric: Measure,
    rows: ScoredRows,
    *,
    groups: ArrayLike | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of one metric; rows are drawn, or whole `groups` (n,) such as persons.

    `metric` is a public spelling or a formula of (rows, weights (d, n)) -> (d,). Draws in which it has no
    value are left out. Raises ValueError when it has none on the rows themselves or on most draws.
    Source: Efron and Tibshirani (1993), chapters 13 and 8.5 (groups).
    """
    statistic = _statistic(metric, rows)
    sampled = [statistic(weights) for weights in _weights(len(rows), groups, draws, seed)]
    return _interval(float(statistic(np.ones((1, len(rows))))[0]), np.concatenate(sampled), level)


def paired_bootstrap(
    metric: Measure,
    first: ScoredRows,
    second: ScoredRows,
    *,
    groups: ArrayLike | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Bootstrap of `second` minus `first`, two models on the same rows, which are drawn together.

    What both models share (a hard case, a lucky draw) cancels, so the interval is narrower than that of
    two separate samples. Arguments and errors are those of `bootstrap`.
    """
    if not np.array_equal(first.truth, second.truth) or first.classes != second.classes:
        raise ValueError("first and second must be about the same rows but their truth or classes differ")
    before, after = _statistic(metric, first), _statistic(metric, second)
    sampled = [after(weights) - before(weights) for weights in _weights(len(first), groups, draws, seed)]
    every = np.ones((1, len(first)))
    found = _interval(float((after(every) - before(every))[0]), np.concatenate(sampled), level)
    return replace(found, p_value=_p_value(np.concatenate(sampled)))


def _statistic(metric: Measure, rows: ScoredRows) -> Callable[[Floats], Floats]:
    if not isinstance(metric, str):
        return lambda weights: metric(rows, weights)
    entry = metrics.metric_named(metric, task_type=rows.task_type)
    why = metrics.undefined(rows, metrics=[metric])
    if why:
        raise ValueError(f"{metric} must have a value on the rows but {why[metric]}")
    return lambda weights: entry.formula(rows, weights)


def _weights(n: int, groups: ArrayLike | None, draws: int, seed: int) -> Iterator[Floats]:
    """How often each row is drawn, in blocks of (d, n) that add up to `draws`."""
    if not n:
        raise ValueError("rows must not be empty but got 0 rows")
    if draws < 1:
        raise ValueError(f"draws must be at least 1 but got {draws}")
    if groups is not None and len(np.asarray(groups)) != n:
        raise ValueError(f"groups must have {n} rows but got {len(np.asarray(groups))}")
    codes = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    units = n if codes is None else int(codes.max()) + 1
    random, block = np.random.default_rng(seed), max(1, _CELLS // n)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        picked = random.integers(0, units, (size, units)) + units * np.arange(size)[:, None]
        counts = np.bincount(picked.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)
        yield counts if codes is None else counts[:, codes]


def _interval(estimate: float, sampled: Floats, level: float) -> Interval:
    _check_level(level)
    usable = sampled[np.isfinite(sampled)]
    if not np.isfinite(estimate) or 2 * len(usable) < len(sampled):
        raise ValueError(
            f"metric must have a value on the rows and on most draws but got {estimate} "
            f"and {len(usable)} of {len(sampled)} draws: too few rows of a class"
        )
    lower, upper = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    spread = float(usable.std(ddof=1)) if len(usable) > 1 else 0.0
    return Interval(estimate, float(lower), float(upper), spread, level, len(usable))


def _p_value(sampled: Floats) -> float:
    usable = sampled[np.isfinite(sampled)]
    beyond = min(int(np.sum(usable <= 0)), int(np.sum(usable >= 0)))
    return min(1.0, 2 * (1 + beyond) / (1 + len(usable)))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1 but got {level}")


def wilson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Wilson's interval of a share; unlike Wald's it holds its level at 0, at n and for small n.

    Source: Wilson (1927), J. Am. Stat. Assoc. 22, without continuity correction.

    >>> found = wilson(0, 10)
    >>> round(found.lower, 3), round(found.upper, 3)
    (0.0, 0.278)
    """
    _check_level(level)
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"successes must be between 0 and n >= 1 but got {successes} of {n}")
    share, z = successes / n, float(scipy.special.ndtri((1 + level) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    lower, upper = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return Interval(share, lower, upper, float(np.sqrt(share * (1 - share) / n)), level)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values that bound the chance of any false alarm; NaN stays NaN and is no test.

    Source: Holm (1979), Scand. J. Statistics 6.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    return _adjust(p_values, lambda ordered: np.maximum.accumulate(ordered * np.arange(len(ordered), 0, -1)))


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """q-values that bound the share of false alarms among the alarms; NaN stays NaN and is no test.

    Source: Benjamini and Hochberg (1995), J. R. Stat. Soc. B 57.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """

    def raise_by_rank(ordered: Floats) -> Floats:
        scaled = ordered * len(ordered) / np.arange(1, len(ordered) + 1)
        return np.minimum.accumulate(scaled[::-1])[::-1]

    return _adjust(p_values, raise_by_rank)


def _adjust(p_values: ArrayLike, adjust: Callable[[Floats], Floats]) -> Floats:
    """Apply `adjust` to the defined p-values in rising order and put the results back in place."""
    values = np.asarray(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(values))
    if ((values[tested] < 0) | (values[tested] > 1)).any():
        raise ValueError(f"p_values must be between 0 and 1 but got {values.tolist()}")
    order = tested[np.argsort(values[tested], kind="stable")]
    adjusted = np.full(len(values), np.nan)
    adjusted[order] = np.minimum(adjust(values[order]), 1.0)
    return adjusted
