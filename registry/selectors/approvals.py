"""Promotion requests, and who may decide them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from mlops_site.core.choices import Role
from mlops_site.core.errors import Invalid, NotFound
from mlops_site.core.models import User
from mlops_site.core.permissions import Action, Actor, visible
from mlops_site.core.prepared import PreparedObjects, attach
from registry.choices import RequestStatus, RiskTier
from registry.models import PromotionRequest, RegisteredModel, Review, ValidationReport, Version
from registry.selectors.absences import handed_over

# the same quorum as the database's (models.approval_laws.QUORUM): the roles that must each have approved
QUORUM: dict[str, tuple[Role, ...]] = {
    RiskTier.LOW: (Role.APPROVER,),
    RiskTier.MEDIUM: (Role.APPROVER,),
    RiskTier.HIGH: (Role.APPROVER, Role.VALIDATOR),
}


class Decidable(NamedTuple):
    """Whether a person may decide a request, with a stable code and the sentence that tells them why."""

    may: bool
    code: str
    why: str


def requests(
    actor: Actor, *, status: str = "", model: RegisteredModel | None = None, waiting_for_me: bool = False
) -> QuerySet[PromotionRequest]:
    """Requests the actor sees, latest first, with their reviews and reports: three queries, however many rows. With
    `waiting_for_me` those that the actor may decide and has not, nor anybody in their place while they are away; what
    waits longest comes first."""
    rows = visible(actor, PromotionRequest.objects.all(), team="model__team")
    if status:
        if status not in RequestStatus.values:
            message = f"status must be one of {', '.join(RequestStatus.values)} but got {status[:80]!r}"
            raise Invalid.on("status", message, code="unknown_status")
        rows = rows.filter(status=status)
    if model is not None:
        rows = rows.filter(model=model)
    if waiting_for_me:
        return _complete(_waiting(rows, actor)).order_by("created_at", "pk")
    return _complete(rows)


def open_requests(model: RegisteredModel) -> list[PromotionRequest]:
    """The pending ones of a model that the actor sees, latest first."""
    return _completed(_pending(model.pk))


def has_open_requests() -> Exists:
    """Of a model in a statement, whether it has any."""
    return Exists(PromotionRequest.objects.filter(model=OuterRef("pk"), status=RequestStatus.PENDING))


@PreparedObjects
def _pending(model: int) -> QuerySet[PromotionRequest]:
    return _joined(PromotionRequest.objects.filter(model=model).filter(status=RequestStatus.PENDING))


def requests_of(version: Version) -> QuerySet[PromotionRequest]:
    """Every request for a version, latest first, of a version that the caller may see."""
    return _complete(version.requests.all())


def _waiting(rows: QuerySet[PromotionRequest], actor: Actor) -> QuerySet[PromotionRequest]:
    if not (teams := actor.teams(Action.PROMOTION_REVIEW)):
        return rows.none()
    rows = rows.filter(model__team__in=teams)
    mine = _undecided(rows, actor.user)
    for absence in handed_over(actor):
        theirs = _undecided(rows.filter(model__team=absence.team_id), absence.delegate)
        mine = mine.exclude(pk__in=theirs.values("pk"))
    return mine


def _undecided(rows: QuerySet[PromotionRequest], user: User | None) -> QuerySet[PromotionRequest]:
    """Those that wait and that a reviewer of the team may decide: the same rule as `decidable`."""
    reviewed = Review.objects.filter(reviewer=user, voided_at=None).values("request")
    waiting = rows.filter(status=RequestStatus.PENDING, expires_at__gt=timezone.now())
    others = waiting.exclude(requester=user).exclude(pk__in=reviewed)
    return others.exclude(~Q(model__risk_tier=RiskTier.LOW) & (Q(author=user) | Q(trainer=user)))


class Diff(NamedTuple):
    """What a candidate would change, as its evidence says: rows {"name", "v1", "v2", ...} of what differs."""

    against: str
    metrics: list[dict[str, Any]]
    params: list[dict[str, Any]]
    signature: bool
    dataset: bool


def diff(request: PromotionRequest) -> Diff | None:
    """Against what was in production when it was filed: that is what the decision is bound to; None if nothing was."""
    said: dict[str, Any] | None = request.evidence.get("comparison")
    if said is None:
        return None
    params = [row for row in said["params"].get("rows", []) if row["changed"]]
    metrics = [row for row in said["metrics"] if row["changed"]]
    return Diff(said["v1"], metrics, params, said["signature"]["changed"], said["dataset"]["changed"])


def _complete(rows: QuerySet[PromotionRequest]) -> QuerySet[PromotionRequest]:
    reviews = Prefetch("reviews", queryset=Review.objects.with_standing().select_related("reviewer", "closing__by"))
    attached = Prefetch("version__reports", queryset=ValidationReport.objects.select_related("by"))
    return _joined(rows).prefetch_related(reviews, attached)


def _joined(rows: QuerySet[PromotionRequest]) -> QuerySet[PromotionRequest]:
    people = ("requester", "author", "trainer", "closed_by")
    chosen = rows.select_related("model__team", "version__model", *people)
    return chosen.defer("version__reference", "version__golden").order_by("-created_at", "-pk")


def _completed(rows: list[PromotionRequest]) -> list[PromotionRequest]:
    """What `_complete` does, with prepared statements."""
    with_reviews(rows)
    reports = _attached([row.version_id for row in rows])
    for row in rows:
        attach(row.version, "reports", [report for report in reports if report.version_id == row.version_id])
    return rows


def with_reviews(rows: list[PromotionRequest]) -> list[PromotionRequest]:
    """The requests with their reviews of now, each with whether it stands; one query."""
    reviews = _reviews([row.pk for row in rows])
    for row in rows:
        attach(row, "reviews", [review for review in reviews if review.request_id == row.pk])
    return rows


@PreparedObjects
def _reviews(requests: list[int]) -> QuerySet[Review]:
    return Review.objects.with_standing().filter(request__among=requests).select_related("reviewer", "closing__by")


@PreparedObjects
def _attached(versions: list[int]) -> QuerySet[ValidationReport]:
    return ValidationReport.objects.filter(version__among=versions).select_related("by")


def request_numbered(actor: Actor, pk: int) -> PromotionRequest:
    """One request; NotFound if it is absent or another team's."""
    found = _one(pk, actor.teams(Action.VIEW))
    if not found:
        raise NotFound(f"no approval {pk} here, or it belongs to another team", code="unknown_request")
    return _completed(found)[0]


