"""Training runs: the list, one run while it works and afterwards, starting and stopping."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from mlops_site.core.choices import JobState
from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden
from mlops_site.core.permissions import Action
from mlops_site.core.templatetags.steward import metric
from mlops_site.stats import metrics
from registry.models import RegisteredModel
from training import plots, selectors, services, tasks
from training.dashboards import study
from training.dashboards.reproductions import reproduced
from training.forms.runs import RunForm
from training.models import Run
from training.selectors import quality as gates
from training.selectors.notes import notes_of

PAGE_SIZE = 50


class RunsPage(Page):
    template_name = "training/runs.html"
    title = "Training runs"

    def facts(self) -> dict[str, Any]:
        state = self.request.GET.get("state", "")
        known = state if state in JobState.values else None
        rows = selectors.runs(self.actor, model=self.request.GET.get("model") or None, state=known)
        page = Paginator(rows, PAGE_SIZE).get_page(self.request.GET.get("page"))
        return {
            "page": page,
            "states": JobState.choices,
            "state": state,
            "model": self.request.GET.get("model", ""),
            "may_start": bool(self.actor.teams(Action.RUN_REQUEST)),
        }


class RunPage(Page):
    template_name = "training/run.html"

    def facts(self) -> dict[str, Any]:
        job = self.kwargs["job"]
        run = selectors.run_of(self.actor, job)
        importance = study.importance_of(run) if run.has_ended else None
        return {
            **progress(run),
            "title": f"Run {str(run.pk)[:8]}",
            "importance": importance,
            **_tried(run),
            "notes": list(notes_of(run)),
            "may_note": self.actor.may(Action.ANNOTATE, run.model.team_id),
            "importance_json": plots.importance_figure(importance).to_json()
            if importance and importance.shares
            else "",
            "may_reproduce": run.state == JobState.SUCCEEDED and self.actor.may(Action.RUN_REQUEST, run.model.team_id),
            **reproduced(self.actor, run),
            "gates": gates.verdicts_of(run),
            "may_cancel": not run.has_ended and self.actor.may(Action.RUN_REQUEST, run.model.team_id),
            "figures": True,
        }


class ProgressPart(Page):
    """What changes while a run works, for htmx; the browser loads the whole page once it has ended."""

    template_name = "training/progress.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        run = selectors.run_of(self.actor, self.kwargs["job"])
        response = self.render_to_response(progress(run))
        if run.has_ended:
            response["HX-Refresh"] = "true"
        return response


def progress(run: Run) -> dict[str, Any]:
    """The facts of a run that its page and its progress share."""
    history = study.history_of(run)
    return {
        "run": run,
        "status": selectors.status(run),
        "history": history,
        "history_json": _history_json(history) if history.points else "",
        "recent": history.points[::-1][:10],
    }


def _tried(run: Run) -> dict[str, Any]:
    """The figures of the best model type's parameters, once a run has ended: while it works they would redraw."""
    found = study.tried(run) if run.has_ended else None
    if found is None:
        return {}
    named = found._replace(metric=metric(found.metric))
    figures = {"slice_json": plots.slice_figure(named), "parallel_json": plots.parallel_figure(named)}
    return {"tried": found, **{name: str(figure.to_json()) for name, figure in figures.items()}}


def _history_json(history: plots.History) -> str:
    return str(plots.history_figure(history._replace(metric=metric(history.metric))).to_json())


class DiffFile(Page):
    """How the code of a run differed from its commit, for `git apply`."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        run = selectors.run_of(self.actor, self.kwargs["job"])
        name = f'attachment; filename="{str(run.pk)[:8]}.diff"'
        return HttpResponse(run.diff, content_type="text/plain; charset=utf-8", headers={"Content-Disposition": name})


class CancelPage(FormPage):
    title = "Stop the run"
    button = "Stop it"

    def facts(self) -> dict[str, Any]:
        job = self.kwargs["job"]
        run = selectors.run_of(self.actor, job)
        back = reverse("run", args=[run.pk])
        return {
            "crumbs": [("Training runs", reverse("runs")), (str(run.pk)[:8], back)],
            "back": back,
            "question": f"Stop the run of {run.model}?",
            "answer": "Its finished trials stay readable; nothing is registered.",
        }

    def save(self, form: Any) -> str:
        run = services.cancel_run(selectors.run_of(self.actor, self.kwargs["job"]), actor=self.actor)
        messages.success(self.request, "The run was asked to stop." if not run.has_ended else "The run is stopped.")
        return reverse("run", args=[run.pk])


class StartPage(FormPage):
    title = "Start a training run"
    form_class = RunForm
    button = "Start"

    def form_options(self) -> dict[str, Any]:
        mine = self.actor.teams(Action.RUN_REQUEST)
        models = RegisteredModel.objects.filter(team__in=mine).order_by("name").values_list("name", flat=True)
        asked = {name: self.request.GET[name] for name in ("model_name", "dataset") if name in self.request.GET}
        return {
            "models": list(models),
            "datasets": [str(v) for v in selectors.dataset_versions(self.actor)],
            "model_types": _model_types(),
            "metrics": metrics.names(),
            "initial": asked,
        }

    def facts(self) -> dict[str, Any]:
        if not self.actor.teams(Action.RUN_REQUEST):
            raise Forbidden("only a data scientist or an ML engineer starts a run")
        return {
            "crumbs": [("Training runs", reverse("runs"))],
            "back": reverse("runs"),
            "answer": "All model types see the same folds and the same frozen holdout. "
            "The best one is registered; the gate decides how far it goes.",
        }

    def save(self, form: RunForm) -> str:
        run = services.request_run(actor=self.actor, **form.asked())
        tasks.ring(run)
        return reverse("run", args=[run.pk])


def _model_types() -> list[str]:
    from training.ml import estimators  # scikit-learn, which a web process needs for this form only

    return list(dict.fromkeys([*estimators.names("classification"), *estimators.names("regression")]))
