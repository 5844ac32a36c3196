"""What changed between two versions of a data set: rows, columns, and how each column is distributed. Small ones are
compared when somebody asks; of large ones the result of a job is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow.parquet as pq
from django.conf import settings
from django.db.models import QuerySet

from mlops_site.core import events, store
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict, FieldError, Invalid, NotFound
from mlops_site.core.permissions import Actor, visible
from mlops_site.stats.columns import infer_kinds
from mlops_site.stats.compare import Drift, Severity, profile_drift, severity
from mlops_site.stats.distributions import Distribution, distribution
from mlops_site.stats.profile import Profile, reference_bins
from training.ml import differences
from training.ml.differences import ColumnChange, RowChange, WrongKeys
from training.models import Comparison, DatasetVersion
from training.models.versions import WANTED
from training.selectors.keeping import gone, hidden, profile_kept

KEPT = 32  # comparisons that a process remembers; versions never change
AT_ONCE = 5_000_000  # cells of both versions that are compared while somebody waits


class Compared(NamedTuple):
    """What comparing found; the profiles are of the version before and the one after, on the same bins."""

    rows: RowChange
    columns: ColumnChange
    profiles: tuple[Profile, Profile]


class Difference(NamedTuple):
    """`after` against `before`. `sizes` has a word for each column's effect, the same as for drift in production."""

    before: DatasetVersion
    after: DatasetVersion
    rows: RowChange
    columns: ColumnChange
    drift: Drift
    sizes: dict[str, Severity]
    profiles: tuple[Profile, Profile]


def difference(before: DatasetVersion, after: DatasetVersion, keys: Sequence[str] = ()) -> Difference:
    """Compare two versions, or read what a job found. Invalid for the same version twice, versions of two data sets,
    and keys that are absent on one side or do not tell rows apart; Conflict `not_compared` where they are too large to
    wait for, `data_gone` where bytes were deleted."""
    check_pair(before, after)
    made = comparison_kept(before, after, keys)
    if made is not None and made.state == JobState.SUCCEEDED:
        return _told(before, after, _read(made))
    check_bytes(before, after)
    if (cells := cells_of(before, after)) > AT_ONCE:
        raise not_compared(before, after, cells)
    return _told(before, after, _compared(before, after, tuple(dict.fromkeys(keys))))


def check_pair(before: DatasetVersion, after: DatasetVersion) -> None:
    if before.pk == after.pk:
        raise Invalid.on("with", f"two versions must be compared but both are {before}", code="same_version")
    if before.dataset_id != after.dataset_id:
        message = f"both must be versions of one data set but {before} and {after} are not"
        raise Invalid.on("with", message, code="other_dataset")


def check_bytes(before: DatasetVersion, after: DatasetVersion) -> None:
    """Conflict `data_gone` where one of them was deleted."""
    for version in (before, after):
        if why := gone(version):
            raise Conflict(f"{version} cannot be compared: {why}", code="data_gone")


def cells_of(before: DatasetVersion, after: DatasetVersion) -> int:
    return sum(version.rows * len(version.schema["columns"]) for version in (before, after))


def not_compared(before: DatasetVersion, after: DatasetVersion, cells: int) -> Conflict:
    message = (
        f"{before} and {after} have {cells:,} cells together, more than the {AT_ONCE:,} that are compared while you "
        "wait; have them compared by a worker (POST to the same address): what it finds is kept"
    )
    return Conflict(message, code="not_compared")


def _told(before: DatasetVersion, after: DatasetVersion, found: Compared) -> Difference:
    first, second = found.profiles
    drift = profile_drift(second, first, threshold=settings.DRIFT_THRESHOLD)
    sizes = {each.name: severity(each.effect) for each in drift.features}
    return Difference(before, after, found.rows, found.columns, drift, sizes, found.profiles)


def _compared(before: DatasetVersion, after: DatasetVersion, keys: tuple[str, ...]) -> Compared:
    try:
        return _remembered(before.digest, after.digest, keys, counts_of(before))
    except WrongKeys as error:
        raise wrong_keys(error) from error


