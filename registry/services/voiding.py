"""Reviews that no longer stand: their person has left, or what they looked at has changed."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.permissions import Actor
from registry.models import Review


def void_reviews(reviews: QuerySet[Review], *, actor: Actor, why: str) -> int:
    """Void each that is not, with its audit row, under the model's lock. They count no more, and their people may
    review again."""
    rows = list(reviews.filter(voided_at=None).select_related("request__model__team", "reviewer"))
    for review in rows:
        Review.objects.filter(pk=review.pk, voided_at=None).update(voided_at=timezone.now(), void_reason=why)
        data = {"reviewer": review.reviewer.username, "decision": review.decision, "reason": why}
        request = review.request
        team = request.model.team.name
        events.record("promotion.review_voided", actor=actor, subject=request.subject, team=team, data=data)
    return len(rows)
