"""What MLflow is told, and that a run does not need it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings
from django.test import override_settings
from mlflow import MlflowClient

from mlops_site.core.mlflow import run_page
from training import selectors
from training.models import DatasetVersion, Run
from training.pipeline.tracking import Record, Tracking

Train = Callable[..., Run]
UNREACHABLE = "http://127.0.0.1:9"


def test_a_run_is_a_parent_with_a_nested_run_for_each_model_type(train: Train, dataset: DatasetVersion) -> None:
    run = train(dataset)
    client = MlflowClient(tracking_uri=settings.MLFLOW_TRACKING_URI)
    parent = client.get_run(run.mlflow["run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["steward.run"] == str(run.pk)
    assert parent.data.params["metric"] == "roc_auc"
    assert run.version is not None
    assert parent.data.metrics["roc_auc"] == run.version.metrics["roc_auc"]["value"]
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["model.skops"]
    nested = client.search_runs(
        [parent.info.experiment_id], filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    )
    assert [each.info.run_name for each in nested] == ["logistic_regression"]
    history = client.get_metric_history(nested[0].info.run_id, "roc_auc")
    assert [metric.value for metric in history] == run.leaderboard[0]["folds"]
    assert client.get_experiment(parent.info.experiment_id).name == run.model.name


def test_a_repeated_attempt_continues_the_same_record(request_small: Train, dataset: DatasetVersion) -> None:
    run = request_small(dataset)
    board = [{"model_type": "logistic_regression", "metric": "roc_auc", "mean": 0.7, "se": 0.1, "folds": [0.6, 0.8]}]
    record = Record([{**entry, "params": {"C": 1.0}} for entry in board], {}, b"skops")
    assert Tracking().log(run, record) == Tracking().log(run, record)


def test_an_unreachable_mlflow_is_a_line_in_the_log(train: Train, dataset: DatasetVersion) -> None:
    with override_settings(MLFLOW_TRACKING_URI=UNREACHABLE):
        run = train(dataset)
    assert run.state == "succeeded"
    assert run.mlflow == {}
    assert any("MLflow has no record of this run" in line for line in selectors.log_of(run))


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("https://steward:secret@mlflow.example:5000/", "https://mlflow.example:5000/#/experiments/3/runs/r"),
        ("http://127.0.0.1:5000/base", "http://127.0.0.1:5000/base/#/experiments/3/runs/r"),
        ("postgresql://mlflow:secret@db/mlflow", ""),
    ],
)
def test_the_link_to_mlflow_tells_no_password(store: str, shown: str) -> None:
    with override_settings(MLFLOW_TRACKING_URI=store):
        assert run_page("3", "r") == shown
