"""Predictions that were answered elsewhere and are logged here: kept once, each row judged by itself."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
from django.db import transaction
from django.utils import timezone

from mlops_site.core.permissions import Actor
from mlops_site.core.rows import (
    AHEAD,
    OLDEST,
    Ingested,
    Refused,
    attempt,
    check_count,
    check_object,
    moment,
    number,
    text,
)
from monitoring.choices import Source
from monitoring.models import Prediction
from monitoring.models.prediction import SAID_AT
from monitoring.services.fields import FIELDS, answer, features, slices, storable
from monitoring.services.inserts import insert_columns
from monitoring.services.targets import Targets, target_of, targets_of
from monitoring.stats.shape import LONGEST_MS
from registry.services import note_use

CHUNK = 2_500  # rows a statement, and a transaction: nobody waits long for one
Name = tuple[int, str]  # model id, request id
_any_size = json.JSONEncoder(allow_nan=False, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_OWN = (
    "model_id",
    "version_id",
    "request_id",
    "unit_id",
    "features",
    "slices",
    "prediction",
    "score",
    "decision",
    "status",
    "error_code",
    "latency_ms",
    "predicted_at",
    "said_at",
    "payload_digest",
)
_SHARED = {"arm": "", "source": Source.LOGGED.value, "threshold": None}


class Logged(NamedTuple):
    prediction_id: uuid.UUID
    duplicate: bool


class _Outcome(NamedTuple):
    """Of a good row; the id is that of what is kept, as text."""

    kept_id: str
    duplicate: bool


class _Draft(NamedTuple):
    """A good row: its name, the digest of what was sent, and its columns as _OWN has them."""

    name: Name
    digest: str
    values: tuple[Any, ...]


class _Kept(NamedTuple):
    """What is kept under a name: its id, the digest of what was sent, and the draft that it came from, if from one."""

    id: str
    digest: str
    draft: _Draft | None = None


def log_prediction(row: Mapping[str, Any], *, actor: Actor) -> Logged:
    """Keep one answer, or find it kept already.

    Raises Invalid on the field at fault, NotFound `unknown_model` or `unknown_version`, Conflict `request_id_conflict`
    where the request id was used for another payload, Forbidden.
    """
    (outcome,) = _outcomes([row], actor)
    if isinstance(outcome, Refused):
        raise outcome.as_error()
    return Logged(uuid.UUID(outcome.kept_id), outcome.duplicate)


def log_predictions(rows: Sequence[Any], *, actor: Actor) -> Ingested:
    """Keep up to 10,000 answers of any of the actor's models; each row is judged by itself. A row may be the
    StewardError of a parser that could not read it.

    Raises TooLarge for more rows, Invalid `no_good_row` where none is good, Forbidden where the actor may not log.
    """
    check_count(rows)
    return Ingested.of(_outcomes(rows, actor), lambda outcome: outcome.duplicate)


def _outcomes(rows: Sequence[Any], actor: Actor) -> list[_Outcome | Refused]:
    targets, now = targets_of(rows, actor), timezone.now()
    drafts = [attempt(_draft, row, targets, now) for row in rows]
    first: dict[Name, _Draft] = {}
    for draft in drafts:
        if isinstance(draft, _Draft):
            first.setdefault(draft.name, draft)
    kept = _keep(first.values(), now)
    note_use(actor, {model_id for model_id, _ in first})
    return [draft if isinstance(draft, Refused) else _outcome(draft, kept[draft.name]) for draft in drafts]


def _outcome(draft: _Draft, kept: _Kept) -> _Outcome | Refused:
    if kept.digest != draft.digest:
        message = f"request_id {draft.name[1]!r} was used for another prediction; use a new one"
        return Refused("request_id_conflict", "request_id", message)
    return _Outcome(kept.id, duplicate=kept.draft is not draft)


def _keep(drafts: Iterable[_Draft], now: datetime) -> dict[Name, _Kept]:
    """Name -> what is kept under it, once the drafts whose names were free are kept.

    In one order, so that two batches with the same names do not wait for each other; who comes second waits for the
    first to commit and then finds its row.
    """
    rows = sorted(drafts, key=itemgetter(0))
    kept: dict[Name, _Kept] = {}
    for start in range(0, len(rows), CHUNK):
        kept |= _keep_chunk(rows[start : start + CHUNK], now)
    return kept


def _keep_chunk(chunk: Sequence[_Draft], now: datetime) -> dict[Name, _Kept]:
    ids = _new_ids(len(chunk))
    own = zip(_OWN, zip(*map(itemgetter(2), chunk), strict=True), strict=True)
    shared = {name: [value] * len(chunk) for name, value in {**_SHARED, "received_at": now}.items()}
    kept = {draft.name: _Kept(pk, draft.digest, draft) for pk, draft in zip(ids, chunk, strict=True)}
    with transaction.atomic():
        if insert_columns({"id": ids, **dict(own), **shared}) == len(chunk):
            return kept  # all names were free
        among = {"model__in": {row.name[0] for row in chunk}, "request_id__in": [row.name[1] for row in chunk]}
        found = Prediction.objects.filter(**among).values_list("model_id", "request_id", "pk", "payload_digest")
        for model, request, pk, digest in found:
            if (model, request) in kept and kept[model, request].id != str(pk):
                kept[model, request] = _Kept(str(pk), digest)
    return kept


def _new_ids(count: int) -> list[str]:
    """Random UUIDs of version 4 as text: one by one the operating system's randomness takes longer."""
    digits = os.urandom(16 * count).hex()
    parts = (digits[at : at + 32] for at in range(0, 32 * count, 32))
    return [f"{d[:8]}-{d[8:12]}-4{d[13:16]}-{'89ab'[int(d[16], 16) & 3]}{d[17:20]}-{d[20:]}" for d in parts]


def _draft(row: Any, targets: Targets, now: datetime) -> _Draft:
    check_object(row, FIELDS)
    target = target_of(row, targets)
    request_id, said = text(row, "request_id", required=True), answer(row, target.shape)
    given = _written(features(row.get("features")))
    if "\\u0000" in given:
        storable(given)
    name = target.model_id, request_id
    values = (
        *name[:1],
        target.version_id,
        request_id,
        text(row, "unit_id"),
        given,
        "{}" if row.get("slices") is None else _written(slices(row["slices"])),
        None if said.prediction is None else _written(said.prediction),
        said.score,
        None if said.decision is None else str(said.decision),
        said.status,
        said.error_code,
        number(row, "latency_ms", 0, LONGEST_MS),
        *_times(row, now),
        digest := _digest(row),  # of values that are checked
    )
    return _Draft(name, digest, values)


def _times(row: Mapping[str, Any], now: datetime) -> tuple[datetime, str]:
    """When it was answered, and "". A time that cannot be right, ahead of our clock or before 2000, is set aside: the
    row counts when it arrives, and what was said stands beside it."""
    found = moment(row, "predicted_at", now, anytime=True)
    return (found, "") if OLDEST <= found <= now + AHEAD else (now, str(row["predicted_at"])[:SAID_AT])


def _digest(row: Mapping[str, Any]) -> str:
    """Of what was sent; null and left out are the same."""
    said = {name: value for name, value in row.items() if value is not None}
    return hashlib.sha256(_written(said).encode()).hexdigest()


def _written(value: Any) -> str:
    """Checked values as JSON, objects by their names. Whole numbers beyond 64 bits go the longer way."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        return storable(_any_size(value))
