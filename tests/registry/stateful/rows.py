"""Everything that the database holds of one model, as plain rows."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple

from mlops_site.core import events
from mlops_site.core.models import Membership
from mlops_site.core.prepared import Prepared
from registry.models import DeployPolicy, PromotionRequest, RegisteredModel, StageInterval, ValidationReport
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
    started_at: datetime  # as the driver gives it: a text that sorts the same on SQLite
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
    created_at: datetime  # both as the driver gives them
    expires_at: datetime


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
    reports_seen: int
    voided_at: datetime | None


class Rows(NamedTuple):
    """Everything of one model by primary key, and who holds which role in its team now."""

    versions: dict[int, Version]
    intervals: dict[int, Interval]
    requests: dict[int, Request]
    reviews: dict[int, Review]
    policies: dict[int, tuple[str, int]]
    tier: str
    archived: bool
    roles: dict[int, str]
    reports: dict[int, int]  # version -> how many it has


def rows_of(model: RegisteredModel) -> Rows:
    """The database now, by eight statements. Their SQL is built once: a run reads some 200,000 times."""
    ((tier, archived_at),) = _tier(model.pk)
    return Rows(
        {pk: Version._make([*said[:-3], tuple(said[-3:])]) for pk, *said in _versions(model.pk)},
        {pk: Interval._make(said) for pk, *said in _intervals(model.pk)},
        {pk: Request._make([*said[:5], _digest(said[5]), *said[6:]]) for pk, *said in _requests(model.pk)},
        {pk: Review._make(said) for pk, *said in _reviews(model.pk)},
        {pk: (reach, by) for pk, reach, by in _policies(model.pk)},
        tier,
        archived_at is not None,
        dict(_roles(model.team_id)),
        Counter(version for (version,) in _reports(model.pk)),
    )


def _digest(evidence: str) -> str:
    return events.digest_of(json.loads(evidence))


@Prepared
def _versions(model: int) -> Any:
    numbers = ("major", "minor", "patch")
    return VersionRow.objects.filter(model=model).order_by("pk").values_list("pk", *Version._fields[:-1], *numbers)


@Prepared
def _intervals(model: int) -> Any:
    return StageInterval.objects.filter(model=model).order_by("pk").values_list("pk", *Interval._fields)


@Prepared
def _requests(model: int) -> Any:
    return PromotionRequest.objects.filter(model=model).order_by("pk").values_list("pk", *Request._fields)


@Prepared
def _reviews(model: int) -> Any:
    return ReviewRow.objects.filter(request__model=model).order_by("pk").values_list("pk", *Review._fields)


@Prepared
def _policies(model: int) -> Any:
    return DeployPolicy.objects.filter(model=model).values_list("pk", "reach", "set_by")


@Prepared
def _tier(model: int) -> Any:
    return RegisteredModel.objects.filter(pk=model).values_list("risk_tier", "archived_at")


@Prepared
def _reports(model: int) -> Any:
    return ValidationReport.objects.filter(version__model=model).values_list("version")


@Prepared
def _roles(team: int) -> Any:
    return Membership.objects.filter(team=team).values_list("user", "role")
