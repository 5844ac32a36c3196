"""Asking for a file or a data set to be scored, and stopping it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, NamedTuple

from django.conf import settings
from django.db import transaction

from mlops_site.core import events, jobs, store
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict, FieldError, Invalid, StewardError, TooLarge
from mlops_site.core.permissions import Action, Actor, person, require
from monitoring.models import BatchChunk, BatchRun
from registry import selectors as registry
from registry.artifacts import frames
from registry.artifacts.signature import Signature
from registry.choices import SERVED
from registry.models import RegisteredModel, StageInterval, Version
from training.models import DatasetVersion
from training.selectors import dataset_named
from training.selectors.completing import lacking
from training.selectors.features import plan_of
from training.selectors.keeping import gone

CHUNK_ROWS = 50_000
LOGGED_CHUNK_ROWS = 5_000  # each of them is a row of its own, and nobody should wait long for the transaction
PIECES_AT_A_TIME = 500
MAX_RESULT_BYTES = 1 << 40
MAX_ROWS = 20_000_000


class Source(NamedTuple):
    """The file to score: its name, which tells its kind, and its bytes in the store."""

    name: str
    digest: str


class Found(NamedTuple):
    """How many rows a file has, where it says so, and which inputs it lacks that feature sets of the version have:
    input -> feature set."""

    rows: int | None
    read: dict[str, str]


def request_scoring(
    *,
    actor: Actor,
    model_name: str,
    version: str = "",
    file: IO[bytes] | None = None,
    filename: str = "",
    dataset: str = "",
    id_column: str = "",
    log: bool = True,
) -> BatchRun:
    """A queued job that scores a csv or parquet file, or a data set ("name" or "name@version"), with one version (the
    one in production if left out); the caller rings the bell. Inputs that the file lacks are read from the feature sets
    of the version, for the units that `id_column` names.

    Raises NotFound, Forbidden, Conflict `no_production_version` or `not_served`, TooLarge, and Invalid for a file
    that is no table or lacks inputs of the version.
    """
    # Who may not ask the model is told so, if it is theirs to see.
    action = Action.PREDICT if actor.teams(Action.PREDICT) else Action.VIEW
    model = registry.model_named(actor, model_name, action=action)
    with events.atomic():
        require(actor, Action.PREDICT, model.team, subject=model.subject)
    chosen = _served(model, registry.version_numbered(model, version) if version else None)
    rows_of = dataset_named(actor, dataset, team=model.team) if dataset else None
    source = _stored(file, filename, rows_of)
    with store.open_verified(source.digest) as opened:
        found = _checked(opened, source.name, chosen, id_column)
    with events.atomic():
        require(actor, Action.PREDICT, model.team, subject=model.subject)
        run = BatchRun.objects.create(
            model=model,
            version=chosen,
            dataset=rows_of,
            source_name=source.name,
            source_digest=source.digest,
            id_column=id_column,
            logged=log,
            chunk_rows=LOGGED_CHUNK_ROWS if log else CHUNK_ROWS,
            rows_total=found.rows,
            requested_by=person(actor),
            step="waiting for a worker",
        )
        made_of = {"version": chosen.number, "source": source.digest, "dataset": rows_of and str(rows_of)}
        data = {**made_of, "log": log, **({"read": found.read} if found.read else {})}
        events.record("batch.requested", actor=actor, subject=run.subject, team=model.team.name, data=data)
    return run


def cancel_scoring(run: BatchRun, *, actor: Actor) -> BatchRun:
    """Ask it to stop; asking again changes nothing. Conflict `already_ended` when it has ended otherwise."""
    with events.atomic():
        require(actor, Action.PREDICT, run.model.team, subject=run.subject)
        jobs.cancel(run, actor=actor, team=run.team_name)
    return run


def forget_pieces() -> int:
    """Delete what failed and cancelled runs had finished, whose next attempt never comes; how many pieces. Beside a run
    that goes on it touches nothing."""
    ended = BatchChunk.objects.filter(run__state__in=[JobState.FAILED, JobState.CANCELLED])
    count = 0
    while found := list(ended.values_list("pk", "digest")[:PIECES_AT_A_TIME]):
        with transaction.atomic():
            BatchChunk.objects.filter(pk__in=[pk for pk, _ in found]).delete()
        for _, digest in found:  # after the rows: a file that a crash leaves here, the sweep of orphans finds
            store.delete(digest)
        count += len(found)
    return count


@contextmanager
def opened_result(run: BatchRun, *, actor: Actor) -> Iterator[IO[bytes]]:
    """The scored file, checked against its digest; who took it is recorded. Conflict `no_result` before it is there."""
    with events.atomic():
        require(actor, Action.PREDICT, run.model.team, subject=run.subject)
        if not run.result_digest:
            message = f"{run} has no result because it is {run.state}; it is there once the run has succeeded"
            raise Conflict(message, code="no_result")
        data = {"result": run.result_digest}
        events.record("batch.downloaded", actor=actor, subject=run.subject, team=run.team_name, data=data)
    with store.open_verified(run.result_digest) as file:
        yield file


def _served(model: RegisteredModel, version: Version | None) -> Version:
    """The version to score with, which must be in a stage that serves, as in predict."""
    chosen = version or registry.in_production(model)
    if chosen is None:
        message = f"{model.name} has no version in production; promote one first, or name one in staging"
        raise Conflict(message, code="no_production_version")
    stage = StageInterval.objects.open().values_list("stage", flat=True).get(version=chosen)
    if stage not in SERVED:
        message = (
            f"version {chosen.number} of {model.name} must be in staging or production but is in {stage}; "
            "leave version out to score with the one in production"
        )
        raise Conflict.on("version", message, code="not_served")
    return chosen


def _stored(file: IO[bytes] | None, filename: str, dataset: DatasetVersion | None) -> Source:
    if (file is None) == (dataset is None):
        got = "neither" if file is None else "both"
        raise Invalid.on("file", f"either file or dataset must be given but got {got}", code="required")
    if dataset is not None:
        if why := gone(dataset):
            raise Conflict.on("dataset", f"{dataset} cannot be scored: {why}", code="data_gone")
        return Source(f"{dataset}.parquet", dataset.digest)
    assert file is not None
    try:
        kept = store.put(file, max_bytes=settings.MAX_UPLOAD_BYTES)
    except TooLarge as error:
        message = f"the file must be at most {settings.MAX_UPLOAD_BYTES:,} bytes but has more; send it in parts"
        raise TooLarge.on("file", message, code="too_large") from error
    return Source(filename[-255:], kept.digest)


def _checked(file: IO[bytes], name: str, version: Version, id_column: str) -> Found:
    """Invalid unless the file has every input, but for those that feature sets have of its units, and the column of
    ids."""
    from training.ml import pieces, refusals

    try:
        found = pieces.heading(file, name)
    except refusals.TableError as error:
        raise as_refusal(error) from error
    signature = Signature.from_json(version.signature)
    known = {name: each.reference for name, each in lacking(found.names, plan_of(version.pk), signature.names)}
    absent = frames.missing(signature, found.names)
    if lacks := [each for each in absent if not (id_column and each in known)]:
        raise _lacking(lacks, len(signature.inputs), known)
    if id_column and id_column not in found.names:
        message = f"id_column must be a column of the file but {id_column[:128]!r} is none"
        raise Invalid.on("id_column", message, code="unknown_column")
    if found.rows == 0:
        raise Invalid.on("file", "the file must have data rows but there is only a header", code="no_rows")
    return Found(found.rows, known if id_column else {})


def _lacking(names: list[str], of: int, known: Mapping[str, str]) -> Invalid:
    """The refusal of a file, which says of each column whether it could be read."""
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    message = f"the file lacks {len(names)} of the {of} inputs of this version: {shown}"
    hints = {name: f", or id_column must name the column of units to read it from {known[name]}" for name in known}
    errors = [
        FieldError(f"file.{each}", "missing_column", f"{each} must be a column{hints.get(each, '')}")
        for each in names[:100]
    ]
    return Invalid(message, code="missing_columns", errors=errors)


def as_refusal(error: Exception) -> StewardError:
    """What a reader of tables says, as the API says it."""
    from training.ml import refusals

    assert isinstance(error, refusals.TableError)
    errors = [FieldError("file" if p.field == "file" else f"file.{p.field}", p.code, p.message) for p in error.problems]
    return Invalid(error.message, code=error.code, errors=errors)
