"""A version's page, and the forms that move it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.permissions import Action, Actor, require
from registry import selectors, services
from registry.choices import MOVES, RequestStatus, Stage
from registry.dashboards import reads
from registry.forms import MoveForm, ReportForm, RequestForm
from registry.models import Version
from registry.selectors.search import tags_of


def version_of(actor: Actor, model: str, number: str) -> Version:
    return selectors.version_numbered(selectors.model_named(actor, model), number)


class VersionPage(Page):
    template_name = "registry/version.html"

    def facts(self) -> dict[str, Any]:
        model, number = self.kwargs["model"], self.kwargs["number"]
        version = version_of(self.actor, model, number)
        team = version.model.team_id
        requests = list(selectors.requests(self.actor, model=version.model).filter(version=version))
        return {
            "title": str(version),
            "version": version,
            "remark": getattr(version, "remark", None),
            "tags": tags_of(version),
            "aliases": [alias.name for alias in version.aliases.all()],
            "may_annotate": self.actor.may(Action.ANNOTATE, team),
            "may_deprecate": self.actor.may(Action.VERSION_DEPRECATE, team),
            "metrics": reads.metrics_of(version),
            "origins": reads.origins(version),
            "mlflow": selectors.in_mlflow(version),
            "lag": selectors.lag(version=version),
            "importance": sorted(version.importance.items(), key=lambda item: -item[1])[:15],
            "intervals": list(selectors.intervals(version))[::-1],
            "requests": requests,
            "pending": next((r for r in requests if r.status == RequestStatus.PENDING), None),
            "may_request": version.stage == Stage.STAGING and self.actor.may(Action.PROMOTION_REQUEST, team),
            "may_move": bool(_targets(version)) and self.actor.may(Action.STAGE_MOVE, team),
            "reports": list(selectors.reports(version)),
            "may_attach": self.actor.may(Action.REPORT_ATTACH, team),
            "conditions": list(
                selectors.open_conditions(self.actor, model=version.model).filter(request__version=version)
            ),
            "closers": self.actor.teams(Action.PROMOTION_DECIDE),
            "may_export": self.actor.may(Action.EVIDENCE_EXPORT, team),
            "current": selectors.in_production(version.model),
        }


def _targets(version: Version) -> list[str]:
    """Where a person may move it at once; production goes by request."""
    return [stage for stage in MOVES[version.stage] if stage != Stage.PRODUCTION]


class VersionFormPage(FormPage):
    """A form about one version: what the page says of it, and where it returns to."""

    needed: Action

    def facts(self) -> dict[str, Any]:
        model, number = self.kwargs["model"], self.kwargs["number"]
        version = version_of(self.actor, model, number)
        require(self.actor, self.needed, version.model.team, subject=version.subject)
        crumbs = [("Models", reverse("models")), (model, reverse("model", args=[model])), (number, self.back(version))]
        return {"crumbs": crumbs, "back": self.back(version), **self.words(version)}

    def words(self, version: Version) -> dict[str, Any]:
        """Title, question and answer of the page."""
        return {}

    @staticmethod
    def back(version: Version) -> str:
        return reverse("version", args=[version.model.name, version.number])


class RequestPage(VersionFormPage):
    form_class = RequestForm
    button = "Request promotion"
    needed = Action.PROMOTION_REQUEST

    def words(self, version: Version) -> dict[str, Any]:
        now = selectors.in_production(version.model)
        warnings = selectors.interface_warnings(selectors.interface_change(now, version))
        return {
            "title": "Request promotion",
            "question": f"Ask to put {version} into production?",
            "answer": f"It would replace {now.number}." if now else "It would be the first in production.",
            "notes": [f"Somebody else decides: {version.model} is of {version.model.risk_tier} risk."],
            "warnings": warnings,
        }

    def save(self, form: RequestForm) -> str:
        version = version_of(self.actor, self.kwargs["model"], self.kwargs["number"])
        request = services.request_promotion(version, actor=self.actor, **form.cleaned_data)
        messages.success(self.request, f"The request to promote {version} waits for an approver.")
        return reverse("admin:registry_promotionrequest_change", args=[request.pk])


class ReportPage(VersionFormPage):
    form_class = ReportForm
    button = "Attach"
    needed = Action.REPORT_ATTACH
    file_field = "file"

    def words(self, version: Version) -> dict[str, Any]:
        limit = settings.REPORT_MAX_BYTES // 2**20
        return {
            "title": "Attach a validation report",
            "question": f"Attach a validation report to {version}?",
            "answer": f"At most {limit} MB. It stays for good.",
            "notes": ["Whoever has approved a request that still waits has not seen it, and is asked again."],
        }

    def save(self, form: ReportForm) -> str:
        version = version_of(self.actor, self.kwargs["model"], self.kwargs["number"])
        file = form.cleaned_data["file"]
        services.attach_report(version, actor=self.actor, name=file.name, content=file)
        messages.success(self.request, f"{file.name} is attached to {version}.")
        return self.back(version)


class MovePage(VersionFormPage):
    form_class = MoveForm
    button = "Move"
    needed = Action.STAGE_MOVE

    def form_options(self) -> dict[str, Any]:
        return {"targets": _targets(version_of(self.actor, self.kwargs["model"], self.kwargs["number"]))}

    def words(self, version: Version) -> dict[str, Any]:
        if not _targets(version):
            return {
                "title": "Move",
                "question": f"{version} stays where it is.",
                "answer": f"From {version.stage} no version is moved; a rollback brings back what served.",
                "impossible": True,
            }
        return {
            "title": "Move",
            "question": f"Move {version} to another stage?",
            "answer": f"It is in {version.stage}.",
        }

    def save(self, form: MoveForm) -> str:
        version = version_of(self.actor, self.kwargs["model"], self.kwargs["number"])
        said = form.cleaned_data
        services.move_stage(version, actor=self.actor, target_stage=said["target_stage"], reason=said["reason"])
        messages.success(self.request, f"{version} is in {said['target_stage']}.")
        return self.back(version)
