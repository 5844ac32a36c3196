"""The endpoints of runs."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from mlops_site.core import jobs, store
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from tests.people import actor
from tests.training.api.conftest import Caller
from tests.training.claims import SMALL
from training.models import DatasetVersion, Run, RunLine

START, RUNS = "/api/v1/training/start", "/api/v1/training/runs"

pytestmark = pytest.mark.usefixtures("model", "dataset")


def body(**changes: Any) -> dict[str, Any]:
    return {"model_name": "high_cost_claim", "dataset": "hie@1", **SMALL, **changes}


def start(client: Client, **changes: Any) -> Any:
    return client.post(START, body(**changes), content_type="application/json")


def test_a_start_is_accepted_and_can_be_followed(client: Client) -> None:
    answer = start(client, trigger_reason="nightly")
    assert answer.status_code == 202, answer.content
    assert answer.json().keys() == {"job_id", "status_url"}
    status = client.get(answer.json()["status_url"]).json()
    assert status["job_id"] == answer.json()["job_id"]
    assert status["state"] == "queued"
    assert status["trials"] == {"done": 0, "total": 3, "best": None}
    assert status["leaderboard"] == []
    assert (status["version"], status["gate"], status["trigger_reason"]) == (None, None, "nightly")


def test_a_running_run_shows_its_progress_and_its_log(client: Client) -> None:
    job_id = start(client).json()["job_id"]
    run = jobs.claim(Run.objects.get(pk=job_id), worker="test")
    assert run is not None
    best = {"model_type": "logistic_regression", "value": 0.7}
    jobs.advance(run, step="search logistic_regression", progress=0.4, trials_done=1, best=best)
    RunLine.objects.create(run=run, attempt=1, text="one trial is done")
    status = client.get(f"/api/v1/training/status/{job_id}").json()
    assert (status["state"], status["progress"], status["attempts"]) == ("running", 0.4, 1)
    assert status["trials"] == {"done": 1, "total": 3, "best": best}
    assert status["log"][0].endswith("one trial is done")


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"n_trials": 0}, 422, "n_trials"),
        ({"n_trials": "many"}, 422, "n_trials"),
        ({"cv_folds": 1}, 422, "cv_folds"),
        ({"metric": "auc"}, 422, "metric"),
        ({"model_types": ["catboost"]}, 422, "model_types"),
        ({"features": ["nothing"]}, 422, "features"),
        ({"search_space": {"random_forest": {"depth": 1}}}, 422, "search_space.random_forest"),
        ({"auto_deploy_threshold": 2}, 422, "auto_deploy_threshold"),
        ({"auto_deploy_threshold": True}, 422, "auto_deploy_threshold"),
        ({"margin": False}, 422, "margin"),
        ({"cost_matrix": {"false_alarm": 3}}, 422, "cost_matrix.false_alarm"),
        ({"capacity": {"at_most": 3}}, 422, "capacity"),
        ({"monotone": {"age": 3}}, 422, "monotone.age"),
        ({"monotone": {"plan": 1}}, 422, "monotone.plan"),
        ({"positive_class": {"a": 1}}, 422, "positive_class"),
        ({"lable": 1}, 422, "lable"),
        ({"dataset": "../hie"}, 400, "dataset"),
        ({"dataset": "hie@7"}, 404, "dataset"),
        ({"model_name": "unknown_model"}, 404, "model_name"),
    ],
)
def test_a_wrong_field_is_a_problem_that_names_it(
    client: Client, changes: dict[str, Any], code: int, field: str
) -> None:
    answer = start(client, **changes)
    assert answer.status_code == code, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field
    assert not Run.objects.exists()


def test_a_repeated_key_starts_one_run(client: Client) -> None:
    headers = {"idempotency-key": "once"}
    first, second = (client.post(START, body(), content_type="application/json", headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert Run.objects.count() == 1


def test_a_cancel_is_accepted_again_and_again(client: Client) -> None:
    job_id = start(client).json()["job_id"]
    for _ in range(2):
        assert client.post(f"/api/v1/training/cancel/{job_id}").status_code == 202
    assert client.get(f"/api/v1/training/status/{job_id}").json()["state"] == "cancelled"


def test_an_ended_run_cannot_be_cancelled(client: Client) -> None:
    job_id = start(client).json()["job_id"]
    Run.objects.filter(pk=job_id).update(state="succeeded")
    answer = client.post(f"/api/v1/training/cancel/{job_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "already_ended")


def test_the_list_is_filtered(client: Client) -> None:
    start(client)
    assert client.get(RUNS, {"model": "high_cost_claim", "state": "queued"}).json()["count"] == 1
    assert client.get(RUNS, {"state": "running"}).json()["count"] == 0
    assert client.get(RUNS, {"state": "lost"}).status_code == 422
    assert client.get(RUNS, {"modle": "x"}).status_code == 422


def test_another_teams_run_does_not_exist(client: Client, calling: Caller, outsider: Actor) -> None:
    job_id = start(client).json()["job_id"]
    stranger = calling(outsider)
    assert start(stranger).status_code == 404
    assert stranger.get(f"/api/v1/training/status/{job_id}").status_code == 404
    assert stranger.post(f"/api/v1/training/cancel/{job_id}").status_code == 404
    assert stranger.get(RUNS).json()["count"] == 0
    assert client.get(f"/api/v1/training/status/{uuid4()}").status_code == 404


def test_roles_and_the_anonymous(calling: Caller, dataset: DatasetVersion, model: RegisteredModel) -> None:
    assert start(Client()).status_code == 401
    viewer = calling(actor("vera", "viewer"))
    assert start(viewer).status_code == 403
    assert viewer.get(RUNS).status_code == 200


def test_a_run_is_reproduced_by_its_team_once_it_has_succeeded(
    client: Client, calling: Caller, outsider: Actor, dataset: DatasetVersion
) -> None:
    job_id = start(client).json()["job_id"]
    address = f"/api/v1/training/reproduce/{job_id}"
    refused = client.post(address)
    assert (refused.status_code, refused.json()["code"]) == (409, "run_not_succeeded")
    assert refused.json()["errors"][0]["field"] == "run"
    Run.objects.filter(pk=job_id).update(state="succeeded")
    assert calling(outsider).post(address).status_code == 404
    assert calling(actor("vera", "viewer")).post(address).status_code == 403
    assert client.post(f"/api/v1/training/reproduce/{uuid4()}").status_code == 404

    answer = client.post(address)
    assert answer.status_code == 202, answer.content
    assert answer["Location"] == answer.json()["status_url"]
    made = client.get(answer.json()["status_url"]).json()
    assert (made["run"], made["state"], made["outcome"]) == (job_id, "queued", None)
    assert client.post(address).json() == answer.json()
    assert client.get(address).json()["count"] == 1
    assert calling(outsider).get(answer.json()["status_url"]).status_code == 404
    assert calling(outsider).post(f"{answer.json()['status_url']}/cancel").status_code == 404
    for _ in range(2):
        assert client.post(f"{answer.json()['status_url']}/cancel").status_code == 202
    assert client.get(answer.json()["status_url"]).json()["state"] == "cancelled"
    store.delete(dataset.digest)
    assert client.post(address).json()["code"] == "data_gone"
