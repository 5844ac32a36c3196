"""A feature set of claims histories, and values of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from mlops_site.core.permissions import Actor
from training.models import FeatureSetVersion
from training.services import define_feature_set, load_feature_values

COLUMNS = [
    {"name": "visits", "kind": "number", "description": "in the twelve months before"},
    {"name": "plan", "kind": "category", "pii": True},
]
DAY = timedelta(days=1)


def feature_set(actor: Actor, **changes: Any) -> FeatureSetVersion:
    said = {"name": "claim_history", "entity": "person", "columns": COLUMNS, "freshness_secs": 30 * 86_400}
    return define_feature_set(actor=actor, **{**said, **changes})


def day(number: int) -> datetime:
    return datetime(2026, 1, number, 12, tzinfo=UTC)


def row(unit: str, event_at: datetime, values: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """As it is sent."""
    said = {"visits": 3, "plan": "family"} if values is None else values
    told = {name: each.isoformat() if isinstance(each, datetime) else each for name, each in more.items()}
    return {"unit_id": unit, "event_at": event_at.isoformat(), "values": said, **told}


def known(found: FeatureSetVersion, actor: Actor, unit: str, values: dict[str, Any], *, days_ago: float = 1) -> None:
    """A value that has been known for so long."""
    at = timezone.now() - days_ago * DAY
    load_feature_values(found, actor=actor, rows=[row(unit, at, values, ingested_at=at)])
