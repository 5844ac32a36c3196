"""The quality gates of a data set: what is expected, what was found, what is waived."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden
from mlops_site.core.permissions import Action
from training import selectors, services
from training.dashboards.datasets import version_at
from training.forms.quality import ExpectationsForm, InferForm, RevokeForm, WaiverForm
from training.models import Dataset, Waiver
from training.models.quality import MAX_WAIVED_DAYS
from training.selectors import quality as gates

SHOWN = 20
DEFAULT_DAYS = 30


class GatesPage(Page):
    """One version's verdict today."""

    template_name = "training/gates.html"

    def facts(self) -> dict[str, Any]:
        version = version_at(self.actor, self.kwargs["reference"])
        dataset = version.dataset
        return {
            "title": f"Quality of {version}",
            "version": version,
            "verdict": gates.verdict_of(version),
            "rechecks": version.gate_reports.filter(run=None).count(),
            "may_check": self.actor.may(Action.DATASET_CHECK, dataset.team_id),
            "may_waive": self.actor.may(Action.GATE_WAIVE, dataset.team_id),
        }


class CheckPage(FormPage):
    title = "Check again"
    button = "Check it again"

    def facts(self) -> dict[str, Any]:
        version = version_at(self.actor, self.kwargs["reference"])
        if not self.actor.may(Action.DATASET_CHECK, version.dataset.team_id):
            raise Forbidden("only who works with its data checks a version again")
        back = reverse("dataset_gates", args=[version])
        return {
            "crumbs": [("Data sets", reverse("datasets")), (str(version), back)],
            "back": back,
            "question": f"Check {version} again?",
            "answer": "By what is expected of the data set today. The verdict at upload stays in the record.",
        }

    def save(self, form: Any) -> str:
        version = version_at(self.actor, self.kwargs["reference"])
        made = services.check_dataset(version, actor=self.actor)
        messages.success(self.request, f"{version} {'passed' if made.passed else 'did not pass'}.")
        return reverse("dataset_gates", args=[version])


class ExpectationsPage(Page):
    """What is expected of a data set, its history, and its waivers."""

    template_name = "training/expectations.html"

    def facts(self) -> dict[str, Any]:
        dataset = gates.dataset_of(self.actor, self.kwargs["name"])
        known = list(gates.expectations(dataset)[:SHOWN])
        return {
            "title": f"What is expected of {dataset}",
            "dataset": dataset,
            "newest": known[0] if known else None,
            "columns": sorted(known[0].document.get("columns", {}).items()) if known else [],
            "history": known,
            "waivers": gates.waivers(dataset)[:SHOWN],
            "may_set": self.actor.may(Action.EXPECTATIONS_SET, dataset.team_id),
            "may_waive": self.actor.may(Action.GATE_WAIVE, dataset.team_id),
        }


class _OfDataset(FormPage):
    """A form about one data set, for who may do `action`."""

    action: Action
    allowed = ""

    @property
    def dataset(self) -> Dataset:
        return gates.dataset_of(self.actor, self.kwargs["name"])

    def facts(self) -> dict[str, Any]:
        dataset = self.dataset
        if not self.actor.may(self.action, dataset.team_id):
            raise Forbidden(self.allowed)
        back = reverse("expectations", args=[dataset.name])
        return {"crumbs": [("Data sets", reverse("datasets")), (dataset.name, back)], "back": back}


class InferPage(_OfDataset):
    title = "Infer expectations"
    form_class = InferForm
    button = "Expect this"
    action = Action.EXPECTATIONS_SET
    allowed = "only an ML engineer or a validator says what is expected of data"

    def form_options(self) -> dict[str, Any]:
        rows = selectors.dataset_versions(self.actor).filter(dataset=self.dataset)
        return {"versions": list(rows.values_list("version", flat=True)[:200])}

    def facts(self) -> dict[str, Any]:
        answer = "Columns, types, ranges and levels of a version that passed its gate. They can be edited afterwards."
        return {**super().facts(), "question": f"What should {self.dataset} look like?", "answer": answer}

    def save(self, form: InferForm) -> str:
        said = form.cleaned_data
        version = version_at(self.actor, f"{self.dataset.name}@{said['version']}")
        made = services.infer_expectations(version, actor=self.actor, comment=said["comment"])
        messages.success(self.request, f"Version {made.version} of the expectations holds from now on.")
        return reverse("expectations", args=[self.dataset.name])


class EditPage(_OfDataset):
    title = "Edit expectations"
    form_class = ExpectationsForm
    button = "Save as a new version"
    action = Action.EXPECTATIONS_SET
    allowed = InferPage.allowed

    def form_options(self) -> dict[str, Any]:
        newest = gates.expectations(self.dataset).first()
        document = {"columns": {}} if newest is None else newest.document
        return {"initial": {"document": document}}

    def facts(self) -> dict[str, Any]:
        answer = "Each rule has its severity: block keeps a version from being trained on, warn is a remark."
        return {**super().facts(), "question": f"Edit what is expected of {self.dataset}", "answer": answer}

    def save(self, form: ExpectationsForm) -> str:
        made = services.set_expectations(self.dataset, actor=self.actor, **form.cleaned_data)
        messages.success(self.request, f"Version {made.version} of the expectations holds from now on.")
        return reverse("expectations", args=[self.dataset.name])


class WaivePage(_OfDataset):
    title = "Waive a check"
    form_class = WaiverForm
    button = "Waive it"
    action = Action.GATE_WAIVE
    allowed = "only a validator or an approver waives a check"

    def form_options(self) -> dict[str, Any]:
        until = datetime.now(UTC).date() + timedelta(days=DEFAULT_DAYS)
        asked = {name: self.request.GET[name] for name in ("check", "column") if name in self.request.GET}
        return {"initial": {"until": until, **asked}}

    def facts(self) -> dict[str, Any]:
        answer = (
            f"It lets the check fail for at most {MAX_WAIVED_DAYS} days, is shown wherever the data or a model made of "
            "it is judged, and can be revoked."
        )
        return {**super().facts(), "question": f"Waive a check of {self.dataset}?", "answer": answer}

    def save(self, form: WaiverForm) -> str:
        made = services.waive_check(self.dataset, actor=self.actor, **form.cleaned_data)
        messages.success(self.request, f"{made.what} is waived until {made.until}.")
        return reverse("expectations", args=[self.dataset.name]) + "#waivers"


class RevokePage(FormPage):
    title = "Revoke the waiver"
    form_class = RevokeForm
    button = "Revoke it"

    @property
    def waiver(self) -> Waiver:
        return gates.waiver_of(self.actor, self.kwargs["pk"])

    def facts(self) -> dict[str, Any]:
        waiver = self.waiver
        if not self.actor.may(Action.GATE_WAIVE, waiver.dataset.team_id):
            raise Forbidden("only a validator or an approver revokes a waiver")
        back = reverse("expectations", args=[waiver.dataset.name])
        return {
            "crumbs": [("Data sets", reverse("datasets")), (waiver.dataset.name, back)],
            "back": back,
            "question": f"Revoke the waiver of {waiver.what}?",
            "answer": "The check blocks again at once, also a run that is under way.",
        }

    def save(self, form: RevokeForm) -> str:
        row = services.revoke_waiver(self.waiver, actor=self.actor, **form.cleaned_data)
        messages.success(self.request, f"The waiver of {row.what} is revoked.")
        return reverse("expectations", args=[row.dataset.name]) + "#waivers"
