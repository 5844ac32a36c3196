"""How easily a model raises an alarm of drift: the budget, the rule that keeps it, and what the rule costs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.permissions import Action
from mlops_site.core.tasks import ring
from monitoring import services
from monitoring.forms import DriftAlarmForm
from monitoring.selectors.alarms import AlarmSaid, alarm_said, looks_in
from monitoring.stats.alarm_words import looks_words
from registry.models import RegisteredModel
from registry.selectors import model_named


class DriftAlarmPage(FormPage):
    """Everybody of the team reads it; who may set alarms sets it."""

    template_name = "monitoring/drift_alarm.html"
    title = "Drift alarm"
    form_class = DriftAlarmForm
    button = "Set the budget"

    @cached_property
    def model(self) -> RegisteredModel:
        return model_named(self.actor, self.kwargs["model"])

    @cached_property
    def found(self) -> AlarmSaid:
        return alarm_said(self.model)

    def form_options(self) -> dict[str, Any]:
        budget, smallest = self.found.alarm.budget, self.found.smallest_shift_sd
        return {"initial": {"false_alarms_a_month": budget, "smallest_shift_sd": smallest}}

    def facts(self) -> dict[str, Any]:
        model, found = self.model, self.found
        back = reverse("monitoring", args=[model.name])
        result = found.alarm.result
        return {
            "model": model,
            "crumbs": [("Models", reverse("models")), (model.name, reverse("model", args=[model.name])),
                       ("Monitoring", back)],
            "back": back,
            "found": found,
            "state": found.alarm.state,
            "min_samples": settings.MIN_SAMPLES_FOR_MONITORING,
            "may_set": self.actor.may(Action.ALARM_SET, model.team_id),
            "result": result,
            "looks": _looks(result) if result else "",
            "rules": [result["chosen"], result["standard"]] if result else [],
            "delays": _delays(result["chosen"], result["standard"]) if result else [],
        }  # fmt: skip

    def save(self, form: DriftAlarmForm) -> str:
        model = self.model
        _, run = services.set_drift_alarm(model, actor=self.actor, fields=form.cleaned_data)
        if run is not None:
            ring(run)
        said = "its rule is being found" if run else "the standard rule holds for now"
        messages.success(self.request, f"The alarm budget of {model} is set; {said}.")
        return reverse("drift_alarm", args=[model.name])


def _looks(result: dict[str, Any]) -> str:
    schedule = looks_in(result)
    words = f"windows of the last {result.get('window_hours', 24)} hours, judged every hour"
    said = looks_words(schedule) if schedule else words
    return said[0].upper() + said[1:]


def _delays(*rules: dict[str, Any]) -> list[tuple[float, list[float | None]]]:
    """(shift, hours of each rule)."""
    told = zip(*(rule["delays"] for rule in rules), strict=True)
    return [(each[0]["sd"], [delay["hours"] for delay in each]) for each in told]
