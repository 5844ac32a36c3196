"""Versions of a model side by side, and one metric over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_site.core.dashboards import Page
from mlops_site.core.errors import Conflict, Invalid
from mlops_site.core.templatetags.steward import metric
from registry import plots, selectors
from registry.choices import Stage
from registry.dashboards import overlays
from registry.models import RegisteredModel, Version
from registry.selectors.side_by_side import MOST

OFFERED = 60  # versions to choose from, the newest
MOST_ASKED = 20  # more than can be compared, so that too many are told so


class ComparePage(Page):
    template_name = "registry/compare.html"
    title = "Compare"

    def facts(self) -> dict[str, Any]:
        found = selectors.model_named(self.actor, self.kwargs["model"])
        offered = list(selectors.versions(found)[:OFFERED])
        diff_only = self.request.GET.get("diff_only") == "1"
        facts = {"model": found, "offered": offered, "diff_only": diff_only, "most": MOST}
        labels = self._asked(_default(offered))
        if not labels:
            return facts
        asked = self.request.GET.get("base", "")
        base = asked if asked in labels else labels[0]
        shown = {**facts, "chosen": labels, "asked_base": base}
        try:
            return {**shown, **self._said(found, labels, base, diff_only=diff_only)}
        except (Conflict, Invalid) as error:
            return {**shown, "refused": error.detail}

    def _said(self, model: RegisteredModel, labels: list[str], base: str, *, diff_only: bool) -> dict[str, Any]:
        versions = selectors.versions_named(self.actor, model, labels)
        said = selectors.side_by_side(versions, base=base, diff_only=diff_only)
        figures = overlays.figures(said["overlays"])
        return {
            "said": said,
            "labels": list(versions),
            "params": _table(said["params"], versions),
            "signature": _table({"rows": [*said["signature"]["output"], *said["signature"]["inputs"]]}, versions),
            "metrics": [{**row, "cells": row["values"]} for row in said["metrics"]],
            "datasets": list(said["dataset"].get("values", {}).items()),
            "artifacts": list(said["artifact"].get("values", {}).items()),
            "drawn": figures,
            "figures": bool(figures),
        }

    def _asked(self, default: list[str]) -> list[str]:
        """`versions`, given once with commas or many times; `v1` and `v2` are the first two of older addresses."""
        asked = self.request.GET
        parts = [part.strip() for text in asked.getlist("versions")[:MOST_ASKED] for part in text.split(",")]
        if not parts and default:
            parts = [asked.get(name) or said for name, said in zip(("v1", "v2"), default, strict=True)]
        return [part[:160] for part in parts if part][:MOST_ASKED]


def _default(offered: list[Version]) -> list[str]:
    """The newest against production, or against the one before it."""
    if len(offered) < 2:
        return []
    newest = offered[0]
    served = next((version for version in offered if version.stage == Stage.PRODUCTION), None)
    base = served if served is not None and served != newest else offered[1]
    return [base.number, newest.number]


def _table(section: Mapping[str, Any], versions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows whose cells stand in the order of the versions; None where a version lacks the name."""
    return [{**row, "cells": [row["values"].get(label) for label in versions]} for row in section["rows"]]


class TrendPage(Page):
    template_name = "registry/trend.html"

    def facts(self) -> dict[str, Any]:
        model = selectors.model_named(self.actor, self.kwargs["model"])
        asked = self.request.GET.get("metric") or None
        known = selectors.metric_trend(model)
        found = selectors.metric_trend(model, metric=asked) if asked in known.known else known
        drawn = []
        if found.metric is not None:
            points = overlays.trend(found)._replace(metric=metric(found.metric))
            drawn = [("trend", "by version", plots.trend_figure(points).to_json())]
            if points.stays:
                drawn.append(("served", "of what served, over time", plots.served_figure(points).to_json()))
        return {"title": f"Metrics of {model}", "model": model, "trend": found, "points": found.points[::-1],
                "drawn": drawn, "figures": bool(drawn)}  # fmt: skip
