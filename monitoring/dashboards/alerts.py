"""The inbox of alerts, and one alert with what it rests on and what comes of it."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.urls import reverse
from django.utils import timezone

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action
from mlops_site.core.templatetags.steward import span
from monitoring import selectors, services
from monitoring.choices import UNRESOLVED, AlertStatus, Rule, Severity
from monitoring.dashboards.evidence import evidence_of
from monitoring.forms import AlertForm
from monitoring.models import Alert, RetrainPolicy
from monitoring.selectors import channels
from monitoring.selectors.policies import policy_of
from registry.selectors import models

PAGE_SIZE = 50
ACKNOWLEDGE, RESOLVE, SILENCE = "acknowledge", "resolve", "silence"
DONE = {ACKNOWLEDGE: "You look at it.", RESOLVE: "It is resolved; the next finding opens another."}


class AlertsPage(Page):
    template_name = "monitoring/alerts.html"
    title = "Alerts"

    def facts(self) -> dict[str, Any]:
        asked, names = self.request.GET, sorted(model.name for model in models(self.actor))
        chosen = {
            "status": _known(asked.get("status", ""), [*AlertStatus.values, selectors.ALL]),
            "severity": _known(asked.get("severity", ""), list(Severity.values)),
            "model": _known(asked.get("model", ""), names),
        }
        page = Paginator(selectors.alerts(self.actor, **chosen), PAGE_SIZE).get_page(asked.get("page"))
        return {
            **chosen,
            "page": page,
            "answer": inbox_sentence(list(selectors.alerts(self.actor).values_list("severity", "status"))),
            "statuses": [*AlertStatus.choices, (selectors.ALL, "all")],
            "severities": Severity.choices,
            "models": names,
            "narrowed": any(chosen.values()),
            "now": timezone.now(),
        }


def _known(value: str, known: list[str]) -> str:
    return value if value in known else ""


def inbox_sentence(unresolved: list[tuple[str, str]]) -> str:
    """Of (severity, status) pairs.

    >>> inbox_sentence([("high", "open"), ("critical", "open"), ("low", "acknowledged")])
    'Nobody looks at 2 alerts yet: 1 critical, 1 high. 1 more is being looked at.'
    >>> inbox_sentence([])
    'Nothing is open.'
    """
    if not unresolved:
        return "Nothing is open."
    waiting = Counter(severity for severity, status in unresolved if status == AlertStatus.OPEN)
    count, seen = waiting.total(), len(unresolved) - waiting.total()
    words = []
    if count:
        each = ", ".join(f"{waiting[level]} {level.label}" for level in Severity if waiting[level])
        words.append(f"Nobody looks at {count} alert{'s' if count > 1 else ''} yet: {each}.")
    if seen:
        words.append(f"{seen}{' more' if count else ''} {'is' if seen == 1 else 'are'} being looked at.")
    return " ".join(words)


class AlertPage(FormPage):
    """A POST names its deed."""

    template_name = "monitoring/alert.html"
    form_class = AlertForm

    def facts(self) -> dict[str, Any]:
        alert = selectors.alert_of(self.actor, self.kwargs["pk"])
        is_open = alert.status in UNRESOLVED
        return {
            "title": f"Alert {str(alert.pk)[:8]}",
            "alert": alert,
            "evidence": evidence_of(alert.evidence),
            "steps": steps(alert),
            "deliveries": channels.named(selectors.deliveries(alert)),
            "held": list(channels.held_of(alert)),
            "has_webhook": bool(settings.MONITORING_WEBHOOK_URL),
            "next": policy_sentence(policy_of(alert.model), Rule(alert.rule)),
            "decisions": selectors.consequences(alert),
            "may": self.actor.may(Action.ALERT_HANDLE, alert.model.team_id) and is_open,
            "is_open": is_open,
            "is_silenced": selectors.is_silenced(alert),
        }

    def save(self, form: AlertForm) -> str:
        alert = selectors.alert_of(self.actor, self.kwargs["pk"])
        deed, comment = self.request.POST.get("deed", ""), form.cleaned_data["comment"]
        if deed == ACKNOWLEDGE:
            services.acknowledge_alert(alert, actor=self.actor, comment=comment)
        elif deed == RESOLVE:
            services.resolve_alert(alert, actor=self.actor, comment=comment)
        elif deed == SILENCE:
            services.silence_alert(alert, actor=self.actor, hours=form.cleaned_data["hours"], comment=comment)
        else:
            raise Invalid(f"deed must be {ACKNOWLEDGE}, {RESOLVE} or {SILENCE} but got {deed[:80]!r}")
        messages.success(self.request, DONE.get(deed, f"Silent for {form.cleaned_data['hours']} hours."))
        return reverse("alert", args=[alert.pk])


class Step(NamedTuple):
    """One step of its life."""

    name: str
    said: str
    done: bool


def steps(alert: Alert) -> list[Step]:
    """From the first finding to its end."""
    times = f"{alert.count} time{'s' if alert.count > 1 else ''}"
    seen, ended = alert.acknowledged_at, alert.resolved_at
    looked = f"{alert.acknowledged_by}, {seen:%d %b %H:%M}" if seen else "nobody" if ended else "nobody yet"
    return [
        Step("First seen", f"{alert.first_seen_at:%d %b %H:%M}", True),
        Step("Last seen", f"{alert.last_seen_at:%d %b %H:%M}, {times} in all", True),
        Step("Looked at", looked, seen is not None),
        Step("Resolved", f"{alert.resolved_by}, {ended:%d %b %H:%M}" if ended else "not yet", ended is not None),
    ]


def policy_sentence(policy: RetrainPolicy, rule: Rule) -> str:
    """What the retrain policy makes of such an alert."""
    limits = {
        Rule.PERFORMANCE: (policy.performance_degradation, "the metric has fallen by {:g} or more"),
        Rule.DRIFT: (policy.data_drift_score, "the drift score is {:g} or more"),
        Rule.VOLUME: (policy.prediction_volume_drop, "predictions have fallen by {:.0%} or more"),
    }
    limit, words = limits.get(rule, (None, ""))
    if not policy.enabled:
        return "No retrain policy is in force: nothing is trained again by itself."
    if limit is None:
        return f"The retrain policy does not react to {rule.label}."
    when = words.format(limit)
    rest = f"at most once in {span(policy.cool_down)}" if policy.cool_down else "as often as it happens"
    return f"The model is trained again when {when}, {rest}, with at least {policy.min_labels:,} new labels."
