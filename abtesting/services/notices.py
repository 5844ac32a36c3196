"""A model's people are told when a challenger begins to answer claims: through the operator's APPROVAL_WEBHOOK_URL, as
they are of requests, for an approver has not seen it (docs/adr/0017), and through the channels of the team. On the site
it stands on the home page."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from abtesting.models import Experiment
from mlops_site.core import webhooks
from mlops_site.core.models import Membership, User
from mlops_site.core.permissions import Actor
from monitoring.channels.notices import tell_begun
from monitoring.choices import Severity
from registry.models.approval import REVIEWING_ROLES
from registry.services.notices import CHANNEL

LIVE = "experiment.live"


def tell_live(experiment: Experiment, *, by: Actor) -> list[User]:
    """In the transaction that starts it; who is named in what is sent."""
    told, model = people(experiment, by=by), experiment.model
    body = body_of(experiment, by, told)
    if settings.APPROVAL_WEBHOOK_URL:
        webhooks.enqueue(channel=CHANNEL, subject=experiment.subject, team=model.team, event=LIVE, body=body)
    for_team = {name: value for name, value in body.items() if name != "to"} | _summary(experiment, by)
    tell_begun(model, subject=experiment.subject, severity=Severity.MEDIUM, body=for_team, people=told)
    return told


def _summary(experiment: Experiment, by: Actor) -> dict[str, str]:
    """What people read of it."""
    number = experiment.version_b.number
    return {
        "version": number,
        "summary": f"{number} begins to answer claims beside {experiment.version_a.number}: {experiment.name}"[:300],
        "detail": f"Started by {by.name}. {experiment.hypothesis[:500]}",
    }


def people(experiment: Experiment, *, by: Actor) -> list[User]:
    """The model's owner and who may review its promotions, by name; not who started it, who knows."""
    model = experiment.model
    rows = Membership.objects.filter(team=model.team, role__in=REVIEWING_ROLES, user__is_active=True)
    found = {row.user_id: row.user for row in rows.select_related("user")}
    if model.owner.is_active:
        found[model.owner_id] = model.owner
    me = by.user.pk if by.user is not None else None
    return sorted((user for pk, user in found.items() if pk != me), key=lambda user: user.username)


def body_of(experiment: Experiment, by: Actor, told: list[User]) -> dict[str, Any]:
    """What the receiver reads. `url` is a path on this site, whose own name the receiver knows."""
    epoch = experiment.epochs.get(ended_at=None)
    return {
        "type": LIVE,
        "id": experiment.pk,
        "at": timezone.now().isoformat(),
        "model": experiment.model.name,
        "risk_tier": experiment.model.risk_tier,
        "name": experiment.name,
        "mode": str(experiment.design),
        "version_a": experiment.version_a.number,
        "version_b": experiment.version_b.number,
        "share_b": epoch.share_b,
        "steps": experiment.steps,
        "started_by": by.name,
        "hypothesis": experiment.hypothesis[:500],
        "url": reverse("experiment", args=[experiment.pk]),
        "to": [{"name": user.username, "email": user.email} for user in told],
    }
