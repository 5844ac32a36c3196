"""Training from a notebook or a script: the same runs, rules and records as over HTTP, without a worker.

    config = TrainingConfig(model_name="high_cost_claim", target="high_cost", model_types=["random_forest"])
    status = await TrainingPipeline().run_training_pipeline(training_data=frame, config=config)

It acts as the person whose token is in STEWARD_TOKEN; embedded and without one, as the local operator.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mlops_site.core import face

face.ready()

from django.conf import settings  # noqa: E402  (models can be imported once Django is set up)
from django.db import connections  # noqa: E402
from django.utils.module_loading import import_string  # noqa: E402

from mlops_site.core import child, events, jobs, progress  # noqa: E402
from mlops_site.core.errors import Conflict, Invalid  # noqa: E402
from mlops_site.core.permissions import Actor, visible  # noqa: E402
from registry.models import RegisteredModel  # noqa: E402
from registry.selectors import model_named  # noqa: E402
from registry.services import create_model  # noqa: E402
from training import selectors  # noqa: E402
from training.models import DatasetVersion, Run  # noqa: E402
from training.selectors.comparison import Comparison, runs_compared  # noqa: E402
from training.selectors.frames import MOST, datasets_frame, frame_of, runs_frame  # noqa: E402
from training.services import (  # noqa: E402
    RunConfig,
    cancel_run,
    create_dataset_version,
    download_dataset,
    request_run,
)
from training.services.datasets import parquet_of  # noqa: E402
from training.services.schema import guessed_task  # noqa: E402
from training.tasks import tell_mlflow  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TrainingConfig", "TrainingPipeline"]

LOOK_SECS = 0.3
MLFLOW_SECS = 60.0  # to tell MLflow of the run; what takes longer is told by whoever is next
DEFAULT_TARGET = "target"


@dataclass
class TrainingConfig(RunConfig):
    """The fields of POST /training/start, and what an upload declares of its columns.

    `target` is needed unless a column has that very name. `dataset_name` is the model's name if left out.
    """

    dataset_name: str | None = None
    time_column: str = ""
    group_column: str = ""
    pii: list[str] = field(default_factory=list)


class TrainingPipeline:
    """Runs training here, in a child process of this one. `show_progress` defaults to whether this is a terminal or a
    notebook; `tell_mlflow` waits at the end of a run until MLflow has it, else whoever is next tells it."""

    def __init__(self, *, show_progress: bool | None = None, tell_mlflow: bool = True) -> None:
        self.tell_mlflow = tell_mlflow
        self.show_progress = progress.is_watched() if show_progress is None else show_progress

    async def run_training_pipeline(
        self, training_data: pd.DataFrame | str, config: TrainingConfig, trigger_reason: str = "manual"
    ) -> selectors.Status:
        """Train on a frame, or on a stored data set by name or name@version, and return the ended run's status.

        The model is made if it does not exist. Raises StewardError (Invalid names every field at fault) for what
        the API would refuse too; a run that fails on the way is returned with its `error`. Cancelling the
        awaiting task cancels the run.
        """
        return await self._awaited(partial(_requested, training_data, config, trigger_reason))

    def run_training_pipeline_sync(
        self, training_data: pd.DataFrame | str, config: TrainingConfig, trigger_reason: str = "manual"
    ) -> selectors.Status:
        """The same, without an event loop; an interrupt cancels the run."""
        return face.call(self._ended, partial(_requested, training_data, config, trigger_reason), threading.Event())

    async def trigger_retraining(
        self,
        model_name: str,
        trigger_reason: str,
        config_overrides: Mapping[str, Any] | None = None,
        dataset: str | None = None,
    ) -> selectors.Status:
        """Train a model again as its version in production was, with the overrides, and return the ended run's status.

        Without `dataset` it is trained on the predictions whose outcome is known by now, after the rows before where
        the model's retrain policy keeps them. Raises StewardError as POST /training/trigger-retraining refuses:
        Conflict `cooling_down`, `already_running`, `not_enough_labels`, and Invalid.
        """
        return await self._awaited(partial(_again, model_name, trigger_reason, config_overrides, dataset))

    def trigger_retraining_sync(
        self,
        model_name: str,
        trigger_reason: str,
        config_overrides: Mapping[str, Any] | None = None,
        dataset: str | None = None,
    ) -> selectors.Status:
        """The same, without an event loop; an interrupt cancels the run."""
        asked = partial(_again, model_name, trigger_reason, config_overrides, dataset)
        return face.call(self._ended, asked, threading.Event())

    def runs(self, model_name: str | None = None, state: str | None = None) -> pd.DataFrame:
        """The newest runs that you may see, at most 1,000, with `metrics.*` and `params.*` as columns."""
        return face.call(lambda: runs_frame(selectors.runs(face.actor(), model=model_name, state=state)[:MOST]))

    def status(self, job_id: str) -> selectors.Status:
        """How far a run is, and what came of it. NotFound."""
        return face.call(lambda: selectors.status(selectors.run_of(face.actor(), job_id)))

    def compare(self, *job_ids: str) -> Comparison:
        """Two to six runs side by side; see GET /training/compare."""
        return face.call(lambda: runs_compared(face.actor(), [UUID(job_id) for job_id in job_ids]))

    def datasets(self) -> pd.DataFrame:
        """The versions of data sets that you may see."""
        return face.call(lambda: datasets_frame(selectors.dataset_versions(face.actor())))

    def load_dataset(self, reference: str) -> pd.DataFrame:
        """The rows of "name" (the newest version) or "name@version"; the audit names who took them. Forbidden."""
        return face.call(_loaded, reference)

    async def _awaited(self, ask: Callable[[Actor], Run]) -> selectors.Status:
        stop = threading.Event()
        try:
            return await face.call_async(self._ended, ask, stop)
        except asyncio.CancelledError:
            stop.set()
            raise

    def _ended(self, ask: Callable[[Actor], Run], stop: threading.Event) -> selectors.Status:
        actor = face.actor()
        run = ask(actor)
        try:
            is_ours = self._follow(run, actor, stop)
        except KeyboardInterrupt:
            _cancel(run, actor)
            raise
        if is_ours and self.tell_mlflow:  # there may be no worker that tells MLflow
            tell_mlflow(longest_secs=MLFLOW_SECS, quiet=True)
        return selectors.status(selectors.run_of(actor, run.pk))

    def _follow(self, run: Run, actor: Actor, stop: threading.Event) -> bool:
        """Do the run here, or wait for the worker that was quicker; a killed attempt is tried again. Whether it was
        done here."""
        with progress.shown(self.show_progress) as show:
            watcher: threading.Thread | None = None
            while not run.has_ended or (watcher is not None and watcher.is_alive()):
                if watcher is None or not watcher.is_alive():
                    watcher = _watch(run)
                if stop.wait(LOOK_SECS):
                    time.sleep(LOOK_SECS)
                    _cancel(run, actor)
                run = Run.objects.select_related("model__team").get(pk=run.pk)
                show(run.progress, f"{run.step} · best {run.best['value']:.4f}" if run.best else run.step)
        return watcher is not None


def _loaded(reference: str) -> pd.DataFrame:
    actor = face.actor()
    return frame_of(download_dataset(selectors.dataset_named(actor, reference), actor=actor))


def _requested(data: pd.DataFrame | str, config: TrainingConfig, reason: str, actor: Actor) -> Run:
    version = _dataset(actor, data, config)
    with events.atomic():  # a model is not made for a request that is then refused
        _ensure_model(actor, config, version)
        return request_run(actor=actor, dataset=str(version), trigger_reason=reason, **_asked(config))


def _again(model_name: str, reason: str, overrides: Mapping[str, Any] | None, dataset: str | None, actor: Actor) -> Run:
    retrain: Callable[..., Run] = import_string(settings.RETRAINING)  # the rows are of an app above this one
    asked = {"trigger_reason": reason, "config_overrides": overrides, "dataset": dataset}
    return retrain(model_named(actor, model_name), actor=actor, **asked)


def _cancel(run: Run, actor: Actor) -> None:
    with suppress(Conflict):  # it has ended meanwhile
        cancel_run(run, actor=actor)


def _asked(config: RunConfig) -> dict[str, Any]:
    """The part of the config that a run is requested with."""
    return {each.name: getattr(config, each.name) for each in fields(RunConfig)}


def _dataset(actor: Actor, data: pd.DataFrame | str, config: TrainingConfig) -> DatasetVersion:
    if isinstance(data, str):
        return selectors.dataset_named(actor, data)
    source = parquet_of(data)
    return create_dataset_version(
        actor=actor,
        name=config.dataset_name or config.model_name,
        source=source,
        filename="training_data.parquet",
        target=_target(data, config),
        time_column=config.time_column,
        group_column=config.group_column,
        pii=config.pii,
    )


def _target(frame: pd.DataFrame, config: TrainingConfig) -> str:
    if config.target is not None:
        return config.target
    if DEFAULT_TARGET not in frame.columns:
        names = ", ".join(map(str, frame.columns[:50]))
        message = f"target must name the column to predict; the columns are {names}"
        raise Invalid.on("target", message, code="required")
    return DEFAULT_TARGET


def _ensure_model(actor: Actor, config: TrainingConfig, version: DatasetVersion) -> None:
    if visible(actor, RegisteredModel.objects.filter(name=config.model_name)).exists():
        return
    task_type = config.task_type or guessed_task(version, config.target or version.target)
    create_model(actor=actor, name=config.model_name, task_type=task_type, team=version.dataset.team.name)


def _watch(run: Run) -> threading.Thread | None:
    """Claim the run and watch its child in a thread; None when somebody else has it."""
    claimed = jobs.claim(run, worker=f"notebook {socket.gethostname()}:{os.getpid()}")
    if claimed is None:
        return None

    def watch() -> None:
        try:
            child.watch(claimed)
        finally:
            connections.close_all()

    thread = threading.Thread(target=watch, name=f"watch {claimed.pk}")
    thread.start()
    return thread
