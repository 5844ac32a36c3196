"""Who does what only one may do at a time: a named row with a holder, taken and kept by conditional UPDATE."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db.models import Q
from django.db.models.functions import Now

from mlops_site.core.models import Lease

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def hold(name: str, *, holder: str, secs: float) -> bool:
    """Take the lease, or keep it, for so many seconds from now. False while somebody else has it.

    The clock is the database's: machines' clocks differ.
    """
    mine = Lease.objects.filter(Q(holder=holder) | Q(until__lt=Now()), name=name)
    if mine.update(holder=holder, until=Now() + timedelta(seconds=secs)):
        return True
    if Lease.objects.filter(name=name).exists():
        return False
    Lease.objects.bulk_create([Lease(name=name, holder="", until=LONG_AGO)], ignore_conflicts=True)
    return bool(mine.update(holder=holder, until=Now() + timedelta(seconds=secs)))


def let_go(name: str, *, holder: str) -> None:
    """End the lease at once, so that nobody waits for it to run out; nothing if it is somebody else's."""
    Lease.objects.filter(name=name, holder=holder).update(until=LONG_AGO)
