"""What the time that passes does to requests and conditions. Beat rings; nothing lawful depends on it."""

from __future__ import annotations

from django.utils import timezone

from mlops_site.core.permissions import Actor
from registry.choices import RequestStatus
from registry.models import PromotionRequest
from registry.services.approvals import close_request
from registry.services.conditions import say_overdue
from registry.services.guards import locked
from registry.services.notices import remind


def sweep_approvals() -> dict[str, int]:
    """Close what has expired, remind who may decide, tell of conditions whose day has passed."""
    return {"expired": expire_requests(), "reminded": remind(), "overdue": say_overdue()}


def expire_requests() -> int:
    """Close the requests that nobody has decided in time; how many there were."""
    late = PromotionRequest.objects.filter(status=RequestStatus.PENDING, expires_at__lte=timezone.now())
    count = 0
    for request in late.select_related("model").defer("evidence").order_by("model", "pk"):
        with locked(request.model):
            row = late.select_related("model__team", "version__model").filter(pk=request.pk).first()
            if row is not None:
                said = f"nobody decided it by {row.expires_at:%d %b %Y}"
                close_request(row, actor=Actor.system("registry"), status=RequestStatus.EXPIRED, comment=said)
                count += 1
    return count
