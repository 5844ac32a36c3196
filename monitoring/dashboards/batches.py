"""Scoring runs: the list, one run while it works and afterwards, a new one, stopping it."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from mlops_site.core.choices import JobState
from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden
from mlops_site.core.permissions import Action
from mlops_site.core.tasks import ring
from monitoring.forms import ScoreForm
from monitoring.models import BatchRun
from monitoring.selectors import batch_of, batches, rejections_shown
from monitoring.services import cancel_scoring, request_scoring
from registry.choices import SERVED
from registry.models import StageInterval
from training.selectors import dataset_versions
from training.selectors.features import plan_of

PAGE_SIZE = 50


class BatchesPage(Page):
    template_name = "monitoring/batches.html"
    title = "Batch scoring"

    def facts(self) -> dict[str, Any]:
        asked = {name: self.request.GET.get(name, "") for name in ("model", "state")}
        state = asked["state"] if asked["state"] in JobState.values else ""
        rows = batches(self.actor, model=asked["model"], state=state).defer("rejections")
        return {
            "page": Paginator(rows, PAGE_SIZE).get_page(self.request.GET.get("page")),
            "states": JobState.choices,
            "state": state,
            "model": asked["model"],
            "may_score": bool(self.actor.teams(Action.PREDICT)),
        }


class BatchPage(Page):
    template_name = "monitoring/batch.html"

    def facts(self) -> dict[str, Any]:
        run = batch_of(self.actor, self.kwargs["pk"])
        may = self.actor.may(Action.PREDICT, run.model.team_id)
        return {
            "title": f"Scoring {str(run.pk)[:8]}",
            "run": run,
            "rejections": rejections_shown(run, self.actor),
            "reads": [each.reference for each in plan_of(run.version_id)] if run.id_column else [],
            "may_cancel": may and not run.has_ended,
            "may_download": may and bool(run.result_digest),
        }


class BatchProgressPart(Page):
    """What changes while a run works, for htmx; the browser loads the whole page once it has ended."""

    template_name = "monitoring/batch_progress.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        run = batch_of(self.actor, self.kwargs["pk"])
        response = self.render_to_response({"run": run})
        if run.has_ended:
            response["HX-Refresh"] = "true"
        return response


class ScorePage(FormPage):
    title = "Score a file"
    form_class = ScoreForm
    file_field = "file"
    button = "Score"

    def form_options(self) -> dict[str, Any]:
        mine = self.actor.teams(Action.PREDICT)
        serving = StageInterval.objects.open().filter(stage__in=SERVED, model__team__in=mine)
        serving = serving.select_related("version", "model").order_by("model__name", "stage")
        return {
            "versions": [(f"{i.model.name}@{i.version.number}", f"{i.version.number}, {i.stage}") for i in serving],
            "datasets": [str(version) for version in dataset_versions(self.actor).filter(dataset__team__in=mine)],
            "initial": {"log": True},
        }

    def facts(self) -> dict[str, Any]:
        if not self.actor.teams(Action.PREDICT):
            raise Forbidden("only an ML engineer or a claims application asks a model")
        return {
            "crumbs": [("Batch scoring", reverse("batches"))],
            "back": reverse("batches"),
            "answer": "Every row of the file gets a line in the result: an answer, or the reason why there is none.",
        }

    def save(self, form: ScoreForm) -> str:
        run = request_scoring(actor=self.actor, **form.asked())
        ring(run)
        return reverse("batch", args=[run.pk])


class BatchCancelPage(FormPage):
    title = "Stop the scoring"
    button = "Stop it"

    def _run(self) -> BatchRun:
        return batch_of(self.actor, self.kwargs["pk"])

    def facts(self) -> dict[str, Any]:
        run = self._run()
        back = reverse("batch", args=[run.pk])
        return {
            "crumbs": [("Batch scoring", reverse("batches")), (str(run.pk)[:8], back)],
            "back": back,
            "question": f"Stop scoring {run.source_name}?",
            "answer": f"{run.rows_done:,} rows are scored. There will be no result; what was logged stays logged.",
        }

    def save(self, form: Any) -> str:
        run = cancel_scoring(self._run(), actor=self.actor)
        return reverse("batch", args=[run.pk])
