"""Data set versions: read, judged, made canonical and stored before their row is written."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from django.conf import settings
from django.db.models import Max

from mlops_site.core import events, places, store
from mlops_site.core.errors import Conflict, FieldError, Invalid, NotFound
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor, person, require, team_for
from training import signals
from training.models import Dataset, DatasetVersion, VersionProfile
from training.models.dataset import DATASET_NAME
from training.selectors.keeping import gone, lost
from training.services.judging import Declaration, digest_of, refused, stored

if TYPE_CHECKING:
    import pandas as pd


class Prepared(NamedTuple):
    """A version that is stored but not yet kept: what takes long is done, and nobody was made to wait for it."""

    name: str
    owner: Team
    declared: Declaration
    source_digest: str
    digest: str
    rows: int
    schema: dict[str, Any]
    quality: dict[str, Any]
    counts: bytes
    personal: list[dict[str, str]]


def create_dataset_version(
    *,
    actor: Actor,
    name: str,
    source: BinaryIO,
    filename: str,
    target: str,
    time_column: str = "",
    group_column: str = "",
    pii: Sequence[str] = (),
    team: str | None = None,
    lineage: dict[str, Any] | None = None,
) -> DatasetVersion:
    """The next version of the named data set, or the existing one of the same bytes and declaration.

    `source` is a binary csv or parquet file at its start; `filename` only tells which. Nothing is written of a file
    that is no table or has no target to learn from; one that is not as expected is kept, and blocked. Raises Invalid
    (every column at fault), TooLarge, Forbidden, NotFound for a name that another team has.
    """
    declared = Declaration(target, time_column, group_column, tuple(sorted(set(pii))))
    ready = prepare_dataset(actor=actor, name=name, source=source, filename=filename, declared=declared, team=team)
    return ready if isinstance(ready, DatasetVersion) else keep_dataset(ready, actor=actor, lineage=lineage)


def register_dataset_version(*, actor: Actor, name: str, location: str, **declared: Any) -> DatasetVersion:
    """The same from where the operator lets the team read: a path, or s3://bucket/key. The bytes are copied, so what
    becomes of the file later changes nothing. Raises what `create_dataset_version` does, and Invalid for a place that
    is not the team's, Unavailable for a file that is still being written or a store that does not answer."""
    owner = _owner(actor, name, declared.get("team")).name
    opened = places.object_opened if location.startswith("s3://") else places.opened
    with opened(location, owner, max_bytes=settings.MAX_UPLOAD_BYTES) as file:
        came = {"source": "registered", "location": location}
        given = {"filename": location.rpartition("/")[2], "lineage": came, **declared}
        return create_dataset_version(actor=actor, name=name, source=file, **given)


def prepare_dataset(
    *,
    actor: Actor,
    name: str,
    source: BinaryIO,
    filename: str,
    declared: Declaration,
    team: str | None = None,
    keeps_useless: bool = False,
) -> Prepared | DatasetVersion:
    """The first half of `create_dataset_version`, outside any transaction: read, judge and store. The version itself
    where it exists. What is prepared and then not kept leaves a file that no row names. For `keeps_useless` see
    `stored`."""
    owner = _owner(actor, name, team)
    source_digest = digest_of(source, filename, declared)
    if found := _existing(name, source_digest):
        if not store.exists(found.digest):
            _restore(found, stored(source, filename, name, declared).digest)
        return found
    kept = stored(source, filename, name, declared, keeps_useless=keeps_useless)
    return Prepared(name, owner, declared, source_digest, *kept)


def keep_dataset(ready: Prepared, *, actor: Actor, lineage: dict[str, Any] | None = None) -> DatasetVersion:
    """The second half: the row, with the next number of its data set."""
    with events.atomic():
        dataset = _locked(ready.name, ready.owner, actor)
        if found := _existing(ready.name, ready.source_digest):
            return found
        version = DatasetVersion.objects.create(
            dataset=dataset,
            version=(dataset.versions.aggregate(last=Max("version"))["last"] or 0) + 1,
            digest=ready.digest,
            source_digest=ready.source_digest,
            rows=ready.rows,
            schema=ready.schema,
            quality=ready.quality,
            lineage=lineage or {},
            created_by=person(actor),
            **{**asdict(ready.declared), "pii": list(ready.declared.pii)},
        )
        VersionProfile.objects.create(version=version, counts=ready.counts, personal=ready.personal)
        data = {"version": version.version, "digest": ready.digest, "rows": version.rows, "lineage": version.lineage}
        data |= {"passed": version.quality["passed"]}
        events.record("dataset.version_created", actor=actor, subject=dataset.subject, team=ready.owner.name, data=data)
        signals.dataset_version_created.send(sender=DatasetVersion, version=version)
    return version


def parquet_of(frame: pd.DataFrame) -> BinaryIO:
    """A pandas frame as the file that `create_dataset_version` takes, refused for the same reasons."""
    from training.ml import tables

    try:
        return io.BytesIO(tables.to_parquet(tables.from_frame(frame)))
    except tables.TableError as error:
        raise refused(error) from error


def _restore(version: DatasetVersion, digest: str) -> None:
    """The file of a version, which the store had lost, was stored again: Conflict `data_gone` if it is another one."""
    if digest != version.digest:
        message = (
            f"{lost(version)}; from the same bytes the libraries of today make another one (sha256 {digest}): keep "
            "them under another name"
        )
        raise Conflict(message, code="data_gone", errors=[FieldError("file", "data_gone", message)])


def _owner(actor: Actor, name: str, team: str | None) -> Team:
    """The team that the data set is, or will be, of; the actor may add to it."""
    if not re.fullmatch(DATASET_NAME, name):
        raise Invalid.on("name", f"name must match {DATASET_NAME} but got {name[:80]!r}", code="bad_name")
    with events.atomic():
        dataset = Dataset.objects.select_related("team").filter(name=name).first()
        if dataset is None:
            return team_for(actor, team, Action.DATASET_CREATE)
        if not actor.may(Action.VIEW, dataset.team_id):
            raise _taken(name)
        require(actor, Action.DATASET_CREATE, dataset.team, subject=dataset.subject)
        return dataset.team


def _taken(name: str) -> NotFound:
    message = f"there is no data set {name} of yours, and the name is taken; choose another"
    return NotFound(message, code="unknown_dataset", errors=[FieldError("name", "unknown_dataset", message)])


def _locked(name: str, owner: Team, actor: Actor) -> Dataset:
    """The data set's row, locked, so that versions are numbered one after the other."""
    dataset, is_new = Dataset.objects.get_or_create(name=name, defaults={"team": owner, "created_by": person(actor)})
    if dataset.team_id != owner.pk:
        raise _taken(name)
    if is_new:
        events.record("dataset.created", actor=actor, subject=dataset.subject, team=owner.name)
    return Dataset.objects.select_for_update(no_key=True).get(pk=dataset.pk)


def _existing(name: str, source_digest: str) -> DatasetVersion | None:
    """The version of these bytes. Conflict where they were deleted for good reason: they do not come back unasked."""
    rows = DatasetVersion.objects.select_related("dataset__team", "erasure__by")
    found = rows.filter(dataset__name=name, source_digest=source_digest).first()
    if found is not None and (why := gone(found)):
        message = f"these bytes are {found}, and {why}; keep them under another name, or leave them out"
        raise Conflict(message, code="data_gone", errors=[FieldError("file", "data_gone", message)])
    return found
