"""Data sets: the list, one version with its schema and quality report, an upload."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden, Malformed, NotFound
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor
from training import selectors, services
from training.forms import DatasetForm
from training.models import DatasetVersion


class DatasetsPage(Page):
    template_name = "training/datasets.html"
    title = "Data sets"

    def facts(self) -> dict[str, Any]:
        return {
            "versions": selectors.dataset_versions(self.actor).defer("schema", "quality"),
            "may_upload": bool(self.actor.teams(Action.DATASET_CREATE)),
        }


class DatasetPage(Page):
    template_name = "training/dataset.html"

    def facts(self) -> dict[str, Any]:
        reference = self.kwargs["reference"]
        version = version_at(self.actor, reference)
        return {
            "title": str(version),
            "version": version,
            "columns": version.schema["columns"],
            "others": selectors.dataset_versions(self.actor).filter(dataset=version.dataset).exclude(pk=version.pk),
            "runs": selectors.runs(self.actor).filter(dataset=version)[:10],
            "may_start": self.actor.may(Action.RUN_REQUEST, version.dataset.team_id),
            "may_download": self.actor.may(Action.DATASET_DOWNLOAD, version.dataset.team_id),
        }


def version_at(actor: Actor, reference: str) -> DatasetVersion:
    """The version that an address names; NotFound for anything else."""
    try:
        return selectors.dataset_named(actor, reference)
    except Malformed as error:  # an address is not a body: it names nothing
        raise NotFound(error.detail) from error


class UploadPage(FormPage):
    title = "Upload a data set"
    form_class = DatasetForm
    file_field = "file"
    button = "Upload and check"

    def _teams(self) -> list[str]:
        mine = Team.objects.filter(pk__in=self.actor.teams(Action.DATASET_CREATE))
        return list(mine.order_by("name").values_list("name", flat=True))

    def form_options(self) -> dict[str, Any]:
        return {"teams": self._teams()}

    def facts(self) -> dict[str, Any]:
        if not self._teams():
            raise Forbidden("only a data scientist or an ML engineer uploads data")
        return {
            "crumbs": [("Data sets", reverse("datasets"))],
            "back": reverse("datasets"),
            "answer": "It is checked before anything is kept. "
            "The same bytes declared the same way are the same version.",
        }

    def save(self, form: DatasetForm) -> str:
        said = form.cleaned_data
        file = said.pop("file")
        version = services.create_dataset_version(actor=self.actor, source=file, filename=file.name, **said)
        messages.success(self.request, f"{version} is kept: {version.rows:,} rows.")
        return reverse("dataset", args=[version])
