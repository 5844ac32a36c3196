"""Verifies the audit chain and writes the signed checkpoints that leave the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
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
    with checkpoint_file().open("a") as file:
        file.write(line + "\n")
    return head.seq


def faults() -> Iterator[str]:
    """Every fault in order of rows, the first bad row first; nothing when the chain is whole."""
    yield from (f"trigger {name} is missing from the database" for name in laws.missing())
    seq, previous = 0, ""
    for row in AuditRecord.objects.order_by("seq").iterator(chunk_size=2000):
        seq += 1
        fault = _fault(row, seq, previous)
        if fault:
            yield f"row {row.seq}: {fault}"
            return
        previous = row.digest
    head = ChainHead.objects.filter(pk=1).first()
    if (head.seq, head.digest) != (seq, previous) if head else seq:
        yield f"row {seq + 1}: the chain ends at {seq} but its head says {head.seq if head else 'nothing'}"
    yield from _checkpoint_faults()


def _fault(row: AuditRecord, seq: int, previous: str) -> str:
    if row.seq != seq:
        return f"number {seq} is missing"
    if row.previous != previous:
        return "does not follow the row before it"
    if row.digest != link(previous, row.body):
        return "its content is not what was signed"
    said = json.loads(row.body)
    columns = {"seq": row.seq, "at": row.at.isoformat(), "team": row.team, "action": row.action}
    if any(said[name] != value for name, value in columns.items()):
        return "its columns differ from what was signed"
    if said["actor"][:200] != row.actor or said["subject"][:200] != row.subject:
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
