"""Who asks a model, and what a promotion would change for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from registry.artifacts.interface import Change, changes
from registry.models import Consumer, RegisteredModel, Version

CONSUMER_DAYS = 30
SHOWN = 100


def consumers(model: RegisteredModel) -> list[dict[str, Any]]:
    """The tokens that predicted or logged with the model in the last 30 days, latest first:
    {"token" (its prefix), "holder", "last_used_on"}. One query."""
    since = timezone.now().date() - timedelta(days=CONSUMER_DAYS)
    rows = Consumer.objects.filter(model=model, last_used_on__gte=since).order_by("-last_used_on", "token__prefix")
    columns = rows.values_list("token__prefix", "token__user__username", "last_used_on")
    return [{"token": prefix, "holder": holder, "last_used_on": day} for prefix, holder, day in columns[:SHOWN]]


def interface_change(replaced: Version | None, version: Version) -> dict[str, Any] | None:
    """What callers would notice if `version` took the place of `replaced`, and who they are:
    {"replaces", "changes": [{"what", "name", "before", "after", "said"}], "consumers"}; None if nothing changes for
    them. It asks the database only when the signatures differ."""
    if replaced is None or replaced.signature_digest == version.signature_digest:
        return None
    found = changes(replaced.signature, version.signature)
    told = [{**row, "last_used_on": row["last_used_on"].isoformat()} for row in consumers(version.model)]
    return {"replaces": replaced.number, "changes": [_told(change) for change in found], "consumers": told}


def _told(change: Change) -> dict[str, Any]:
    return {**change._asdict(), "said": str(change)}


def interface_warnings(change: dict[str, Any] | None) -> list[str]:
    """The same as sentences; none where nothing changes."""
    if change is None:
        return []
    what = "; ".join(row["said"] for row in change["changes"])
    holders = ", ".join(f"{row['holder']} (token {row['token']})" for row in change["consumers"])
    asked = f"Asked by in the last {CONSUMER_DAYS} days: {holders}." if holders else "No token asked it in 30 days."
    return [f"The signature differs from that of {change['replaces']}, which is in production: {what}. {asked}"]
