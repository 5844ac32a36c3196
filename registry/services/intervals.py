"""Stage intervals, the only place that writes them: closed before the next opens, at times that only rise.

Everything here runs under the model's lock (`guards.locked`)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from mlops_site.core.errors import Conflict
from mlops_site.core.models import User
from mlops_site.core.prepared import Prepared, PreparedObjects
from registry.choices import MOVES, Cause, Stage
from registry.models import DeployPolicy, PromotionRequest, RegisteredModel, StageInterval, Version
from registry.signals import stage_changed


def moment_after(model: RegisteredModel) -> datetime:
    """Now; or just after the model's last change, where this machine's clock is behind that of another."""
    last = max((interval.started_at for interval in _newest(model.pk)), default=None)
    now = timezone.now()
    return now if last is None or last < now else last + timedelta(microseconds=1)


@PreparedObjects
def _newest(model: int) -> QuerySet[StageInterval]:
    return StageInterval.objects.filter(model=model).order_by("-started_at").only("started_at")[:1]


def current_stage(version: Version) -> str:
    ((stage,),) = _open_stage(version.pk)
    return str(stage)


@Prepared
def _open_stage(version: int) -> QuerySet[StageInterval, tuple[Any, ...]]:
    return StageInterval.objects.open().filter(version=version).values_list("stage")


def check_move(version: Version, target: str) -> None:
    """Conflict, naming the current stage, unless the table of moves has this one."""
    now = current_stage(version)
    if target not in MOVES[now]:
        allowed = ", ".join(MOVES[now]) or "nowhere by itself"
        message = f"{version} is in {now} and cannot go to {target}; from {now} it goes to {allowed}"
        raise Conflict(message, code="illegal_move")


def open_interval(
    version: Version,
    *,
    stage: str,
    cause: str,
    at: datetime,
    by: User | None,
    reason: str = "",
    request: PromotionRequest | None = None,
    policy: DeployPolicy | None = None,
    before: str = "",
) -> None:
    opened = StageInterval.objects.create(
        version=version,
        model=version.model,
        stage=stage,
        cause=cause,
        started_at=at,
        by=by,
        reason=reason,
        request=request,
        policy=policy,
    )
    stage_changed.send(sender=Version, version=version, stage=stage, before=before, cause=cause, interval=opened)


def close_interval(version: Version, *, at: datetime) -> str:
    """The stage that ends. Conflict when the version has none open, which a lock held cannot show."""
    now = current_stage(version)
    StageInterval.objects.open().filter(version=version).update(ended_at=at)
    return now


def move(
    version: Version,
    *,
    to: str,
    cause: str,
    by: User | None,
    reason: str = "",
    policy: DeployPolicy | None = None,
) -> None:
    """End one stage and begin the next at the same moment."""
    at = moment_after(version.model)
    before = close_interval(version, at=at)
    open_interval(version, stage=to, cause=cause, at=at, by=by, reason=reason, policy=policy, before=before)


def swap(
    version: Version,
    replaced: Version | None,
    *,
    cause: str,
    by: User | None,
    reason: str,
    request: PromotionRequest | None = None,
    policy: DeployPolicy | None = None,
) -> None:
    """Put a version into production in place of the one that is there: both leave before either arrives.

    A promotion archives what it replaces; a rollback returns it to staging.
    """
    at = moment_after(version.model)
    before = close_interval(version, at=at)
    if replaced is not None:
        close_interval(replaced, at=at)
        is_rollback = cause == Cause.ROLLED_BACK
        open_interval(
            replaced,
            stage=Stage.STAGING if is_rollback else Stage.ARCHIVED,
            cause=Cause.WITHDRAWN if is_rollback else Cause.REPLACED,
            at=at,
            by=by,
            reason=reason,
            before=Stage.PRODUCTION,
        )
    open_interval(
        version,
        stage=Stage.PRODUCTION,
        cause=cause,
        at=at,
        by=by,
        reason=reason,
        request=request,
        policy=policy,
        before=before,
    )
