"""Verifies the audit chain and writes the signed checkpoints that leave the database."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from mlops_site.core import laws
from mlops_site.core.events import canonical, link
from mlops_site.core.models import AuditRecord, ChainHead


def checkpoint_file() -> Path:
    return Path(settings.STEWARD_HOME) / "audit_checkpoints.jsonl"


def write_checkpoint() -> int:
    """Append the chain's head, signed, to a file outside the database. Returns the head's number."""
    head = ChainHead.objects.filter(pk=1).first()
    if head is None or head.seq == 0:
        return 0
    point = {"seq": head.seq, "digest": head.digest, "at": timezone.now().isoformat()}
    line = canonical({**point, "signature": link("checkpoint", canonical(point))})
    handle = os.open(checkpoint_file(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    return head.seq


def faults() -> Iterator[str]:
    """Every fault in order of rows, the first bad row first; nothing when the chain is whole. It may grow meanwhile."""
    yield from (f"trigger {name} is missing from the database, or altered" for name in laws.missing())
    head = ChainHead.objects.filter(pk=1).first() or ChainHead(seq=0, digest="")
    seq, previous = 0, ""
    for row in AuditRecord.objects.filter(seq__lte=head.seq).order_by("seq").iterator(chunk_size=2000):
        seq += 1
        fault = _fault(row, seq, previous)
        if fault:
            yield f"row {seq}: {fault}"
            return
        previous = row.digest
    if (head.seq, head.digest) != (seq, previous):
        yield f"row {seq + 1}: the chain ends at {seq} but its head says {head.seq}"
    yield from _beyond_the_head()
    yield from _checkpoint_faults()


def _beyond_the_head() -> Iterator[str]:
    """Rows that no head accounts for; one statement, so that a writer between two looks is no fault."""
    head = Coalesce(Subquery(ChainHead.objects.filter(pk=1).values("seq")), 0)
    if row := AuditRecord.objects.filter(seq__gt=head).order_by("seq").first():
        yield f"row {row.seq}: it stands beyond the chain's head"


def _fault(row: AuditRecord, seq: int, previous: str) -> str:
    if row.seq != seq:
        return f"it is missing; the next one is {row.seq}"
    if row.previous != previous:
        return "does not follow the row before it"
    if row.digest != link(previous, row.body):
        return "its content is not what was signed"
    said = json.loads(row.body)
    signed = (said["seq"], said["at"], said["team"], said["action"], said["actor"][:200], said["subject"][:200])
    if signed != (row.seq, row.at.isoformat(), row.team, row.action, row.actor, row.subject):
        return "its columns differ from what was signed"
    return ""


def _checkpoint_faults() -> Iterator[str]:
    path = checkpoint_file()
    if not path.exists():
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        point = _checkpoint(line)
        if point is None:
            yield f"checkpoint {number} in {path.name} is not signed by this install's AUDIT_KEY"
        elif not AuditRecord.objects.filter(seq=point["seq"], digest=point["digest"]).exists():
            yield f"row {point['seq']}: not the one that checkpoint {number} of {point['at']} saw"


def _checkpoint(line: str) -> dict[str, Any] | None:
    try:
        point: dict[str, Any] = json.loads(line)
        signature = point.pop("signature")
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    return point if signature == link("checkpoint", canonical(point)) else None
