"""Core's own edge: what must be done soon after a commit."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from mlops_site.core.tasks import send_deliveries
from mlops_site.core.webhooks import BELL_SECS


def ring(**_: Any) -> None:
    """Of delivery_enqueued: wake a worker once the row is committed. A broker that is down delays it until Beat's, and
    so does a queue in which the bell gets old: many bells for receivers that hang must not keep folders waiting."""
    transaction.on_commit(lambda: send_deliveries.apply_async(expires=BELL_SECS), robust=True)
