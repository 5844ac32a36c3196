"""What a version was given, against its feature sets recomputed as of each prediction."""

from __future__ import annotations

from typing import Any

from mlops_site.core.dashboards import Page
from monitoring.dashboards.model import period_asked
from monitoring.selectors.dashboard import version_shown
from monitoring.selectors.periods import PRESETS
from monitoring.selectors.skew import skew
from registry import selectors as registry


class SkewPage(Page):
    template_name = "monitoring/skew.html"

    def facts(self) -> dict[str, Any]:
        asked = self.request.GET
        model = registry.model_named(self.actor, self.kwargs["model"])
        version = version_shown(model, asked.get("version", ""))
        chosen, wrong = period_asked(asked.get("window", ""), asked.get("from", ""), asked.get("to", ""))
        return {
            "title": f"Skew of {model}",
            "model": model,
            "version": version,
            "versions": [row.number for row in registry.versions(model)],
            "period": chosen,
            "wrong": wrong,
            "presets": [(name, preset.words.removeprefix("last ")) for name, preset in PRESETS.items()],
            "found": skew(version, chosen, actor=self.actor) if version else None,
        }
