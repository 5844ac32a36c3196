"""MLflow is told of a run once it has ended: later where MLflow is down, once whatever is killed, and in full."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db.models.functions import Now
from django.test import override_settings
from mlflow import MlflowClient

from mlops_site.core.choices import JobState
from mlops_site.core.mlflow import run_page
from mlops_site.core.permissions import Actor
from registry import pipeline as versions
from registry import selectors
from tests.registry.http import Person
from tests.training.runs import studied
from training.models import DatasetVersion, Run, UnrecordedRun
from training.pipeline import mirror
from training.selectors import mirror as behind
from training.services.records import hurry_records, note_missing_runs

Train = Callable[..., Run]
UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def calm() -> Iterator[None]:
    """MLflow warns while it is imported and used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def client() -> MlflowClient:
    return MlflowClient(tracking_uri=settings.MLFLOW_TRACKING_URI)


def parts(client: MlflowClient, run: Run) -> list[Any]:
    """Every MLflow run that is about this one."""
    found: Any = client.get_experiment_by_name(run.model.name)
    return list(client.search_runs([found.experiment_id], filter_string=f"tags.`steward.run` = '{run.pk}'"))


def children(client: MlflowClient, run: Run, parent: str) -> list[Any]:
    return [each for each in parts(client, run) if each.data.tags.get("mlflow.parentRunId") == parent]


def ended(run: Run, state: str = JobState.FAILED, **fields: Any) -> Run:
    Run.objects.filter(pk=run.pk).update(state=state, started_at=Now(), finished_at=Now(), **fields)
    return Run.objects.select_related("version", "model__team").get(pk=run.pk)


