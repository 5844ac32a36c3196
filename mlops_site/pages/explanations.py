"""What a version looks at in general: it joins the registry, which explains, and training, which knows what is
personal."""

from __future__ import annotations

from typing import Any

from mlops_site.core.dashboards import Page
from mlops_site.core.permissions import Action
from registry import plots, selectors
from registry.models import Version
from training.selectors import personal_columns


class ExplanationsPage(Page):
    template_name = "pages/explanations.html"

    def facts(self) -> dict[str, Any]:
        model, number = self.kwargs["model"], self.kwargs["number"]
        version = selectors.version_numbered(selectors.model_named(self.actor, model), number)
        facts = {"title": f"What {version} looks at", "version": version, "said": version.explanation}
        if not version.explanation:
            return facts
        figure = plots.importance_figure(selectors.importances(version))
        rows = selectors.global_explanation(version)["features"]
        return {**facts, "figures": True, "rows": rows, "importance_json": figure.to_json(), **self._one_of(version)}

    def _one_of(self, version: Version) -> dict[str, Any]:
        """The chosen input, or the most important one, value by value; not of personal data."""
        if not self.actor.may(Action.INPUT_VIEW, version.model.team_id):
            return {"hidden": "Your role does not see what claims were made of."}
        masked = personal_columns(version)
        names = [row["feature"] for row in version.explanation["features"] if row["feature"] not in masked]
        chosen = self.request.GET.get("feature", "")
        name = chosen if chosen in names else names[0] if names else ""
        found = selectors.dependence(version, name) if name else None
        if found is None:
            return {"hidden": "No input can be shown value by value."}
        figure = plots.dependence_figure(found)
        pairs = sorted(
            zip(found.values, found.contributions, strict=True), key=lambda pair: (str(type(pair[0])), pair[0])
        )
        return {
            "names": names,
            "chosen": name,
            "dependence": found,
            "pairs": pairs,
            "dependence_json": figure.to_json(),
        }
