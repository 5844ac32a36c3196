"""Bounded samples of raw rows: what was asked in a window, and what a version was trained on."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson

from mlops_site.core import store
from mlops_site.core.errors import StewardError
from mlops_site.core.prepared import Prepared
from mlops_site.stats.bins import Counts
from mlops_site.stats.profile import Profile
from mlops_site.stats.scored import Floats
from monitoring.choices import PredictionStatus
from monitoring.models import Prediction
from monitoring.selectors.bases import basis_of
from monitoring.stats.followed import answered
from monitoring.stats.losses import Loss, as_frame, losses
from monitoring.stats.tally import Answers, Shape, Tally, shape_of
from registry.models import Version
from registry.selectors.held_rows import Side, rows_of, side_of
from training.models import DatasetVersion
from training.selectors.keeping import data_of

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 2_000
LOSS_ROWS = 1_000
SLICES = 8  # of the window, of each of which the first rows are taken: one place would see one hour
NEWEST = 200  # rows whose columns are looked at
_DATASET = re.compile(r"([^@]+)@([^@]+)")


class Sampled(NamedTuple):
    """n logged rows: features as they were sent, and scores, NaN where there is none."""

    features: list[Mapping[str, Any]]
    scores: Floats


def newest_rows(version: Version, start: datetime, end: datetime, *, most: int = NEWEST) -> list[dict[str, Any]]:
    """Features of the newest answered rows of the window; those that were erased are left out. One query."""
    rows = _answered("-predicted_at", most)(version.pk, PredictionStatus.OK.value, start, end)
    return [features for said, _ in rows if (features := features_in(said))]


def sampled_rows(version: Version, start: datetime, end: datetime, *, most: int = MOST_ROWS) -> Sampled:
    """At most `most` answered rows from eight equal parts of the window; eight queries."""
    step, found = (end - start) / SLICES, list[tuple[Any, ...]]()
    first = _answered("predicted_at", most // SLICES)
    for part in range(SLICES):
        found += first(version.pk, PredictionStatus.OK.value, start + part * step, start + (part + 1) * step)
    kept = [(features, score) for said, score in found if (features := features_in(said))]
    scores = [np.nan if score is None else score for _, score in kept]
    return Sampled([features for features, _ in kept], np.array(scores, dtype=np.float64))


@cache
def _answered(order: str, most: int) -> Prepared:
    """Features as JSON, and scores, of the first answers of a window that did not fail."""

    def rows_in(version: int, status: str, start: datetime, end: datetime) -> Any:
        rows = Prediction.objects.filter(version=version).filter(status=status)
        rows = rows.filter(predicted_at__gte=start).filter(predicted_at__lt=end)
        return rows.order_by(order).values_list("features", "score")[:most]

    return Prepared(rows_in)


def features_in(said: str) -> dict[str, Any]:
    """Features from their JSON, several times as fast as by Django, who reads what orjson does not."""
    try:
        found: dict[str, Any] = orjson.loads(said)
    except orjson.JSONDecodeError:
        found = json.loads(said)
    return found


def losses_of(version: Version, start: datetime, end: datetime, current: Profile, names: list[str]) -> dict[str, Loss]:
    """What the drift of the named features costs by estimate; nothing unless there are two classes with scores."""
    basis = basis_of(version)
    if basis.reference is None or not basis.shape.is_binary or not names:
        return {}
    sample = sampled_rows(version, start, end, most=LOSS_ROWS)
    rows = as_frame(sample.features, names)
    return losses(rows, sample.scores, version.threshold, current=current, reference=basis.reference, names=names)


def training_rows(version: Version, *, most: int = MOST_ROWS) -> pd.DataFrame | None:
    """At most `most` rows of the data set that the version was trained on, the same ones each time; its background
    where the data set is gone or was never here; None without either."""
    found = _DATASET.fullmatch(str(version.lineage.get("dataset", "")))
    names = tuple(column["name"] for column in version.signature["inputs"])
    if found is not None:
        rows = DatasetVersion.objects.filter(
            dataset__name=found[1], version=found[2], dataset__team=version.model.team_id
        )
        for row in rows:
            try:
                return _drawn(data_of(row), names, most)
            except StewardError:  # deleted by its retention, or damaged
                continue
    if version.background_id is None:
        return None
    try:
        return _drawn(store.read(version.background_id), names, most)
    except StewardError:
        return None


def _drawn(content: bytes, names: tuple[str, ...], most: int) -> pd.DataFrame | None:
    import pandas as pd

    frame = pd.read_parquet(io.BytesIO(content))
    if not all(name in frame for name in names):
        return None
    picked = np.sort(np.random.default_rng(0).permutation(len(frame))[:most])
    return frame[list(names)].iloc[picked].reset_index(drop=True)


def expected_answers(version: Version) -> Tally | None:
    """What the version answered on its holdout, and the truth there, added up as production's answers are; None where
    it was registered without one, or it cannot be read. No query."""
    found = _expected_of(version)
    return found.tally if found else None


def expected_said(version: Version) -> Counts | None:
    """The same answers by class or by value, as `stats.followed.answered` counts them."""
    found = _expected_of(version)
    return found.said if found else None


class _Expected(NamedTuple):
    tally: Tally
    said: Counts


def _expected_of(version: Version) -> _Expected | None:
    side = side_of(version)
    if side is None:
        return None
    try:
        return _expected(side, shape_of(version.signature))
    except (StewardError, KeyError, ValueError):
        return None


@lru_cache(maxsize=128)
def _expected(side: Side, shape: Shape) -> _Expected:
    frame = rows_of(side)
    n = len(frame)
    scores = frame["score"].to_numpy(dtype=np.float64) if "score" in frame else np.full(n, np.nan)
    decided = [int(score >= side.threshold) for score in scores] if "score" in frame else [None] * n
    said = frame["prediction"].tolist() if "prediction" in frame else [None] * n
    answers = Answers(said, scores, decided, [False] * n, np.full(n, np.nan), frame["label"].tolist())
    return _Expected(Tally.of(answers, shape), answered(answers, shape))
