"""Approvals with conditions: what must hold, and when somebody must have looked at it again."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, Invalid
from mlops_site.core.permissions import Action, Actor, person, refused, require
from registry.choices import Decision, RequestStatus, RiskTier
from registry.models import ConditionClosing, Review
from registry.selectors import overdue_conditions
from registry.services.guards import locked, reason_given
from registry.signals import condition_closed, revalidation_due

LATEST_DAYS = 3 * 366


class Terms(NamedTuple):
    """The condition of an approval; empty of one without."""

    condition: str = ""
    revalidate_on: date | None = None

    def said(self) -> dict[str, Any]:
        """As the audit chain keeps it."""
        if self.revalidate_on is None:
            return {}
        return {"condition": self.condition, "revalidate_on": self.revalidate_on.isoformat()}


def checked_terms(decision: Decision, condition: str, revalidate_on: date | None) -> Terms:
    """Both of an approval with conditions, none of any other decision; Invalid names what is missing, too much or
    not ahead of us by up to three years."""
    if decision != Decision.APPROVE_WITH_CONDITIONS:
        if condition.strip() or revalidate_on is not None:
            field = "condition" if condition.strip() else "revalidate_on"
            message = f"{field} goes with approve_with_conditions only, not with {decision}"
            raise Invalid.on(field, message, code="not_applicable")
        return Terms()
    text = reason_given(condition, field="condition")
    if revalidate_on is None:
        raise Invalid.on("revalidate_on", "revalidate_on must name a day but is empty", code="required")
    ahead = (revalidate_on - timezone.now().date()).days
    if not 1 <= ahead <= LATEST_DAYS:
        message = f"revalidate_on must be tomorrow or later, and within three years, but got {revalidate_on}"
        raise Invalid.on("revalidate_on", message, code="out_of_range")
    return Terms(text, revalidate_on)


def close_condition(review: Review, *, actor: Actor, note: str) -> Review:
    """Say that the condition is met, and why. By an approver who neither requested nor, beyond low risk, made the
    version. Forbidden `forbidden` or `four_eyes`; Conflict `wrong_state`."""
    said = reason_given(note, field="note")
    with locked(review.request.model) as model:
        row = Review.objects.select_related("request__model__team").get(pk=review.pk)
        require(actor, Action.PROMOTION_DECIDE, model.team, subject=row.request.subject)
        _require_other(row, actor)
        if row.request.status != RequestStatus.APPROVED:
            message = f"the request is {row.request.get_status_display()}: its condition was never in force"
            raise Conflict(message, code="wrong_state")
        if ConditionClosing.objects.filter(review=row).exists():
            raise Conflict("the condition is closed already", code="wrong_state")
        ConditionClosing.objects.create(review=row, by=person(actor), note=said)
        data = {"condition": row.condition, "note": said, "review": row.pk}
        subject, team = row.request.subject, model.team.name
        events.record("promotion.condition_closed", actor=actor, subject=subject, team=team, data=data)
        condition_closed.send(sender=Review, review=row, actor=actor, note=said)
    return row


def _require_other(review: Review, actor: Actor) -> None:
    request, own = review.request, {review.requester_id}
    if request.model.risk_tier != RiskTier.LOW:
        own |= {review.author_id, review.trainer_id}
    if person(actor).pk in own:
        detail = "You may not close this condition: you requested or made this version; another approver must."
        action, subject, team = "promotion.condition_close", request.subject, request.model.team
        raise refused(actor, detail, action=action, subject=subject, team=team, code="four_eyes")


def say_overdue() -> int:
    """Tell upwards of each condition of a serving version whose day has passed; how many there are."""
    count = 0
    for review in overdue_conditions().filter(revalidate_on__lt=timezone.now().date()):
        with events.atomic():
            revalidation_due.send(sender=Review, review=review)
        count += 1
    return count