@PreparedObjects
def _one(pk: int, teams: list[int]) -> QuerySet[PromotionRequest]:
    return _joined(PromotionRequest.objects.filter(pk=pk).filter(model__team__among=teams))


def missing_roles(risk_tier: str, reviews: Iterable[Review]) -> list[str]:
    """The roles whose approval a request still needs. Only reviews that `with_standing` says do stand count."""
    given = {review.role for review in reviews if review.is_in_favour and review.stands and review.voided_at is None}
    return [str(role) for role in QUORUM[risk_tier] if role not in given]


def decidable(request: PromotionRequest, actor: Actor) -> Decidable:
    """Whether the actor may decide, as the page says it and as the service enforces it."""
    user, others = actor.user, "another person must decide"
    if parts := _own_parts(request, actor):
        return Decidable(False, "four_eyes", f"You may not decide: you {_listed(parts)} this version; {others}.")
    if user is None or not actor.may(Action.PROMOTION_REVIEW, request.model.team_id):
        role = actor.roles.get(request.model.team_id, "no role")
        return Decidable(False, "forbidden", f"You may not decide: {role} reviews no promotions; {others}.")
    if request.status != RequestStatus.PENDING:
        return Decidable(
            False, "request_closed", f"There is nothing to decide: the request is {request.get_status_display()}."
        )
    if request.is_expired:
        return Decidable(
            False, "request_expired", f"Nobody may decide any more: it expired on {request.expires_at:%d %b}."
        )
    if any(review.reviewer_id == user.pk and review.voided_at is None for review in request.reviews.all()):
        return Decidable(False, "reviewed_already", f"You have reviewed this request already; {others} too.")
    return Decidable(True, "", f"You may decide: you did not author, train or request this version. {needs(request)}")


def _own_parts(request: PromotionRequest, actor: Actor) -> list[str]:
    """What the actor did to bring the request about; registering and training count from medium risk on."""
    parts = {"requested": request.requester_id}
    if request.model.risk_tier != RiskTier.LOW:
        parts |= {"registered": request.author_id, "trained": request.trainer_id}
    return [part for part, pk in parts.items() if actor.user is not None and pk == actor.user.pk]


def _listed(parts: list[str]) -> str:
    """a, b and c"""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def needs(request: PromotionRequest) -> str:
    """What the quorum is and what is missing of it, in a sentence."""
    wanted, missing = QUORUM[request.model.risk_tier], missing_roles(request.model.risk_tier, request.reviews.all())
    people = " and ".join(f"one {role}" for role in wanted)
    given = len(wanted) - len(missing)
    return f"It needs {people} because its risk tier is {request.model.risk_tier}; {given} of {len(wanted)} given."
