"""A model that is no longer used: it takes nothing new and leaves the lists; its history stays."""

from __future__ import annotations

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Action, Actor, person, require
from registry import selectors
from registry.choices import Cause, RequestStatus, Stage
from registry.models import RegisteredModel, StageInterval
from registry.services.approvals import close_request
from registry.services.guards import check_live, locked, reason_given, touch
from registry.services.intervals import move


def archive_model(model: RegisteredModel, *, actor: Actor, reason: str) -> RegisteredModel:
    """Archive a model with what serves of it: versions in production and staging are archived, requests are void.

    Taking out what serves is for those who may roll back. Conflict `model_archived`.
    """
    why = reason_given(reason)
    with locked(model) as row:
        require(actor, Action.MODEL_ARCHIVE, row.team, subject=row.subject)
        check_live(row)
        served = selectors.in_production(row)
        if served is not None:
            require(actor, Action.ROLLBACK, row.team, subject=row.subject)
        close_open_requests(row, actor=actor, why=f"the model was archived: {why}")
        _retire(row, actor, why)
        row.archived_at = timezone.now()
        row.save(update_fields=["archived_at"])
        touch(row)
        data = {"reason": why, "production": served and served.number}
        events.record("model.archived", actor=actor, subject=row.subject, team=row.team.name, data=data)
    return row


def restore_model(model: RegisteredModel, *, actor: Actor, reason: str) -> RegisteredModel:
    """Bring an archived model back to the lists. Its versions stay as they are: one gets into production by a new
    request. Conflict `model_not_archived`."""
    why = reason_given(reason)
    with locked(model) as row:
        require(actor, Action.MODEL_ARCHIVE, row.team, subject=row.subject)
        if row.archived_at is None:
            raise Conflict(f"{row} is not archived", code="model_not_archived")
        row.archived_at = None
        row.save(update_fields=["archived_at"])
        touch(row)
        events.record("model.restored", actor=actor, subject=row.subject, team=row.team.name, data={"reason": why})
    return row


def close_open_requests(model: RegisteredModel, *, actor: Actor, why: str) -> None:
    """Void what waits for a decision, under the model's lock."""
    for request in model.requests.filter(status=RequestStatus.PENDING).select_related("version__model", "model__team"):
        close_request(request, actor=actor, status=RequestStatus.VOID, comment=why)


def _retire(model: RegisteredModel, actor: Actor, why: str) -> None:
    serving = StageInterval.objects.open().filter(model=model, stage__in=(Stage.PRODUCTION, Stage.STAGING))
    for interval in serving.select_related("version__model"):
        cause = Cause.RETIRED if interval.stage == Stage.PRODUCTION else Cause.MOVED
        move(interval.version, to=Stage.ARCHIVED, cause=cause, by=person(actor), reason=why)
