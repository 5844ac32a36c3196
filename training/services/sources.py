"""Sources: setting them, asking for a look, and what Beat rings for."""

from __future__ import annotations

import json
import re
from dataclasses import fields as fields_of
from datetime import timedelta
from typing import Any

from django_celery_beat.models import PeriodicTask

from mlops_site.core import events, jobs, places
from mlops_site.core.beats import interval_of
from mlops_site.core.choices import JobState
from mlops_site.core.durations import length_within
from mlops_site.core.errors import Conflict, FieldError, Invalid
from mlops_site.core.models import User
from mlops_site.core.permissions import Action, Actor, person, require, team_for
from registry.models import RegisteredModel
from training.choices import SourceKind, Takes
from training.models import Dataset, DataSource, Fetch
from training.models.dataset import DATASET_NAME
from training.selectors.sources import READ, SCHEDULED
from training.services.config import RunConfig
from training.services.queries import check_query

QUARTER = timedelta(minutes=15)
OPEN = (JobState.QUEUED, JobState.RUNNING)
_TEXTS = {
    "location": (1, 500), "pattern": (0, 100), "query": (0, 20_000), "dataset_name": (1, 63), "target": (1, 128),
    "time_column": (0, 128), "group_column": (0, 128),
}  # fmt: skip
SETTABLE = (*_TEXTS, "takes", "pii", "run_config", "every", "enabled", "owner")


def create_source(*, actor: Actor, name: str, kind: str, team: str | None = None, **fields: Any) -> DataSource:
    """A source of the team that looks for data every so often, or when somebody asks. Looks that are scheduled act in
    the name of its owner: who made it, until somebody else says what it does.

    Raises Invalid naming every field at fault, Forbidden, Conflict `source_exists`.
    """
    with events.atomic():
        owner = team_for(actor, team, Action.SOURCE_SET)
        if not re.fullmatch(DATASET_NAME, name):
            raise Invalid.on("name", f"name must match {DATASET_NAME} but got {name[:80]!r}", code="bad_name")
        if kind not in SourceKind.values:
            raise Invalid.on(
                "kind", f"kind must be of {', '.join(SourceKind.values)} but got {kind!r:.80}", code="kind"
            )
        if DataSource.objects.filter(name=name).exists():
            message = f"the name {name} is taken; choose another, or change that source"
            raise Conflict(message, code="source_exists", errors=[FieldError("name", "source_exists", message)])
        row = DataSource(name=name, kind=kind, team=owner, owner=person(actor), created_by=person(actor))
        _set(row, fields, actor)
        row.save(force_insert=True)
        _keep_schedule(row)
        events.record("source.created", actor=actor, subject=row.subject, team=owner.name, data=_said(row))
    return row


def set_source(source: DataSource, *, actor: Actor, fields: dict[str, Any]) -> DataSource:
    """Change some of SETTABLE; what is not named stays. Who changes what it does, not only when, is its owner from
    then on: nothing is done in the name of somebody who did not ask for it. Naming oneself takes it over.
    Raises Invalid naming every field at fault, Forbidden."""
    with events.atomic():
        require(actor, Action.SOURCE_SET, source.team, subject=source.subject)
        rows = DataSource.objects.select_for_update(no_key=True, of=("self",)).select_related("team", "owner")
        row = rows.get(pk=source.pk)
        before = _said(row)
        _set(row, fields, actor)
        changed = {name for name, value in _said(row).items() if value != before[name]}
        if changed & {"location", "pattern", "query", "takes"}:
            row.seen = []  # another place: all that is there is new
        if changed - {"every", "enabled"}:
            row.owner = person(actor)
        row.save()
        _keep_schedule(row)
        events.record("source.set", actor=actor, subject=row.subject, team=row.team.name, data=_said(row))
    return row


def request_fetch(source: DataSource, *, actor: Actor) -> Fetch:
    """A look now, in the actor's name; the caller rings the bell. One that is under way is answered, not doubled.
    Raises Forbidden; Conflict `source_off`."""
    require_both = [Action.DATASET_CREATE, *([Action.RUN_REQUEST] if source.run_config else [])]
    with events.atomic():
        for right in require_both:
            require(actor, right, source.team, subject=source.subject)
        return _asked(source, actor, scheduled=False)


def fetch_on_schedule(name: str) -> Fetch | None:
    """A tick of a source's interval; nothing where it is off or gone, or a look is under way. Beat rings."""
    source = DataSource.objects.select_related("owner").filter(name=name, enabled=True).first()
    if source is None or source.every is None:
        return None
    with events.atomic():
        return _asked(source, Actor.of(source.owner), scheduled=True)


def cancel_fetch(fetch: Fetch, *, actor: Actor) -> Fetch:
    """Ask it to stop; asking again changes nothing. Conflict `already_ended` when it has ended otherwise."""
    with events.atomic():
        require(actor, Action.DATASET_CREATE, fetch.source.team, subject=fetch.subject)
        jobs.cancel(fetch, actor=actor, team=fetch.team_name)
    return fetch


