"""Answers as they were given."""

from __future__ import annotations

from collections.abc import Collection

from monitoring.models import Prediction


def first_answers(model_id: int, request_ids: Collection[str]) -> dict[str, Prediction]:
    """Request id -> the answer that was given first, of those already answered, with its version; one query."""
    rows = Prediction.objects.filter(model_id=model_id, request_id__in=request_ids).select_related("version")
    light = rows.only(
        "request_id",
        "payload_digest",
        "arm",
        "prediction",
        "score",
        "probabilities",
        "decision",
        "threshold",
        "version__major",
        "version__minor",
        "version__patch",
    )
    return {row.request_id: row for row in light}
