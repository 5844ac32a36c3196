"""A file scored from its first row to its result, in the child process of one attempt.

A piece is read, judged and scored, its part of the result is stored, and then its row, its progress and what is logged
of it are written in one transaction that only the present attempt can commit. An attempt that dies loses at most the
piece it was at; the next one reads past the pieces that are done without scoring them.
"""

from __future__ import annotations

from typing import IO, Any, NamedTuple

from django.db import transaction
from django.db.models import Sum

from mlops_site.core import events, jobs, store
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from monitoring.models import BatchChunk, BatchRun, Completion
from monitoring.pipeline import results, scoring
from monitoring.services.batches import MAX_RESULT_BYTES, MAX_ROWS, as_refusal
from monitoring.services.inserts import insert_columns
from registry.artifacts import scorer
from registry.artifacts.engines import Scorer

SHOWN = 100  # so many rejections are kept with the run; the result names them all
SCORED = 0.97  # of the progress; the rest is putting the result together


class Place(NamedTuple):
    """How far the file is scored, over all attempts."""

    rows: int
    rejected: int


def execute(run: BatchRun) -> None:
    """One attempt. It ends with a result and a succeeded run, or raises: LeaseLost when the run is no longer this
    attempt's, StewardError with the reason that its page shows."""
    from training.ml.refusals import TableError

    jobs.advance(run, step="loading the version")
    served = run.version.serving or run.version.artifact
    model = scorer.load(served.digest, served.format, run.version.signature)
    with store.open_verified(run.source_digest) as file:
        try:
            _score_all(run, model, file)
        except TableError as error:
            raise as_refusal(error) from error
    _finish(run)


def _score_all(run: BatchRun, model: Scorer, file: IO[bytes]) -> None:
    from training.ml import pieces

    found = pieces.heading(file, run.source_name)
    size = file.seek(0, 2)
    file.seek(0)
    wanted = [name for name in found.names if name in model.signature.kinds or name == run.id_column]
    levels = [name for name in wanted if model.signature.kinds.get(name) == "category" and name != run.id_column]
    known = dict(run.chunks.values_list("number", "rows"))
    place = _reached(run)
    start = 0
    read = pieces.pieces(file, found, rows=run.chunk_rows, columns=wanted, levels=levels)
    for number, frame in enumerate(read):
        if number not in known:
            if start + len(frame) > MAX_ROWS:
                message = f"a file must have at most {MAX_ROWS:,} rows but has more; send it in parts"
                raise Invalid.on("file", message, code="too_many_rows")
            piece = scoring.scored(frame, model, run, start, is_text=found.kind == "csv")
            share = (start + len(frame)) / run.rows_total if run.rows_total else file.tell() / size
            place = _keep(run, number, piece, place, share)
        start += len(frame)
    if start == 0:
        raise Invalid.on("file", "the file must have data rows but there is only a header", code="no_rows")


def _reached(run: BatchRun) -> Place:
    sums = run.chunks.aggregate(rows=Sum("rows", default=0), rejected=Sum("rejected", default=0))
    return Place(sums["rows"], sums["rejected"])


def _keep(run: BatchRun, number: int, piece: scoring.Piece, place: Place, share: float) -> Place:
    """The piece is done, once and for all: its file first, then everything that says so."""
    kept = store.put(results.part(piece, run), max_bytes=MAX_RESULT_BYTES)
    reached = Place(place.rows + piece.rows, place.rejected + len(piece.faults))
    logged = scoring.predictions(piece, run) if run.logged and len(piece.good) else {}
    with jobs.fenced(run):
        BatchChunk.objects.create(
            run=run,
            number=number,
            rows=piece.rows,
            rejected=len(piece.faults),
            rejections=scoring.rejections(piece, SHOWN),
            digest=kept.digest,
        )
        if logged:
            insert_columns(logged)
            Completion.objects.bulk_create(scoring.completions(piece, run))
        jobs.advance(
            run,
            step=f"{reached.rows:,} rows scored",
            progress=min(share, 1.0) * SCORED,
            rows_done=reached.rows,
            rejected=reached.rejected,
        )
    return reached


def _finish(run: BatchRun) -> None:
    """The pieces become one file; the run names it and lets go of the pieces in the same transaction."""
    jobs.advance(run, step="putting the result together", progress=SCORED)
    chunks = list(run.chunks.all())
    rejections: list[dict[str, Any]] = [each for chunk in chunks for each in chunk.rejections][:SHOWN]
    kept = results.put_together(run, [chunk.digest for chunk in chunks])
    place = _reached(run)
    with jobs.fenced(run):
        run.chunks.all().delete()
        data = {
            "version": run.version.number,
            "source": run.source_digest,
            "result": kept.digest,
            "rows": place.rows,
            "rejected": place.rejected,
            "logged": run.logged,
        }
        by = Actor.of(run.requested_by)
        events.record("batch.scored", actor=by, subject=run.subject, team=run.team_name, data=data)
        jobs.finish(
            run,
            JobState.SUCCEEDED,
            step="done",
            progress=1.0,
            rows_total=place.rows,
            rejections=rejections,
            result_digest=kept.digest,
            result_bytes=kept.size,
        )
        pieces = [chunk.digest for chunk in chunks if chunk.digest != kept.digest]  # one piece is itself the result
        transaction.on_commit(lambda: results.forget(pieces), robust=True)
