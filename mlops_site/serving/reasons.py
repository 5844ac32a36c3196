"""Why the version answered as it did, for who asks with the question."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_site.core.errors import Conflict, Invalid
from mlops_site.serving.answers import Answers, Reason
from mlops_site.serving.completing import sent
from monitoring.models import Prediction
from monitoring.selectors.explanations import explained, told
from monitoring.services import Draft
from monitoring.services.explanations import explanation_for
from registry.selectors import explainer_of

MAX_REASONS = 50
MAX_EXPLAINED = 20  # rows of one request
EXPLAIN_CELLS = 40_000  # rows that it is asked about before the time is looked at
EXPLAIN_SECS = 1.0  # that a version which is asked for its reasons, not read, may take in one request
_WHOLE = ("method", "output_space", "explained", "base_value", "residual", "background")


def check_reasons(reasons: int, rows: int) -> None:
    if not 0 <= reasons <= MAX_REASONS:
        message = f"reasons must be a whole number from 1 to {MAX_REASONS} but got {reasons}"
        raise Invalid.on("reasons", message, code="out_of_range")
    if reasons and rows > MAX_EXPLAINED:
        message = f"reasons are given for up to {MAX_EXPLAINED} rows at a time but there are {rows}; send them in parts"
        raise Invalid.on("reasons", message, code="too_many_rows")


def explain(rows: Sequence[Prediction], version_id: int, share: float) -> None:
    """Give each row its explanation by the version that answered, which is kept with it, in a share of the time."""
    try:
        explainer = explainer_of(version_id)
    except Conflict as error:
        raise Conflict.on("reasons", error.detail, code=error.code) from error
    for row in rows:
        explanation_for(explainer, row, secs=EXPLAIN_SECS * share, cells=int(EXPLAIN_CELLS * share))


def with_reasons(answers: Answers, drafts: Sequence[Draft], kept: Mapping[str, Prediction], count: int) -> Answers:
    """The answers with the `count` largest contributions of each; a repeated request was asked for as many before.
    What was read from feature sets has no value here."""
    rows = [kept.get(draft.row.request_id, draft.row) for draft in drafts]
    contents = told([row.pk for row in rows if not Prediction.explanation.is_cached(row)])
    contents |= {row.pk: row.explanation.content for row in rows if Prediction.explanation.is_cached(row)}
    return answers._replace(
        predictions=[
            answer._replace(**_reasons(row.pk, sent(draft.row), contents[row.pk], count))
            for answer, draft, row in zip(answers.predictions, drafts, rows, strict=True)
        ]
    )


def _reasons(prediction_id: uuid.UUID, features: Mapping[str, Any], content: Mapping[str, Any], count: int) -> Any:
    largest = explained(prediction_id, features, content).contributions[:count]
    parts = [Reason(each.feature, each.value, each.contribution) for each in largest]
    return {"reasons": parts, "explanation": {name: content[name] for name in _WHOLE}}
