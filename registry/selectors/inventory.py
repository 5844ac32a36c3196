"""The model inventory: every model with who answers for it, what it is for, and what is open about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from registry.choices import RequestStatus, RiskTier, Stage
from registry.models import Incident, PromotionRequest, RegisteredModel, Review, StageInterval
from registry.selectors.models import models

CHUNK = 500


class Validation(NamedTuple):
    """The latest review of any version of a model."""

    at: datetime
    version: str
    by: str
    role: str
    decision: str


class InventoryLine(NamedTuple):
    model: str
    team: str
    owner: str
    risk_tier: str
    task_type: str
    purpose: str
    production: str | None  # number
    since: datetime | None
    versions: int
    validated: Validation | None
    open_requests: int
    open_incidents: int
    open_conditions: int
    revalidate_on: date | None  # the earliest of them
    created_at: datetime


def inventory(
    actor: Actor, *, search: str = "", team: str = "", risk_tier: str = "", stage: str = ""
) -> QuerySet[RegisteredModel]:
    """The models the actor sees, by name, with what `inventory_lines` needs."""
    rows = models(actor, search=search, team=team, stage=stage)
    if risk_tier:
        if risk_tier not in RiskTier.values:
            message = f"risk_tier must be one of {', '.join(RiskTier.values)} but got {risk_tier[:80]!r}"
            raise Invalid.on("risk_tier", message, code="unknown_risk_tier")
        rows = rows.filter(risk_tier=risk_tier)
    latest = Review.objects.filter(request__model=OuterRef("pk"), voided_at=None).order_by("-created_at", "-pk")
    waiting = _counted(PromotionRequest.objects.filter(status=RequestStatus.PENDING))
    wrong = _counted(Incident.objects.filter(closed_at=None))
    conditions = Review.objects.open_conditions().filter(request__model=OuterRef("pk"))
    counted = conditions.order_by().values("request__model").annotate(n=Count("pk")).values("n")
    rows = rows.annotate(
        open_conditions=Coalesce(Subquery(counted), 0), revalidate_on=Subquery(conditions.values("revalidate_on")[:1])
    )
    return rows.annotate(last_review=Subquery(latest.values("pk")[:1]), open_requests=waiting, open_incidents=wrong)


def _counted(rows: QuerySet[Any]) -> Coalesce:
    counts = rows.filter(model=OuterRef("pk")).order_by().values("model").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counts), 0)


def inventory_lines(rows: Iterable[RegisteredModel]) -> list[InventoryLine]:
    """Of models from `inventory`; two queries more, however many."""
    found: list[Any] = list(rows)
    serving = StageInterval.objects.open().filter(model__in=found, stage=Stage.PRODUCTION).select_related("version")
    shown = serving.only("model", "started_at", "version__major", "version__minor", "version__patch", "version__model")
    current = {interval.model_id: interval for interval in shown}
    reviews = (
        Review.objects.filter(pk__in=[row.last_review for row in found if row.last_review is not None])
        .select_related("reviewer", "request__version")
        .only("created_at", "role", "decision", "reviewer__username", "request__model", "request__version__major",
              "request__version__minor", "request__version__patch", "request__version__model")
    )  # fmt: skip
    said = {review.request.model_id: review for review in reviews}
    return [_line(row, current.get(row.pk), said.get(row.pk)) for row in found]


def _line(row: Any, now: StageInterval | None, review: Review | None) -> InventoryLine:
    return InventoryLine(
        model=row.name,
        team=row.team.name,
        owner=row.owner.username,
        risk_tier=row.risk_tier,
        task_type=row.task_type,
        purpose=row.purpose,
        production=None if now is None else now.version.number,
        since=None if now is None else now.started_at,
        versions=row.version_count,
        validated=None if review is None else _validation(review),
        open_requests=row.open_requests,
        open_incidents=row.open_incidents,
        open_conditions=row.open_conditions,
        revalidate_on=row.revalidate_on,
        created_at=row.created_at,
    )


def _validation(review: Review) -> Validation:
    number = review.request.version.number
    return Validation(review.created_at, number, review.reviewer.username, review.role, review.decision)


INVENTORY_HEAD = (
    "model", "team", "owner", "risk_tier", "task_type", "purpose", "production", "in_production_since", "versions",
    "last_validated_at", "last_validated_version", "last_validated_by", "last_validated_role", "last_validation",
    "open_requests", "open_incidents", "open_conditions", "revalidate_on", "created_at",
)  # fmt: skip


def inventory_table(rows: QuerySet[RegisteredModel]) -> Iterator[tuple[Any, ...]]:
    """The inventory as rows under INVENTORY_HEAD, read in chunks."""
    keys = list(rows.values_list("pk", flat=True))
    for start in range(0, len(keys), CHUNK):
        for line in inventory_lines(rows.filter(pk__in=keys[start : start + CHUNK])):
            validated = line.validated or (None,) * len(Validation._fields)
            yield (*line[:9], *validated, *line[10:])
