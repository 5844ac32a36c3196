"""What the data of a model is held to: the table, and the form of one limit."""

from __future__ import annotations

from functools import cached_property
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden, NotFound
from mlops_site.core.permissions import Action
from mlops_site.core.templatetags.steward import quality_check
from monitoring import services
from monitoring.forms import LimitForm
from monitoring.forms.limits import BOUNDS
from monitoring.selectors.dashboard import version_shown
from monitoring.selectors.limits import Row, history_of, limits_of
from monitoring.stats.limits import PARTS
from registry import selectors as registry
from registry.models import RegisteredModel, Version


class LimitsPage(Page):
    template_name = "monitoring/limits.html"

    def facts(self) -> dict[str, Any]:
        model = registry.model_named(self.actor, self.kwargs["model"])
        version = version_shown(model, self.request.GET.get("version", ""))
        found = limits_of(version) if version else None
        return {
            "title": f"Limits of {model}",
            "model": model,
            "version": version,
            "versions": [row.number for row in registry.versions(model)],
            "found": found,
            "features": _by_feature(found.rows) if found else [],
            "history": history_of(model),
            "may_set": self.actor.may(Action.LIMITS_SET, model.team_id),
        }


def _by_feature(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    return [(name, list(each)) for name, each in groupby(rows, key=lambda row: row.limit.feature)]


class LimitPage(FormPage):
    """One check of one feature, named in the query: a feature may have any name."""

    template_name = "monitoring/limit_form.html"
    form_class = LimitForm
    button = "Set the limit"

    @cached_property
    def model(self) -> RegisteredModel:
        return registry.model_named(self.actor, self.kwargs["model"])

    @cached_property
    def version(self) -> Version:
        found = version_shown(self.model, self.request.GET.get("version", ""))
        if found is None:
            raise NotFound(f"{self.model} has no version yet", code="unknown_version")
        return found

    @cached_property
    def row(self) -> Row:
        asked = self.request.GET.get("feature", ""), self.request.GET.get("check", "")
        for row in limits_of(self.version).rows:
            if (row.limit.feature, row.limit.check) == asked:
                return row
        raise NotFound(f"{self.version} has no such limit", code="unknown_limit")

    def form_options(self) -> dict[str, Any]:
        said = dict(self.row.limit.edit or {})
        said["allowed"] = "\n".join(said.get("allowed", []))
        said |= {f"no_{name}": True for name in BOUNDS if name in said and said[name] is None}
        return {"parts": PARTS[self.row.limit.check], "initial": said}

    def facts(self) -> dict[str, Any]:
        if not self.actor.may(Action.LIMITS_SET, self.model.team_id):
            raise Forbidden("only an ML engineer or a validator sets limits")
        limit, back = self.row.limit, self._back
        return {
            "title": f"Limit of {limit.feature}",
            "crumbs": [
                ("Models", reverse("models")),
                (self.model.name, reverse("model", args=[self.model.name])),
                ("Limits", back),
            ],
            "back": back,
            "question": f"{limit.feature}: what may be {quality_check(limit.check)}?",
            "answer": "What is left empty is derived. It holds for each version that has the feature.",
            "is_set": limit.edit is not None,
            "notes": [f"Derived for {self.version.number}: {_told(limit.derived)}"],
        }

    @property
    def _back(self) -> str:
        return f"{reverse('quality_limits', args=[self.model.name])}?version={self.version.number}"

    def save(self, form: LimitForm) -> str:
        limit = self.row.limit
        edit = {
            "feature": limit.feature,
            "check": limit.check,
            "limit": None if "reset" in self.request.POST else form.limit(),
        }
        services.set_quality_limits(self.version, actor=self.actor, edits=[edit], reason=form.cleaned_data["reason"])
        what = "is derived again" if edit["limit"] is None else "is set"
        messages.success(self.request, f"The limit of {limit.feature} {what}.")
        return self._back


def _told(derived: dict[str, Any]) -> str:
    said = [f"{name.replace('_', ' ')} {value:g}" for name, value in derived.items() if isinstance(value, int | float)]
    return ", ".join(said) or "not all the same"
