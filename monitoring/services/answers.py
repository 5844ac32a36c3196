"""Keeps what was answered, before it is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from operator import attrgetter
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.models import Model

from mlops_site.core.errors import Conflict
from mlops_site.core.prepared import insert
from monitoring.models import Prediction
from monitoring.selectors.answers import first_answers

TRIES = 3


class Draft(NamedTuple):
    """An answer to keep, and where its question stands in the request: "" or "rows[3]."."""

    row: Prediction
    place: str = ""


def log_answers(drafts: Sequence[Draft]) -> list[Prediction]:
    """Keep answers of one model, with what they have of explanations and completions, all or none, and return what is
    kept of each: a request id that somebody else used at the same moment gets the answer that was committed first. They
    are written in one order, so that two requests with the same ids do not wait for each other.

    Raises Conflict `request_id_conflict` where that answer was to another question.
    """
    answered: Mapping[str, Prediction] = {}
    for _ in range(TRIES):
        fresh = [draft.row for draft in drafts if draft.row.request_id not in answered]
        if not fresh:
            return [answered[draft.row.request_id] for draft in drafts]
        told = [list(each) for each in _beside(fresh)]
        try:
            with transaction.atomic() if any(told) or connection.in_atomic_block else nullcontext():
                insert(sorted(fresh, key=attrgetter("request_id")))  # one statement: it is its own transaction
                for rows in filter(None, told):
                    insert(rows)
        except IntegrityError:
            answered = answers_kept(drafts)
        else:
            return [answered.get(draft.row.request_id, draft.row) for draft in drafts]
    raise Conflict("the same request ids are being answered at this moment; send the request again")


def _beside(rows: Sequence[Prediction]) -> Iterator[Iterator[Model]]:
    """What goes with the predictions, of those that have it."""
    yield (row.explanation for row in rows if Prediction.explanation.is_cached(row))
    yield (row.completion for row in rows if Prediction.completion.is_cached(row))


def answers_kept(drafts: Sequence[Draft]) -> dict[str, Prediction]:
    """Request id -> its first answer, of the drafts already answered; Conflict where the question was another."""
    kept = first_answers(drafts[0].row.model_id, {draft.row.request_id for draft in drafts})
    for row, place in drafts:
        found = kept.get(row.request_id)
        if found is not None and found.payload_digest != row.payload_digest:
            message = f"{place}request_id {row.request_id!r} was used for other features; use a new one"
            raise Conflict.on(f"{place}request_id", message, code="request_id_conflict")
    return kept
