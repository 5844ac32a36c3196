"""What people keep with runs and take from data sets: notes and figures, runs side by side, a download."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.downloads import attachment, streamed
from mlops_site.core.errors import Forbidden, Invalid
from mlops_site.core.permissions import Action
from training import selectors, services
from training.dashboards.datasets import version_at
from training.forms.runs import NoteForm
from training.models import Run
from training.selectors.comparison import FEWEST, MOST, runs_compared
from training.selectors.notes import figure_of

OFFERED = 50


class ComparePage(Page):
    template_name = "training/compare.html"
    title = "Compare runs"

    def facts(self) -> dict[str, Any]:
        chosen = _ids(self.request.GET.getlist("run"))
        found: dict[str, Any] = {"chosen": chosen, "fewest": FEWEST, "most": MOST}
        if len(chosen) < FEWEST:
            return found | {"offered": self._offered(chosen)}
        try:
            return found | {"said": runs_compared(self.actor, chosen)}
        except Invalid as error:
            return found | {"refused": error.detail, "offered": self._offered(chosen[:1])}

    def _offered(self, chosen: list[UUID]) -> list[Run]:
        """The newest runs; beside one that was chosen, those of its model."""
        model = selectors.run_of(self.actor, chosen[0]).model.name if chosen else None
        return list(selectors.runs(self.actor, model=model)[:OFFERED])


def _ids(texts: list[str]) -> list[UUID]:
    """Those that are ids: the address may have been typed."""
    found = []
    for text in texts:
        with suppress(ValueError):
            found.append(UUID(text))
    return list(dict.fromkeys(found))


class NotePage(FormPage):
    title = "Add a note"
    form_class = NoteForm
    button = "Add"
    file_field = "figure"

    def facts(self) -> dict[str, Any]:
        run = selectors.run_of(self.actor, self.kwargs["job"])
        if not self.actor.may(Action.ANNOTATE, run.model.team_id):
            raise Forbidden("your role in the team of this run does not add notes")
        back = reverse("run", args=[run.pk])
        return {
            "crumbs": [("Training runs", reverse("runs")), (str(run.pk)[:8], back)],
            "back": back,
            "question": f"Add to the run of {run.model}",
            "answer": "It stays for good, with your name. Of a figure only its pixels are kept.",
        }

    def save(self, form: NoteForm) -> str:
        run, said = selectors.run_of(self.actor, self.kwargs["job"]), form.cleaned_data
        file = said["figure"]
        name = file.name if file else ""
        services.add_note(run, actor=self.actor, text=said["text"], figure=file or None, name=name)
        messages.success(self.request, "It is kept with the run.")
        return reverse("run", args=[run.pk]) + "#notes"


class FigureFile(Page):
    """A figure of a note, as its picture on the run's page or as a download."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        note = figure_of(self.actor, self.kwargs["pk"])
        return attachment(note.figure, name=note.name, media_type="image/png")


class DatasetFile(Page):
    """The rows of a data set version, for whoever may take them away."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> StreamingHttpResponse:  # type: ignore[override]
        version = version_at(self.actor, self.kwargs["reference"])
        return streamed(services.download_dataset(version, actor=self.actor), name=f"{version}.parquet")
