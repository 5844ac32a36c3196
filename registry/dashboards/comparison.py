"""Two versions of a model side by side."""

from __future__ import annotations

from typing import Any

from mlops_site.core.dashboards import Page
from registry import selectors
from registry.choices import Stage
from registry.models import Version


class ComparePage(Page):
    template_name = "registry/compare.html"
    title = "Compare"

    def facts(self) -> dict[str, Any]:
        model = self.kwargs["model"]
        found = selectors.model_named(self.actor, model)
        versions = list(selectors.versions(found))
        diff_only = self.request.GET.get("diff_only") == "1"
        facts = {"model": found, "versions": versions, "diff_only": diff_only}
        if len(versions) < 2:
            return facts
        v1, v2 = self._chosen(versions)
        return {**facts, "v1": v1, "v2": v2, "said": selectors.comparison(v1, v2, diff_only=diff_only)}

    def _chosen(self, versions: list[Version]) -> tuple[Version, Version]:
        """Those asked for; else the newest against production, or against the one before it."""
        asked = [self.request.GET.get(name) for name in ("v1", "v2")]
        served = next((v for v in versions if v.stage == Stage.PRODUCTION), None)
        newest = versions[0]
        base = served if served is not None and served != newest else versions[1]
        found = [self._numbered(number, default) for number, default in zip(asked, (base, newest), strict=True)]
        return found[0], found[1]

    @staticmethod
    def _numbered(number: str | None, default: Version) -> Version:
        return default if not number else selectors.version_numbered(default.model, number)
