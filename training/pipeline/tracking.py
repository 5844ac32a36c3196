"""The record in MLflow: an experiment per model, a parent run per training run, a nested run per model type.

MLflow is a mirror. Whatever goes wrong with it is a line in the run's log, never a reason to stop.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlops_site.core import mlflow
from training.models import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN_TAG, TYPE_TAG = "steward.run", "steward.model_type"


class Record(NamedTuple):
    """What MLflow is told of a run: the leaderboard, {metric: {"value", "ci95"}} on the holdout, the artifact."""

    leaderboard: list[dict[str, Any]]
    metrics: dict[str, dict[str, Any]]
    artifact: bytes


class Tracking:
    """Opens MLflow in a thread, because importing it takes seconds that the search can use."""

    def __init__(self) -> None:
        self._client: MlflowClient | None = None
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._open, daemon=True, name="mlflow")
        self._thread.start()

    def _open(self) -> None:
        try:
            self._client = mlflow.opened()
        except Exception as error:  # whatever MLflow, its server or its database raise
            self._problem = error

    def client(self) -> MlflowClient:
        """MLflow, once it is open; raises what kept it from opening."""
        self._thread.join()
        if self._client is None:
            raise self._problem or RuntimeError("MLflow did not open")
        return self._client

    def log(self, run: Run, record: Record) -> tuple[dict[str, str], str]:
        """The identifiers of the MLflow run, and why there are none. A repeated attempt continues the same run."""
        try:
            return _log(self.client(), run, record), ""
        except Exception as error:
            return {}, f"MLflow has no record of this run: {mlflow.told(error):.200}"


def _log(client: MlflowClient, run: Run, record: Record) -> dict[str, str]:
    experiment = mlflow.experiment(client, run.model.name)
    tags = {RUN_TAG: str(run.pk), "steward.dataset": str(run.dataset), "steward.code": run.code}
    parent = mlflow.run(
        client, experiment, {RUN_TAG: str(run.pk), TYPE_TAG: "all"}, {**tags, "mlflow.runName": str(run.pk)[:8]}
    )
    if parent.info.status != "FINISHED":
        _log_parent(client, parent.info.run_id, run, record)
        for entry in record.leaderboard:
            _log_entry(client, experiment, parent.info.run_id, run, entry)
        client.set_terminated(parent.info.run_id)
    return {"run_id": parent.info.run_id, "url": mlflow.run_page(experiment, parent.info.run_id)}


def _log_parent(client: MlflowClient, run_id: str, run: Run, record: Record) -> None:
    spec = {**run.spec, "seed": run.seed, "data_digest": run.dataset.digest}
    client.log_batch(run_id, params=_params(spec), metrics=_metrics(record.metrics))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skops"
        path.write_bytes(record.artifact)
        client.log_artifact(run_id, str(path))


def _log_entry(client: MlflowClient, experiment: str, parent: str, run: Run, entry: dict[str, Any]) -> None:
    from mlflow.entities import Metric

    name = entry["model_type"]
    tags = {"mlflow.parentRunId": parent, "mlflow.runName": name}
    nested = mlflow.run(client, experiment, {RUN_TAG: str(run.pk), TYPE_TAG: name}, tags).info.run_id
    folds = [Metric(entry["metric"], value, 0, step) for step, value in enumerate(entry["folds"], start=1)]
    summary = [Metric(f"{entry['metric']}_{part}", entry[part], 0, 0) for part in ("mean", "se")]
    client.log_batch(nested, params=_params(entry["params"]), metrics=[*folds, *summary])
    client.set_terminated(nested)


def _params(values: dict[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, f"{value!s:.500}") for name, value in values.items()]


def _metrics(values: dict[str, dict[str, Any]]) -> list[Any]:
    from mlflow.entities import Metric

    found = []
    for name, metric in values.items():
        low, high = metric["ci95"] or (None, None)
        parts = {name: metric["value"], f"{name}_ci95_low": low, f"{name}_ci95_high": high}
        found += [Metric(part, value, 0, 0) for part, value in parts.items() if value is not None]
    return found
