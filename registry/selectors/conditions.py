"""The conditions under which versions were approved."""

from __future__ import annotations

from django.db.models import QuerySet

from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Actor, visible
from registry.choices import Decision, Stage
from registry.models import RegisteredModel, Review, StageInterval


def open_conditions(actor: Actor, *, model: RegisteredModel | None = None) -> QuerySet[Review]:
    """Of the actor's teams: approvals whose condition nobody has closed, the earliest date first."""
    rows = visible(actor, Review.objects.open_conditions(), team="request__model__team")
    return _complete(rows if model is None else rows.filter(request__model=model))


def condition_numbered(actor: Actor, pk: int) -> Review:
    """An approval with a condition, open or closed; NotFound if it is absent or another team's."""
    rows = Review.objects.filter(pk=pk, decision=Decision.APPROVE_WITH_CONDITIONS)
    found = _complete(visible(actor, rows, team="request__model__team")).first()
    if found is None:
        raise NotFound(f"no condition {pk} here, or it belongs to another team", code="unknown_condition")
    return found


def overdue_conditions() -> QuerySet[Review]:
    """Open ones of versions that serve now: what another version has replaced is looked at when it comes back."""
    serving = StageInterval.objects.open().filter(stage=Stage.PRODUCTION).values("version")
    return _complete(Review.objects.open_conditions().filter(request__version__in=serving))


def _complete(rows: QuerySet[Review]) -> QuerySet[Review]:
    chosen = rows.select_related("reviewer", "closing__by", "request__model__team", "request__version__model")
    return chosen.defer("request__evidence", "request__version__reference", "request__version__golden")
