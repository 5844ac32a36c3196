"""Story (a) over HTTP: from a model's name and a file to a version in staging whose request waits for approval."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from mlops_site.core import audit, tokens
from mlops_site.core.models import AuditRecord
from mlops_site.core.tasks import execute_job
from tests.people import person
from tests.training.claims import claims, csv_of

API = "/api/v1"


def client_of(name: str, role: str) -> Client:
    headers: dict[str, Any] = {"authorization": f"Bearer {tokens.create_token(person(name, role))[1]}"}
    return Client(headers=headers)


@pytest.mark.django_db(transaction=True)
def test_a_run_is_requested_trained_registered_and_its_promotion_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "mlops_site.settings")  # for the run's child process
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    engineer, scientist = client_of("enno", "ml_engineer"), client_of("dana", "data_scientist")

    model = {"name": "high_cost_claim", "task_type": "classification"}
    assert engineer.post(f"{API}/models", model, content_type="application/json").status_code == 201
    file = SimpleUploadedFile("hie.csv", csv_of(claims(1500)).getvalue())
    declared = {"file": file, "name": "hie", "target": "high_cost", "group_column": "person", "time_column": "year"}
    assert scientist.post(f"{API}/datasets", declared).json()["version"] == 1

    asked: dict[str, Any] = {
        "model_name": "high_cost_claim",
        "dataset": "hie",
        "model_types": ["logistic_regression", "hist_gradient_boosting"],
        "n_trials": 2,
        "cv_folds": 3,
        "auto_deploy_threshold": 0.6,
        "trigger_reason": "first model",
    }
    job = scientist.post(f"{API}/training/start", asked, content_type="application/json").json()
    execute_job(job["job_id"])  # what a worker does when the bell rings

    status = scientist.get(job["status_url"]).json()
    assert (status["state"], status["error"], status["attempts"]) == ("succeeded", "", 1)
    assert status["trials"]["done"] == status["trials"]["total"] == 4
    assert status["progress"] == 1.0
    assert {entry["model_type"] for entry in status["leaderboard"]} == set(asked["model_types"])
    assert status["gate"]["passed"]

    version = scientist.get(f"{API}/models/high_cost_claim/{status['version']}").json()
    assert (version["version"], version["stage"]) == ("1.0.0", "staging")
    assert version["lineage"]["run"] == job["job_id"]
    assert version["lineage"]["dataset"] == "hie@1"
    request = scientist.get(f"{API}/approvals/{status['gate']['outcome']['request']}").json()
    assert request["status"] == "pending"
    assert request["evidence"]["gate"]["passed"]

    said = list(AuditRecord.objects.order_by("seq").values_list("action", flat=True))
    story = ["model.created", "dataset.version_created", "run.requested", "version.registered", "run.succeeded"]
    assert [action for action in said if action in story] == story
    assert list(audit.faults()) == []
