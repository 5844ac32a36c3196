"""What a version's answers are counted on: the bins of its reference and the shape of its tally."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from mlops_site.stats.profile import Bins, Profile
from monitoring.stats.estimation import Estimator, estimator_of
from monitoring.stats.tally import Shape, shape_of
from registry.models import Version

KEPT = 200  # versions in a process's memory; a reference takes up to a few MB


class Basis(NamedTuple):
    """`reference` is the profile of the training data, None where the version came without one; `estimator` is None
    with a `why_not` where performance cannot be estimated without labels."""

    reference: Profile | None
    shape: Shape
    estimator: Estimator | None = None
    why_not: str = ""

    @property
    def bins(self) -> Bins | None:
        return self.reference.bins if self.reference is not None else None


_kept: dict[tuple[int, str], Basis] = {}


def basis_of(version: Version) -> Basis:
    """Of one version; read once per process, because a version never changes: no query after that, unless the version
    was read without its digest."""
    if "content_digest" in version.get_deferred_fields():
        return bases([version.pk])[version.pk]
    return bases_at([(version.pk, version.content_digest)])[version.pk]


def bases(version_ids: Collection[int]) -> dict[int, Basis]:
    """Version id -> its basis, of those that exist: one query, and one more for those not read before."""
    return bases_at(Version.objects.filter(pk__in=version_ids).values_list("pk", "content_digest"))


def bases_at(keys: Iterable[tuple[int, str]]) -> dict[int, Basis]:
    """The same by ids and content digests, read already. The digest belongs to the key because a database that was
    made anew counts its ids from the start."""
    rows = list(keys)
    found = {key: _kept[key] for key in rows if key in _kept}
    if missing := set(rows) - set(found):
        found |= _read(missing)
        _keep(found)
    return {pk: basis for (pk, _), basis in found.items()}


def _read(keys: Collection[tuple[int, str]]) -> dict[tuple[int, str], Basis]:
    rows: Any = Version.objects.filter(pk__in=[pk for pk, _ in keys])
    found = {}
    for pk, digest, signature, reference, held_out in rows.values_list(
        "pk", "content_digest", "signature", "reference", "held_out"
    ):
        profile = Profile.from_bytes(bytes(reference)) if reference is not None else None
        shape = shape_of(signature)
        found[pk, digest] = Basis(profile, shape, *estimator_of(held_out, shape, profile.bins if profile else None))
    return found


def forget() -> None:
    """What is kept is read again: for whoever counts statements."""
    _kept.clear()


def _keep(found: dict[tuple[int, str], Basis]) -> None:
    if len(_kept) + len(found) > KEPT:
        _kept.clear()
    _kept.update(found)
