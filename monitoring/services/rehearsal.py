"""A dry run of a retrain policy over the past month. It starts nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Greatest, TruncHour
from django.utils import timezone

from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Action, Actor, require
from monitoring.choices import Outcome
from monitoring.models import Alert, Label, Report, RetrainDecision, RetrainPolicy
from monitoring.selectors import policies as known
from monitoring.services.labelled import since_of
from monitoring.services.policies import check_overrides, checked
from monitoring.services.retraining import reason_of
from monitoring.stats.rehearsal import HOUR, Hint, Limits, Past, Step, rehearse
from registry.models import RegisteredModel
from training.models import DatasetVersion, Run

MONTH = timedelta(days=30)


class Rehearsal(NamedTuple):
    """What would have happened between the two moments; `runs` counts the steps that are runs."""

    start: datetime
    end: datetime
    runs: int
    steps: list[Step]


def dry_run_policy(model: RegisteredModel, *, actor: Actor, fields: Mapping[str, Any]) -> Rehearsal:
    """What the model's policy with these fields would have done in the past 30 days, as if it had been in force: from
    the reports and alerts of that time, and the labels that had come by then (to the hour). Retrainings that a policy
    did start then are left out. What the gate of a data set would have said is not known.

    Raises Invalid naming every field at fault, Conflict `no_training_run`, Forbidden.
    """
    require(actor, Action.VIEW, model.team, subject=model.subject)
    policy, end = known.policy_of(model), timezone.now()
    for name, value in checked(fields).items():
        setattr(policy, name, value)
    check_overrides(model, policy.config_overrides)
    team = known.team_policy_of(model.team)
    limits = Limits(
        policy.scheduled_interval,
        policy.cool_down,
        policy.min_labels,
        policy.daily_budget,
        team.team_daily_budget if team else None,
    )
    steps = rehearse(_past(model, policy, end - MONTH, end), limits)
    return Rehearsal(end - MONTH, end, sum(step.outcome == Outcome.TAKEN for step in steps), steps)


def _past(model: RegisteredModel, policy: RetrainPolicy, start: datetime, end: datetime) -> Past:
    before = RetrainDecision.objects.filter(model=model, outcome=Outcome.TAKEN, decided_at__lt=start)
    others = RetrainDecision.objects.filter(model__team=model.team, outcome=Outcome.TAKEN, decided_at__gte=start)
    runs = Run.objects.filter(model=model).exclude(state__in=[JobState.FAILED, JobState.CANCELLED])
    asked = runs.filter(created_at__gte=start, trigger__decision__isnull=True).order_by("created_at")
    trained = runs.filter(created_at__lt=start).order_by("-created_at").values_list("created_at", flat=True).first()
    done = runs.filter(state=JobState.SUCCEEDED, started_at__isnull=False, finished_at__isnull=False)
    spans = done.order_by("-created_at").values_list("started_at", "finished_at")[:20]
    lengths = [(last - first).total_seconds() for first, last in spans if first and last]
    return Past(
        start,
        end,
        _hints(model, policy, start),
        _labelled(model, start, end),
        busy=[(made, ended or end) for made, ended in asked.values_list("created_at", "finished_at")],
        trained_at=trained,
        taken_at=before.order_by("-decided_at").values_list("decided_at", flat=True).first(),
        team_taken=list(others.exclude(model=model).order_by("decided_at").values_list("decided_at", flat=True)),
        run_length=timedelta(seconds=median(lengths)) if lengths else timedelta(0),
    )


def _hints(model: RegisteredModel, policy: RetrainPolicy, start: datetime) -> list[Hint]:
    """Findings that raised an alert and reach a limit, oldest first."""
    closed = list(
        Alert.objects.filter(model=model, resolved_at__gte=start)
        .order_by("resolved_at")
        .values_list("rule", "subject_key", "first_seen_at", "resolved_at")
    )
    rows = Report.objects.filter(model=model, created_at__gte=start, from_frames=False).exclude(findings=[])
    found = []
    for report in rows.order_by("created_at").iterator(chunk_size=100):
        for finding in report.findings:
            about = (finding["rule"], finding["subject"])
            alert = Alert(model=model, rule=about[0], subject_key=about[1], evidence=finding["evidence"], report=report)
            if finding.get("raised") and (reason := reason_of(policy, alert)):
                ends = (
                    last
                    for *key, first, last in closed
                    if tuple(key) == about and last is not None and first <= report.created_at < last
                )
                found.append(Hint(report.created_at, about, reason.trigger.value, reason.said, next(ends, None)))
    return found


def _labelled(model: RegisteredModel, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """How many predictions became labelled, by the end of the hour; at `start` those that no data set had yet."""
    origin = known.origin_of(model)
    if origin is None:
        message = f"{model.name} has no version in production that was trained here, so no policy could train it again"
        raise Conflict(message, code="no_training_run")
    made = DatasetVersion.objects.filter(
        dataset=origin.dataset.dataset_id, lineage__source=known.PRODUCTION, lineage__model=model.name
    )
    newest = made.filter(created_at__lt=start).order_by("-version").first()
    since = since_of(newest, model) if newest else None
    first = Label.objects.filter(model=model, request_id=OuterRef("request_id"), revision=1).values("received_at")[:1]
    hours = (
        known.labelled(model, since=start, until=end)
        .annotate(hour=TruncHour(Greatest("received_at", Subquery(first)), tzinfo=UTC))
        .order_by("hour")
        .values("hour")
        .annotate(rows=Count("pk"))
        .values_list("hour", "rows")
    )
    waiting = known.labelled(model, since=since, until=start).count()
    return [(start, waiting), *((hour + HOUR, count) for hour, count in hours)]
