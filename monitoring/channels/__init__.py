"""Where alerts are told beside the inbox, one small module per channel, found by dotted path. A channel is a function
`tell(alert, event)`, called in the transaction of what it tells: it writes rows and reaches for nothing outside."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.module_loading import import_string

from monitoring.models import Alert

CHANNELS = ("monitoring.channels.webhook.tell",)
RAISED, RESOLVED = "alert.raised", "alert.resolved"


def tell(alert: Alert, event: str) -> None:
    """Tell every channel."""
    for path in CHANNELS:
        channel: Callable[[Alert, str], None] = import_string(path)
        channel(alert, event)
