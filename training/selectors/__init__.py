"""Reads of training: data sets, runs and their status, for API, pages and notebook face alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from mlops_site.core.errors import FieldError, Malformed, NotFound
from mlops_site.core.models import Team
from mlops_site.core.permissions import Actor, visible
from registry.models import Version
from training.models import Dataset, DatasetVersion, Reproduction, Run
from training.models.dataset import DATASET_NAME
from training.selectors.features import personal_features
from training.selectors.mirror import in_mlflow
from training.selectors.study import seconds_left

LOG_LINES = 200
_REFERENCE = re.compile(rf"({DATASET_NAME})(?:@([1-9][0-9]{{0,8}}))?")


@dataclass(frozen=True)
class Trials:
    """Completed trials of all model types, and the best so far: {"model_type", "value"}."""

    done: int
    total: int
    best: dict[str, Any] | None


@dataclass(frozen=True)
class Entry:
    """A model type's best trial: the metric over the folds, its mean and standard error."""

    model_type: str
    metric: str
    mean: float
    se: float
    folds: list[float]
    params: dict[str, Any]


@dataclass(frozen=True)
class Status:
    """A run as GET /training/status shows it; `version` is its number, once there is one."""

    job_id: str
    model_name: str
    dataset: str
    state: str
    progress: float
    seconds_left: float | None
    step: str
    trials: Trials
    leaderboard: list[Entry]
    nested: dict[str, Any] | None
    version: str | None
    gate: dict[str, Any] | None
    error: str
    attempts: int
    trigger_reason: str
    trigger: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    mlflow: dict[str, Any]
    log: list[str]


def status(run: Run) -> Status:
    """Everything about a run that a person waits for, with the last lines of its log."""
    return Status(
        job_id=str(run.pk),
        model_name=run.model.name,
        dataset=str(run.dataset),
        state=run.state,
        progress=run.progress,
        seconds_left=seconds_left(run),
        step=run.step,
        trials=Trials(run.trials_done, run.trials_total, run.best),
        leaderboard=[Entry(**entry) for entry in run.leaderboard],
        nested=run.nested,
        version=run.version.number if run.version else None,
        gate=run.gate,
        error=run.error,
        attempts=run.attempt,
        trigger_reason=run.trigger_reason,
        trigger=run.trigger,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        mlflow=in_mlflow(run),
        log=log_of(run),
    )


def log_of(run: Run, *, lines: int = LOG_LINES) -> list[str]:
    """The last lines of the run's log, oldest first."""
    newest = run.lines.order_by("-pk").values_list("at", "text")[:lines]
    return [f"{at:%H:%M:%S} {text}" for at, text in reversed(newest)]


def runs(actor: Actor, *, model: str | None = None, state: str | None = None) -> QuerySet[Run]:
    """The runs that the actor may see, newest first."""
    rows = Run.objects.select_related("model__team", "dataset__dataset", "version", "requested_by").defer("diff")
    found = visible(actor, rows, team="model__team")
    if model is not None:
        found = found.filter(model__name=model)
    return found.filter(state=state) if state is not None else found


def run_of(actor: Actor, job_id: UUID | str) -> Run:
    """One run; NotFound if there is none or it is another team's."""
    run = runs(actor).filter(pk=job_id).first()
    if run is None:
        raise NotFound(f"there is no run {job_id}", code="unknown_run")
    return run


def reproductions(actor: Actor, run: Run | None = None) -> QuerySet[Reproduction]:
    """The reproductions that the actor may see, of one run or of all, newest first."""
    rows = Reproduction.objects.select_related("run__model__team", "requested_by").defer("run__diff")
    found = visible(actor, rows, team="run__model__team")
    return found if run is None else found.filter(run=run)


def reproduction_of(actor: Actor, job_id: UUID | str) -> Reproduction:
    """One reproduction; NotFound if there is none or it is another team's."""
    found = reproductions(actor).filter(pk=job_id).first()
    if found is None:
        raise NotFound(f"there is no reproduction {job_id}", code="unknown_reproduction")
    return found


def told(outcome: dict[str, Any]) -> list[str]:
    """What came of a reproduction, in sentences: whether it is equal, each thing that is not, and what else differs."""
    lines = ["Metrics and predictions are equal." if outcome["equal"] else "Not the same came out."]
    for row in outcome["folds"]:
        if not row["equal"]:
            lines.append(f"{row['model_type']}: {row['metric']} over the folds differs{_by(row)}")
    for row in outcome["holdout"]:
        if not row["equal"]:
            lines.append(f"holdout {row['metric']}: {row['was']} then, {row['now']} now")
    said = outcome["predictions"]
    if not said["equal"]:
        alone = f"; {said['rows_of_one_side']} rows are of one side only" if said["rows_of_one_side"] else ""
        lines.append(f"predictions: {said['differing']} of {said['rows']} shared rows differ{_by(said)}{alone}")
    return [*lines, *(f"{row['what']}: {row['message']}" for row in outcome["differences"])]


def _by(row: dict[str, Any]) -> str:
    return "" if row["difference"] is None else f", by at most {row['difference']:.3g}"


def dataset_versions(actor: Actor) -> QuerySet[DatasetVersion]:
    """The versions of data sets that the actor may see, by name, newest first."""
    rows = DatasetVersion.objects.select_related("dataset__team", "created_by", "erasure__by")
    return visible(actor, rows, team="dataset__team").order_by("dataset__name", "-version")


def dataset_named(actor: Actor, reference: object, *, team: Team | None = None) -> DatasetVersion:
    """The version that "name" (the newest) or "name@version" means, of one team or of all of the actor's.

    Raises Malformed for anything else, NotFound for what is absent or another team's.
    """
    match = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if match is None:
        raise _refused(Malformed, "malformed", f"dataset must be name or name@version but got {reference!r:.80}")
    rows = dataset_versions(actor).filter(dataset__name=match[1])
    if team is not None:
        rows = rows.filter(dataset__team=team)
    found = rows.filter(version=match[2]).first() if match[2] else rows.first()
    if found is None:
        raise _refused(
            NotFound, "unknown_dataset", f"there is no data set {match[0]}; upload it first (POST /datasets)"
        )
    return found


def dataset_of(actor: Actor, name: str) -> Dataset:
    """The data set with its owner; NotFound if there is none or it is another team's."""
    found = visible(actor, Dataset.objects.select_related("team", "owner").filter(name=name)).first()
    if found is None:
        raise _refused(
            NotFound, "unknown_dataset", f"there is no data set {name[:80]}; upload it first (POST /datasets)"
        )
    return found


def personal_columns(version: Version) -> frozenset[str]:
    """The columns with personal data, as the data set that a version was trained on and the feature sets that it reads
    declare them."""
    read = personal_features(version.pk)
    found = _REFERENCE.fullmatch(str(version.lineage.get("dataset", "")))
    if found is None or not found[2]:
        return read
    rows = DatasetVersion.objects.filter(dataset__name=found[1], version=found[2], dataset__team=version.model.team_id)
    return read.union(*rows.values_list("pii", flat=True))


def _refused(kind: type[Malformed] | type[NotFound], code: str, message: str) -> Malformed | NotFound:
    return kind(message, code=code, errors=[FieldError("dataset", code, message)])
