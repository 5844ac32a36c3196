"""One piece of a file: judged, scored, and as the predictions that are logged of it."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from mlops_site.core.errors import Invalid
from monitoring.choices import PredictionStatus, Source
from monitoring.models import BatchRun
from monitoring.services.rows import MAX_ID
from registry.artifacts.engines import Scorer, Scores
from registry.artifacts.frames import Fault, Judged, judged
from registry.artifacts.rows import Columns

if TYPE_CHECKING:
    import pandas as pd

ARM = "batch"
_json = json.JSONEncoder(allow_nan=False).encode


class Piece(NamedTuple):
    """Rows `start` and following of a file. `good` are positions in the piece, in the order of `columns` and `scores`;
    each other position has its fault."""

    start: int
    rows: int
    ids: list[str | None] | None
    columns: Columns
    good: NDArray[np.intp]
    scores: Scores
    faults: dict[int, Fault]
    threshold: float | None  # of two classes


def scored(frame: pd.DataFrame, model: Scorer, run: BatchRun, start: int, *, is_text: bool) -> Piece:
    """The piece with an answer or a fault for each row."""
    found = judged(frame, model.signature, is_text=is_text)
    ids = _ids(frame[run.id_column]) if run.id_column else None
    found, scores = _answered(found, model)
    threshold = run.version.threshold if model.signature.is_binary else None
    return Piece(start, len(frame), ids, found.columns, found.good, scores, found.faults, threshold)


def _answered(found: Judged, model: Scorer) -> tuple[Judged, Scores]:
    if not len(found.good):
        return found, Scores(np.array([]), np.array([]))
    try:
        return found, model.score(found.columns)
    except Invalid:  # an answer is not finite: find out which, half by half
        wrong = sorted(_not_scorable(found.columns, model, np.arange(len(found.good))))
        message = "the model answers these features with no finite number"
        faults = {**found.faults, **{int(found.good[at]): Fault("not_scorable", "", message) for at in wrong}}
        left = np.delete(np.arange(len(found.good)), wrong)
        return _answered(Judged(_some(found.columns, left), found.good[left], faults), model)


def _not_scorable(columns: Columns, model: Scorer, at: NDArray[np.intp]) -> Iterator[int]:
    try:
        model.score(_some(columns, at))
    except Invalid:
        if len(at) == 1:
            yield int(at[0])
            return
        for half in np.array_split(at, 2):
            yield from _not_scorable(columns, model, half)


def _some(columns: Columns, at: NDArray[np.intp]) -> Columns:
    texts = [[column[i] for i in at] for column in columns.categories]
    return Columns(columns.signature, columns.numbers[:, at], texts)


def _ids(column: pd.Series[Any]) -> list[str | None]:
    """The caller's own names of the rows, as text; a whole number without a point."""
    import pandas as pd

    values = column.astype("Int64") if _is_whole(column) else column
    return [None if pd.isna(value) else str(value) for value in values.tolist()]


def _is_whole(column: pd.Series[Any]) -> bool:
    """Whole numbers that became floats because one of them is missing."""
    if column.dtype != np.float64:
        return False
    present = column.dropna()
    return bool(((present % 1 == 0) & (present.abs() < 2**53)).all())


def decisions(piece: Piece) -> NDArray[np.int8] | None:
    """1 from the threshold on; None unless there are two classes."""
    if piece.threshold is None or piece.scores.score is None:
        return None
    return (piece.scores.score >= piece.threshold).astype(np.int8)


def rejections(piece: Piece, most: int) -> list[dict[str, Any]]:
    """The first rows that were not scored, by their number in the file."""
    return [{"index": piece.start + at, **fault._asdict()} for at, fault in sorted(piece.faults.items())[:most]]


def request_id(run: BatchRun, row: int) -> str:
    """What the answer to a row is logged under: labels may name it."""
    return f"{run.pk}:{row}"


def prediction_id(run: BatchRun, row: int) -> uuid.UUID:
    """The same at every attempt."""
    return uuid.uuid5(run.pk, str(row))


def predictions(piece: Piece, run: BatchRun) -> list[dict[str, Any]]:
    """The columns of a prediction for each row that was scored."""
    now, decided = timezone.now(), decisions(piece)
    scores = piece.scores
    score = [None] * len(piece.good) if scores.score is None else scores.score.tolist()
    many = scores.by_class(piece.columns.signature)
    shared = {
        "model_id": run.model_id,
        "version_id": run.version_id,
        "arm": ARM,
        "source": Source.SERVED.value,
        "slices": "{}",
        "threshold": piece.threshold,
        "status": PredictionStatus.OK.value,
        "error_code": "",
        "latency_ms": None,  # nobody waited for it
        "predicted_at": now,
        "received_at": now,
    }
    found = []
    for at, features in enumerate(_features(piece.columns)):
        row = piece.start + int(piece.good[at])
        text = _json(features)
        found.append(
            {
                **shared,
                "id": prediction_id(run, row),
                "request_id": request_id(run, row),
                "payload_digest": hashlib.sha256(text.encode()).hexdigest(),
                "unit_id": _unit(piece.ids[int(piece.good[at])]) if piece.ids else "",
                "features": text,
                "prediction": _json(scores.prediction[at].item()),
                "score": score[at],
                "probabilities": None if many is None else _json(many[at]),
                "decision": None if decided is None else _json(int(decided[at])),
            }
        )
    return found


def _unit(given: str | None) -> str:
    return given if given and len(given) <= MAX_ID and given.isprintable() else ""


def _features(columns: Columns) -> Iterator[dict[str, Any]]:
    """The features of each row, as a caller would have sent them."""
    names = columns.signature.names
    lists: list[list[Any]] = []
    for values in columns.by_name().values():
        if isinstance(values, list):
            lists.append([text or None for text in values])
        else:
            lists.append([None if number != number else number for number in values.tolist()])
    return (dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True))
