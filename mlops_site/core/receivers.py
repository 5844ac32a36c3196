"""Core's own edge: what must be done soon after a commit."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from mlops_site.core.tasks import send_deliveries


def ring(**_: Any) -> None:
    """Of delivery_enqueued: wake a worker once the row is committed. A broker that is down delays it until Beat's."""
    transaction.on_commit(lambda: send_deliveries.delay(), robust=True)
