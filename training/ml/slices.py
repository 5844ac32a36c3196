"""A holdout cut by the values of a feature: which slices are large enough, and a metric on each of them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlops_site.stats import intervals
from mlops_site.stats.scored import ScoredRows

Slices = Mapping[str, ArrayLike]
MAX_SLICES = 50
MIN_ROWS = 100


@dataclass(frozen=True)
class SliceValue:
    """A metric on the rows where a feature has one value, with its 95 % interval."""

    slice: str
    rows: int
    value: float
    lower: float
    upper: float


def spelled(values: ArrayLike) -> NDArray[np.str_]:
    """Values (n,) as text; numbers to six digits, as long as that keeps different ones apart.

    >>> spelled([0.1 + 0.2, 1.0, float("nan")]).tolist(), spelled([True, False]).tolist()
    (['0.3', '1', 'nan'], ['True', 'False'])
    """
    given = np.asarray(values)
    if not np.issubdtype(given.dtype, np.floating):
        return given.astype(str)
    distinct, codes = np.unique(given, return_inverse=True)
    short = np.array([f"{value:.6g}" for value in distinct])
    names: NDArray[np.str_] = short if len(set(short.tolist())) == len(short) else distinct.astype(str)
    return names[codes]


def large(slices: Slices, min_rows: int = MIN_ROWS) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The largest slices that have enough rows, named column = level, at most MAX_SLICES.

    >>> [(name, mask.tolist()) for name, mask in large({"sex": ["f", "f", "m"]}, min_rows=2)]
    [('sex = f', [True, True, False])]
    """
    found = []
    for column, given in slices.items():
        levels, codes, counts = np.unique(spelled(given), return_inverse=True, return_counts=True)
        found += [
            (int(counts[at]), f"{column} = {level}", codes == at)
            for at, level in enumerate(levels)
            if min_rows <= counts[at] < len(codes)
        ]
    found.sort(key=lambda entry: (-entry[0], entry[1]))
    yield from ((label, mask) for _, label, mask in found[:MAX_SLICES])


def by_slice(
    metric: str, rows: ScoredRows, slices: Slices, *, groups: ArrayLike | None = None, draws: int = 500, seed: int = 0
) -> dict[str, Any]:
    """`metric` on each large slice of n rows, ready for JSON: {"metric", "min_rows", "slices", "not_computable"}.

    Groups (n,) are resampled whole. A slice on which the metric has no value is named, not left out in silence.
    """
    values: list[dict[str, Any]] = []
    skipped: list[str] = []
    for label, mask in large(slices):
        part = None if groups is None else np.asarray(groups)[mask]
        try:
            found = intervals.bootstrap(metric, rows.take(mask), groups=part, draws=draws, seed=seed)
        except ValueError:
            skipped.append(label)
            continue
        values.append(asdict(SliceValue(label, int(mask.sum()), found.estimate, found.lower, found.upper)))
    return {"metric": metric, "min_rows": MIN_ROWS, "slices": values, "not_computable": skipped}
