"""Noting who asks a model, on a path where every millisecond is somebody's claim waiting."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import date

from django.db import DatabaseError, transaction
from django.utils import timezone

from mlops_site.core.permissions import Actor
from registry.models import Consumer

_log = logging.getLogger(__name__)
_noted: dict[tuple[int, int], date] = {}  # (token, model) -> the day this process wrote last


def note_use(actor: Actor, model_ids: Iterable[int]) -> None:
    """That the actor's token asked these models today. It costs a look into memory, but for the first request of a day
    in a process, which writes. What was answered is not refused because this could not be written."""
    if actor.token_id is None:
        return
    today = timezone.now().date()
    new = [pk for pk in model_ids if _noted.get((actor.token_id, pk)) != today]
    if not new:
        return
    rows = [Consumer(model_id=pk, token_id=actor.token_id, last_used_on=today) for pk in sorted(new)]
    try:
        with transaction.atomic():
            Consumer.objects.bulk_create(
                rows, update_conflicts=True, unique_fields=["model", "token"], update_fields=["last_used_on"]
            )
    except DatabaseError:
        _log.warning("the use of %s models by token %s was not noted", len(new), actor.token_id, exc_info=True)
        return
    _noted.update({(actor.token_id, pk): today for pk in new})
