"""Which version answers: read at each request, so that no process answers with one that has been replaced."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple, cast

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from mlops_site.core import events, tokens
from mlops_site.core.errors import Conflict, NotFound, StewardError
from mlops_site.core.permissions import Action, Actor, require
from mlops_site.core.prepared import Prepared
from registry.artifacts.scorer import Scorer, using
from registry.choices import SERVED, Stage
from registry.models import Artifact, RegisteredModel, StageInterval, Version
from registry.models.version import parts_of

_TOKENS = "model__team__tokens__"  # from an interval to the tokens of the team that its model belongs to
_COLUMNS = (  # of Chosen
    "model_id",
    "model__team_id",
    "stage",
    "version_id",
    "version__major",
    "version__minor",
    "version__patch",
    "version__threshold",
    "version__artifact_id",
    "version__serving_id",
)
_PINNED = (*_COLUMNS, "version__remark__deprecated_at", "version__remark__deprecation")  # for who names a version


class Chosen(NamedTuple):
    """The version that answers; columns of one query."""

    model_id: int
    team_id: int
    stage: str
    version_id: int
    major: int
    minor: int
    patch: int
    threshold: float
    digest: str
    serving_digest: str | None
    deprecated_at: datetime | None = None  # read of a version that is named
    deprecation: str | None = None

    @property
    def number(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def scorer(self) -> AbstractContextManager[Scorer]:
        """From this process's memory by digest and version; the signature is read only when it is not there."""
        signature = SimpleLazyObject(
            lambda: Version.objects.values_list("signature", flat=True).get(pk=self.version_id)
        )
        digest = self.serving_digest or self.digest
        return using(digest, _format(digest), cast(Mapping[str, Any], signature), key=self.version_id)


@functools.lru_cache(maxsize=10_000)
def _format(digest: str) -> str:
    """Of an artifact, for good: a digest names one content."""
    return Artifact.objects.values_list("format", flat=True).get(pk=digest)


def arrival(model_name: str, token: str) -> tuple[Actor, Chosen] | None:
    """Who bears the token, and the production version of the model, by one query: on the way of every claim a second
    one would take as long as scoring. None where there is no such version in the token's team or the token is not
    usable: ask one after the other, and find out which.
    """
    now = timezone.now()
    prefix = tokens.prefix_of(token)
    for row in _at_once(now - tokens.NOTED_EVERY, model_name, Stage.PRODUCTION, prefix, now):
        of_version = len(_COLUMNS)
        return tokens.bearer(token, row[of_version:]), Chosen(*row[:of_version])
    return None


@Prepared
def _at_once(
    an_hour_ago: datetime, model_name: str, stage: str, prefix: str, now: datetime
) -> QuerySet[StageInterval, tuple[Any, ...]]:
    # One filter: each of several would look at another token of the team.
    wanted = Q(model__name=model_name) & Q(stage=stage) & tokens.usable(prefix, now, _TOKENS)
    rows = StageInterval.objects.open().filter(wanted).annotate(is_noted=tokens.is_noted(an_hour_ago, _TOKENS))
    return rows.values_list(*_COLUMNS, *tokens.columns(_TOKENS), "is_noted")


def choose(model_name: str, actor: Actor, version: str | None, chosen: Chosen | None) -> Chosen:
    """Read at each request, so that no process answers with a version that has been replaced."""
    found = chosen if version is None else None
    if found is None:
        rows = _in_stage(model_name, Stage.PRODUCTION) if version is None else _pinned(model_name, version)
        found = next((Chosen(*row) for row in rows), None)
    if found is None or not actor.may(Action.PREDICT, found.team_id):
        raise _absence(model_name, actor, version)
    if found.stage not in SERVED:
        message = (
            f"version {version} of {model_name} must be in staging or production but is in {found.stage}; "
            "leave version out to ask the one in production"
        )
        raise Conflict.on("version", message, code="not_served")
    return found


def _pinned(model_name: str, version: str) -> list[tuple[Any, ...]]:
    """By number, or as @alias; @production and @staging are what is there now, of several the newest."""
    if parts := parts_of(version):
        return _numbered(model_name, *parts)
    if not version.startswith("@"):
        return []
    name = version[1:]
    return _newest_in(model_name, name) if name in SERVED else _aliased(model_name, name)


@Prepared
def _in_stage(model_name: str, stage: str) -> QuerySet[StageInterval, tuple[Any, ...]]:
    return StageInterval.objects.open().filter(model__name=model_name).filter(stage=stage).values_list(*_COLUMNS)


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
