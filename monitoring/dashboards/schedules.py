"""When a model is looked at, and looking at the past."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.tasks import ring
from monitoring import services
from monitoring.forms import BackfillForm, MonitoringScheduleForm
from monitoring.selectors.schedules import schedule_of
from monitoring.services.schedules import schedule_said
from registry.models import RegisteredModel
from registry.selectors import model_named


class _OfModel(FormPage):
    @cached_property
    def model(self) -> RegisteredModel:
        return model_named(self.actor, self.kwargs["model"])

    def facts(self) -> dict[str, Any]:
        name = self.model.name
        back = reverse("monitoring", args=[name])
        crumbs = [("Models", reverse("models")), (name, reverse("model", args=[name])), ("Monitoring", back)]
        return {"crumbs": crumbs, "back": back}


class MonitoringSchedulePage(_OfModel):
    title = "Schedule"
    form_class = MonitoringScheduleForm
    button = "Set the schedule"

    def form_options(self) -> dict[str, Any]:
        return {"initial": schedule_said(schedule_of(self.model))}

    def facts(self) -> dict[str, Any]:
        schedule = schedule_of(self.model)
        holds = f"Set by {schedule.set_by}." if schedule.is_own else "The schedule of every model holds."
        usual = f"An empty number of new rows is {settings.MONITORING_CHECK_AFTER:,}."
        return {**super().facts(), "question": f"When is {self.model} looked at?", "answer": f"{holds} {usual}"}

    def save(self, form: MonitoringScheduleForm) -> str:
        services.set_monitoring_schedule(self.model, actor=self.actor, fields=form.cleaned_data)
        messages.success(self.request, f"{self.model} has a schedule of its own.")
        return reverse("monitoring_schedule", args=[self.model.name])


class BackfillPage(_OfModel):
    title = "Report on the past"
    form_class = BackfillForm
    button = "Report on these windows"

    def form_options(self) -> dict[str, Any]:
        said = schedule_said(schedule_of(self.model))
        return {"initial": {"every": said["every"], "window": said["window"]}}

    def facts(self) -> dict[str, Any]:
        answer = "Windows that have a report are passed over, and nothing that is over raises an alert."
        return {**super().facts(), "question": f"How was {self.model} before?", "answer": answer}

    def save(self, form: BackfillForm) -> str:
        said = form.cleaned_data
        run = services.request_backfill(
            actor=self.actor,
            model=self.model,
            window_from=said["start"],
            window_to=said["end"],
            every=said["every"],
            length=said["window"],
        )
        ring(run)
        messages.success(self.request, "The reports are being made; each shows here once it is done.")
        return f"{reverse('reports')}?model={self.model.name}"
