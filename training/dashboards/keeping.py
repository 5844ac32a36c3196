"""What is kept of a data set, changed by people; the end of a version's bytes; two versions beside each other."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden, StewardError
from mlops_site.core.models import User
from mlops_site.core.permissions import Action, Actor
from training import plots, selectors, services
from training.dashboards.datasets import version_at
from training.forms.data import EraseForm, KeepingForm
from training.models import Dataset, DatasetVersion
from training.selectors import differences

PICTURES = 6
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


class DifferencePage(Page):
    template_name = "training/difference.html"
    title = "What changed"

    def facts(self) -> dict[str, Any]:
        after = version_at(self.actor, self.kwargs["reference"])
        rows = selectors.dataset_versions(self.actor).filter(dataset=after.dataset)
        others = [f"{after.dataset}@{number}" for number in rows.values_list("version", flat=True)]
        others.remove(str(after))
        asked = self.request.GET.get("with") or next(iter(others), "")
        keys = [key.strip() for key in self.request.GET.get("keys", "").split(",") if key.strip()]
        said = {"after": after, "others": others, "with": asked, "keys": ", ".join(keys), "figures": True}
        return {**said, **(_compared(self.actor, asked, after, keys) if asked else {})}


def _compared(actor: Actor, asked: str, after: DatasetVersion, keys: list[str]) -> dict[str, Any]:
    """The difference, or why there is none."""
    try:
        found = differences.difference(selectors.dataset_named(actor, asked), after, keys)
    except StewardError as error:
        return {"problem": error.detail}
    names = {"before": str(found.before), "after": str(found.after)}
    shown = differences.distributions(found, actor, most=PICTURES)
    pictures = [(each, f"side-{at}", plots.sides_figure(each, **names).to_json()) for at, each in enumerate(shown)]
    features = sorted(found.drift.features, key=lambda each: -(each.effect or 0))
    return {
        "found": found,
        "features": [(each, found.sizes[each.name], found.rows.cells.get(each.name)) for each in features],
        "pictures": pictures,
    }
