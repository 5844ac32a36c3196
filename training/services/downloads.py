"""A data set's rows leaving the system, and who took them."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_site.core import events, store
from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Action, Actor, require
from training.models import DatasetVersion
from training.selectors.keeping import gone

CHUNK_BYTES = 1 << 18


def download_dataset(version: DatasetVersion, *, actor: Actor) -> Iterator[bytes]:
    """The canonical Parquet file, checked against its digest, a piece at a time; the audit names who takes it before
    the first. Forbidden, Conflict `data_gone`, NotFound, ArtifactDamaged."""
    team = version.dataset.team
    with events.atomic():
        require(actor, Action.DATASET_DOWNLOAD, team, subject=version.dataset.subject)
        if why := gone(version):
            raise Conflict(f"{version} cannot be downloaded: {why}", code="data_gone")
        data = {"version": version.version, "digest": version.digest, "rows": version.rows, "pii": version.pii}
        events.record("dataset.downloaded", actor=actor, subject=version.dataset.subject, team=team.name, data=data)
    pieces = _pieces(version.digest)
    first = next(pieces)  # so that a damaged file is refused before the answer begins
    return _joined(first, pieces)


def _pieces(digest: str) -> Iterator[bytes]:
    with store.open_verified(digest) as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
