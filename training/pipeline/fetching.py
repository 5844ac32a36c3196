"""One look at a source: read what is new, put it through the checks, keep it as a version, start a run.

Each step can be done again: what is read is the same until it changes, the same bytes are the same version, and the
version and the run are each written in one transaction with the row that says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import pandas as pd
from django.conf import settings

from mlops_site.core import jobs, places
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Invalid, StewardError, Unavailable
from mlops_site.core.permissions import Actor
from mlops_site.core.places import Found
from mlops_site.core.tasks import ring
from training.choices import SourceKind, Takes
from training.ml import tables
from training.models import DatasetVersion, DataSource, Fetch, Run
from training.selectors.sources import CHECK, KEEP, START
from training.services import request_run
from training.services.datasets import keep_dataset, parquet_of, prepare_dataset
from training.services.judging import Declaration
from training.services.queries import rows_of


class Material(NamedTuple):
    """What was read: a file at its start, what it is called, and what of it goes into the lineage."""

    file: BinaryIO
    filename: str
    said: dict[str, object]


def execute(fetch: Fetch) -> None:
    """One attempt. It ends with a succeeded fetch, or raises: LeaseLost, StewardError with the reason."""
    source = fetch.source
    if fetch.version is None:
        found = _listed(source)
        jobs.advance(fetch, found=[list(each) for each in found], progress=0.1)
        if found and fetch.found == source.seen:
            _end(fetch, "nothing new: every file is as it was at the last look")
            return
        with _material(source, found) as material:
            _kept(fetch, material)
    _started(fetch)


def _listed(source: DataSource) -> list[Found]:
    """The files that a look sees; none of a query, whose answer is read each time."""
    if source.kind == SourceKind.SQL:
        return []
    listing = places.files if source.kind == SourceKind.FOLDER else places.objects
    pattern, team = source.pattern or "*", source.team.name
    found = [each for each in listing(source.location, pattern, team) if not each.name.startswith(".")]
    if not found:
        message = f"no file in {source.location} matches {pattern}"
        raise Invalid.on("location", message, code="nothing_there")
    return found


@contextmanager
def _material(source: DataSource, found: list[Found]) -> Iterator[Material]:
    if source.kind == SourceKind.SQL:
        url = places.database(source.location, source.team.name)
        limits = {"max_rows": tables.MAX_ROWS, "max_cells": tables.MAX_CELLS}
        frame = rows_of(url, source.query, secs=settings.SOURCE_QUERY_SECS, **limits)
        yield Material(parquet_of(frame), "query.parquet", {"database": source.location})
    elif source.takes == Takes.NEWEST:
        newest = _newest(source, found)
        with _opened(source, newest.name) as file:
            yield Material(file, newest.name, {"location": _place(source, newest.name)})
    else:
        frame = _joined(source, found)
        said = {"location": source.location, "files": [each.name for each in found][:100], "file_count": len(found)}
        yield Material(parquet_of(frame), "files.parquet", said)


def _newest(source: DataSource, found: list[Found]) -> Found:
    """Of the files that are new or have changed since the last look, the one whose name comes last: exports carry
    their date in it, and a clock that went back does not change it."""
    seen = {tuple(each) for each in source.seen}
    return max((each for each in found if tuple(each) not in seen), key=lambda each: each.name, default=found[-1])


def _place(source: DataSource, name: str) -> str:
    return f"{source.location.rstrip('/')}/{name}"


@contextmanager
def _opened(source: DataSource, name: str) -> Iterator[BinaryIO]:
    opened = places.opened if source.kind == SourceKind.FOLDER else places.object_opened
    with opened(_place(source, name), source.team.name, max_bytes=settings.MAX_UPLOAD_BYTES) as file:
        yield file


def _joined(source: DataSource, found: list[Found]) -> pd.DataFrame:
    """All files one after the other, in the order of their names. Every file must have the same columns."""
    frames: list[pd.DataFrame] = []
    cells = 0
    for each in found:
        with _opened(source, each.name) as file:
            frames.append(_table(each.name, file))
        if set(frames[-1].columns) != set(frames[0].columns):
            odd = sorted(set(frames[-1].columns) ^ set(frames[0].columns))
            message = f"{each.name} must have the columns of {found[0].name} but they differ in {', '.join(odd)[:200]}"
            raise Invalid.on("file", message, code="other_columns")
        cells += frames[-1].size
        if cells > tables.MAX_CELLS:
            raise Invalid.on(
                "file", f"the files must have at most {tables.MAX_CELLS:,} cells together", code="too_large"
            )
    return pd.concat(frames, ignore_index=True)


def _table(name: str, file: BinaryIO) -> pd.DataFrame:
    try:
        return tables.read_table(file, filename=name, max_bytes=settings.MAX_UPLOAD_BYTES)
    except tables.TableError as error:
        raise Invalid.on("file", f"{name}: {error.message}", code=error.code) from error


def _kept(fetch: Fetch, material: Material) -> None:
    """Through the checks, and into the next version of the data set; every refusal is in the error of the row."""
    source, actor = fetch.source, Actor.of(fetch.requested_by)
    declared = Declaration(source.target, source.time_column, source.group_column, tuple(sorted(set(source.pii))))
    jobs.advance(fetch, step=CHECK, progress=0.3)
    try:
        ready = prepare_dataset(
            actor=actor,
            name=source.dataset_name,
            source=material.file,
            filename=material.filename,
            declared=declared,
            team=source.team.name,
        )
    except Unavailable:
        raise
    except StewardError as error:
        said = "; ".join(each.message for each in error.errors) or error.detail
        raise type(error)(said[:2000], code=error.code, errors=error.errors) from error
    jobs.advance(fetch, step=KEEP, progress=0.7)
    lineage = {"source": source.name, "kind": source.kind, "fetch": str(fetch.pk), **material.said}
    with jobs.fenced(fetch):
        version = ready if isinstance(ready, DatasetVersion) else keep_dataset(ready, actor=actor, lineage=lineage)
        is_new = version.lineage.get("fetch") == str(fetch.pk)
        note = "" if is_new else f"nothing new: the same as {version}"
        jobs.advance(fetch, version=version, note=note, step=START, progress=0.8)
        fetch.version = version


def _started(fetch: Fetch) -> None:
    """The run that the source asks for, unless it has had one on this version; and the end, in one transaction."""
    source, version = fetch.source, fetch.version
    assert version is not None
    had = Run.objects.filter(dataset=version, trigger__source=source.name).exists()
    if not source.run_config or had:
        _end(fetch, fetch.note or f"{version} is kept")
        return
    with jobs.fenced(fetch):
        run = request_run(
            actor=Actor.of(fetch.requested_by),
            dataset=str(version),
            trigger_reason=f"new data from {source.name}",
            trigger={"source": source.name, "fetch": str(fetch.pk)},
            **source.run_config,
        )
        fetch.run = run
        _end(fetch, f"{version} is kept, and run {str(run.pk)[:8]} trains on it", run=run)
        ring(run)


def _end(fetch: Fetch, note: str, **made: Any) -> None:
    """Succeeded; what was seen is what the next look compares with."""
    with jobs.fenced(fetch):
        DataSource.objects.filter(pk=fetch.source_id).update(seen=fetch.found)
        jobs.finish(fetch, JobState.SUCCEEDED, step="done", progress=1.0, note=note[:500], **made)
