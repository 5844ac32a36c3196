"""Microsoft Teams' workflow webhooks ("Post to a channel when a webhook request is received"): an adaptive card. What
anybody typed stands in text runs, which Teams shows as they are; text blocks and facts would read Markdown in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_site.core import http
from mlops_site.core.mail import link
from monitoring.channels.webhook import checked, post_json
from monitoring.channels.wording import Said, said, title_of

if TYPE_CHECKING:
    from monitoring.channels.delivery import Target

__all__ = ["checked", "payload", "send"]
SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
COLORS = {"critical": "Attention", "high": "Warning", "medium": "Accent"}
MAX_TEXT = 1000  # of one run: the whole card must stay under 28 KB


def send(target: Target, body: Mapping[str, Any]) -> http.Answer:
    return post_json(target, payload(body))


def payload(body: Mapping[str, Any]) -> dict[str, Any]:
    """https://adaptivecards.io/explorer, version 1.4, as a message with one attachment"""
    told, items = said(body), list[dict[str, Any]]()
    if len(told) > 1:
        items.append(_run(title_of(body), weight="Bolder", size="Large"))
    for each in told:
        items.append(_container(each, is_first=not items, is_alone=len(told) == 1))
    card: dict[str, Any] = {"$schema": SCHEMA, "type": "AdaptiveCard", "version": "1.4", "body": items}
    if len(told) == 1 and (where := link(told[0].path)):
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open it in Steward", "url": where}]
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


def _container(each: Said, *, is_first: bool, is_alone: bool) -> dict[str, Any]:
    lines = [_run(each.heading, weight="Bolder", size="Medium" if is_alone else "Default")]
    if each.severity:
        lines.append(_run(each.severity.capitalize(), color=COLORS.get(each.severity, "Default")))
    if each.text:
        lines.append(_run(each.text))
    if is_alone:
        lines += [_run(f"{name}: {value}") for name, value in each.facts]
    return {"type": "Container", "separator": not is_first, "items": lines}


def _run(text: str, **style: str) -> dict[str, Any]:
    shown = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": shown, **style}]}
