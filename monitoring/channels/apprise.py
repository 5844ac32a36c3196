"""Anything that Apprise speaks, to addresses that the operator names in APPRISE_URLS. A team chooses a name and never
types an address: Apprise connects by itself, in a hundred ways, some of them on this machine (dbus, syslog), where
no guard of ours could look at where it leads."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings

from mlops_site.core import http
from mlops_site.core.errors import Invalid
from mlops_site.core.mail import link
from mlops_site.core.models import Team
from monitoring.channels.wording import said, title_of

if TYPE_CHECKING:
    from monitoring.channels.delivery import Target

MAX_TEXT = 4000
_MOODS = {"critical": "failure", "high": "warning", "medium": "info"}


def named(team: Team) -> dict[str, str]:
    """The addresses that the team may use, by name."""
    return {place.name: place.address for place in settings.APPRISE_URLS if place.team in ("", team.name)}


def checked(address: str, team: Team) -> str:
    """A name of the operator's."""
    known = named(team)
    if address not in known:
        names = ", ".join(sorted(known)) or "none: the operator has set no APPRISE_URLS for this team"
        message = f"address must be a name that the operator has given ({names}) but got {address[:80]!r}"
        raise Invalid.on("address", message, code="unknown_place")
    return address


def send(target: Target, body: Mapping[str, Any]) -> http.Answer:
    """Apprise says whether it was taken, and why not in its log."""
    url = named(target.channel.team).get(target.address)
    if url is None:
        return http.Answer(None, f"APPRISE_URLS names no {target.address} for this team any more")
    import apprise  # 0.2 s, in the worker alone

    server = apprise.Apprise()
    if not server.add(url):
        return http.Answer(None, f"Apprise does not understand the address of {target.address} in APPRISE_URLS")
    told = said(body)
    text = "\n\n".join("\n".join(_lines(each, is_alone=len(told) == 1)) for each in told)[:MAX_TEXT]
    mood = (
        _MOODS.get(told[0].severity, "info") if body["type"] not in ("alert.resolved", "incident.closed") else "success"
    )
    capture: Any = apprise.LogCapture
    with capture(level=logging.WARNING) as output:
        taken = server.notify(title=title_of(body), body=text or title_of(body), notify_type=mood, body_format="text")
        reason = output.getvalue()
    return http.Answer(None, "" if taken else http.short(f"Apprise could not send it: {without(url, reason)}"))


def _lines(each: Any, *, is_alone: bool) -> list[str]:
    facts = [f"{name}: {value}" for name, value in each.facts] if is_alone else []
    heading = [] if is_alone else [each.heading]
    return [line for line in (*heading, each.text, *facts, link(each.path)) if line]


def without(url: str, text: str) -> str:
    """The text with none of the words of an address in it.

    >>> without("json://user:s3cret@hooks.example/path-x", "500 at /path-x for s3cret")
    '500 at /… for …'
    """
    words = sorted({word for word in re.split(r"[^A-Za-z0-9_.-]+", url) if len(word) >= http.SECRET_LENGTH}, key=len)
    for word in reversed(words):
        text = text.replace(word, "…")
    return text
