"""Times between which a later reader can cut without losing a row that was under way.

A writer takes its time inside its transaction, under a shared lock that it holds to the end; a reader takes the cut
under the exclusive one. Whatever is stamped up to the cut is then committed, and whatever is not is stamped after it.
Both read the database's clock, since those of two machines differ. On SQLite the one writer's transaction is the lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone


def stamp(subjects: Iterable[str]) -> datetime:
    """The time for rows about to be written about `subjects`; to be called in the transaction that writes them."""
    if not connection.in_atomic_block:
        raise RuntimeError("a row must be stamped in the transaction that writes it")
    return _locked("pg_advisory_xact_lock_shared", sorted(set(subjects)))


def cut(subject: str) -> datetime:
    """A time up to which nothing about `subject` is still being written. Waits for the writers of this moment."""
    with transaction.atomic():
        return _locked("pg_advisory_xact_lock", [subject])


def _locked(function: str, subjects: list[str]) -> datetime:
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        for subject in subjects:
            cursor.execute(f"SELECT {function}(%s)", [_key(subject)])
        cursor.execute("SELECT clock_timestamp()")  # not now(), which is when the transaction began
        found: datetime = cursor.fetchone()[0]
    return found


def _key(subject: str) -> int:
    return int.from_bytes(hashlib.sha256(f"cut {subject}".encode()).digest()[:8], signed=True)
