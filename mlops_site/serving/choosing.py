"""Which version answers: read at each request, so that no process answers with one that has been replaced."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.utils import timezone

from abtesting.selectors.routing import open_epoch
from mlops_site.core import events, tokens
from mlops_site.core.errors import Conflict, NotFound, StewardError
from mlops_site.core.permissions import Action, Actor, require
from mlops_site.core.prepared import Prepared
from registry.choices import SERVED, Stage
from registry.models import RegisteredModel, StageInterval
from registry.models.version import parts_of
from registry.selectors.served import COLUMNS, Served

_TOKENS = "model__team__tokens__"  # from an interval to the tokens of the team that its model belongs to
_COLUMNS = ("model_id", "model__team_id", "stage", "version_id", *(f"version__{name}" for name in COLUMNS))
_PINNED = (*_COLUMNS, "version__remark__deprecated_at", "version__remark__deprecation")  # for who names a version


class Chosen(NamedTuple):
    """The version that answers, and of the one in production the epoch of the experiment under which it does."""

    model_id: int
    team_id: int
    stage: str
    version: Served
    epoch: int | None = None
    deprecated_at: datetime | None = None  # read of a version that is named
    deprecation: str | None = None

    @classmethod
    def of(cls, row: tuple[Any, ...], **more: Any) -> Chosen:
        """From `_COLUMNS`."""
        model_id, team_id, stage, *columns = row[: len(_COLUMNS)]
        return cls(model_id, team_id, stage, Served(*columns), **more)


def arrival(model_name: str, token: str) -> tuple[Actor, Chosen] | None:
    """Who bears the token, and the production version of the model with its open epoch, by one query: on the way of
    every claim a second one would take as long as scoring. None where there is no such version in the token's team or
    the token is not usable: ask one after the other, and find out which.
    """
    now = timezone.now()
    prefix = tokens.prefix_of(token)
    for *row, epoch in _at_once(now - tokens.NOTED_EVERY, Stage.STAGING, model_name, Stage.PRODUCTION, prefix, now):
        return tokens.bearer(token, tuple(row[len(_COLUMNS) :])), Chosen.of(tuple(row), epoch=epoch)
    return None


@Prepared
def _at_once(
    an_hour_ago: datetime, stage_of_b: str, model_name: str, stage: str, prefix: str, now: datetime
) -> QuerySet[StageInterval, tuple[Any, ...]]:
    # One filter: each of several would look at another token of the team.
    wanted = Q(model__name=model_name) & Q(stage=stage) & tokens.usable(prefix, now, _TOKENS)
    rows = StageInterval.objects.open().filter(wanted).annotate(is_noted=tokens.is_noted(an_hour_ago, _TOKENS))
    rows = rows.annotate(epoch=open_epoch(stage_of_b))
    return rows.values_list(*_COLUMNS, *tokens.columns(_TOKENS), "is_noted", "epoch")


def choose(model_name: str, actor: Actor, version: str | None, chosen: Chosen | None) -> Chosen:
    """Read at each request, so that no process answers with a version that has been replaced."""
    found = chosen if version is None else None
    if found is None:
        found = _in_production(model_name) if version is None else _named(model_name, version)
    if found is None or not actor.may(Action.PREDICT, found.team_id):
        raise _absence(model_name, actor, version)
    if found.stage not in SERVED:
        message = (
            f"version {version} of {model_name} must be in staging or production but is in {found.stage}; "
            "leave version out to ask the one in production"
        )
        raise Conflict.on("version", message, code="not_served")
    return found


def _in_production(model_name: str) -> Chosen | None:
    rows = _in_stage(Stage.STAGING, model_name, Stage.PRODUCTION)
    return next((Chosen.of(row, epoch=row[-1]) for row in rows), None)


def _named(model_name: str, version: str) -> Chosen | None:
    """It takes no part in an experiment."""
    rows = _pinned(model_name, version)
    return next((Chosen.of(row, deprecated_at=row[-2], deprecation=row[-1]) for row in rows), None)


def _pinned(model_name: str, version: str) -> list[tuple[Any, ...]]:
    """By number, or as @alias; @production and @staging are what is there now, of several the newest."""
    if parts := parts_of(version):
        return _numbered(model_name, *parts)
    if not version.startswith("@"):
        return []
    name = version[1:]
    return _newest_in(model_name, name) if name in SERVED else _aliased(model_name, name)


@Prepared
def _in_stage(stage_of_b: str, model_name: str, stage: str) -> QuerySet[StageInterval, tuple[Any, ...]]:
    rows = StageInterval.objects.open().filter(model__name=model_name).filter(stage=stage)
    return rows.annotate(epoch=open_epoch(stage_of_b)).values_list(*_COLUMNS, "epoch")


@Prepared
def _numbered(model_name: str, major: int, minor: int, patch: int) -> QuerySet[StageInterval, tuple[Any, ...]]:
    rows = StageInterval.objects.open().filter(model__name=model_name).filter(version__major=major)
    return rows.filter(version__minor=minor).filter(version__patch=patch).values_list(*_PINNED)


@Prepared
def _aliased(model_name: str, alias: str) -> QuerySet[StageInterval, tuple[Any, ...]]:
    rows = StageInterval.objects.open().filter(model__name=model_name).filter(version__aliases__name=alias)
    return rows.values_list(*_PINNED)


@Prepared
def _newest_in(model_name: str, stage: str) -> QuerySet[StageInterval, tuple[Any, ...]]:
    rows = StageInterval.objects.open().filter(model__name=model_name).filter(stage=stage)
    return rows.order_by("-version__major", "-version__minor", "-version__patch").values_list(*_PINNED)


def _absence(model_name: str, actor: Actor, version: str | None) -> StewardError:
    """Why there is no version to answer with, as far as the actor may know."""
    model = RegisteredModel.objects.filter(name=model_name, team__in=actor.roles).select_related("team").first()
    if model is None:
        return NotFound(f"no model {model_name[:80]!r} here, or it belongs to another team", code="unknown_model")
    with events.atomic():
        require(actor, Action.PREDICT, model.team, subject=model.subject)
    if version is not None:
        return NotFound.on("version", f"{model_name} has no version {version[:40]!r}", code="unknown_version")
    return Conflict(f"{model_name} has no version in production; promote one first", code="no_production_version")