def wrong_keys(error: WrongKeys) -> Invalid:
    return Invalid(str(error), code=error.code, errors=[FieldError("keys", error.code, str(error))])


def counts_of(version: DatasetVersion) -> bytes | None:
    """The profile that was kept with a version."""
    profile = profile_kept(version)
    return None if profile is None else profile.to_bytes()


@lru_cache(maxsize=KEPT)
def _remembered(before: str, after: str, keys: tuple[str, ...], counts: bytes | None) -> Compared:
    return compared(before, after, keys, counts)


def compared(
    before: str,
    after: str,
    keys: Sequence[str],
    counts: bytes | None,
    tell: Callable[[float], None] = differences.untold,
) -> Compared:
    """Of the bytes of two digests; `counts` are the profile of the first, where it was kept. `tell` hears which share
    of the rows' columns is done. Raises WrongKeys, ArtifactDamaged, NotFound."""
    with store.open_verified(before) as first, store.open_verified(after) as second:  # files: not held in memory
        old, new = pq.ParquetFile(first), pq.ParquetFile(second)
        reference = _profile(old) if counts is None else Profile.from_bytes(counts)
        pair = (reference, differences.profile_on(new, reference.bins))
        return Compared(differences.rows_changed(old, new, keys, tell), differences.columns_changed(old, new), pair)


def _profile(table: pq.ParquetFile) -> Profile:
    frame = table.read().to_pandas()
    return differences.profile_on(table, reference_bins(frame, infer_kinds(frame), salt="difference"))


def _read(made: Comparison) -> Compared:
    said: dict[str, Any] = made.column_change or {}
    columns = ColumnChange(said["added"], said["removed"], [tuple(each) for each in said["retyped"]])
    first, second = (Profile.from_bytes(bytes(counts or b"")) for counts in (made.counts_before, made.counts_after))
    return Compared(RowChange(**(made.row_change or {})), columns, (first, second))


def keys_of(keys: Sequence[str]) -> tuple[list[str], str]:
    """Keys in the order of their names, which changes nothing that is found, and their digest."""
    names = sorted(set(keys))
    return names, events.digest_of(names)


def comparison_kept(before: DatasetVersion, after: DatasetVersion, keys: Sequence[str]) -> Comparison | None:
    """The job that compares the pair or has done so."""
    rows = Comparison.objects.filter(before=before, after=after, keys_digest=keys_of(keys)[1], state__in=WANTED)
    return rows.select_related("before__dataset", "after__dataset__team").first()


def comparisons(actor: Actor) -> QuerySet[Comparison]:
    """Those of the actor's teams, newest first."""
    rows = Comparison.objects.select_related("before__dataset", "after__dataset__team", "requested_by")
    return visible(actor, rows.defer("counts_before", "counts_after"), team="after__dataset__team")


def comparison_of(actor: Actor, job_id: UUID) -> Comparison:
    """One comparison; NotFound if there is none or it is another team's."""
    found = comparisons(actor).filter(pk=job_id).first()
    if found is None:
        raise NotFound(f"there is no comparison {job_id}", code="unknown_comparison")
    return found


def last_failed(before: DatasetVersion, after: DatasetVersion, keys: Sequence[str]) -> Comparison | None:
    """The newest comparison of the pair, where it did not come to its end."""
    rows = Comparison.objects.filter(before=before, after=after, keys_digest=keys_of(keys)[1])
    newest = rows.defer("counts_before", "counts_after").first()
    return newest if newest is not None and newest.state in (JobState.FAILED, JobState.CANCELLED) else None


def distributions(found: Difference, actor: Actor, *, most: int) -> list[Distribution]:
    """The columns that moved most, on both sides, for a figure; none whose values the actor is not shown."""
    closed = hidden(actor, found.before) | hidden(actor, found.after)
    moved = sorted(
        (each for each in found.drift.features if each.effect and each.name not in closed),
        key=lambda each: -(each.effect or 0),
    )
    return [distribution(found.profiles[1], found.profiles[0], each.name) for each in moved[:most]]
