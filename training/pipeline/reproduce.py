"""A run done again by its own steps, compared with what it left, and nothing registered."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd

from mlops_site.core import jobs, store
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict
from training.ml import repeats
from training.models import Reproduction
from training.pipeline import selection
from training.pipeline.evidence import holdout_of, metrics_of
from training.pipeline.large import opened
from training.pipeline.steps import pass_to
from training.pipeline.trained import trained
from training.services.reproductions import surroundings


def execute(reproduction: Reproduction) -> None:
    """One attempt. It ends with an outcome in the row, or raises: LeaseLost when it is no longer this attempt's,
    StewardError with the reason."""
    version = reproduction.run.version
    if version is None or version.holdout_id is None:
        raise Conflict(f"run {reproduction.run_id} left no predictions to compare with", code="nothing_kept")
    selection.prepare_storage()
    with opened(reproduction) as rows:
        ranked, winner = trained(reproduction, rows)
        answers = pd.read_parquet(io.BytesIO(holdout_of(winner, rows)))
    pass_to(reproduction, "compare", progress=0.97)
    board = [selection.entry(reproduction, best) for best in ranked]
    kept = pd.read_parquet(io.BytesIO(store.read(version.holdout_id)))
    outcome = {
        **_compared(reproduction.run.leaderboard, board, version.metrics, metrics_of(winner.report)),
        "predictions": repeats.answers_compared(kept, answers),
    }
    equal = all(each["equal"] for each in [*outcome["folds"], *outcome["holdout"], outcome["predictions"]])
    outcome |= {"equal": equal, "differences": surroundings(reproduction.run)}
    with jobs.fenced(reproduction):
        jobs.finish(reproduction, JobState.SUCCEEDED, step="done", progress=1.0, leaderboard=board, outcome=outcome)


def _compared(
    board: list[dict[str, Any]], again: list[dict[str, Any]], metrics: dict[str, Any], metrics_again: dict[str, Any]
) -> dict[str, Any]:
    return {
        "folds": repeats.folds_compared(board, again),
        "holdout": repeats.metrics_compared(_values(metrics), _values(metrics_again)),
    }


def _values(metrics: dict[str, dict[str, Any]]) -> dict[str, float]:
    return {name: found["value"] for name, found in metrics.items() if found["value"] is not None}
