"""What happened to a model, source by source: each is read newest first, as far back as a page of it reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import F, QuerySet
from django.urls import reverse

from mlops_site.core.choices import ENDED, JobState
from monitoring.choices import Outcome, Severity
from monitoring.models import Alert, Report, RetrainDecision
from registry import selectors
from registry.choices import Cause, Decision, RequestStatus, Stage
from registry.models import PromotionRequest, RegisteredModel, Review, StageInterval, Version
from training.models import Run

_ALERT_TONES = {Severity.CRITICAL: "bad", Severity.HIGH: "bad", Severity.MEDIUM: "warn", Severity.LOW: "plain"}
_RUN_TONES = {JobState.SUCCEEDED: "ok", JobState.FAILED: "bad"}
_TOLD_BY_ITS_PAIR = (Cause.REGISTERED, Cause.REPLACED, Cause.WITHDRAWN)
_HEAVY = ("version__reference", "version__golden")
_REVIEWED = {
    Decision.APPROVE: "approved",
    Decision.APPROVE_WITH_CONDITIONS: "approved, with a condition",
    Decision.REJECT: "rejected",
    Decision.REQUEST_CHANGES: "sent back",
}


class Happening(NamedTuple):
    """One line: a word for what it is, a sentence, who did it (empty: nobody did), where it is told in full."""

    at: datetime
    kind: str
    tone: str
    said: str
    url: str
    who: str = ""
    detail: str = ""


class Source(NamedTuple):
    """Rows with the field that says when, and how each is told."""

    rows: QuerySet[Any]
    at: str
    tell: Callable[[Any], Happening]

    def newest(self, before: datetime | None, count: int) -> Iterator[Happening]:
        """One query."""
        bounds = {f"{self.at}__isnull": False} | ({f"{self.at}__lt": before} if before else {})
        return map(self.tell, self.rows.filter(**bounds).order_by(F(self.at).desc(), "-pk")[:count])


def sources(model: RegisteredModel) -> list[Source]:
    """All there is to tell of a model that the actor may see; how many does not depend on the rows."""
    return [*_alerts(model), *_training(model), *_approvals(model), *_stages(model)]


def _alerts(model: RegisteredModel) -> list[Source]:
    alerts = Alert.objects.filter(model=model).select_related("version", "acknowledged_by", "resolved_by")
    alerts = alerts.defer("evidence", *_HEAVY)
    decided = RetrainDecision.objects.filter(model=model).select_related("decided_by")
    alarms = Report.objects.filter(model=model).exclude(findings=[]).select_related("version").defer("body", *_HEAVY)
    return [
        Source(alerts, "first_seen_at", _raised),
        Source(alerts, "acknowledged_at", _acknowledged),
        Source(alerts, "resolved_at", _resolved),
        Source(decided, "decided_at", _decided),
        Source(alarms, "created_at", _reported),
    ]


def _training(model: RegisteredModel) -> list[Source]:
    runs = Run.objects.filter(model=model).select_related("requested_by", "version", "dataset__dataset")
    runs = runs.defer(*_HEAVY)
    return [
        Source(runs, "created_at", _asked_to_train),
        Source(runs.filter(state__in=ENDED), "finished_at", _trained),
        Source(selectors.versions(model), "created_at", _registered),
    ]


def _approvals(model: RegisteredModel) -> list[Source]:
    asked = (
        PromotionRequest.objects.filter(model=model)
        .select_related("version", "requester", "closed_by")
        .defer("evidence", *_HEAVY)
    )
    given_up = asked.filter(status__in=(RequestStatus.WITHDRAWN, RequestStatus.VOID, RequestStatus.EXPIRED))
    reviews = Review.objects.filter(request__model=model).select_related("request__version", "reviewer")
    reviews = reviews.defer(*(f"request__{name}" for name in _HEAVY))
    return [
        Source(asked, "created_at", _requested),
        Source(given_up, "closed_at", _given_up),
        Source(reviews, "created_at", _reviewed),
    ]


def _stages(model: RegisteredModel) -> list[Source]:
    moves = selectors.history(model).exclude(cause__in=_TOLD_BY_ITS_PAIR).defer(*_HEAVY)
    return [Source(moves, "started_at", _moved)]


def _raised(alert: Alert) -> Happening:
    times = f", seen {alert.count} times" if alert.count > 1 else ""
    detail = f"{alert.get_severity_display()}: {alert.get_rule_display()} of {alert.version.number}{times}"
    tone = _ALERT_TONES[Severity(alert.severity)]
    return Happening(alert.first_seen_at, "alert", tone, alert.summary, _alert_page(alert), detail=detail)


def _acknowledged(alert: Alert) -> Happening:
    assert alert.acknowledged_at is not None
    said = f"Somebody looks at it: {alert.summary}"
    return Happening(
        alert.acknowledged_at, "acknowledged", "info", said, _alert_page(alert), who=_name(alert.acknowledged_by)
    )


def _resolved(alert: Alert) -> Happening:
    assert alert.resolved_at is not None
    said, who = f"No longer open: {alert.summary}", _name(alert.resolved_by)
    return Happening(alert.resolved_at, "resolved", "ok", said, _alert_page(alert), who=who, detail=alert.comment)


def _alert_page(alert: Alert) -> str:
    return reverse("alert", args=[alert.pk])


def _decided(row: RetrainDecision) -> Happening:
    taken = row.outcome == Outcome.TAKEN
    said = f"Training again: {row.reason}" if taken else f"Not trained again, {row.get_outcome_display()}: {row.reason}"
    url = reverse("run", args=[row.run_id]) if row.run_id else ""
    tone = "info" if taken else "plain"
    return Happening(row.decided_at, "decision", tone, said, url, who=_name(row.decided_by), detail=row.detail)


def _reported(report: Report) -> Happening:
    count = len(report.findings)
    said = f"A report of {report.version.number} has {count} finding{'s' if count > 1 else ''}"
    detail = "; ".join(str(finding.get("summary", "")) for finding in report.findings[:3])
    return Happening(report.created_at, "report", "warn", said, reverse("report", args=[report.pk]), detail=detail)


def _asked_to_train(run: Run) -> Happening:
    said = f"Training asked for on {run.dataset}"
    who, detail = _name(run.requested_by), run.trigger_reason
    return Happening(run.created_at, "run", "plain", said, reverse("run", args=[run.pk]), who=who, detail=detail)


def _trained(run: Run) -> Happening:
    assert run.finished_at is not None
    made = f": {run.version.number}" if run.version else ""
    said = f"The training run {run.get_state_display()}{made}"
    tone = _RUN_TONES.get(JobState(run.state), "plain")
    return Happening(run.finished_at, "run", tone, said, reverse("run", args=[run.pk]), detail=run.error[:200])


def _registered(version: Version) -> Happening:
    said, who = f"{version.number} registered", _name(version.created_by)
    return Happening(version.created_at, "candidate", "info", said, _version_page(version), who=who)


def _requested(row: PromotionRequest) -> Happening:
    said, who = f"{row.version.number} was asked for in production", _name(row.requester)
    return Happening(row.created_at, "request", "info", said, _request_page(row), who=who, detail=row.reason)


def _given_up(row: PromotionRequest) -> Happening:
    assert row.closed_at is not None
    said = f"The request for {row.version.number} is {row.get_status_display()}"
    return Happening(row.closed_at, "request", "plain", said, _request_page(row), who=_name(row.closed_by))


def _reviewed(review: Review) -> Happening:
    said = f"{review.request.version.number} was {_REVIEWED[Decision(review.decision)]} for production"
    tone = "ok" if review.decision == Decision.APPROVE else "warn"
    page, who = _request_page(review.request), _name(review.reviewer)
    return Happening(review.created_at, "review", tone, said, page, who=who, detail=review.comment)


def _moved(row: StageInterval) -> Happening:
    number, who = row.version.number, _name(row.by) or ("standing policy" if row.policy_id else "")
    if row.cause == Cause.ROLLED_BACK:
        said, kind, tone = f"Rolled back: {number} is in production again", "rollback", "warn"
    elif row.stage == Stage.PRODUCTION:
        said, kind, tone = f"{number} is in production", "promotion", "ok"
    else:
        said, kind, tone = f"{number} moved to {row.get_stage_display()}", "move", "plain"
    return Happening(row.started_at, kind, tone, said, _version_page(row.version), who=who, detail=row.reason)


def _version_page(version: Version) -> str:
    return reverse("version", args=[version.model.name, version.number])


def _request_page(row: PromotionRequest) -> str:
    return reverse("admin:registry_promotionrequest_change", args=[row.pk])


def _name(user: Any) -> str:
    return user.get_username() if user is not None else ""
