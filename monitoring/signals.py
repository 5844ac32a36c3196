"""Facts that monitoring tells upwards, inside the transaction of the service; a receiver that fails undoes it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.dispatch import Signal

alert_raised = Signal()  # sender=Alert, alert, is_new: False where it was open already and counts up
alert_resolved = Signal()  # sender=Alert, alert
answers_folded = Signal()  # sender=FoldItem, folded: list[Folded], when the buckets are written


class Answer(NamedTuple):
    """Columns of a prediction."""

    id: UUID
    model_id: int
    version_id: int
    request_id: str
    predicted_at: datetime
    prediction: Any
    score: float | None
    decision: Any
    status: str
    latency_ms: float | None
    unit_id: str
    source: str
    arm: str
    epoch: int | None
    error_code: str
    received_at: datetime

    @property
    def name(self) -> tuple[int, str]:
        """Model id and request id, by which labels find it."""
        return self.model_id, self.request_id


class Known(NamedTuple):
    """One revision of a label."""

    label: Any
    human_decision: Any
    received_at: datetime


class Folded(NamedTuple):
    """One folded item: an answer that is new, or what was known of an answer before a revision of its label and what
    is known after it. Items come in any order, a label even before its answer; each comes once."""

    answer: Answer
    is_new: bool
    before: Known | None = None
    after: Known | None = None
