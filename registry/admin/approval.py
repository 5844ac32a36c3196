"""The page on which a promotion is decided."""

from __future__ import annotations

from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Action
from registry import selectors, services
from registry.admin.trials import TrialTable, trial_rows
from registry.choices import Decision, RequestStatus, Stage
from registry.forms import DecisionForm, TrialForm
from registry.models import PromotionRequest, Version
from registry.services.stages import said_by

WITHDRAW, TRY = "withdraw", "try"
SHOWN = 6  # inputs
DONE = {
    Decision.APPROVE: "You approved {version}.",
    Decision.APPROVE_WITH_CONDITIONS: "You approved {version} with a condition.",
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
    form_class = DecisionForm
    trial: TrialTable | None = None

    def form_sent(self) -> type[forms.Form]:
        return TrialForm if self.request.POST.get("decision") == TRY else DecisionForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Two forms, of which one was sent."""
        facts = super().get_context_data(**kwargs)
        sent = facts["form"]
        facts["decision_form"] = sent if isinstance(sent, DecisionForm) else DecisionForm()
        facts["trial_form"] = sent if isinstance(sent, TrialForm) else self._trial_form(facts)
        return facts

    def _trial_form(self, facts: dict[str, Any]) -> TrialForm | None:
        if not facts["may_try"]:
            return None
        asked = facts["asked"]
        sample = selectors.feature_schema(asked.model, number=asked.version.number)["sample"]
        return TrialForm(initial={"rows": [sample]})

    def facts(self) -> dict[str, Any]:
        pk = self.kwargs["pk"]
        request = _request(self.request, self.actor, pk)
        now = selectors.in_production(request.model)
        is_pending, team = request.status == RequestStatus.PENDING, request.model.team_id
        return {
            "title": str(request.version),
            "asked": request,
            "standing": selectors.decidable(request, self.actor),
            "warnings": _warnings(request, now, is_pending=is_pending),
            "is_pending": is_pending,
            "may_withdraw": is_pending and request.requester_id == getattr(self.actor.user, "pk", None),
            "replaces": now if is_pending else None,
            "gate": request.evidence.get("gate"),
            "gate_speaks": bool(request.why_material) and request.why_material == _gate_words(request),
            "comparison": _differences(request),
            "looks_at": _looks_at(request),
            "purpose": _purpose(request),
            "drifts": _drifts(request),
            "steps": steps(request),
            "reports": list(request.version.reports.all()),
            "unseen": request.version.reports.count() > len(request.evidence.get("reports", [])),
            "may_attach": self.actor.may(Action.REPORT_ATTACH, team),
            "may_try": is_pending and self.actor.may(Action.PROMOTION_REVIEW, team),
            "trial": self.trial,
            "notices": list(request.notices.select_related("recipient", "on_behalf_of")),
            "can_be_closed": request.status == RequestStatus.APPROVED and self.actor.may(Action.PROMOTION_DECIDE, team),
        }

    def save(self, form: forms.Form) -> str | HttpResponse:
        request = _request(self.request, self.actor, self.kwargs["pk"])
        decision, said = self.request.POST.get("decision", ""), form.cleaned_data
        if decision == TRY:
            found = selectors.trial(request, actor=self.actor, rows=said["rows"])
            self.trial = trial_rows(found, said["rows"])
            return self.render_to_response(self.get_context_data(form=form))
        if decision == WITHDRAW:
            services.withdraw_request(request, actor=self.actor, comment=said["comment"])
        else:
            services.review_request(request, actor=self.actor, decision=decision, **said)
        messages.success(self.request, DONE[decision].format(version=request.version))
        return reverse("admin:registry_promotionrequest_change", args=[request.pk])


def _looks_at(request: PromotionRequest) -> dict[str, Any]:
    """What the evidence says of the inputs: their shares of a prediction in its own space, else their importance."""
    if said := request.evidence.get("explanation"):
        rows = [(row["feature"], row["mean_abs"], row["ci95"]) for row in said["features"][:SHOWN]]
        largest = max((size for _, size, _ in rows), default=0.0)
        parts = [(name, size / largest if largest else 0.0, size, ci95) for name, size, ci95 in rows]
        return {"space": said["output_space"].replace("_", "-"), "rows": said["rows"], "parts": parts}
    importance = request.evidence.get("importance", request.version.importance)
    ordered = sorted(importance.items(), key=lambda item: -item[1])[:SHOWN]
    return {"parts": [(name, share, share, None) for name, share in ordered]}


def _purpose(request: PromotionRequest) -> list[tuple[str, str]]:
    """What the card in the evidence says that the model is for; empty for requests from before cards."""
    about = request.evidence.get("card", {}).get("about", {})
    names = {"purpose": "Purpose", "intended_use": "Intended use", "limitations": "Limitations"}
    return [(label, about[name]) for name, label in names.items() if name in about]


def _gate_words(request: PromotionRequest) -> str:
    """What a request that training filed by itself gives as its reason: the page shows the gate's checks anyway."""
    return said_by(request.evidence.get("gate") or {})


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
    found = selectors.diff(request)
    return (
        None if found is None else {**request.evidence["comparison"], "metrics": found.metrics, "changes": found.params}
    )


class DriftPart(NamedTuple):
    """One comparison of data in the evidence: what with what, and its figures or why there are none."""

    name: str
    said: str
    drift: dict[str, Any] | None

    @property
    def drifted(self) -> list[dict[str, Any]]:
        return [row for row in (self.drift or {}).get("features", []) if row["drifted"]]

    @property
    def others(self) -> list[dict[str, Any]]:
        return [row for row in (self.drift or {}).get("features", []) if not row["drifted"]]


def _drifts(request: PromotionRequest) -> list[DriftPart]:
    """Was it measured, and trained, on claims like those that production has?"""
    holdout, inputs = (request.evidence.get(name) for name in ("holdout", "production_inputs"))
    parts = []
    if holdout:
        rows, theirs = holdout["rows"], holdout["production_rows"]
        said = holdout["note"] or f"{rows:,} rows against the {theirs:,} on which production was measured"
        parts.append(DriftPart("Its holdout", said, holdout["drift"]))
    if inputs:
        said = inputs["note"] or f"{inputs['rows']:,} newest claims that {inputs['version']} answered"
        parts.append(DriftPart("What production gets, against its training data", said, inputs["drift"]))
    return parts


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
        f"{given} of {len(needed)} given, until {_day(request.expires_at)}"
        if is_open
        else f"{request.get_status_display()} {_day(request.closed_at)}"
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