def _asked(source: DataSource, actor: Actor, *, scheduled: bool) -> Fetch:
    row = DataSource.objects.select_for_update(no_key=True, of=("self",)).select_related("team").get(pk=source.pk)
    if not row.enabled:
        raise Conflict(f"source {row} is switched off; switch it on first", code="source_off")
    under_way = row.fetches.filter(state__in=OPEN).first()
    if under_way is not None:
        return under_way
    made = Fetch.objects.create(source=row, requested_by=person(actor), scheduled=scheduled, step=READ)
    data = {"source": row.name, "scheduled": scheduled}
    events.record("fetch.requested", actor=actor, subject=made.subject, team=row.team.name, data=data)
    return made


def _set(row: DataSource, fields: dict[str, Any], actor: Actor) -> None:
    """Take the fields over, or raise Invalid with everything that is wrong with them."""
    errors = [FieldError(n, "unknown_field", f"{n} is no field of a source") for n in fields if n not in SETTABLE]
    for name, value in fields.items():
        if name in SETTABLE:
            try:
                setattr(row, name, _oneself(actor, value) if name == "owner" else _checked(name, value))
            except ValueError as error:
                errors.append(FieldError(name, "invalid", f"{name} {error}"))
    errors = errors or list(_faults(row))
    if errors:
        raise Invalid(errors[0].message, code=errors[0].code, errors=errors)


def _checked(name: str, value: Any) -> Any:
    """The value as the row keeps it; ValueError with what it must be."""
    if name in _TEXTS:
        low, high = _TEXTS[name]
        if not isinstance(value, str) or not low <= len(value.strip()) <= high or "\0" in value:
            raise ValueError(f"must be {low} to {high:,} characters but got {value!r:.80}")
        return value.strip()
    if name == "every":
        return None if value in (None, "") else length_within(value, QUARTER)
    if name == "takes" and value not in Takes.values:
        raise ValueError(f"must be of {', '.join(Takes.values)} but got {value!r:.80}")
    if name == "enabled" and not isinstance(value, bool):
        raise ValueError(f"must be true or false but got {value!r:.80}")
    if name == "pii" and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise ValueError(f"must be a list of column names but got {value!r:.80}")
    return _config(value or {}) if name == "run_config" else value


def _oneself(actor: Actor, name: object) -> User:
    me = person(actor)
    if name != me.get_username():
        raise ValueError(f"must be yourself, {me}, for its looks act in that name, but got {str(name)[:80]!r}")
    return me


def _config(value: Any) -> dict[str, Any]:
    """What a run is started with. Its fields are checked in full against the data that comes."""
    known = {field.name for field in fields_of(RunConfig)}
    if not isinstance(value, dict) or (value and "model_name" not in value) or not set(value) <= known:
        raise ValueError(
            f"must hold model_name and fields of a run ({', '.join(sorted(known))}) but got {value!r:.200}"
        )
    return value


def _faults(row: DataSource) -> list[FieldError]:
    """What is wrong between the fields, or with the world outside them."""
    found = []
    if not re.fullmatch(DATASET_NAME, row.dataset_name):
        found.append(("dataset_name", f"dataset_name must match {DATASET_NAME} but got {row.dataset_name!r:.80}"))
    elif Dataset.objects.filter(name=row.dataset_name).exclude(team=row.team).exists():
        found.append(("dataset_name", f"there is no data set {row.dataset_name} of yours, and the name is taken"))
    if not row.target:
        found.append(("target", "target must name the column to predict but is empty"))
    model = row.run_config.get("model_name")
    if model and not RegisteredModel.objects.filter(name=model, team=row.team).exists():
        found.append(("run_config", f"run_config names model {str(model)[:80]!r}, which {row.team} does not have"))
    try:
        _reach(row)
    except ValueError as error:
        found.append(("query", f"query {error}"))
    except Invalid as error:
        found.append(("location", error.detail))
    return [FieldError(field, "invalid", message) for field, message in found]


def _reach(row: DataSource) -> None:
    """Whether the operator lets the team read there; nothing is read yet."""
    if row.kind == SourceKind.SQL:
        places.database(row.location, row.team.name)
        check_query(row.query)
    elif row.query:
        raise ValueError(f"must be empty for {SourceKind(row.kind).label}")
    elif row.kind == SourceKind.FOLDER:
        places.path_of(row.location, row.team.name)
    else:
        places.bucket_of(row.location, row.team.name)


def _said(row: DataSource) -> dict[str, Any]:
    names = ("kind", *_TEXTS, "takes", "pii", "run_config", "enabled")
    every = None if row.every is None else str(row.every)
    return {**{name: getattr(row, name) for name in names}, "every": every, "owner": row.owner.get_username()}


def _keep_schedule(row: DataSource) -> None:
    """Beat's row as the source says; switched off, it keeps the interval that it had."""
    name = f"{SCHEDULED}{row.name}"
    if row.every is None:
        for task in PeriodicTask.objects.filter(name=name, enabled=True):
            task.enabled = False
            task.save()
        return
    fields: dict[str, Any] = {
        "task": "training.fetch_on_schedule",
        "args": json.dumps([row.name]),
        "interval": interval_of(row.every),
        "enabled": row.enabled,
        "description": f"Look for new data for {row.dataset_name} in source {row.name}, which holds the interval.",
    }
    PeriodicTask.objects.update_or_create(name=name, defaults=fields)