def test_a_run_its_model_types_and_its_trials_are_nested_runs(
    train: Train, dataset: DatasetVersion, client: MlflowClient, tmp_path: Path
) -> None:
    run = train(dataset)
    assert run.version is not None
    assert (run.mlflow, mirror.catch_up()) == ({}, 1)
    run.refresh_from_db()
    parent: Any = client.get_run(run.mlflow["run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.info.start_time == int(run.started_at.timestamp() * 1000)  # type: ignore[union-attr]
    assert parent.info.end_time == int(run.finished_at.timestamp() * 1000)  # type: ignore[union-attr]
    assert client.get_experiment(parent.info.experiment_id).name == run.model.name
    tags, said = parent.data.tags, parent.data
    assert (tags["steward.run"], tags["steward.version"]) == (str(run.pk), run.version.number)
    assert (tags["mlflow.source.name"], tags["mlflow.user"]) == (f"/runs/{run.pk}", run.requested_by.username)
    assert said.params["metric"] == "roc_auc"
    assert said.metrics["roc_auc"] == run.version.metrics["roc_auc"]["value"]
    assert said.metrics["cv_roc_auc_mean"] == run.leaderboard[0]["mean"]

    (data,) = parent.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == (str(dataset), dataset.digest[:36])
    assert json.loads(data.dataset.source)["sha256"] == dataset.digest
    assert json.loads(data.dataset.profile)["num_rows"] == dataset.rows

    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert files == {"figures", "gate.json", "leaderboard.json", "spec.json"}
    drawn = {Path(file.path).stem for file in client.list_artifacts(parent.info.run_id, "figures")}
    searched = {f"logistic_regression_{name}" for name in ("history", "importance", "slice", "parallel_coordinate")}
    assert drawn == {"roc_curve", "precision_recall", "calibration", "confusion", *searched}
    png = Path(client.download_artifacts(parent.info.run_id, "figures/roc_curve.png", str(tmp_path))).read_bytes()
    assert png.startswith(b"\x89PNG\r\n")

    (of_type,) = children(client, run, parent.info.run_id)
    assert of_type.info.run_name == "logistic_regression"
    history = client.get_metric_history(of_type.info.run_id, "roc_auc")
    assert [metric.value for metric in history] == run.leaderboard[0]["folds"]
    trials = children(client, run, of_type.info.run_id)
    assert {each.data.tags["steward.trial"] for each in trials} == {"0", "1", "2"}
    best = max(trials, key=lambda each: each.data.metrics["roc_auc_mean"])
    assert best.data.metrics["roc_auc_mean"] == run.leaderboard[0]["mean"]
    assert best.data.params["C"] == f"{run.leaderboard[0]['params']['C']!s:.500}"
    folds = client.get_metric_history(best.info.run_id, "roc_auc")
    assert [(each.step, each.value) for each in folds] == list(enumerate(run.leaderboard[0]["folds"], start=1))

    assert versions.catch_up() == 1, selectors.lag()  # the version hangs on the same record, with the model in it
    assert run.version.mirrored.run_id == parent.info.run_id
    assert "model" in {file.path for file in client.list_artifacts(parent.info.run_id)}


def test_a_record_that_was_begun_is_continued_and_nothing_is_there_twice(
    request_small: Train, dataset: DatasetVersion, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = request_small(dataset, n_trials=4)
    studied(run, "logistic_regression", 4)
    run = ended(run)

    class Killed(BaseException):
        """Not an Exception: nothing here catches it."""

    end, count = MlflowClient.set_terminated, 0

    def die(*args: Any, **kwargs: Any) -> None:
        nonlocal count
        count += 1
        if count > 2:
            raise Killed
        end(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_terminated", die)
        with pytest.raises(Killed):
            mirror.catch_up()
    assert UnrecordedRun.objects.filter(run=run).exists()
    assert mirror.catch_up() == 1
    told = parts(client, run)
    assert len(told) == 1 + 1 + 4
    assert {each.info.status for each in told} == {"FAILED", "FINISHED", "KILLED"}  # the run, trials, the pruned one
    (pruned,) = [each for each in told if each.data.tags.get("steward.trial_state") == "pruned"]
    assert pruned.info.status == "KILLED"
    before = mirror.record(client, run)
    assert (before, len(parts(client, run))) == (mirror.record(client, run), 6)


def test_a_trial_costs_three_calls(
    request_small: Train, dataset: DatasetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred trials must not take minutes over HTTP."""
    from mlflow.tracking._tracking_service.client import TrackingServiceClient as Calls

    calls: list[str] = []
    for name in ("create_run", "log_batch", "set_terminated", "search_runs", "log_inputs", "get_run", "log_metric"):
        real = getattr(Calls, name)

        def counted(*args: Any, name: str = name, real: Any = real, **kwargs: Any) -> Any:
            calls.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(Calls, name, counted)
    spent = []
    for trials in (5, 25):
        run = request_small(dataset, n_trials=trials, seed=trials)
        studied(run, "logistic_regression", trials)
        ended(run)
        calls.clear()
        assert mirror.catch_up() == 1
        spent.append(len(calls))
    assert spent[1] - spent[0] == 3 * 20
    assert spent[0] < 3 * 5 + 12


def test_a_cancelled_run_that_never_began_is_recorded_too(
    request_small: Train, dataset: DatasetVersion, client: MlflowClient
) -> None:
    run = ended(request_small(dataset), JobState.CANCELLED, error="cancelled")
    assert mirror.catch_up() == 1
    (alone,) = parts(client, run)
    assert (alone.info.status, alone.data.tags["steward.error"]) == ("KILLED", "cancelled")


def test_what_has_not_ended_is_not_told(request_small: Train, dataset: DatasetVersion) -> None:
    request_small(dataset)
    assert (mirror.catch_up(), behind.is_due(), behind.lag().waiting) == (0, False, 0)


class TestOutage:
    def test_a_run_does_not_need_mlflow_and_is_told_of_later(
        self, train: Train, dataset: DatasetVersion, scientist: Actor, outsider: Actor
    ) -> None:
        with override_settings(MLFLOW_TRACKING_URI=UNREACHABLE):
            run = train(dataset)
            assert mirror.catch_up() == 0
        assert run.state == "succeeded"
        UnrecordedRun.objects.get(run=run)
        lag = behind.run_lag(run)
        assert (lag.waiting, "127.0.0.1" in lag.error) == (1, True)
        assert behind.lag(scientist).waiting == 2  # its version waits as well
        assert Person(scientist).get(f"/training/status/{run.pk}")[1]["mlflow"]["waiting"] is True
        assert Person(scientist).get("/mlflow")[1]["waiting"] == 2
        assert Person(outsider).get("/mlflow")[1]["waiting"] == 0
        assert mirror.catch_up() == 0  # it backs off
        hurry_records()
        assert mirror.catch_up() == 1
        assert behind.run_lag(run).waiting == 0
        run.refresh_from_db()
        assert run.mlflow["run_id"]

    def test_the_longer_it_is_down_the_rarer_it_is_asked(self, request_small: Train, dataset: DatasetVersion) -> None:
        run, waits = ended(request_small(dataset)), []
        with override_settings(MLFLOW_TRACKING_URI=UNREACHABLE):
            for _ in range(3):
                UnrecordedRun.objects.update(next_at=Now() - timedelta(seconds=1))
                assert mirror.catch_up() == 0
                waiting = UnrecordedRun.objects.annotate(now=Now()).get(run=run)
                waits.append(round((waiting.next_at - waiting.now).total_seconds(), -1))
        assert waits == [10, 20, 40]


def test_runs_from_before_the_mirror_are_found(request_small: Train, dataset: DatasetVersion) -> None:
    run = ended(request_small(dataset))
    UnrecordedRun.objects.all().delete()
    assert note_missing_runs() == 1
    assert note_missing_runs() == 0
    assert mirror.catch_up() == 1
    run.refresh_from_db()
    assert run.mlflow
    assert note_missing_runs() == 0


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
