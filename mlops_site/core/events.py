"""One transaction, one record: services run in `atomic()`, say what happened with `record(...)`, and the facts enter
the hash chain as the last statement of the outermost transaction. Lock order: model, request, chain."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from mlops_site.core.errors import Forbidden
from mlops_site.core.models import AuditRecord, ChainHead
from mlops_site.core.permissions import Actor
from mlops_site.core.prepared import PreparedObjects


class Fact(NamedTuple):
    actor: str
    team: str
    action: str
    subject: str
    data: dict[str, Any]


class _Open(threading.local):
    """What this thread's open services have said so far."""

    depth = 0
    facts: list[Fact] | None = None


_open = _Open()


@contextmanager
def atomic() -> Iterator[None]:
    """A transaction whose facts are chained when the outermost one ends. A refusal is chained after the rollback."""
    outermost = _open.depth == 0
    if outermost or _open.facts is None:
        _open.facts = []
    mark = len(_open.facts)
    _open.depth += 1
    try:
        with transaction.atomic():
            yield
            if outermost:
                _chain(_open.facts)
    except BaseException as error:
        del _open.facts[mark:]
        if outermost and isinstance(error, Forbidden):
            record_refusal(error)
        raise
    finally:
        _open.depth -= 1


def record(action: str, *, actor: Actor, subject: str, team: str = "", data: dict[str, Any] | None = None) -> None:
    """Say a fact inside a service. Predictions, labels and heartbeats are never said here."""
    if _open.depth == 0 or _open.facts is None:
        raise RuntimeError(f"{action} must be recorded inside events.atomic()")
    _open.facts.append(Fact(actor.name, team, action, subject, data or {}))


def record_refusal(error: Forbidden) -> None:
    """Chain a refusal in a transaction of its own, once what was attempted has been rolled back."""
    said = error.refusal
    if said is None:
        return
    error.is_recorded = True
    fact = Fact(
        said["actor"].name,
        said["team"],
        said["action"],
        said["subject"],
        {"code": said["code"], "detail": error.detail},
    )
    with transaction.atomic():
        _chain([fact])


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, NaN refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """sha256 of the canonical JSON, in hex: how evidence, configs and requests are bound."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def link(previous: str, body: str) -> str:
    """HMAC-SHA256 of one chain link."""
    return hmac.new(settings.AUDIT_KEY.encode(), f"{previous}\n{body}".encode(), hashlib.sha256).hexdigest()


def body_of(*, seq: int, at: datetime, fact: Fact) -> str:
    return canonical({"seq": seq, "at": at.isoformat(), **fact._asdict()})


def _chain(facts: list[Fact]) -> None:
    if not facts:
        return
    head = next(iter(_head()), None) or _first_head()
    at, seq, previous, rows = timezone.now(), head.seq, head.digest, []
    for fact in facts:
        seq += 1
        body = body_of(seq=seq, at=at, fact=fact)
        digest = link(previous, body)
        rows.append(
            AuditRecord(
                seq=seq,
                at=at,
                actor=fact.actor[:200],
                team=fact.team,
                action=fact.action,
                subject=fact.subject[:200],
                body=body,
                previous=previous,
                digest=digest,
            )
        )
        previous = digest
    AuditRecord.objects.bulk_create(rows)
    ChainHead.objects.filter(pk=1).update(seq=seq, digest=previous)


@PreparedObjects
def _head() -> QuerySet[ChainHead]:
    return ChainHead.objects.select_for_update().filter(pk=1)


def _first_head() -> ChainHead:
    ChainHead.objects.bulk_create([ChainHead(pk=1)], ignore_conflicts=True)
    return ChainHead.objects.select_for_update().get(pk=1)
