"""E-mail to addresses that a team names: HTML and text, in one thread for each alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import reverse

from mlops_site.core import http, mail
from mlops_site.core.errors import Invalid
from mlops_site.core.models import Team
from mlops_site.core.webhooks import TIMEOUT_SECS
from monitoring.channels.wording import said, title_of

if TYPE_CHECKING:
    from monitoring.channels.delivery import Target

MAX_ADDRESSES = 20


def checked(address: str, team: Team) -> str:
    """Addresses, parted by commas; the team sees them."""
    if not settings.EMAIL_HOST:
        raise Invalid.on("kind", "this site sends no mail: its operator has not set EMAIL_HOST", code="no_mail_server")
    found = addresses(address)
    if not 1 <= len(found) <= MAX_ADDRESSES:
        message = f"address must name 1 to {MAX_ADDRESSES} e-mail addresses but names {len(found)}"
        raise Invalid.on("address", message, code="bad_address")
    for each in found:
        try:
            mail.checked(each)
        except ValueError as error:
            raise Invalid.on("address", f"address {error}", code="bad_address") from None
    return ", ".join(found) if len(", ".join(found)) <= 300 else f"{len(found)} addresses"


def send(target: Target, body: Mapping[str, Any]) -> http.Answer:
    letter = letter_of(target, body)
    made = mail.message(letter, to=addresses(target.address), key=target.key)
    return mail.send(made, timeout_secs=TIMEOUT_SECS)


def letter_of(target: Target, body: Mapping[str, Any]) -> mail.Letter:
    channel = target.channel
    parts = [mail.Part(each.heading, each.text, each.severity, each.facts, each.path) for each in said(body)]
    why = f"The channel “{channel.name}” of team {channel.team} sends this to {', '.join(addresses(target.address))}."
    path = reverse("channel", args=[channel.pk])
    return mail.Letter(title_of(body), parts, target.subject, f"{channel.name}.{channel.team}", why, path)


def addresses(text: str) -> list[str]:
    """Each once, in the order that they are named."""
    return list(dict.fromkeys(each.strip() for each in text.replace(";", ",").split(",") if each.strip()))
