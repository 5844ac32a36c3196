"""What logging is measured beside: a COPY of the same rows, and what somebody would write by hand."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Sequence
from typing import Any

COLUMNS = (
    "id, model_id, version_id, request_id, payload_digest, unit_id, arm, source, features, slices, prediction, score, "
    "status, error_code, latency_ms, predicted_at, received_at"
)


def peers(connection: Any) -> None:
    """Tables like that of predictions, without its triggers and foreign keys."""
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare_plain (LIKE monitoring_prediction INCLUDING DEFAULTS)")
        cursor.execute("CREATE TABLE bare_keyed (LIKE monitoring_prediction INCLUDING DEFAULTS INCLUDING INDEXES)")
        cursor.execute("CREATE TABLE bare_script (LIKE monitoring_prediction INCLUDING DEFAULTS INCLUDING INDEXES)")
        cursor.execute("CREATE TEMP TABLE staged (LIKE monitoring_prediction INCLUDING DEFAULTS)")
        cursor.execute("SELECT model_id, id FROM registry_version")
        connection_ids[:] = cursor.fetchone()


connection_ids: list[int] = []


def texts(bodies: Sequence[bytes]) -> list[str]:
    """The batches as COPY reads them, made before the clock runs."""
    return ["".join(_line(row) for row in json.loads(body)) for body in bodies]


def _line(row: dict[str, Any]) -> str:
    features = json.dumps(row["features"]).replace("\\", "\\\\")
    model, version = connection_ids
    cells = (uuid.uuid4(), model, version, row["request_id"], "0" * 64, row["unit_id"], "", "logged", features, "{}")
    more = (row["prediction"], row["score"], "ok", "", row["latency_ms"], row["predicted_at"], row["predicted_at"])
    return "\t".join(map(str, (*cells, *more))) + "\n"


def copy(connection: Any, table: str, texts: Sequence[str]) -> None:
    for text in texts:
        with connection, connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {table} ({COLUMNS}) FROM STDIN", io.StringIO(text))


def script(connection: Any, bodies: Sequence[bytes], model: str) -> None:
    """Parse, check that the rows are of the model, COPY to a staging table, merge."""
    for body in bodies:
        rows = json.loads(body)
        for row in rows:
            assert row["model_name"] == model
            assert 0 <= row["score"] <= 1
            assert all(isinstance(cell, int | float | str | None) for cell in row["features"].values())
        with connection, connection.cursor() as cursor:
            text = io.StringIO("".join(map(_line, rows)))
            cursor.copy_expert(f"COPY staged ({COLUMNS}) FROM STDIN", text)
            merge = f"INSERT INTO bare_script ({COLUMNS}) SELECT {COLUMNS} FROM staged ON CONFLICT DO NOTHING"
            cursor.execute(merge)
            cursor.execute("TRUNCATE staged")
