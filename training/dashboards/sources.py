"""Sources: the list, one with its looks and the way of the last, setting it, looking now."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.durations import spelt
from mlops_site.core.errors import Forbidden
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor
from training import services, tasks
from training.forms.data import SourceForm
from training.models import DataSource
from training.selectors import sources

PAGE_SIZE = 20
TEXTS = ("location", "pattern", "query", "dataset_name", "target", "time_column", "group_column")


class SourcesPage(Page):
    template_name = "training/sources.html"
    title = "Sources"

    def facts(self) -> dict[str, Any]:
        return {"sources": sources.sources(self.actor), "may_set": bool(self.actor.teams(Action.SOURCE_SET))}


class SourcePage(Page):
    template_name = "training/source.html"

    def facts(self) -> dict[str, Any]:
        source = sources.source_named(self.actor, self.kwargs["name"])
        page = Paginator(sources.fetches(self.actor, source), PAGE_SIZE).get_page(self.request.GET.get("page"))
        asked = self.request.GET.get("fetch")
        shown = next((row for row in page if str(row.pk) == asked), None) or next(iter(page), None)
        return {
            "title": source.name,
            "source": source,
            "page": page,
            "shown": shown,
            "way": linked(sources.way_of(shown)) if shown else [],
            "under_way": shown is not None and not shown.has_ended,
            "every": spelt(source.every) if source.every else "",
            "may_set": self.actor.may(Action.SOURCE_SET, source.team_id),
            "may_fetch": source.enabled and self.actor.may(Action.DATASET_CREATE, source.team_id),
        }


def linked(way: list[sources.Step]) -> list[tuple[sources.Step, str]]:
    """Each step with the address of what it made."""
    return [(step, reverse(step.link[0], args=step.link[1:]) if step.link else "") for step in way]


class SourceNewPage(FormPage):
    title = "A new source"
    form_class = SourceForm
    button = "Make it"

    def form_options(self) -> dict[str, Any]:
        mine = Team.objects.filter(pk__in=self.actor.teams(Action.SOURCE_SET)).order_by("name")
        if not (names := list(mine.values_list("name", flat=True))):
            raise Forbidden("only an ML engineer sets where data comes from")
        return {"teams": names}

    def facts(self) -> dict[str, Any]:
        return {
            "crumbs": [("Sources", reverse("sources"))],
            "back": reverse("sources"),
            "answer": "What is new there becomes a version in your name, once it passes its checks.",
        }

    def save(self, form: SourceForm) -> str:
        said = {name: value for name, value in form.cleaned_data.items() if value != "" or name == "pattern"}
        return reverse("source", args=[services.create_source(actor=self.actor, **said)])


class SourceEditPage(FormPage):
    title = "Change"
    form_class = SourceForm

    def form_options(self) -> dict[str, Any]:
        row = editable(self.actor, self.kwargs["name"])
        names = (*TEXTS, "takes", "run_config", "enabled")
        initial = {name: getattr(row, name) for name in names}
        return {"initial": {**initial, "pii": ", ".join(row.pii), "every": spelt(row.every) if row.every else ""}}

    def facts(self) -> dict[str, Any]:
        name = self.kwargs["name"]
        back = reverse("source", args=[name])
        return {"crumbs": [("Sources", reverse("sources")), (name, back)], "back": back, "question": f"Change {name}"}

    def save(self, form: SourceForm) -> str:
        row = editable(self.actor, self.kwargs["name"])
        services.set_source(row, actor=self.actor, fields=form.cleaned_data)
        messages.success(self.request, f"{row} is set.")
        return reverse("source", args=[row])


def editable(actor: Actor, name: str) -> DataSource:
    row = sources.source_named(actor, name)
    if not actor.may(Action.SOURCE_SET, row.team_id):
        raise Forbidden("only an ML engineer sets where data comes from")
    return row


class FetchPage(FormPage):
    title = "Look now"
    button = "Look now"

    def facts(self) -> dict[str, Any]:
        source = sources.source_named(self.actor, self.kwargs["name"])
        if not self.actor.may(Action.DATASET_CREATE, source.team_id):
            raise Forbidden("only who may add data looks for some")
        back = reverse("source", args=[source])
        return {
            "crumbs": [("Sources", reverse("sources")), (source, back)],
            "back": back,
            "question": f"Look for new data in {source} now?",
            "answer": f"What is new becomes a version of {source.dataset_name} in your name"
            f"{', and a run trains on it' if source.run_config else ''}.",
        }

    def save(self, form: Any) -> str:
        source = sources.source_named(self.actor, self.kwargs["name"])
        fetch = services.request_fetch(source, actor=self.actor)
        tasks.ring(fetch)
        return f"{reverse('source', args=[source])}?fetch={fetch.pk}"
