"""Rows to log, scored by the version that was chosen."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mlops_site.core import events
from mlops_site.core.errors import FieldError, Invalid
from mlops_site.serving.answers import ARM, Question
from mlops_site.serving.choosing import Chosen
from mlops_site.serving.completing import complete, why_missing
from monitoring.models import Prediction
from monitoring.services import Draft
from registry.selectors.served import Said, Served


def draft_of(chosen: Chosen, question: Question, index: int, is_batch: bool, asked: list[Any], now: datetime) -> Draft:
    row = Prediction(
        model_id=chosen.model_id,
        version_id=chosen.version.version_id,
        request_id=question.request_id or str(uuid.uuid4()),
        payload_digest=events.digest_of([question.features, question.unit_id, *asked]),
        unit_id=question.unit_id,
        arm=ARM,
        features=question.features,
        predicted_at=now,
    )
    return Draft(row, f"rows[{index}]." if is_batch else "")


def score(drafts: Sequence[Draft], version: Served, positions: Sequence[int], *, is_batch: bool) -> None:
    """Fill in what the version answers. Invalid names each field by its position in the whole request."""
    with version.scorer() as scorer:
        rows = [draft.row for draft in drafts]
        complete(rows, version.version_id, scorer.signature.names)
        try:
            columns = scorer.check_rows([row.features for row in rows], single=not is_batch)
        except Invalid as error:
            error = why_missing(_placed(error, positions), version.version_id, {d.place: d.row for d in drafts})
            raise error from None
        said = version.say(scorer, columns)
    for draft, each in zip(drafts, said, strict=True):
        fill(draft.row, each)


def fill(row: Prediction, said: Said) -> None:
    row.prediction, row.score, row.probabilities, row.decision, row.threshold = said


def _placed(error: Invalid, positions: Sequence[int]) -> Invalid:
    """The same, when rows that were answered before are left out of the ones checked."""

    def place(text: str) -> str:
        return re.sub(r"^rows\[(\d+)\]", lambda found: f"rows[{positions[int(found[1])]}]", text)

    errors = [FieldError(place(e.field), e.code, e.message) for e in error.errors]
    return Invalid(place(error.detail), code=error.code, errors=errors)
