"""The one navigation: only what exists, and only what this person may open."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from mlops_site.core.api.auth import actor_of
from mlops_site.core.permissions import Action, Actor
from monitoring import selectors as monitoring
from registry import selectors

Group = dict[str, Any]


def sidebar(request: HttpRequest) -> list[Group]:
    """The groups of links, as django-unfold's SIDEBAR takes them."""
    actor = actor_of(request)
    groups = [
        _group("", [_link(request, "Home", "home", "home")]),
        _group(
            "Models",
            [
                _link(request, "Models", "models", "deployed_code"),
                _link(request, "Training runs", "runs", "model_training"),
                _link(request, "Data sets", "datasets", "table"),
                _link(request, "Sources", "sources", "input"),
                _link(request, "Feature sets", "feature_sets", "view_column"),
            ],
        ),
        _group("Production", _production(request, actor)),
        _group("Governance", _governance(request, actor)),
        _group("Admin" if actor.teams(Action.PEOPLE_MANAGE) else "Account", _admin(request, actor)),
    ]
    return [group for group in groups if group["items"]]


def _production(request: HttpRequest, actor: Actor) -> list[dict[str, Any]]:
    alerts = _link(request, "Alerts", "alerts", "notifications")
    if unseen := monitoring.open_count(actor):
        alerts |= {"badge": str(unseen), "badge_variant": "danger"}
    reports = _link(request, "Reports", "reports", "monitoring")
    predictions = _link(request, "Predictions", "admin:monitoring_prediction_changelist", "data_exploration")
    scoring = _link(request, "Batch scoring", "batches", "batch_prediction")
    tests = _link(request, "Experiments", "experiments", "experiment")
    retraining = _link(request, "Retraining", "retrain_decisions", "model_training")
    told = _link(request, "Channels", "channels", "campaign")
    incidents = _link(request, "Incidents", "incidents", "report")
    items = [alerts, incidents, told, reports, retraining, tests, predictions, scoring]
    if actor.teams(Action.RETRAIN_SET):
        items.append(_link(request, "Schedules", "admin:django_celery_beat_periodictask_changelist", "schedule"))
    return items


def _governance(request: HttpRequest, actor: Actor) -> list[dict[str, Any]]:
    approvals = _link(request, "Approvals", "admin:registry_promotionrequest_changelist", "approval")
    queue = _link(request, "Waiting for me", "queue", "pending_actions")
    if waiting := selectors.requests(actor, waiting_for_me=True).count():
        queue |= {"badge": str(waiting), "badge_variant": "danger"}
    inventory = _link(request, "Inventory", "inventory", "inventory_2")
    period = _link(request, "Period report", "period_report", "date_range")
    audit = (
        [_link(request, "Audit", "admin:core_auditrecord_changelist", "history")]
        if actor.teams(Action.AUDIT_VIEW)
        else []
    )
    mine = [queue] if actor.teams(Action.PROMOTION_REVIEW) else []
    return [*mine, approvals, inventory, period, *audit]


def _admin(request: HttpRequest, actor: Actor) -> list[dict[str, Any]]:
    if not actor.teams(Action.PEOPLE_MANAGE):
        return [_link(request, "My tokens", "admin:core_token_changelist", "key")] if actor.roles else []
    return [
        _link(request, "People", "admin:core_membership_changelist", "group"),
        _link(request, "Tokens", "admin:core_token_changelist", "key"),
    ]


def _group(title: str, items: list[dict[str, Any]]) -> Group:
    return {"title": title, "items": items}


def _link(request: HttpRequest, title: str, name: str, icon: str) -> dict[str, Any]:
    link = reverse(name)
    active = request.path == link or (link != "/" and request.path.startswith(link.rstrip("/") + "/"))
    return {"title": title, "link": link, "icon": icon, "active": active}
