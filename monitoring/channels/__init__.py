"""Where alerts are told, one small module per channel, found by dotted path. `tell` is called in the transaction of
what it tells: it writes rows and reaches for nothing outside, so that no channel can hold up or undo an alert.

The module of a kind has `checked(address, team)`, what may be shown of an address or Invalid, and `send(target,
body)`, one message on its way, which raises nothing for what the other side does."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.module_loading import import_string

from monitoring.models import Alert

CHANNELS = ("monitoring.channels.webhook.tell", "monitoring.channels.routing.tell")
RAISED, RESOLVED = "alert.raised", "alert.resolved"
ACKNOWLEDGED, ASSIGNED, ESCALATED = "alert.acknowledged", "alert.assigned", "alert.escalated"
DIGEST, TEST = "alert.digest", "channel.test"


def tell(alert: Alert, event: str) -> None:
    """Tell every channel."""
    for path in CHANNELS:
        channel: Callable[[Alert, str], None] = import_string(path)
        channel(alert, event)
