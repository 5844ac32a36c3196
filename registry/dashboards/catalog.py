"""The list of models."""

from __future__ import annotations

from typing import Any

from mlops_site.core.dashboards import Page
from mlops_site.core.permissions import Action
from registry import selectors
from registry.dashboards import reads


class ModelsPage(Page):
    template_name = "registry/models.html"
    title = "Models"

    def facts(self) -> dict[str, Any]:
        lines = reads.model_lines(selectors.models(self.actor))
        return {
            "lines": lines,
            "in_production": sum(line.production is not None for line in lines),
            "may_create": bool(self.actor.teams(Action.MODEL_CREATE)),
        }
