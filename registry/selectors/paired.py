"""Two versions on the rows that both holdouts have: the interval of each metric's difference."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any, NamedTuple

import pandas as pd

from mlops_site.core import store
from mlops_site.core.errors import StewardError
from mlops_site.stats import intervals, metrics
from mlops_site.stats.scored import ScoredRows, scored_rows
from registry.artifacts.signature import Signature
from registry.models import Version

MIN_SHARED_ROWS = 50
DRAWS = 1000


class Paired(NamedTuple):
    """v2 minus v1 by metric name with its interval, from `rows` shared holdout rows; `note` says why there is none."""

    differences: dict[str, intervals.Interval]
    rows: int
    note: str = ""


class _Side(NamedTuple):
    """What the answer depends on, all of it immutable, so that it can be kept in memory."""

    holdout: str
    signature: str  # digest
    threshold: float


def paired(first: Version, second: Version) -> Paired:
    """The paired bootstrap of both holdouts joined by row_key. Source: `stats.intervals.paired_bootstrap`."""
    sides = []
    for version in (first, second):
        if version.holdout_id is None:
            return Paired({}, 0, f"{version.number} was registered without holdout predictions")
        sides.append(_Side(version.holdout_id, Signature.from_json(version.signature).digest, version.threshold))
    if first.signature["classes"] != second.signature["classes"]:
        return Paired({}, 0, "the versions tell different classes apart")
    try:
        return _compute(sides[0], sides[1], Signature.from_json(second.signature))
    except StewardError as error:  # not kept in memory: the file may be restored
        return Paired({}, 0, f"a holdout cannot be read: {error.detail}")


@lru_cache(maxsize=128)
def _compute(first: _Side, second: _Side, signature: Signature) -> Paired:
    before, after = (pd.read_parquet(io.BytesIO(store.read(side.holdout))) for side in (first, second))
    if not (before["row_key"].is_unique and after["row_key"].is_unique):
        return Paired({}, 0, "the holdouts name a row twice")
    joined = before.merge(after, on="row_key", suffixes=("_1", "_2"))
    if len(joined) < MIN_SHARED_ROWS:
        return Paired({}, len(joined), f"the holdouts share {len(joined)} rows, fewer than {MIN_SHARED_ROWS}")
    if not (joined["label_1"] == joined["label_2"]).all():
        return Paired({}, len(joined), "the holdouts give the same rows different labels")
    try:
        one, two = (_scored(joined, n, side, signature) for n, side in ((1, first), (2, second)))
    except ValueError as error:
        return Paired({}, len(joined), f"the holdouts do not fit the signature: {error}")
    return Paired(_differences(one, two), len(joined))


def _scored(joined: pd.DataFrame, side: int, about: _Side, signature: Signature) -> ScoredRows:
    label = joined[f"label_{side}"]
    if signature.task_type == "regression":
        return scored_rows("regression", label, prediction=joined[f"prediction_{side}"])
    common: dict[str, Any] = {"positive": signature.positive_class, "classes": signature.classes}
    if f"score_{side}" not in joined:
        return scored_rows("classification", label, prediction=joined[f"prediction_{side}"], **common)
    score = joined[f"score_{side}"].to_numpy()
    negative, positive = sorted(signature.classes or (), key=lambda name: name == signature.positive_class)
    said = [positive if yes else negative for yes in score >= about.threshold]
    return scored_rows("classification", label, prediction=pd.Series(said), score=score, **common)


def _differences(one: ScoredRows, two: ScoredRows) -> dict[str, intervals.Interval]:
    found = {}
    for name in metrics.names(one.task_type):
        try:
            found[name] = intervals.paired_bootstrap(name, one, two, draws=DRAWS)
        except ValueError:  # a metric without a value on these rows has no interval either
            continue
    return found
