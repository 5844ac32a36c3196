"""What is being tested and what came of it: the list, one experiment live and at its end, and what people do to it."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from abtesting import selectors, services
from abtesting.choices import Design, Status, Verdict
from abtesting.dashboards import reads
from abtesting.forms import ReasonForm, SplitForm
from abtesting.models import Experiment
from abtesting.selectors.results import results, timeline
from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.permissions import Action, Actor

PAGE_SIZE = 50


class ExperimentsPage(Page):
    template_name = "abtesting/experiments.html"
    title = "Experiments"

    def facts(self) -> dict[str, Any]:
        asked = self.request.GET
        status = asked.get("status", "") if asked.get("status", "") in Status.values else ""
        rows = selectors.experiments(self.actor, status=status, model=asked.get("model", ""))
        counted = selectors.experiments(self.actor).order_by().values_list("status", "verdict")
        return {
            "page": Paginator(rows, PAGE_SIZE).get_page(asked.get("page")),
            "statuses": Status.choices,
            "status": status,
            "model": asked.get("model", ""),
            "answer": sentence(Counter(counted)),
            "may_start": bool(self.actor.teams(Action.EXPERIMENT_SHADOW)),
        }


def sentence(counted: Counter[tuple[str, str]]) -> str:
    """Of (status, verdict) pairs.

    >>> sentence(Counter({("running", ""): 1, ("concluded", "ship_b"): 2, ("stopped", ""): 1}))
    '1 experiment runs. Of 3 that ended, 2 say ship B, 1 was stopped without a verdict.'
    >>> sentence(Counter())
    'Nothing was tested yet.'
    """
    running = sum(count for (status, _), count in counted.items() if status == Status.RUNNING)
    ended = counted.total() - running
    if not counted.total():
        return "Nothing was tested yet."
    now = f"{running or 'No'} experiment{'' if running == 1 else 's'} run{'s' if running == 1 else ''}."
    said = []
    for verdict in Verdict:
        if count := counted[Status.CONCLUDED, verdict]:
            plain = f"say{'s' if count == 1 else ''} {verdict.label}"
            words = plain if verdict in (Verdict.SHIP_B, Verdict.KEEP_A) else f"ended {verdict.label}"
            said.append(f"{count} {words}")
    if stopped := counted[Status.STOPPED, ""]:
        said.append(f"{stopped} {'was' if stopped == 1 else 'were'} stopped without a verdict")
    return f"{now} Of {ended} that ended, {', '.join(said)}." if ended else now


class ExperimentPage(Page):
    """Live while it runs; as it was frozen once it is concluded."""

    template_name = "abtesting/experiment.html"

    def facts(self) -> dict[str, Any]:
        experiment = selectors.experiment_of(self.actor, self.kwargs["pk"])
        frozen: dict[str, Any] = experiment.result or {}
        return {
            "title": experiment.name,
            "figures": True,
            "may": _may(self, experiment) and experiment.is_running,
            "frozen": frozen,
            **shown(experiment, self.actor),
        }


class ExperimentLivePart(Page):
    """What changes while it runs, for htmx; the browser loads the whole page once it has ended."""

    template_name = "abtesting/live.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        experiment = selectors.experiment_of(self.actor, self.kwargs["pk"])
        response = self.render_to_response(shown(experiment, self.actor))
        if not experiment.is_running:
            response["HX-Refresh"] = "true"
        return response


def shown(experiment: Experiment, actor: Actor) -> dict[str, Any]:
    """The results with their figures and what to do next."""
    found, by_day = results(experiment), timeline(experiment)
    verdict = found.verdict.verdict
    return {
        "experiment": experiment,
        "found": found,
        "splits": list(experiment.epochs.all()),
        "may_see_audit": actor.may(Action.AUDIT_VIEW, experiment.model.team_id),
        "compared": reads.compared(found),
        "verdict": "" if experiment.status == Status.STOPPED else verdict,
        "verdict_label": Verdict(verdict).label,
        "verdict_tone": reads.TONES[Verdict(verdict)],
        "headline": reads.headline(experiment, verdict),
        "design_words": reads.design_words(experiment),
        "advice": reads.advice(experiment, found, by_day) if experiment.is_running else "",
        "rails": reads.rails_of(experiment, found.guardrails),
        "pictures": reads.pictures(experiment, found, by_day),
        "days": reads.days_of(by_day),
        "metrics": list(by_day.by_metric),
        "all_metrics": [(name, *(arm.metrics.get(name) for arm in found.arms)) for name in found.arms[0].metrics],
    }


def _may(page: Page, experiment: Experiment) -> bool:
    needed = Action.EXPERIMENT_SHADOW if experiment.is_paired else Action.EXPERIMENT_LIVE
    return page.actor.may(needed, experiment.model.team_id)


class _Deed(FormPage):
    """Something done to one experiment, with a reason."""

    form_class = ReasonForm

    @cached_property
    def experiment(self) -> Experiment:
        return selectors.experiment_of(self.actor, self.kwargs["pk"])

    def facts(self) -> dict[str, Any]:
        experiment = self.experiment
        back = reverse("experiment", args=[experiment.pk])
        return {"crumbs": [("Experiments", reverse("experiments")), (experiment.name, back)], "back": back}


class SplitPage(_Deed):
    title = "Change the split"
    form_class = SplitForm
    button = "Change it"

    def facts(self) -> dict[str, Any]:
        experiment = self.experiment
        epoch = selectors.open_epoch(experiment)
        now = "It has ended." if epoch is None else f"B's share is {100 * epoch.share_b:.3g} % now."
        grows = "Units stay where they are while the share grows; when it shrinks, all are drawn anew. "
        if experiment.design == Design.SHADOW:
            grows = "The share is that of the units whose claims B scores silently. "
        counted = "What was counted under the split before is kept apart and weighed, never mixed."
        return {**super().facts(), "answer": f"{now} {grows}{counted}"}

    def save(self, form: SplitForm) -> str:
        services.change_split(self.experiment, actor=self.actor, **form.cleaned_data)
        messages.success(self.request, f"B's share is {100 * form.cleaned_data['traffic_split']:.3g} % from now on.")
        return reverse("experiment", args=[self.experiment.pk])


class StopPage(_Deed):
    title = "Stop without a verdict"
    button = "Stop it"

    def facts(self) -> dict[str, Any]:
        back = "B scores no further claim." if self.experiment.is_paired else "All claims go back to A at once."
        return {
            **super().facts(),
            "question": f"Stop {self.experiment.name} without a verdict?",
            "answer": f"{back} What was counted stays to be read; it cannot be started again.",
        }

    def save(self, form: ReasonForm) -> str:
        services.stop_experiment(self.experiment, actor=self.actor, reason=form.cleaned_data["reason"])
        messages.success(self.request, "It is stopped; A answers all claims.")
        return reverse("experiment", args=[self.experiment.pk])


class ConcludePage(_Deed):
    title = "Conclude"
    button = "Conclude it"

    def facts(self) -> dict[str, Any]:
        experiment = self.experiment
        found = results(experiment)
        ships = found.verdict.verdict == Verdict.SHIP_B.value
        files = f"A promotion request of {experiment.version_b.number} is filed; approvers decide about it. "
        notes = [f"{found.pending:,} rows are not counted yet; they are, before the verdict."] if found.pending else []
        return {
            **super().facts(),
            "question": f"Conclude {experiment.name}?",
            "answer": f"{reads.headline(experiment, found.verdict.verdict)} {found.verdict.reason[:1].upper()}"
            f"{found.verdict.reason[1:]}.",
            "notes": notes,
            "warnings": [
                f"{files if ships else 'Nothing is promoted. '}The result is frozen as it is then, and A answers all "
                "claims. Labels that come later count in monitoring, not here."
            ],
        }

    def save(self, form: ReasonForm) -> str:
        done = services.conclude_experiment(self.experiment, actor=self.actor, reason=form.cleaned_data["reason"])
        messages.success(self.request, f"It is concluded: {Verdict(done.verdict).label}.")
        return reverse("experiment", args=[done.pk])
