"""What is kept of a data set version: its bytes or why they are gone, who answers for it, how its columns look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import IO, Any

from django.db.models import Exists, OuterRef, QuerySet

from mlops_site.core import store
from mlops_site.core.errors import Conflict, NotFound
from mlops_site.core.permissions import Action, Actor
from mlops_site.stats.profile import Profile
from registry.choices import Stage
from registry.models import StageInterval
from training.ml.overview import ColumnLook, overview
from training.models import DatasetVersion, Run, VersionProfile

_CAME_IN = ("", "registered")  # by an upload, or from where the operator lets a team read


def gone(version: DatasetVersion) -> str:
    """Why the bytes are no longer kept, as the end of a sentence; "" where they are."""
    found = getattr(version, "erasure", None)
    if found is None:
        return ""
    return f"its bytes were deleted on {found.at:%Y-%m-%d} by {found.by or 'retention'}: {found.reason}"


def lost(version: DatasetVersion) -> str:
    """That the file is missing though nobody deleted it, and what helps; to be said where the store has none."""
    again = ", or upload the same file under the same name" if version.lineage.get("source", "") in _CAME_IN else ""
    return (
        f"the file of {version} (sha256 {version.digest}) is not in the store, though nobody deleted it here; "
        f"restore it from a backup of the store{again}"
    )


def data_of(version: DatasetVersion) -> bytes:
    """The canonical Parquet. Conflict `data_gone` where it was deleted, ArtifactDamaged, NotFound."""
    if why := gone(version):
        raise Conflict(f"{version} cannot be read: {why}", code="data_gone")
    return store.read(version.digest)


@contextmanager
def opened_data(version: DatasetVersion) -> Iterator[IO[bytes]]:
    """The canonical Parquet as a file. Conflict `data_gone`, ArtifactDamaged."""
    if why := gone(version):
        raise Conflict(f"{version} cannot be read: {why}", code="data_gone")
    try:
        with store.open_verified(version.digest) as file:
            yield file
    except NotFound as error:
        message = f"the data of {version} ({version.digest}) is deleted; upload the same bytes again"
        raise Conflict.on("dataset", message, code="data_gone") from error


def profile_kept(version: DatasetVersion) -> Profile | None:
    """How the columns were distributed when the version was made; None for one made before profiles were kept."""
    row = kept_of(version)
    return None if row is None else Profile.from_bytes(bytes(row.counts))


def kept_of(version: DatasetVersion) -> VersionProfile | None:
    """The row, read once for each object of a version."""
    try:
        return version.profile
    except VersionProfile.DoesNotExist:
        return None


def suggestions(version: DatasetVersion) -> list[dict[str, str]]:
    """Columns that look like personal data and are not declared as such: [{"column", "kind", "why"}, ...]."""
    row = kept_of(version)
    return [each for each in (row.personal if row else []) if each["column"] not in version.pii]


def hidden(actor: Actor, version: DatasetVersion) -> frozenset[str]:
    """The columns whose values the actor is not shown: those with personal data, without the right to see inputs."""
    return frozenset() if actor.may(Action.INPUT_VIEW, version.dataset.team_id) else frozenset(version.pii)


def schema_shown(actor: Actor, version: DatasetVersion) -> dict[str, Any]:
    """The schema without the values of columns that the actor is not shown."""
    closed = hidden(actor, version)
    return {**version.schema, "columns": [_shut(c) if c["name"] in closed else c for c in version.schema["columns"]]}


def _shut(column: dict[str, Any]) -> dict[str, Any]:
    values = ("labels", "levels", "min", "max")
    return {name: None if name in values else value for name, value in column.items()}


def quality_shown(actor: Actor, version: DatasetVersion) -> dict[str, Any]:
    """The report of its checks, without what it says of the values of columns that the actor is not shown."""
    closed, quality = hidden(actor, version), version.quality
    if not closed or "checks" not in quality:
        return dict(quality)
    checks = [
        {**check, "message": "Personal data: not shown to you."} if check.get("column") in closed else check
        for check in quality["checks"]
    ]
    return {**quality, "checks": checks}


def looks(actor: Actor, version: DatasetVersion) -> list[ColumnLook]:
    """How each column looks; of those that the actor is not shown, only how many cells are missing."""
    kept, closed = profile_kept(version), hidden(actor, version)
    found = [] if kept is None else overview(kept)
    return [ColumnLook(*look[:5]) if look.name in closed else look for look in found]


def in_production() -> Exists:
    """Whether a model version in production was trained on a data set version."""
    serving = StageInterval.objects.open().filter(stage=Stage.PRODUCTION).values("version")
    return Exists(Run.objects.filter(dataset=OuterRef("pk"), version__in=serving))


def under_way() -> Exists:
    """Whether a run on it waits or works."""
    return Exists(Run.objects.filter(dataset=OuterRef("pk"), state__in=("queued", "running")))


def expired(now: datetime) -> QuerySet[DatasetVersion]:
    """Versions whose bytes have been kept as long as their data set says, that nothing holds: no legal hold, no version
    in production, no run under way."""
    rows = DatasetVersion.objects.filter(erasure=None, dataset__hold="", dataset__retention_days__isnull=False)
    rows = rows.exclude(in_production()).exclude(under_way()).select_related("dataset__team")
    late = [row.pk for row in rows if row.created_at + timedelta(days=row.dataset.retention_days or 0) <= now]
    return rows.filter(pk__in=late)
