"""What is kept of a data set, changed by people; the end of a version's bytes."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.errors import Forbidden
from mlops_site.core.models import User
from mlops_site.core.permissions import Action
from training import selectors, services
from training.dashboards.datasets import version_at
from training.forms.data import EraseForm, KeepingForm
from training.models import Dataset

PARTS = {
    "owner": Action.DATASET_KEEP,
    "retention_days": Action.DATASET_KEEP,
    "hold": Action.DATASET_HOLD,
}


class KeepingPage(FormPage):
    title = "Keeping"
    form_class = KeepingForm

    def _dataset(self) -> Dataset:
        return selectors.dataset_of(self.actor, self.kwargs["name"])

    def form_options(self) -> dict[str, Any]:
        row = self._dataset()
        people = User.objects.filter(memberships__team=row.team, is_active=True).order_by("username")
        initial = {"owner": row.owner or "", "retention_days": row.retention_days, "hold": row.hold}
        names = [name for name, right in PARTS.items() if self.actor.may(right, row.team_id)]
        if not names:
            raise Forbidden("an ML engineer sets owner and retention, an approver the legal hold")
        return {"people": [str(person) for person in people], "fields": names, "initial": initial}

    def facts(self) -> dict[str, Any]:
        newest = version_at(self.actor, self.kwargs["name"])
        back = reverse("dataset", args=[newest])
        return {
            "crumbs": [("Data sets", reverse("datasets")), (newest, back)],
            "back": back,
            "question": f"How is {newest.dataset} kept?",
            "answer": "Rows, digests, profiles and lineage of its versions stay whatever happens to their bytes.",
        }

    def save(self, form: KeepingForm) -> str:
        services.set_keeping(self._dataset(), actor=self.actor, fields=form.cleaned_data)
        messages.success(self.request, "Set.")
        return reverse("dataset", args=[version_at(self.actor, self.kwargs["name"])])


class ErasePage(FormPage):
    title = "Delete the bytes"
    form_class = EraseForm
    button = "Delete them for good"

    def facts(self) -> dict[str, Any]:
        version = version_at(self.actor, self.kwargs["reference"])
        if not self.actor.may(Action.DATASET_KEEP, version.dataset.team_id):
            raise Forbidden("only an ML engineer deletes the bytes of a version")
        back = reverse("dataset", args=[version])
        return {
            "crumbs": [("Data sets", reverse("datasets")), (version, back)],
            "back": back,
            "question": f"Delete the bytes of {version}?",
            "answer": "Its row, digest, profile and lineage stay, with who and why. Nothing is trained on it again.",
        }

    def save(self, form: EraseForm) -> str:
        version = version_at(self.actor, self.kwargs["reference"])
        services.erase_dataset_version(version, actor=self.actor, reason=form.cleaned_data["reason"])
        messages.success(self.request, f"The bytes of {version} are deleted.")
        return reverse("dataset", args=[version])
