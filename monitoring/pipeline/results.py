"""The result as Parquet: each row of the file, in its order, with an answer or the reason for none."""

from __future__ import annotations

import io
import tempfile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlops_site.core import store
from mlops_site.core.store import Stored
from monitoring.models import BatchRun
from monitoring.pipeline import scoring
from monitoring.pipeline.scoring import Piece
from monitoring.services.batches import MAX_RESULT_BYTES
from registry.artifacts.frames import Fault
from registry.artifacts.signature import Label, Signature

REPEATED = frozenset({"prediction", "decision", "version"})


def part(piece: Piece, run: BatchRun) -> bytes:
    """The piece's rows. The run's id is in the file, so that no two runs share one and each may delete its own."""
    signature = piece.columns.signature
    columns: dict[str, Any] = {"row": pa.array(np.arange(piece.start, piece.start + piece.rows, dtype=np.int64))}
    if piece.ids is not None:
        columns["id"] = pa.array(piece.ids, pa.string())
    columns |= _answers(piece, signature)
    columns["version"] = pa.repeat(pa.scalar(run.version.number), piece.rows)
    if run.logged:
        columns |= _names(piece)
    columns |= {f"error_{name}": values for name, values in _errors(piece).items()}
    table = pa.table(columns).replace_schema_metadata(_about(run))
    sink = io.BytesIO()
    # Read once, soon, and deleted: packing it would take longer than all else that is done with it.
    pq.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False, version="2.6")
    return sink.getvalue()


def put_together(run: BatchRun, digests: list[str]) -> Stored:
    """The parts, stored as one file with a row group for each; one part at a time is in memory."""
    with tempfile.TemporaryFile() as whole:
        writer: Any = None
        for digest in digests:
            table = pq.read_table(io.BytesIO(store.read(digest)))
            writer = writer or _writer(whole, table.schema)
            writer.write_table(table)
        writer.close()
        whole.seek(0)
        return store.put(whole, max_bytes=MAX_RESULT_BYTES)


def _writer(whole: Any, schema: Any) -> Any:
    """Values that repeat are written as a dictionary; one of values that do not would be built and thrown away."""
    repeated = [name for name in schema.names if name in REPEATED or name.startswith("error_")]
    options = {"use_dictionary": repeated, "column_encoding": {"row": "DELTA_BINARY_PACKED"}}
    return pq.ParquetWriter(whole, schema, compression="zstd", version="2.6", **options)


def forget(digests: list[str]) -> None:
    for digest in digests:
        store.delete(digest)


def _about(run: BatchRun) -> dict[str, str]:
    return {
        "steward.run": str(run.pk),
        "steward.model": run.model.name,
        "steward.version": run.version.number,
        "steward.source_digest": run.source_digest,
        "steward.threshold": str(run.version.threshold),
    }


def _answers(piece: Piece, signature: Signature) -> dict[str, Any]:
    scores = piece.scores
    found = {"prediction": _spread(piece, scores.prediction, _kind(signature.classes))}
    if signature.classes is None:
        return found
    assert scores.score is not None
    found["score"] = _spread(piece, scores.score, pa.float64())
    if signature.is_binary:
        found["decision"] = _spread(piece, scoring.decisions(piece), pa.int8())
    for at, label in enumerate(() if signature.is_binary else signature.classes):
        column = None if scores.probabilities is None else scores.probabilities[:, at]
        found[f"probability_{label}"] = _spread(piece, column, pa.float64())
    return found


def _kind(classes: tuple[Label, ...] | None) -> Any:
    """The type of a prediction's column: that of the classes, or a number."""
    kinds = set(map(type, classes or (0.0,)))
    if kinds == {str}:
        return pa.string()
    return pa.bool_() if kinds == {bool} else pa.int64() if kinds == {int} else pa.float64()


def _spread(piece: Piece, values: NDArray[Any] | None, kind: Any) -> Any:
    """The values at the good positions, null elsewhere."""
    if values is None or not len(values):
        return pa.nulls(piece.rows, kind)
    if len(values) == piece.rows:
        return pa.array(values, kind)
    spread = np.zeros(piece.rows, values.dtype)
    spread[piece.good] = values
    is_absent = np.ones(piece.rows, bool)
    is_absent[piece.good] = False
    return pa.array(spread, kind, mask=is_absent)


def _names(piece: Piece) -> dict[str, Any]:
    """What the logged predictions are found by, where labels come later."""
    names = piece.names
    return {
        "request_id": _spread(piece, np.array(names.request_ids, object), pa.string()),
        "prediction_id": _spread(piece, np.array(names.prediction_ids, object), pa.string()),
    }


def _errors(piece: Piece) -> dict[str, Any]:
    names = Fault._fields
    if not piece.faults:
        return {name: pa.nulls(piece.rows, pa.string()) for name in names}
    found: dict[str, list[str | None]] = {name: [None] * piece.rows for name in names}
    for at, fault in piece.faults.items():
        for name, values in found.items():
            values[at] = getattr(fault, name)
    return {name: pa.array(values, pa.string()) for name, values in found.items()}
