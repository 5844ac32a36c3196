"""Slack's incoming webhooks, and what speaks like them (Mattermost): blocks, with a plain line for notifications.
What anybody typed stands in plain text, where Slack reads no mentions, links or marks."""

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
MAX_HEADER, MAX_TEXT, MAX_FIELDS, MAX_BLOCKS = 150, 2900, 10, 50  # Slack's own limits


def send(target: Target, body: Mapping[str, Any]) -> http.Answer:
    return post_json(target, payload(body))


def payload(body: Mapping[str, Any]) -> dict[str, Any]:
    """https://api.slack.com/reference/block-kit/blocks"""
    title, told = title_of(body), said(body)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(title, MAX_HEADER)}]
    for each in told:
        blocks += _blocks(each, is_alone=len(told) == 1)
    return {"text": _escaped(title)[:MAX_TEXT], "blocks": blocks[:MAX_BLOCKS]}


def _blocks(each: Said, *, is_alone: bool) -> list[dict[str, Any]]:
    words = each.text if is_alone else f"{each.severity}: {each.heading}" if each.severity else each.heading
    section: dict[str, Any] = {"type": "section"}
    if words:
        section["text"] = _plain(words, MAX_TEXT)
    if is_alone and each.facts:
        section["fields"] = [_plain(f"{name}: {value}", 2000) for name, value in each.facts[:MAX_FIELDS]]
    found = [section] if len(section) > 1 else []
    if where := link(each.path):
        found.append({"type": "context", "elements": [{"type": "mrkdwn", "text": f"<{where}|Open it in Steward>"}]})
    return found


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": text if len(text) <= most else text[: most - 1] + "…", "emoji": False}


def _escaped(text: str) -> str:
    """https://api.slack.com/reference/surfaces/formatting#escaping"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
