"""Story (b) over HTTP: claims change, an alert says so, the policy trains on what was logged, and the result serves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings

from mlops_site.core import audit, tokens
from mlops_site.core.models import AuditRecord
from mlops_site.core.tasks import execute_job, send_deliveries
from monitoring.tasks import evaluate_alert
from tests.core.receivers import receiver
from tests.people import person
from tests.training.claims import SMALL, claims, csv_of

API, MODEL = "/api/v1", "high_cost_claim"
FEATURES = ["age", "visits", "plan", "dollars"]
PEOPLE = {"enno": "ml_engineer", "dana": "data_scientist", "ben": "approver", "app": "service"}
SPEC: dict[str, Any] = {**SMALL, "margin": 0.1}
NDJSON = "application/x-ndjson"


def client_of(name: str, role: str) -> Client:
    headers: dict[str, Any] = {"authorization": f"Bearer {tokens.create_token(person(name, role))[1]}"}
    return Client(headers=headers)


def post(client: Client, path: str, body: Any, *, expect: int = 200, kind: str = "application/json") -> Any:
    answer = client.post(f"{API}{path}", body, content_type=kind)
    assert answer.status_code == expect, answer.content
    return answer.json()


def questions(frame: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    rows = frame[FEATURES].astype(object).where(frame[FEATURES].notna(), None).to_dict("records")
    return [{"request_id": f"{name}-{n}", "unit_id": f"{name}-{n // 2}", "features": row} for n, row in enumerate(rows)]


def tell_outcomes(app: Client, frame: pd.DataFrame, name: str) -> None:
    labels = enumerate(frame["high_cost"].tolist())
    rows = [{"model_name": MODEL, "request_id": f"{name}-{n}", "label": label} for n, label in labels]
    assert post(app, "/monitoring/ground-truth", rows)["accepted"] == len(rows)


def report(client: Client, start: datetime, end: datetime) -> Any:
    window = {"from": start.isoformat(), "to": end.isoformat()}
    return post(client, "/monitoring/run?wait=true", {"model_name": MODEL, "window": window})


def alerts(client: Client) -> list[dict[str, Any]]:
    return [alert for alert in client.get(f"{API}/monitoring/alerts").json()["results"] if alert["rule"] == "drift"]


def serve_first_version(who: dict[str, Client]) -> str:
    """Train, approve; the job of the training run."""
    post(who["enno"], "/models", {"name": MODEL, "task_type": "classification"}, expect=201)
    file = SimpleUploadedFile("claims.csv", csv_of(claims(1500)).getvalue())
    declared = {"file": file, "name": "claims", "target": "high_cost", "group_column": "person", "time_column": "year"}
    assert who["dana"].post(f"{API}/datasets", declared).status_code == 201
    asked = {"model_name": MODEL, "dataset": "claims", "features": FEATURES, "cv": "group", **SPEC}
    job = post(who["dana"], "/training/start", asked, expect=202)["job_id"]
    execute_job(job)  # what a worker does when the bell rings
    approve(who, job)
    return str(job)


def approve(who: dict[str, Client], job: str) -> str:
    """The version of the run, once it is in production."""
    status = who["dana"].get(f"{API}/training/status/{job}").json()
    assert (status["state"], status["gate"]["passed"]) == ("succeeded", True), status
    request = status["gate"]["outcome"]["request"]
    assert post(who["ben"], f"/approvals/{request}/approve", {"comment": "read"})["status"] == "approved"
    return str(status["version"])


def log_usual_claims(who: dict[str, Client], at: datetime) -> None:
    """400 claims like those of the training, scored elsewhere at that time, and their outcomes."""
    usual = claims(400, seed=1)
    asked = questions(usual, "usual")
    said = post(who["app"], f"/models/{MODEL}/predict", {"rows": asked, "dry_run": True})["predictions"]
    about = {"model_name": MODEL, "model_version": "1.0.0", "predicted_at": at.isoformat()}
    rows = [
        {**about, **question, "prediction": answer["prediction"], "score": answer["score"]}
        for question, answer in zip(asked, said, strict=True)
    ]
    lines = "\n".join(map(json.dumps, rows))
    assert post(who["app"], "/monitoring/log-predictions", lines, kind=NDJSON)["accepted"] == 400
    tell_outcomes(who["app"], usual, "usual")


def score_older_people(who: dict[str, Client]) -> None:
    """600 claims of people who are 25 years older, scored here and now, and their outcomes."""
    shifted = claims(600, seed=2).assign(age=lambda frame: frame["age"] + 25)
    post(who["app"], f"/models/{MODEL}/predict", {"rows": questions(shifted, "shifted")})
    tell_outcomes(who["app"], shifted, "shifted")


def notice(who: dict[str, Client], since: datetime) -> dict[str, Any]:
    """The drift alert, which a webhook was told of."""
    with receiver(204) as hook, override_settings(MONITORING_WEBHOOK_URL=hook.url):
        found = report(who["enno"], since, datetime.now(UTC))
        (alert,) = alerts(who["enno"])
        assert [f["name"] for f in found["drift"]["features"] if f["drifted"]] == ["age"]
        assert (found["samples"], alert["severity"], alert["report"]) == (600, "high", found["id"])
        send_deliveries()
    assert alert["id"] in [body["id"] for _, _, body in hook.got if body["rule"] == "drift"]
    return alert


def train_again(who: dict[str, Client], alert: dict[str, Any]) -> str:
    """The job of the training that the policy decided on."""
    evaluate_alert(alert["id"])  # what a worker does when the alert's bell rings
    (decision,) = who["dana"].get(f"{API}/models/{MODEL}/retrain-policy").json()["decisions"]
    assert (decision["trigger"], decision["outcome"], decision["alert"]) == ("data_drift_score", "taken", alert["id"])
    execute_job(decision["run"])
    status = who["dana"].get(f"{API}/training/status/{decision['run']}").json()
    assert status["trigger"]["alert"] == alert["id"]
    assert status["trigger_reason"].startswith("data_drift_score: the drift score is")
    made = who["dana"].get(f"{API}/datasets/claims/2").json()
    assert (status["dataset"], made["rows"], made["lineage"]["labels"]) == ("claims@2", 2500, 1000)
    assert (made["lineage"]["alert"], made["lineage"]["parent"]) == (alert["id"], "claims@1")
    return str(decision["run"])


@pytest.mark.django_db(transaction=True)
def test_drift_is_noticed_told_and_trained_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "mlops_site.settings")  # for the runs' child processes
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    who = {name: client_of(name, role) for name, role in PEOPLE.items()}
    first = serve_first_version(who)
    policy = {"data_drift_score": 0.05, "min_labels": 100, "cool_down": "1h", "config_overrides": SPEC}
    set_to = who["enno"].put(f"{API}/models/{MODEL}/retrain-policy", policy, content_type="application/json")
    assert set_to.status_code == 200, set_to.content

    now, yesterday = datetime.now(UTC), datetime.now(UTC) - timedelta(days=1)
    log_usual_claims(who, yesterday)
    quiet = report(who["enno"], yesterday - timedelta(hours=1), yesterday + timedelta(hours=1))
    assert (quiet["samples"], quiet["drift"]["drifted"], quiet["performance"]["label_coverage"]) == (400, 0, 1.0)
    assert alerts(who["enno"]) == []

    score_older_people(who)
    alert = notice(who, now - timedelta(hours=1))
    run = train_again(who, alert)
    assert approve(who, run) == "1.0.1"
    lineage = who["dana"].get(f"{API}/models/{MODEL}/1.0.1").json()["lineage"]
    assert (lineage["run"], lineage["dataset"]) == (run, "claims@2")
    post(who["enno"], f"/monitoring/alerts/{alert['id']}/resolve", {"comment": "1.0.1 knows older people."})

    page = Client()
    page.force_login(person("olga", "viewer"))
    timeline = page.get(f"/models/{MODEL}/timeline").content.decode()
    assert all(f"/{part}" in timeline for part in (alert["id"], first, run))
    story = ["alert.raised", "dataset.version_created", "run.requested", "version.registered", "alert.resolved"]
    said_so = list(AuditRecord.objects.order_by("seq").values_list("action", flat=True))
    told = [action for action in said_so[said_so.index("alert.raised") :] if action in story]
    assert list(dict.fromkeys(told)) == story  # ages beyond any seen are told of too, by an alert of their own
    assert list(audit.faults()) == []
