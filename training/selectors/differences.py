"""What changed between two versions of a data set: rows, columns, and how each column is distributed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import pyarrow.parquet as pq
from django.conf import settings

from mlops_site.core import store
from mlops_site.core.errors import Conflict, FieldError, Invalid
from mlops_site.core.permissions import Actor
from mlops_site.stats.columns import infer_kinds
from mlops_site.stats.compare import Drift, Severity, profile_drift, severity
from mlops_site.stats.distributions import Distribution, distribution
from mlops_site.stats.profile import Profile, reference_bins
from training.ml import differences
from training.ml.differences import ColumnChange, RowChange, WrongKeys
from training.models import DatasetVersion
from training.selectors.keeping import gone, hidden, profile_kept

KEPT = 32  # comparisons that a process remembers; versions never change


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
    """Compare two versions. Invalid for the same version twice, versions of two data sets, and keys that are absent on
    one side or do not tell rows apart; Conflict `data_gone` where bytes were deleted."""
    if before.pk == after.pk:
        raise Invalid.on("with", f"two versions must be compared but both are {before}", code="same_version")
    if before.dataset_id != after.dataset_id:
        message = f"both must be versions of one data set but {before} and {after} are not"
        raise Invalid.on("with", message, code="other_dataset")
    for version in (before, after):
        if why := gone(version):
            raise Conflict(f"{version} cannot be compared: {why}", code="data_gone")
    try:
        profile = profile_kept(before)
        known = None if profile is None else profile.to_bytes()
        rows, columns, profiles = _compared(before.digest, after.digest, tuple(dict.fromkeys(keys)), known)
    except WrongKeys as error:
        raise Invalid(str(error), code=error.code, errors=[FieldError("keys", error.code, str(error))]) from error
    drift = profile_drift(profiles[1], profiles[0], threshold=settings.DRIFT_THRESHOLD)
    sizes = {each.name: severity(each.effect) for each in drift.features}
    return Difference(before, after, rows, columns, drift, sizes, profiles)


@lru_cache(maxsize=KEPT)
def _compared(
    before: str, after: str, keys: tuple[str, ...], counts: bytes | None
) -> tuple[RowChange, ColumnChange, tuple[Profile, Profile]]:
    """Of the bytes of two digests; `counts` are the profile of the first, where it was kept."""
    with store.open_verified(before) as first, store.open_verified(after) as second:  # files: not held in memory
        old, new = pq.ParquetFile(first), pq.ParquetFile(second)
        reference = _profile(old) if counts is None else Profile.from_bytes(counts)
        pair = (reference, differences.profile_on(new, reference.bins))
        return differences.rows_changed(old, new, keys), differences.columns_changed(old, new), pair


def _profile(table: pq.ParquetFile) -> Profile:
    frame = table.read().to_pandas()
    return differences.profile_on(table, reference_bins(frame, infer_kinds(frame), salt="difference"))


def distributions(found: Difference, actor: Actor, *, most: int) -> list[Distribution]:
    """The columns that moved most, on both sides, for a figure; none whose values the actor is not shown."""
    closed = hidden(actor, found.before) | hidden(actor, found.after)
    moved = sorted(
        (each for each in found.drift.features if each.effect and each.name not in closed),
        key=lambda each: -(each.effect or 0),
    )
    return [distribution(found.profiles[1], found.profiles[0], each.name) for each in moved[:most]]
