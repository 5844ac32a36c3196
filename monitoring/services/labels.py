"""Ground truth: late, before its prediction, said twice, or corrected. Nothing is overwritten; the highest revision
holds, and a trigger queues each for folding."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from mlops_site.core.cuts import stamp
from mlops_site.core.errors import Conflict
from mlops_site.core.models import User
from mlops_site.core.permissions import Action, Actor, person
from mlops_site.core.rows import (
    Ingested,
    Refused,
    attempt,
    check_count,
    check_object,
    check_scalar,
    moment,
    shown,
    text,
    texts_of,
)
from monitoring.models import Label, Prediction
from monitoring.selectors.bases import bases
from monitoring.selectors.policies import labels_of
from monitoring.selectors.retention import waiting_labels
from monitoring.services.fields import fitting
from monitoring.services.named import models_of
from monitoring.stats.tally import Shape
from registry.models import RegisteredModel

CHUNK = 1_000
TRIES = 50
FIELDS = frozenset({"prediction_id", "model_name", "request_id", "label", "human_decision", "observed_at"})
Name = tuple[int, str]  # model id, request id


class _Said(NamedTuple):
    """A row, read. `observed_at` is None where the caller left it out."""

    name: Name
    label: Any
    human_decision: Any
    observed_at: datetime | None

    def repeats(self, known: Sequence[Label]) -> bool:
        """Whether this was said before: it is what holds, or, by its time, an older message sent again."""
        newest = known[-1] if known else None
        if newest is not None and self._agrees(newest):
            return True
        return self.observed_at is not None and any(
            self._agrees(label) and label.observed_at == self.observed_at for label in known
        )

    def _agrees(self, other: Label) -> bool:
        return other.label == self.label and self.human_decision in (None, other.human_decision)


class _Known(NamedTuple):
    """What rows may name."""

    models: Mapping[str, RegisteredModel]
    names: Mapping[uuid.UUID, Name]  # of predictions by id
    shapes: Mapping[Name, Shape]  # of predictions that exist


def log_labels(rows: Sequence[Any], *, actor: Actor) -> Ingested:
    """Keep up to 10,000 labels; each row is judged by itself. A row names its prediction by id, or by model and
    request id, in which case the label may come first and is matched later.

    Raises TooLarge for more rows, Invalid `no_good_row` where none is good, Forbidden where the actor may not label.
    """
    check_count(rows)
    known, now, by = _known(rows, actor), timezone.now(), person(actor)
    read = _within_limit([attempt(_read, row, known, now) for row in rows], known)
    said: dict[Name, list[tuple[int, _Said]]] = defaultdict(list)
    for index, row in enumerate(read):
        if isinstance(row, _Said):
            said[row.name].append((index, row))
    repeated: set[int] = set()
    names = sorted(said)
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        repeated |= _keep({name: said[name] for name in chunk}, by, now)
    outcomes = [row if isinstance(row, Refused) else index in repeated for index, row in enumerate(read)]
    return Ingested.of(outcomes, bool)


def _within_limit(read: Sequence[_Said | Refused], known: _Known) -> list[_Said | Refused]:
    """A label may come before its prediction, but no more of a model than LABELS_WAITING_MAX."""
    early = {row.name for row in read if isinstance(row, _Said) and row.name not in known.shapes}
    most = settings.LABELS_WAITING_MAX
    full = {model for model in {model for model, _ in early} if waiting_labels(model, most=most) >= most}
    message = f"{most:,} labels wait for their predictions already; log the predictions first"
    refused = Refused("too_many_waiting", "request_id", message)
    return [refused if isinstance(row, _Said) and row.name in early and row.name[0] in full else row for row in read]


def _keep(said: Mapping[Name, Sequence[tuple[int, _Said]]], by: User, now: datetime) -> set[int]:
    """Write the next revisions; the indexes of rows that say nothing new. Somebody who revises the same requests at
    the same moment takes a number that was ours: then look again."""
    for _ in range(TRIES):
        try:
            with transaction.atomic():
                received_at = stamp(labels_of(model) for model, _ in said)
                fresh, repeated = _revisions(said, by, now, received_at)
                Label.objects.bulk_create(fresh)
                return repeated
        except IntegrityError:
            continue
    raise Conflict("the same requests are being labelled at this moment; send the rows again")


def _revisions(
    said: Mapping[Name, Sequence[tuple[int, _Said]]], by: User, now: datetime, received_at: datetime
) -> tuple[list[Label], set[int]]:
    """The labels to write, in the one order that keeps two batches from waiting for each other, and the repeats."""
    history = _history(said)
    fresh, repeated = [], set()
    for name, rows in said.items():
        for index, row in rows:
            known = history[name]
            if row.repeats(known):
                repeated.add(index)
                continue
            label = Label(
                model_id=name[0],
                request_id=name[1],
                revision=known[-1].revision + 1 if known else 1,
                label=row.label,
                human_decision=row.human_decision,
                observed_at=row.observed_at or now,
                received_at=received_at,
                created_by=by,
            )
            known.append(label)
            fresh.append(label)
    return fresh, repeated


def _history(names: Iterable[Name]) -> dict[Name, list[Label]]:
    """Name -> its labels by revision."""
    found: dict[Name, list[Label]] = {name: [] for name in names}
    among = {"model__in": {model for model, _ in found}, "request_id__in": {request for _, request in found}}
    for label in Label.objects.filter(**among).order_by("revision"):
        if (label.model_id, label.request_id) in found:
            found[label.model_id, label.request_id].append(label)
    return found


def _known(rows: Sequence[Any], actor: Actor) -> _Known:
    """What the rows name, as far as the actor may label it; Forbidden where it may see and not label."""
    asked = {pk for value in texts_of(rows, "prediction_id") if (pk := _uuid(value)) is not None}
    columns = ("pk", "model_id", "request_id", "version_id")
    by_id = Prediction.objects.filter(pk__in=asked, model__team__in=actor.roles)
    found = list(by_id.values_list(*columns, "model__name")) if asked else []
    models = models_of({name for *_, name in found} | texts_of(rows, "model_name"), actor, Action.LABEL_LOG)
    requests = texts_of(rows, "request_id")
    same = Prediction.objects.filter(model__in=models.values(), request_id__in=requests)
    answers = [row[:4] for row in found] + (list(same.values_list(*columns)) if requests else [])
    known = bases({version for *_, version in answers})
    return _Known(
        models,
        {pk: (model, request) for pk, model, request, *_ in found},
        {(model, request): known[version].shape for _, model, request, version in answers},
    )


def _uuid(value: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except ValueError:
        return None


def _read(row: Any, known: _Known, now: datetime) -> _Said:
    check_object(row, FIELDS)
    name, decision = _name(row, known), row.get("human_decision")
    if decision is not None:
        check_scalar(decision, "human_decision")
    observed_at = None if row.get("observed_at") is None else moment(row, "observed_at", now)
    return _Said(name, _label(row.get("label"), name, known), decision, observed_at)


def _name(row: Mapping[str, Any], known: _Known) -> Name:
    if row.get("prediction_id") is None:
        model_name = text(row, "model_name", required=True)
        model = known.models.get(model_name)
        if model is None:
            message = f"no model {model_name!r} here, or it belongs to another team"
            raise Refused("unknown_model", "model_name", message)
        return model.pk, text(row, "request_id", required=True)
    for field in ("model_name", "request_id"):
        if row.get(field) is not None:
            raise Refused("not_applicable", field, f"{field} must be left out where prediction_id is given")
    pk = _uuid(text(row, "prediction_id"))
    if pk is None or pk not in known.names:
        message = (
            f"no prediction {shown(row['prediction_id'])} here; log it first, or name it by model_name and request_id "
            "and the label waits for it"
        )
        raise Refused("unknown_prediction", "prediction_id", message)
    return known.names[pk]


def _label(value: Any, name: Name, known: _Known) -> Any:
    """The label as the prediction's version writes it. One that comes first is judged when it is folded: it then
    counts as long as it fits, and shows as missing coverage if it does not."""
    if value is None:
        raise Refused("required", "label", "label must be given")
    check_scalar(value, "label")
    if name in known.shapes:
        return fitting(value, known.shapes[name], "label", "unfit_label")
    model = next(model for model in known.models.values() if model.pk == name[0])
    if model.task_type == "regression":
        return fitting(value, Shape("regression"), "label", "unfit_label")
    return value
