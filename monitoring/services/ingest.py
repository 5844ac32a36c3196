"""Predictions that were answered elsewhere and are logged here: kept once, each row judged by itself."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.permissions import Action, Actor
from monitoring.choices import Source
from monitoring.models import Prediction
from monitoring.selectors.bases import bases
from monitoring.services.fields import FIELDS, answer, features, slices
from monitoring.services.rows import (
    Ingested,
    Refused,
    attempt,
    check_count,
    check_object,
    models_of,
    moment,
    number,
    text,
    texts_of,
)
from monitoring.stats.shape import LONGEST_MS
from monitoring.stats.tally import Shape
from registry.models import Version

CHUNK = 1_000  # rows a statement, and a transaction: nobody waits long for one
Name = tuple[int, str]  # model id, request id


class Logged(NamedTuple):
    prediction_id: uuid.UUID
    duplicate: bool


class _Target(NamedTuple):
    """A version that rows name."""

    model_id: int
    version_id: int
    shape: Shape


class _Targets(NamedTuple):
    models: Mapping[str, Any]  # by name; others do not exist for the caller
    versions: Mapping[tuple[str, str], _Target]  # by name and number


def log_prediction(row: Mapping[str, Any], *, actor: Actor) -> Logged:
    """Keep one answer, or find it kept already.

    Raises Invalid on the field at fault, NotFound `unknown_model` or `unknown_version`, Conflict `request_id_conflict`
    where the request id was used for another payload, Forbidden.
    """
    (outcome,) = _outcomes([row], actor)
    if isinstance(outcome, Refused):
        raise outcome.as_error()
    return outcome


def log_predictions(rows: Sequence[Any], *, actor: Actor) -> Ingested:
    """Keep up to 10,000 answers of any of the actor's models; each row is judged by itself. A row may be the
    StewardError of a parser that could not read it.

    Raises TooLarge for more rows, Invalid `no_good_row` where none is good, Forbidden where the actor may not log.
    """
    check_count(rows)
    return Ingested.of(_outcomes(rows, actor), lambda outcome: outcome.duplicate)


def _outcomes(rows: Sequence[Any], actor: Actor) -> list[Logged | Refused]:
    targets, now = _targets(rows, actor), timezone.now()
    drafts = [attempt(_draft, row, targets, now) for row in rows]
    first: dict[Name, Prediction] = {}
    for draft in drafts:
        if isinstance(draft, Prediction):
            first.setdefault(_name(draft), draft)
    kept = _keep(first.values())
    return [draft if isinstance(draft, Refused) else _outcome(draft, *kept[_name(draft)]) for draft in drafts]


def _outcome(draft: Prediction, kept_id: uuid.UUID, digest: str) -> Logged | Refused:
    if digest != draft.payload_digest:
        message = f"request_id {draft.request_id!r} was used for another prediction; use a new one"
        return Refused("request_id_conflict", "request_id", message)
    return Logged(kept_id, duplicate=kept_id != draft.pk)


def _name(draft: Prediction) -> Name:
    return draft.model_id, draft.request_id


def _targets(rows: Sequence[Any], actor: Actor) -> _Targets:
    models = models_of(texts_of(rows, "model_name"), actor, Action.PREDICTION_LOG)
    numbers = texts_of(rows, "model_version")
    columns = Version.objects.filter(model__in=models.values()).values_list("pk", "model_id", "major", "minor", "patch")
    named = {(model, number): pk for pk, model, *parts in columns if (number := ".".join(map(str, parts))) in numbers}
    known = bases(named.values())
    return _Targets(
        models,
        {
            (name, number): _Target(model.pk, pk, known[pk].shape)
            for name, model in models.items()
            for number in numbers
            if (pk := named.get((model.pk, number))) is not None
        },
    )


def _keep(drafts: Iterable[Prediction]) -> dict[Name, tuple[uuid.UUID, str]]:
    """Name -> id and payload digest of what is kept under it, once the drafts whose names were free are kept.

    In one order, so that two batches with the same names do not wait for each other; who comes second waits for the
    first to commit and then finds its row.
    """
    rows = sorted(drafts, key=_name)
    kept: dict[Name, tuple[uuid.UUID, str]] = {}
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        with transaction.atomic():
            Prediction.objects.bulk_create(chunk, ignore_conflicts=True)
            among = {"model__in": {row.model_id for row in chunk}, "request_id__in": [row.request_id for row in chunk]}
            found = Prediction.objects.filter(**among).values_list("model_id", "request_id", "pk", "payload_digest")
            kept |= {(model, request): (pk, digest) for model, request, pk, digest in found}
    return kept


def _draft(row: Any, targets: _Targets, now: datetime) -> Prediction:
    check_object(row, FIELDS)
    target = _target(row, targets)
    said = {name: value for name, value in row.items() if value is not None}
    return Prediction(
        model_id=target.model_id,
        version_id=target.version_id,
        request_id=text(row, "request_id", required=True),
        unit_id=text(row, "unit_id"),
        source=Source.LOGGED,
        features=features(row.get("features")),
        slices=slices(row.get("slices")),
        predicted_at=moment(row, "predicted_at", now),
        received_at=now,
        latency_ms=number(row, "latency_ms", 0, LONGEST_MS),
        **answer(row, target.shape),
        payload_digest=events.digest_of(said),
    )


def _target(row: Mapping[str, Any], targets: _Targets) -> _Target:
    name, number = (text(row, field, required=True) for field in ("model_name", "model_version"))
    found = targets.versions.get((name, number))
    if found is not None:
        return found
    if name not in targets.models:
        raise Refused("unknown_model", "model_name", f"no model {name!r} here, or it belongs to another team")
    raise Refused("unknown_version", "model_version", f"{name} has no version {number!r}")
