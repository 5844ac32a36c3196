"""Everything that the database holds of one model, as plain rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from mlops_site.core import events
from mlops_site.core.models import Membership
from registry.models import DeployPolicy, PromotionRequest, RegisteredModel, StageInterval
from registry.models import Review as ReviewRow
from registry.models import Version as VersionRow


class Version(NamedTuple):
    model_id: int
    artifact_id: str
    signature_digest: str
    content_digest: str
    created_by_id: int
    trained_by_id: int
    number: tuple[int, int, int]


class Interval(NamedTuple):
    version_id: int
    stage: str
    cause: str
    started_at: datetime
    ended_at: datetime | None
    by_id: int | None
    request_id: int | None
    policy_id: int | None


class Request(NamedTuple):
    version_id: int
    status: str
    requester_id: int
    author_id: int
    trainer_id: int
    evidence: str  # its digest, computed here
    evidence_digest: str
    artifact_digest: str


class Review(NamedTuple):
    request_id: int
    reviewer_id: int
    role: str
    decision: str
    requester_id: int
    author_id: int
    trainer_id: int
    risk_tier: str
    evidence_digest: str
    artifact_digest: str


class Rows(NamedTuple):
    """Everything of one model by primary key, and who holds which role in its team now."""

    versions: dict[int, Version]
    intervals: dict[int, Interval]
    requests: dict[int, Request]
    reviews: dict[int, Review]
    policies: dict[int, tuple[str, int]]
    tier: str
    roles: dict[int, str]


def rows_of(model: RegisteredModel) -> Rows:
    """The database now, by seven statements."""
    numbers = ("major", "minor", "patch")
    versions: Any = VersionRow.objects.filter(model=model).values_list("pk", *Version._fields[:-1], *numbers)
    requests: Any = PromotionRequest.objects.filter(model=model).values_list("pk", *Request._fields)
    own = {"request__model": model}
    return Rows(
        {pk: Version._make([*said[:-3], tuple(said[-3:])]) for pk, *said in versions},
        _read(StageInterval.objects.filter(model=model), Interval),
        {pk: Request._make([*said[:5], events.digest_of(said[5]), *said[6:]]) for pk, *said in requests.order_by("pk")},
        _read(ReviewRow.objects.filter(**own), Review),
        {
            pk: (reach, by)
            for pk, reach, by in DeployPolicy.objects.filter(model=model).values_list("pk", "reach", "set_by")
        },
        RegisteredModel.objects.values_list("risk_tier", flat=True).get(pk=model.pk),
        dict(Membership.objects.filter(team=model.team_id).values_list("user", "role")),
    )


def _read(rows: Any, shape: Any) -> dict[int, Any]:
    return {pk: shape(*said) for pk, *said in rows.order_by("pk").values_list("pk", *shape._fields)}
