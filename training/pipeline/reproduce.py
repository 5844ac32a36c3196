"""A run done again by its own steps, compared with what it left, and nothing registered."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd

from mlops_site.core import jobs, store
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict
from registry.models import Version
from training.ml import repeats
from training.models import Reproduction
from training.pipeline import selection
from training.pipeline.data import Rows
from training.pipeline.evidence import Winner, holdout_of, metrics_of
from training.pipeline.steps import pass_to
from training.pipeline.trained import trained
from training.services.reproductions import surroundings


def execute(reproduction: Reproduction) -> None:
    """One attempt. It ends with an outcome in the row, or raises: LeaseLost when it is no longer this attempt's,
    StewardError with the reason."""
    version = reproduction.run.version
    if version is None or version.holdout is None:
        raise Conflict(f"run {reproduction.run_id} left no predictions to compare with", code="nothing_kept")
    selection.prepare_storage()
    rows, ranked, winner = trained(reproduction)
    pass_to(reproduction, "compare", progress=0.97)
    board = [selection.entry(reproduction, best) for best in ranked]
    outcome = _outcome(reproduction, version, board, winner, rows)
    with jobs.fenced(reproduction):
        jobs.finish(reproduction, JobState.SUCCEEDED, step="done", progress=1.0, leaderboard=board, outcome=outcome)


def _outcome(
    reproduction: Reproduction, version: Version, board: list[dict[str, Any]], winner: Winner, rows: Rows
) -> dict[str, Any]:
    """{"equal", "folds", "holdout", "predictions", "differences"}: the first is of all three after it."""
    run = reproduction.run
    folds = repeats.folds_compared(run.leaderboard, board)
    holdout = repeats.metrics_compared(_values(version.metrics), _values(metrics_of(winner.report)))
    kept = pd.read_parquet(io.BytesIO(store.read(version.holdout_id)))
    predictions = repeats.answers_compared(kept, pd.read_parquet(io.BytesIO(holdout_of(winner, rows))))
    return {
        "equal": all(each["equal"] for each in [*folds, *holdout, predictions]),
        "folds": folds,
        "holdout": holdout,
        "predictions": predictions,
        "differences": surroundings(run),
    }


def _values(metrics: dict[str, dict[str, Any]]) -> dict[str, float]:
    return {name: found["value"] for name, found in metrics.items() if found["value"] is not None}
