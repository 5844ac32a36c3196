"""What people read of a message: made of the body that a webhook gets, so that every channel says the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

MAX_ITEMS = 20  # of a digest that people read
_DONE = {
    "alert.raised": "",
    "alert.resolved": "Resolved: ",
    "alert.acknowledged": "Somebody looks at it: ",
    "alert.assigned": "Assigned: ",
    "alert.escalated": "Nobody looks at it yet: ",
    "incident.closed": "Closed: ",
}
_SHOWN = {
    "model": "Model",
    "version": "Version",
    "rule": "About",
    "kind": "About",
    "subject": "Subject",
    "status": "Status",
    "assignee": "Given to",
}


class Said(NamedTuple):
    """One thing that is told. Of these only `path`, `severity` and the model's name are ours: the rest may hold what
    anybody typed."""

    heading: str
    text: str
    severity: str
    facts: list[tuple[str, str]]
    path: str


def title_of(body: Mapping[str, Any]) -> str:
    """One line for a subject or a preview.

    >>> title_of({"type": "alert.digest", "alerts": [{"type": "alert.raised"}] * 2, "channel": "on call"})
    '2 alerts'
    >>> title_of({"type": "alert.resolved", "severity": "high", "model": "claims", "summary": "Age drifted"})
    '[high] claims: Resolved: Age drifted'
    """
    if body["type"] == "alert.digest":
        count = len(body["alerts"]) + int(body.get("left_out", 0))
        what = "alert" if all(is_alert(each) for each in body["alerts"]) else "message"
        return f"{count} {what}{'' if count == 1 else 's'}"
    if body.get("severity"):
        return f"[{body['severity']}] {body['model']}: {heading_of(body)}"
    return str(body["summary"])


def is_alert(body: Mapping[str, Any]) -> bool:
    return str(body["type"]).startswith("alert.")


def heading_of(body: Mapping[str, Any]) -> str:
    return f"{_DONE.get(body['type'], '')}{body['summary']}"


def said(body: Mapping[str, Any]) -> list[Said]:
    """What is told, one or many; the end of a long digest is only counted."""
    if body["type"] == "alert.digest":
        found = [_one(each) for each in body["alerts"][:MAX_ITEMS]]
        more = len(body["alerts"]) + int(body.get("left_out", 0)) - len(found)
        rest = [Said(f"{more} more", "The inbox of alerts has them all.", "", [], "/alerts")] if more > 0 else []
        return found + rest
    return [_one(body)]


def _one(body: Mapping[str, Any]) -> Said:
    if not body.get("severity"):
        return Said(str(body["summary"]), str(body.get("detail", "")), "", [], str(body.get("url", "")))
    facts = [(label, str(body[name])) for name, label in _SHOWN.items() if body.get(name)]
    return Said(heading_of(body), str(body.get("detail", "")), str(body["severity"]), facts, str(body["url"]))
