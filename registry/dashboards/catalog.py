"""Models and versions, found by words and by what they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from django.core.paginator import Paginator

from mlops_site.core.dashboards import Page
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action
from registry import selectors
from registry.choices import Stage
from registry.dashboards import reads
from registry.models import StageInterval

PAGE_SIZE = 50
_FILTERS = ("search", "team", "stage", "tag", "risk_tier", "owner", "task_type", "archived")
_OF_VERSIONS = (*_FILTERS, "model", "deprecated")
_MAX = 200  # characters of one filter
_SHOWN = 8  # values of a facet


class _Found(Page, ABC):
    """What fits the address's filters, and links that narrow it down."""

    filters: tuple[str, ...] = _FILTERS

    def asked(self) -> dict[str, Any]:
        given = {name: self.request.GET.get(name, "").replace("\0", "")[:_MAX].strip() for name in self.filters}
        asked: dict[str, Any] = {name: value for name, value in given.items() if value}
        if "deprecated" in asked:
            asked["deprecated"] = asked["deprecated"] == "true"
        return asked

    def facts(self) -> dict[str, Any]:
        asked, problem = self.asked(), ""
        try:
            found = self.found(asked)
        except Invalid as error:  # a filter typed into the address
            found, problem = self.found({}), error.detail
            asked = {}
        rows: Any = found
        page: Any = Paginator(rows, PAGE_SIZE).get_page(self.request.GET.get("page"))
        facets = [reads.facet(facet, self.request.GET, _SHOWN) for facet in self.facets(asked)]
        shown = {name: self.request.GET.get(name, "") for name in asked}
        chips = reads.chips(shown, self.request.GET)
        told = {"asked": shown, "chips": chips, "facets": facets, "problem": problem, "page": page}
        return {**told, **self.lines(page)}

    @abstractmethod
    def found(self, asked: dict[str, Any]) -> selectors.Paged[Any]: ...

    @abstractmethod
    def facets(self, asked: dict[str, Any]) -> list[selectors.Facet]: ...

    def lines(self, page: Any) -> dict[str, Any]:
        return {}


class ModelsPage(_Found):
    template_name = "registry/models.html"
    title = "Models"

    def found(self, asked: dict[str, Any]) -> selectors.Paged[Any]:
        return selectors.Paged(selectors.with_aliases(selectors.models(self.actor, **asked)))

    def facets(self, asked: dict[str, Any]) -> list[selectors.Facet]:
        return selectors.model_facets(selectors.found_models(self.actor, **asked))

    def lines(self, page: Any) -> dict[str, Any]:
        serving = StageInterval.objects.open().filter(stage=Stage.PRODUCTION)
        return {
            "lines": reads.model_lines(page.object_list),
            "in_production": serving.filter(model__in=page.paginator.object_list.rows.order_by().values("pk")).count(),
            "may_create": bool(self.actor.teams(Action.MODEL_CREATE)),
        }


class VersionsPage(_Found):
    template_name = "registry/versions.html"
    title = "Versions"
    filters = _OF_VERSIONS

    def found(self, asked: dict[str, Any]) -> selectors.Paged[Any]:
        return selectors.version_lines(selectors.versions_found(self.actor, **asked))

    def facets(self, asked: dict[str, Any]) -> list[selectors.Facet]:
        return selectors.version_facets(selectors.found_versions(self.actor, **asked))

    def lines(self, page: Any) -> dict[str, Any]:
        return {"lines": [(version, reads.headline(version.metrics)) for version in page.object_list]}
