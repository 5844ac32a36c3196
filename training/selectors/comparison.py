"""Runs side by side: what was asked, what was found, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from mlops_site.core.errors import Invalid, NotFound
from mlops_site.core.permissions import Actor, visible
from training.models import Run

FEWEST, MOST = 2, 6


@dataclass(frozen=True)
class ComparedRun:
    """A run at the head of its column."""

    job_id: str
    model_name: str
    state: str
    dataset: str
    version: str | None
    gate_passed: bool | None
    requested_by: str
    started_at: datetime | None
    secs: float | None


@dataclass(frozen=True)
class Row:
    """A line: one value for each run, None where it has none."""

    name: str
    values: list[Any]
    differs: bool


@dataclass(frozen=True)
class Comparison:
    """`leaderboard` rows hold {"mean", "se"} over the folds by model type, `metrics` rows {"value", "ci95"} on each
    run's own holdout; `same_folds` says whether all saw the same rows in the same folds, so that numbers compare."""

    runs: list[ComparedRun]
    metric: str | None  # the one of all; None if they do not share one
    same_folds: bool
    leaderboard: list[Row]
    metrics: list[Row]
    params: list[Row]
    spec: list[Row]
    made_with: list[Row]


def runs_compared(actor: Actor, ids: Sequence[UUID]) -> Comparison:
    """The runs in the order asked for. NotFound for one that the actor cannot see, Invalid for too few or too many."""
    wanted = list(dict.fromkeys(ids))
    if not FEWEST <= len(wanted) <= MOST:
        message = f"runs must be {FEWEST} to {MOST} different runs but got {len(wanted)}"
        raise Invalid.on("runs", message, code="out_of_range")
    rows = visible(actor, Run.objects.filter(pk__in=wanted), team="model__team").defer("diff", "packages")
    known = {run.pk: run for run in rows.select_related("model", "dataset__dataset", "version", "requested_by")}
    if missing := [job_id for job_id in wanted if job_id not in known]:
        raise NotFound(f"there is no run {missing[0]}", code="unknown_run")
    return _compared([known[job_id] for job_id in wanted])


def _compared(runs: list[Run]) -> Comparison:
    specs = [run.spec for run in runs]
    metrics = {spec["metric"] for spec in specs}
    folds = [(run.dataset.digest, run.seed, run.spec["cv"], run.spec["cv_folds"], run.spec["target"]) for run in runs]
    return Comparison(
        runs=[_head(run) for run in runs],
        metric=metrics.pop() if len(metrics) == 1 else None,
        same_folds=len(set(folds)) == 1,
        leaderboard=_table([{row["model_type"]: _mean(row) for row in run.leaderboard} for run in runs]),
        metrics=_table([dict(run.version.metrics) if run.version else {} for run in runs]),
        params=_table([_winner(run) for run in runs]),
        spec=_table(specs),
        made_with=_table([_made_with(run) for run in runs]),
    )


def _head(run: Run) -> ComparedRun:
    secs = (run.finished_at - run.started_at).total_seconds() if run.finished_at and run.started_at else None
    return ComparedRun(
        job_id=str(run.pk),
        model_name=run.model.name,
        state=run.state,
        dataset=str(run.dataset),
        version=run.version.number if run.version else None,
        gate_passed=None if run.gate is None else run.gate["passed"],
        requested_by=run.requested_by.username,
        started_at=run.started_at,
        secs=secs,
    )


def _table(columns: list[dict[str, Any]]) -> list[Row]:
    """A row for each name that any of the columns has, in the order in which they come."""
    names = dict.fromkeys(name for column in columns for name in column)
    return [_row(name, [column.get(name) for column in columns]) for name in names]


def _row(name: str, values: list[Any]) -> Row:
    return Row(name, values, any(value != values[0] for value in values[1:]))


def _mean(entry: dict[str, Any]) -> dict[str, Any]:
    return {"mean": entry["mean"], "se": entry["se"]}


def _winner(run: Run) -> dict[str, Any]:
    if not run.leaderboard:
        return {}
    best = run.leaderboard[0]
    return {"model_type": best["model_type"], **best["params"]}


def _made_with(run: Run) -> dict[str, Any]:
    said = {"data set": run.dataset.digest, "seed": run.seed, "code": run.code, "packages": run.lock_digest}
    return said | {"trials": run.trials_done, "why": run.trigger_reason}
