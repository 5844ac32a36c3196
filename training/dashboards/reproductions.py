"""A run done again: asking for it, following it, stopping it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden
from mlops_site.core.permissions import Action, Actor
from training import selectors, services, tasks
from training.models import Run

SHOWN = 5


def reproduced(actor: Actor, run: Run) -> dict[str, Any]:
    """The facts of a run's newest reproductions, each with its sentences."""
    rows = list(selectors.reproductions(actor, run)[:SHOWN])
    return {
        "reproductions": [(row, selectors.told(row.outcome)[1:] if row.outcome else []) for row in rows],
        "reproducing": any(not row.has_ended for row in rows),
        "may_stop": actor.may(Action.RUN_REQUEST, run.model.team_id),
    }


class ReproductionsPart(Page):
    """What changes while a run is done again, for htmx."""

    template_name = "training/reproductions.html"

    def facts(self) -> dict[str, Any]:
        run = selectors.run_of(self.actor, self.kwargs["job"])
        return {"run": run, **reproduced(self.actor, run)}


class ReproducePage(FormPage):
    title = "Reproduce the run"
    button = "Run it again"

    def facts(self) -> dict[str, Any]:
        run = selectors.run_of(self.actor, self.kwargs["job"])
        if not self.actor.may(Action.RUN_REQUEST, run.model.team_id):
            raise Forbidden("only a data scientist or an ML engineer of its team reproduces a run")
        back = reverse("run", args=[run.pk])
        return {
            "crumbs": [("Training runs", reverse("runs")), (str(run.pk)[:8], back)],
            "back": back,
            "question": f"Run {run.model} of {run.dataset} again?",
            "answer": "The same specification, data and seed, in the code and packages of today. Metrics and "
            "predictions are compared with what the run left; nothing is registered.",
        }

    def save(self, form: Any) -> str:
        made = services.request_reproduction(selectors.run_of(self.actor, self.kwargs["job"]), actor=self.actor)
        tasks.ring(made)
        return reverse("run", args=[made.run_id]) + "#reproductions"


class ReproductionCancelPage(FormPage):
    title = "Stop the reproduction"
    button = "Stop it"

    def facts(self) -> dict[str, Any]:
        found = selectors.reproduction_of(self.actor, self.kwargs["job"])
        back = reverse("run", args=[found.run_id])
        return {
            "crumbs": [("Training runs", reverse("runs")), (str(found.run_id)[:8], back)],
            "back": back,
            "question": f"Stop doing the run of {found.model} again?",
            "answer": "The run and its version stay as they are.",
        }

    def save(self, form: Any) -> str:
        found = selectors.reproduction_of(self.actor, self.kwargs["job"])
        services.cancel_reproduction(found, actor=self.actor)
        messages.success(self.request, "The reproduction was asked to stop.")
        return reverse("run", args=[found.run_id])
