"""What predict is asked and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from abtesting.selectors.routing import Routing
from mlops_site.core.errors import Invalid
from mlops_site.serving.choosing import Chosen
from monitoring.models import Prediction
from monitoring.services import Draft

ARM = "production"  # of whatever meets no experiment
MIXED = "mixed"  # of a batch whose rows are in different arms


class Question(NamedTuple):
    """One row to score. Without a request id it cannot be repeated."""

    features: Mapping[str, Any]
    request_id: str = ""
    unit_id: str = ""


class Reason(NamedTuple):
    """What one input contributed to an answer, towards it or, below nought, away from it."""

    feature: str
    value: Any
    contribution: float


class Answer(NamedTuple):
    """The answer to one row: the arm that it was dealt to and the version that gave it. `decision` is 1 from
    `threshold` on; both are None unless there are two classes. `probabilities` are those of each class, where there are
    more. Where they were asked for, `reasons` are the largest contributions, and `explanation` is what they are parts
    of."""

    prediction_id: str | None  # None of a dry run
    request_id: str
    version: str
    arm: str
    prediction: Any
    score: float | None
    probabilities: dict[str, float] | None
    decision: int | None
    threshold: float | None
    duplicate: bool
    reasons: list[Reason] | None = None
    explanation: dict[str, Any] | None = None
    completed: dict[str, Any] | None = None  # of features read: name -> {"feature_set", "event_at", "ingested_at"}


class Deprecation(NamedTuple):
    """That the version which was named should not be used any more, since when and why."""

    at: datetime
    note: str


class Answers(NamedTuple):
    """To all rows: their version and arm, or that of production and "mixed" where they differ."""

    model: str
    version: str
    arm: str
    predictions: list[Answer]
    deprecated: Deprecation | None = None  # of a version that was named


def check_ids(questions: Sequence[Question]) -> None:
    seen: set[str] = set()
    for index, question in enumerate(questions):
        if question.request_id and question.request_id in seen:
            message = f"request_id must differ from row to row but {question.request_id!r} stands twice"
            raise Invalid.on(f"rows[{index}].request_id", message, code="duplicate_request_id")
        seen.add(question.request_id)


def answers_of(
    model_name: str,
    chosen: Chosen,
    route: Routing | None,
    drafts: Sequence[Draft],
    kept: Mapping[str, Prediction],
    *,
    dry_run: bool,
) -> Answers:
    answers = []
    for draft in drafts:
        row = kept.get(draft.row.request_id, draft.row)
        is_first = row is draft.row
        answers.append(
            Answer(
                prediction_id=None if dry_run else str(row.pk),
                request_id=row.request_id,
                version=_number(row, chosen, route) if is_first else row.version.number,
                arm=row.arm or ARM,
                prediction=row.prediction,
                score=row.score,
                probabilities=row.probabilities,
                decision=row.decision,
                threshold=row.threshold,
                duplicate=not is_first,
                completed=_completed(row),
            )
        )
    number = _common((answer.version for answer in answers), chosen.version.number)
    arm = _common((answer.arm for answer in answers), MIXED)
    deprecated = Deprecation(_moment(chosen.deprecated_at), chosen.deprecation or "") if chosen.deprecated_at else None
    return Answers(model_name, number, arm, answers, deprecated)


def _completed(row: Prediction) -> dict[str, Any] | None:
    found: dict[str, Any] | None = row.completion.features if Prediction.completion.is_cached(row) else None
    return found


def _number(row: Prediction, chosen: Chosen, route: Routing | None) -> str:
    return route.b.number if route and row.version_id == route.b.version_id else chosen.version.number


def _common(values: Iterable[str], otherwise: str) -> str:
    found = set(values)
    return found.pop() if len(found) == 1 else otherwise


def _moment(at: datetime | str) -> datetime:
    """SQLite's driver gives times as text."""
    found = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
