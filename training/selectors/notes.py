"""The notes and figures that people added to runs."""

from __future__ import annotations

from django.db.models import QuerySet

from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Actor, visible
from training.models import Run, RunNote


def notes_of(run: Run) -> QuerySet[RunNote]:
    """Of one run, oldest first."""
    return RunNote.objects.filter(run=run).select_related("by")


def figure_of(actor: Actor, pk: int) -> RunNote:
    """A note that shows a figure; NotFound if there is none or it is another team's."""
    rows = visible(actor, RunNote.objects.exclude(figure=""), team="run__model__team")
    found = rows.filter(pk=pk).first()
    if found is None:
        raise NotFound(f"there is no figure {pk}", code="unknown_figure")
    return found
