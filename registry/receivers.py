"""What follows in the registry from facts below it, and from its own that MLflow has to hear of."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from mlops_site.core import inbox
from mlops_site.core.models import Team, User
from mlops_site.core.permissions import Actor
from registry.choices import Cause, NoticeKind, RequestStatus
from registry.models import PromotionRequest, StageInterval, Version
from registry.selectors import Told
from registry.services.leavers import close_for_leaver
from registry.services.mirror import note_change


def close_open_business(*, user: User, team: Team, role: str | None, actor: Actor, **_: Any) -> None:
    """Somebody has left the team or got another role: in that transaction."""
    close_for_leaver(user, team=team, role=role, actor=actor)


def note_version(*, version: Version, **_: Any) -> None:
    note_change(version)


def note_stage(*, version: Version, interval: StageInterval, **_: Any) -> None:
    if interval.cause != Cause.REGISTERED:
        note_change(version, interval)


def tell_asked(*, request: PromotionRequest, kind: NoticeKind, told: list[Told], **_: Any) -> None:
    """Those who may decide: in their inbox, and by e-mail to who takes mail."""
    asks = f"{request.requester} asks to put {request.version} into production"
    title = {
        NoticeKind.OPENED: asks,
        NoticeKind.EXPIRING: f"It expires on {request.expires_at:%d %b at %H:%M} UTC: {asks}",
    }.get(kind, f"It still waits for you: {asks}")
    for each in told:
        stands_in = f"You stand in for {each.on_behalf_of}. " if each.on_behalf_of else ""
        note = _note(request, f"approval.{kind}", title, f"{stands_in}{request.reason}")
        inbox.tell([each.person], note, team=request.model.team)


def tell_requester(*, request: PromotionRequest, **_: Any) -> None:
    """Whoever asked is told what became of it, unless they ended it themselves."""
    if request.closed_by_id != request.requester_id:
        by = f" by {request.closed_by}" if request.closed_by else ""
        status = RequestStatus(request.status)
        note = _note(request, f"promotion.{status.value}", f"{request.version} into production: {status.label}{by}", "")
        inbox.tell([request.requester], note, team=request.model.team)


def _note(request: PromotionRequest, event: str, title: str, text: str) -> inbox.Note:
    path = reverse("admin:registry_promotionrequest_change", args=[request.pk])
    return inbox.Note(event, request.subject, title, text, path=path)
