"""The record in MLflow: an experiment per model, a parent run per training run, a nested run per model type.

MLflow is a mirror. Whatever goes wrong with it is a line in the run's log, never a reason to stop.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

from training.ml.studies import rdb_url
from training.models import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN_TAG, TYPE_TAG = "steward.run", "steward.model_type"
# MLflow's own defaults would wait for a server that is down for longer than most runs take.
_PATIENCE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


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
            os.environ.update(_PATIENCE)
            logging.getLogger("mlflow").setLevel(logging.WARNING)
            from mlflow import MlflowClient

            client = MlflowClient(tracking_uri=rdb_url(settings.MLFLOW_TRACKING_URI))
            client.search_experiments(max_results=1)
            self._client = client
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
            return {}, f"MLflow has no record of this run: {type(error).__name__}: {error!s:.200}"


def _log(client: MlflowClient, run: Run, record: Record) -> dict[str, str]:
    experiment = _experiment(client, run.model.name)
    tags = {RUN_TAG: str(run.pk), "steward.dataset": str(run.dataset), "steward.code": run.code}
    parent = _run(
        client, experiment, {RUN_TAG: str(run.pk), TYPE_TAG: "all"}, {**tags, "mlflow.runName": str(run.pk)[:8]}
    )
    if parent.info.status != "FINISHED":
        _log_parent(client, parent.info.run_id, run, record)
        for entry in record.leaderboard:
            _log_entry(client, experiment, parent.info.run_id, run, entry)
        client.set_terminated(parent.info.run_id)
    return {"run_id": parent.info.run_id, "url": _url(experiment, parent.info.run_id)}


def _experiment(client: MlflowClient, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        # A server keeps artifacts where its operator says; without one we say it.
        is_server = settings.MLFLOW_TRACKING_URI.startswith("http")
        place = None if is_server or "://" in settings.MLFLOW_ARTIFACTS else Path(settings.MLFLOW_ARTIFACTS).as_uri()
        location = place or (None if is_server else settings.MLFLOW_ARTIFACTS)
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:  # another run of the model was quicker
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _run(client: MlflowClient, experiment: str, key: dict[str, str], tags: dict[str, str]) -> Any:
    """The MLflow run with these tags, made if there is none."""
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in key.items())
    found = client.search_runs([experiment], filter_string=wanted, max_results=1)
    return found[0] if found else client.create_run(experiment, tags={**tags, **key})


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
    nested = _run(client, experiment, {RUN_TAG: str(run.pk), TYPE_TAG: name}, tags).info.run_id
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


def _url(experiment: str, run_id: str) -> str:
    """Where a person reads it, without the password that we log in with; nothing for a plain database."""
    address = urlsplit(settings.MLFLOW_TRACKING_URI.rstrip("/"))
    if not address.scheme.startswith("http"):
        return ""
    public = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()
    return f"{public}/#/experiments/{experiment}/runs/{run_id}"
