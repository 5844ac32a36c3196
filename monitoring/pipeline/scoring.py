"""One piece of a file: judged, scored, and as the predictions that are logged of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from mlops_site.core.errors import Invalid
from mlops_site.core.rows import MAX_ID
from monitoring.choices import PredictionStatus, Source
from monitoring.models import BatchRun, Completion
from monitoring.pipeline.completing import Told, completed
from registry.artifacts.engines import Scorer, Scores
from registry.artifacts.frames import Fault, Judged, judged
from registry.artifacts.rows import Columns

if TYPE_CHECKING:
    import pandas as pd

ARM = "batch"
_json = json.JSONEncoder(allow_nan=False).encode


class Names(NamedTuple):
    """What logged answers are found by, in text; labels may name either."""

    request_ids: list[str]
    prediction_ids: list[str]


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
    names: Names  # of the good rows, where they are logged
    told: list[Told]  # of the good rows: what was read from feature sets; empty where nothing was


def scored(frame: pd.DataFrame, model: Scorer, run: BatchRun, start: int, *, is_text: bool) -> Piece:
    """The piece with an answer or a fault for each row."""
    ids = _ids(frame[run.id_column]) if run.id_column else None
    read = completed(frame, model.signature, run, ids)
    found, scores = _answered(judged(read.frame, model.signature, is_text=is_text, faults=read.faults), model)
    threshold = run.version.threshold if model.signature.is_binary else None
    own = names(run, (found.good + start).tolist() if run.logged else ())
    told = [read.told[at] for at in found.good.tolist()] if read.told else []
    return Piece(start, len(frame), ids, found.columns, found.good, scores, found.faults, threshold, own, told)


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


def names(run: BatchRun, rows: Iterable[int]) -> Names:
    """What the answers to these rows of the file are logged under, the same at every attempt."""
    prefix, space, numbers = f"{run.pk}:", run.pk.bytes, [str(row) for row in rows]
    return Names([prefix + number for number in numbers], [_uuid5(space, number) for number in numbers])


def _uuid5(space: bytes, name: str) -> str:
    """As `uuid.uuid5` makes it, without an object for each of a million."""
    found = bytearray(hashlib.sha1(space + name.encode(), usedforsecurity=False).digest()[:16])
    found[6], found[8] = found[6] & 0x0F | 0x50, found[8] & 0x3F | 0x80
    text = found.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def predictions(piece: Piece, run: BatchRun) -> dict[str, Sequence[Any]]:
    """The predictions of the rows that were scored, column by column: row by row it takes four times as long."""
    rows = len(piece.good)
    scores, decided, now = piece.scores, decisions(piece), timezone.now()
    many = scores.by_class(piece.columns.signature)
    features = list(_features(piece.columns))
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
    nothing = [None] * rows
    own: dict[str, Sequence[Any]] = {
        "id": piece.names.prediction_ids,
        "request_id": piece.names.request_ids,
        "payload_digest": [hashlib.sha256(text.encode()).hexdigest() for text in features],
        "unit_id": [_unit(piece.ids[at]) for at in piece.good.tolist()] if piece.ids else [""] * rows,
        "features": features,
        "prediction": _texts(scores.prediction.tolist()),
        "score": nothing if scores.score is None else scores.score.tolist(),
        "probabilities": nothing if many is None else [_json(each) for each in many],
        "decision": nothing if decided is None else _texts(decided.tolist()),
    }
    return own | {name: [value] * rows for name, value in shared.items()}


def completions(piece: Piece, run: BatchRun) -> list[Completion]:
    """What was read for the predictions of the piece, as `predict` keeps it."""
    pairs = zip(piece.names.prediction_ids, piece.told, strict=True) if piece.told else ()
    return [Completion(prediction_id=pk, as_of=run.created_at, features=told) for pk, told in pairs if told]


def _texts(values: list[Any]) -> list[str]:
    """Each as JSON; what repeats is written once."""
    written = {value: _json(value) for value in set(values)}
    return [written[value] for value in values]


def _unit(given: str | None) -> str:
    return given if given and len(given) <= MAX_ID and given.isprintable() else ""


def _features(columns: Columns) -> Iterator[str]:
    """The features of each row as a caller would have sent them, as the JSON that `json.dumps` makes of a row."""
    template = ", ".join(f"{_json(name)}: ".replace("%", "%%") + "%s" for name in columns.signature.names)
    texts = [_words(each) if isinstance(each, list) else _numbers(each) for each in columns.by_name().values()]
    return map(f"{{{template}}}".__mod__, zip(*texts, strict=True))


def _numbers(values: NDArray[np.float64]) -> list[str]:
    found = list(map(repr, values.tolist()))
    for at in np.flatnonzero(np.isnan(values)).tolist():
        found[at] = "null"
    return found


def _words(values: list[str]) -> list[str]:
    written = {value: _json(value or None) for value in set(values)}
    return [written[value] for value in values]
