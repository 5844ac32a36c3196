"""The pages of who answers for models: a card, the inventory, the report on a period."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.utils import timezone

from mlops_site.core.dashboards import Page
from mlops_site.core.errors import StewardError
from mlops_site.core.permissions import Action
from registry import selectors
from registry.choices import RiskTier
from registry.dashboards import reads
from registry.dashboards.version import version_of
from registry.forms import PeriodForm
from registry.selectors.period import KINDS

SHOWN = 100


class CardPage(Page):
    template_name = "registry/card.html"

    def facts(self) -> dict[str, Any]:
        version = version_of(self.actor, self.kwargs["model"], self.kwargs["number"])
        found = selectors.card(version)
        return {
            "title": f"Card of {version}",
            "version": version,
            "card": found,
            "metrics": reads.metrics_of(version),
            "importance": sorted(found.importance.items(), key=lambda item: -item[1])[:15],
            "may_edit": self.actor.may(Action.MODEL_EDIT, version.model.team_id),
            "may_export": self.actor.may(Action.EVIDENCE_EXPORT, version.model.team_id),
        }


class InventoryPage(Page):
    template_name = "registry/inventory.html"
    title = "Model inventory"

    def facts(self) -> dict[str, Any]:
        asked = {name: self.request.GET.get(name, "")[:200] for name in ("search", "risk_tier", "stage")}
        rows = selectors.inventory(self.actor, **_known(asked))
        page = Paginator(rows, SHOWN).get_page(self.request.GET.get("page"))
        return {
            "lines": selectors.inventory_lines(page.object_list),
            "page": page,
            "asked": asked,
            "tiers": RiskTier.values,
            "query": urlencode({name: value for name, value in _known(asked).items() if value}),
        }


def _known(asked: dict[str, str]) -> dict[str, str]:
    """What was asked, without words that are none: a page answers, where the API refuses."""
    tier, stage = asked["risk_tier"], asked["stage"]
    return {
        "search": asked["search"].replace("\0", ""),
        "risk_tier": tier if tier in RiskTier.values else "",
        "stage": "production" if stage == "production" else "",
    }


class PeriodPage(Page):
    template_name = "registry/period.html"
    title = "Period report"

    def facts(self) -> dict[str, Any]:
        today = timezone.now().date()
        asked = {"first": self.request.GET.get("from"), "last": self.request.GET.get("to")}
        initial = {"first": today - timedelta(days=90), "last": today}
        form = PeriodForm({name: value or initial[name] for name, value in asked.items()})
        return {"form": form, **(self._report(form) if form.is_valid() else {"refused": "", "groups": []})}

    def _report(self, form: PeriodForm) -> dict[str, Any]:
        first: date = form.cleaned_data["first"]
        last: date = form.cleaned_data["last"]
        try:
            found = selectors.period_report(self.actor, first=first, last=last)
        except StewardError as error:
            return {"refused": error.detail, "groups": []}
        return {"found": found, "groups": [(kind, found.of(kind)) for kind in KINDS]}
