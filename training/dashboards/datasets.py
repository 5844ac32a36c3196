"""Data sets: the list, one version with its schema and quality report, an upload."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden, Malformed, NotFound
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor
from training import selectors, services
from training.forms.data import DatasetForm, RegisterForm
from training.ml.overview import ColumnLook
from training.models import DatasetVersion
from training.selectors import keeping, lineage
from training.selectors import quality as gates


class DatasetsPage(Page):
    template_name = "training/datasets.html"
    title = "Data sets"

    def facts(self) -> dict[str, Any]:
        return {
            "versions": selectors.dataset_versions(self.actor).defer("schema", "quality"),
            "may_upload": bool(self.actor.teams(Action.DATASET_CREATE)),
            "places": bool(settings.DATA_FOLDERS or settings.DATA_BUCKETS),
        }


class DatasetPage(Page):
    template_name = "training/dataset.html"

    def facts(self) -> dict[str, Any]:
        version = version_at(self.actor, self.kwargs["reference"])
        team = version.dataset.team_id
        return {
            "title": str(version),
            "version": version,
            "dataset": selectors.dataset_of(self.actor, version.dataset.name),
            "columns": columns_shown(self.actor, version),
            "suggestions": keeping.suggestions(version),
            "gone": keeping.gone(version),
            "lineage": lineage.lineage_of(self.actor, version),
            "others": selectors.dataset_versions(self.actor).filter(dataset=version.dataset).exclude(pk=version.pk),
            "may_start": self.actor.may(Action.RUN_REQUEST, team),
            "may_keep": self.actor.may(Action.DATASET_KEEP, team) or self.actor.may(Action.DATASET_HOLD, team),
            "may_erase": self.actor.may(Action.DATASET_KEEP, team),
            "may_download": self.actor.may(Action.DATASET_DOWNLOAD, team),
            "verdict": gates.verdict_of(version),
        }


def columns_shown(actor: Actor, version: DatasetVersion) -> list[tuple[dict[str, Any], ColumnLook | None]]:
    """Each column of the schema, and how it looks where a profile was kept."""
    found = {look.name: look for look in keeping.looks(actor, version)}
    return [(column, found.get(column["name"])) for column in keeping.schema_shown(actor, version)["columns"]]


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

    def save(self, form: Any) -> str:
        said = form.cleaned_data
        file = said.pop("file")
        version = services.create_dataset_version(actor=self.actor, source=file, filename=file.name, **said)
        if version.quality["passed"]:
            messages.success(self.request, f"{version} is kept: {version.rows:,} rows.")
        else:
            messages.warning(self.request, f"{version} is kept but blocked: its quality gate did not pass.")
        return reverse("dataset", args=[version])


class RegisterPage(UploadPage):
    title = "Register a file"
    form_class = RegisterForm
    file_field = ""
    button = "Read and check"

    def save(self, form: Any) -> str:
        version = services.register_dataset_version(actor=self.actor, **form.cleaned_data)
        messages.success(self.request, f"{version} is kept: {version.rows:,} rows.")
        return reverse("dataset", args=[version])
