"""The inbox of alerts: what nobody looks at, the worst first, and a deed on several at once."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.urls import reverse
from django.utils import timezone

from mlops_site.core.dashboards import FormPage
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action
from monitoring import selectors, services
from monitoring.choices import AlertStatus, Rule, Severity
from monitoring.forms import AlertsForm
from monitoring.selectors.alerts import ME, NOBODY, counts
from monitoring.services.handling import Handled
from registry.selectors import models

PAGE_SIZE = 50
DONE = {"acknowledge": "acknowledged", "resolve": "resolved"}


class AlertsPage(FormPage):
    """A POST names its deed and the alerts that were ticked."""

    template_name = "monitoring/alerts.html"
    title = "Alerts"
    form_class = AlertsForm

    def facts(self) -> dict[str, Any]:
        asked, names = self.request.GET, sorted(model.name for model in models(self.actor))
        people = selectors.assignees(self.actor)
        known = {
            "status": [*AlertStatus.values, selectors.ALL],
            "severity": list(Severity.values),
            "model": names,
            "rule": list(Rule.values),
            "assignee": [ME, NOBODY, *people],
        }
        chosen: dict[str, Any] = {name: _known(asked.get(name, ""), values) for name, values in known.items()}
        page = Paginator(selectors.alerts(self.actor, **chosen), PAGE_SIZE).get_page(asked.get("page"))
        counted, teams = counts(self.actor), self.actor.teams(Action.ALERT_HANDLE)
        return {
            **chosen,
            "page": page,
            "rows": [(alert, alert.model.team_id in teams and alert.resolved_at is None) for alert in page],
            "answer": inbox_sentence([pair for each in counted for pair in each.pairs]),
            "counted": counted,
            "statuses": [*AlertStatus.choices, (selectors.ALL, "all")],
            "severities": Severity.choices,
            "kinds": Rule.choices,
            "assignees": [(ME, "me"), (NOBODY, "nobody"), *((name, name) for name in people)],
            "models": names,
            "narrowed": any(chosen.values()),
            "now": timezone.now(),
            "may": bool(teams),
        }

    def save(self, form: AlertsForm) -> str:
        deed = self.request.POST.get("deed", "")
        if deed not in DONE:
            raise Invalid(f"deed must be {' or '.join(DONE)} but got {deed[:80]!r}")
        ids = [_id(text) for text in self.request.POST.getlist("ids")]
        if not ids:
            raise Invalid("tick the alerts that are meant")
        found = services.handle_alerts(ids, actor=self.actor, deed=deed, comment=form.cleaned_data["comment"])
        (messages.warning if found.refused else messages.success)(self.request, said_of(found, DONE[deed]))
        query = self.request.GET.urlencode()
        return reverse("alerts") + (f"?{query}" if query else "")


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid(f"ids must be of alerts but got {text[:80]!r}") from error


def said_of(found: Handled, done: str) -> str:
    """
    >>> said_of(Handled([], [(UUID(int=1), "wrong_state", "the alert is resolved")]), "resolved")
    '0 alerts are resolved. 1 is not: the alert is resolved.'
    """
    first = f"{len(found.done)} alert{' is' if len(found.done) == 1 else 's are'} {done}."
    if not found.refused:
        return first
    why = "; ".join(dict.fromkeys(detail for _, _, detail in found.refused))
    return f"{first} {len(found.refused)} {'is' if len(found.refused) == 1 else 'are'} not: {why[:300]}."


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
