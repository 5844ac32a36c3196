"""Two versions of a data set beside each other: compared while the page is made, or by a worker."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden, StewardError
from mlops_site.core.permissions import Action, Actor
from training import plots, selectors, services, tasks
from training.dashboards.datasets import version_at
from training.models import Comparison, DatasetVersion
from training.selectors import differences

PICTURES = 6


class Asked(NamedTuple):
    """What the address names."""

    after: DatasetVersion
    others: list[str]
    before: str  # name@version; "" where there is no other version
    keys: list[str]

    @property
    def query(self) -> str:
        return urlencode({"with": self.before, "keys": ",".join(self.keys)})


def asked(actor: Actor, reference: str, request: HttpRequest) -> Asked:
    after = version_at(actor, reference)
    rows = selectors.dataset_versions(actor).filter(dataset=after.dataset)
    numbers = [number for number in rows.values_list("version", flat=True) if number != after.version]
    others = {number: f"{after.dataset}@{number}" for number in numbers}
    usual = next((number for number in numbers if number < after.version), next(iter(numbers), 0))  # the one before
    keys = [key.strip() for key in request.GET.get("keys", "").split(",") if key.strip()]
    return Asked(after, [*others.values()], request.GET.get("with") or others.get(usual, ""), keys)


class DifferencePage(Page):
    template_name = "training/difference.html"
    title = "What changed"

    def facts(self) -> dict[str, Any]:
        said = asked(self.actor, self.kwargs["reference"], self.request)
        names = {"after": said.after, "others": said.others, "with": said.before, "keys": ", ".join(said.keys)}
        return {**names, "figures": True, **(_compared(self.actor, said) if said.before else {})}


def _compared(actor: Actor, said: Asked) -> dict[str, Any]:
    """The difference, or why there is none; of a pair that is too large, how far a worker is with it."""
    try:
        before = selectors.dataset_named(actor, said.before)
        found = differences.difference(before, said.after, said.keys)
    except StewardError as error:
        return _large(actor, before, said) if error.code == "not_compared" else {"problem": error.detail}
    names = {"before": str(found.before), "after": str(found.after)}
    shown = differences.distributions(found, actor, most=PICTURES)
    pictures = [(each, f"side-{at}", plots.sides_figure(each, **names).to_json()) for at, each in enumerate(shown)]
    features = sorted(found.drift.features, key=lambda each: -(each.effect or 0))
    return {
        "found": found,
        "features": [(each, found.sizes[each.name], found.rows.cells.get(each.name)) for each in features],
        "pictures": pictures,
    }


def _large(actor: Actor, before: DatasetVersion, said: Asked) -> dict[str, Any]:
    under_way = differences.comparison_kept(before, said.after, said.keys)
    may_ask = actor.may(Action.DATASET_CHECK, said.after.dataset.team_id)
    return {
        "job": under_way,
        "failed": None if under_way else differences.last_failed(before, said.after, said.keys),
        "cells": differences.cells_of(before, said.after),
        "may_stop": may_ask,
        "ask": f"{reverse('dataset_compare', args=[said.after])}?{said.query}" if may_ask and not under_way else "",
    }


class ComparisonPart(Page):
    """What changes while a worker compares, for htmx; the browser loads the whole page once it has ended."""

    template_name = "training/comparison.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        job = differences.comparison_of(self.actor, self.kwargs["job"])
        may_stop = self.actor.may(Action.DATASET_CHECK, job.after.dataset.team_id)
        response = self.render_to_response({"job": job, "may_stop": may_stop})
        if job.has_ended:
            response["HX-Refresh"] = "true"
        return response


class CompareByWorkerPage(FormPage):
    title = "Compare"
    button = "Compare them"

    def facts(self) -> dict[str, Any]:
        said = asked(self.actor, self.kwargs["reference"], self.request)
        if not self.actor.may(Action.DATASET_CHECK, said.after.dataset.team_id):
            raise Forbidden("a data scientist, an ML engineer or a validator has versions compared")
        back = f"{reverse('dataset_diff', args=[said.after])}?{said.query}"
        return {
            "crumbs": [("Data sets", reverse("datasets")), (said.after, back)],
            "back": back,
            "question": f"Compare {said.after} with {said.before}?",
            "answer": "A worker does it, and what it finds is kept: it is done once.",
        }

    def save(self, form: Any) -> str:
        said = asked(self.actor, self.kwargs["reference"], self.request)
        before = version_at(self.actor, said.before)
        made = services.request_comparison(before, said.after, actor=self.actor, keys=said.keys)
        tasks.ring(made)
        return f"{reverse('dataset_diff', args=[said.after])}?{said.query}"


class ComparisonCancelPage(FormPage):
    title = "Stop comparing"
    button = "Stop it"

    def _job(self) -> Comparison:
        return differences.comparison_of(self.actor, self.kwargs["job"])

    def _back(self, job: Comparison) -> str:
        said = Asked(job.after, [], str(job.before), job.keys)
        return f"{reverse('dataset_diff', args=[job.after])}?{said.query}"

    def facts(self) -> dict[str, Any]:
        job = self._job()
        return {
            "crumbs": [("Data sets", reverse("datasets")), (job.after, self._back(job))],
            "back": self._back(job),
            "question": f"Stop comparing {job.after} with {job.before}?",
            "answer": "Nothing of it is kept.",
        }

    def save(self, form: Any) -> str:
        return self._back(services.cancel_comparison(self._job(), actor=self.actor))
