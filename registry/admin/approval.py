"""The page on which a promotion is decided."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.errors import NotFound
from registry import selectors, services
from registry.choices import Decision, RequestStatus, Stage
from registry.forms import ReviewForm
from registry.models import PromotionRequest, Version

WITHDRAW = "withdraw"
DONE = {
    Decision.APPROVE: "You approved {version}.",
    Decision.REQUEST_CHANGES: "You asked for changes to {version}; the request is closed.",
    Decision.REJECT: "You rejected {version}.",
    WITHDRAW: "You withdrew the request to promote {version}.",
}


class Step(NamedTuple):
    """One step of the path that led here."""

    name: str
    said: str
    done: bool


class ApprovalPage(FormPage):
    """Shown for `pk`; a POST names its decision."""

    template_name = "registry/approval.html"
    form_class = ReviewForm

    def facts(self) -> dict[str, Any]:
        pk = self.kwargs["pk"]
        request = _request(self.request, self.actor, pk)
        now = selectors.in_production(request.model)
        is_pending = request.status == RequestStatus.PENDING
        return {
            "title": str(request.version),
            "asked": request,
            "standing": selectors.decidable(request, self.actor),
            "warnings": _warnings(request, now, is_pending=is_pending),
            "is_pending": is_pending,
            "may_withdraw": is_pending and request.requester_id == getattr(self.actor.user, "pk", None),
            "replaces": now if is_pending else None,
            "gate": request.evidence.get("gate"),
            "comparison": _differences(request),
            "importance": sorted(request.version.importance.items(), key=lambda item: -item[1])[:6],
            "steps": steps(request),
        }

    def save(self, form: ReviewForm) -> str:
        request = _request(self.request, self.actor, self.kwargs["pk"])
        decision, comment = self.request.POST.get("decision", ""), form.cleaned_data["comment"]
        if decision == WITHDRAW:
            services.withdraw_request(request, actor=self.actor, comment=comment)
        else:
            services.review_request(request, actor=self.actor, decision=decision, comment=comment)
        messages.success(self.request, DONE[decision].format(version=request.version))
        return reverse("admin:registry_promotionrequest_change", args=[request.pk])


def _request(http: HttpRequest, actor: Any, pk: str) -> PromotionRequest:
    if not (pk.isascii() and pk.isdigit() and len(pk) < 19):
        raise NotFound(f"no approval {pk[:40]!r} here")
    return selectors.request_numbered(actor, int(pk))


def _warnings(request: PromotionRequest, now: Version | None, *, is_pending: bool) -> list[str]:
    """Who would notice: as of now while it waits, else as it was known when it was requested."""
    change = request.evidence.get("signature_change")
    return selectors.interface_warnings(selectors.interface_change(now, request.version) if is_pending else change)


def _differences(request: PromotionRequest) -> dict[str, Any] | None:
    """What the evidence says would change: that is what the decision is bound to, not what is true today."""
    said: dict[str, Any] | None = request.evidence.get("comparison")
    if said is None:
        return None
    rows = [row for section in ("params",) for row in said[section].get("rows", []) if row["changed"]]
    return {**said, "metrics": [row for row in said["metrics"] if row["changed"]], "changes": rows}


def steps(request: PromotionRequest) -> list[Step]:
    """From registration to production, each with what is known of it."""
    needed = selectors.QUORUM[request.model.risk_tier]
    given = len(needed) - len(selectors.missing_roles(request.model.risk_tier, request.reviews.all()))
    stages = {interval.stage: interval for interval in selectors.intervals(request.version)}
    staged, served = stages.get(Stage.STAGING), stages.get(Stage.PRODUCTION)
    if served is not None and served.started_at < request.created_at:
        served = None  # it came there by another request, and left again
    is_open = request.status == RequestStatus.PENDING
    approval = (
        f"{given} of {len(needed)} given" if is_open else f"{request.get_status_display()} {_day(request.closed_at)}"
    )
    return [
        Step("Registered", f"by {request.author}, {_day(request.version.created_at)}", True),
        Step("Staging", _day(staged.started_at) if staged else "not yet", staged is not None),
        Step("Requested", f"by {request.requester}, {_day(request.created_at)}", True),
        Step("Approval", approval, request.status == RequestStatus.APPROVED),
        Step("Production", _day(served.started_at) if served else "not yet", served is not None),
    ]


def _day(at: Any) -> str:
    return f"{at:%d %b %H:%M}"
