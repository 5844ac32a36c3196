"""Story (b)'s calls of monitoring, and its answers in words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from mlops_site.demo import claims
from mlops_site.demo.client import Client, StepFailed
from mlops_site.demo.steps import MODEL

PART = 5_000  # rows of one request
BUCKET_SECS = 300  # what monitoring adds up begins at whole multiples of this
FOLD_SECS, JOB_SECS = 60.0, 60.0
LOOK_SECS = 0.5


def send_outcomes(client: Client, rows: Any, dollars: float) -> str:
    labels = claims.as_labels(rows, dollars, model=MODEL)
    for start in range(0, len(labels), PART):
        part = labels[start : start + PART]
        _all_taken(client.post("/monitoring/ground-truth", part), len(part))
    return f"{len(labels):,} outcomes, {sum(one['label'] for one in labels) / len(labels):.1%} of them costly"


def log_answers(
    client: Client, requests: list[dict[str, Any]], answers: dict[str, dict[str, Any]], *, version: str
) -> str:
    """Answers that were given elsewhere, as one JSON row a line."""
    given = ("prediction", "score", "decision")
    about = {"model_name": MODEL, "model_version": version, "predicted_at": datetime.now(UTC).isoformat()}
    rows = [{**about, **one, **{name: answers[one["request_id"]][name] for name in given}} for one in requests]
    body = "\n".join(map(json.dumps, rows)).encode()
    kind = {"Content-Type": "application/x-ndjson"}
    answer = client.call("POST", "/monitoring/log-predictions", expect=200, data=body, headers=kind)
    _all_taken(answer, len(rows))
    return f"{answer['accepted']:,} predictions in {len(body) / 2**20:.1f} MB"


def _all_taken(answer: dict[str, Any], sent: int) -> None:
    if answer["accepted"] != sent:
        raise StepFailed(f"{sent} rows were sent and {answer['accepted']} accepted; rejected: {answer['rejected'][:3]}")


def report_on(client: Client, version: str, *, rows: int, since: datetime | None = None) -> dict[str, Any]:
    """The report on what the version answered since then (an hour ago if left out), once all of it is added up."""
    window = _window(since or datetime.now(UTC) - timedelta(hours=1))
    _wait_until_added_up(client, version, window, rows)
    asked = {"model_name": MODEL, "model_version": version, "window": window}
    job = client.post("/monitoring/run", asked, expect=202)
    ended = _wait_for_job(client, job["job_id"])
    return client.get(ended["report_url"].removeprefix("/api/v1"))


def _window(since: datetime) -> dict[str, str]:
    start = since.timestamp() // BUCKET_SECS * BUCKET_SECS
    return {"from": datetime.fromtimestamp(start, UTC).isoformat(), "to": datetime.now(UTC).isoformat()}


def _wait_until_added_up(client: Client, version: str, window: dict[str, str], rows: int) -> None:
    """Until the dashboard counts every prediction that was sent, each with its outcome."""
    deadline = time.monotonic() + FOLD_SECS
    while time.monotonic() < deadline:
        shown = client.get(f"/monitoring/dashboard/{MODEL}", version=version, **window)
        counted, coverage = shown["operations"]["predictions"], shown["label_coverage"]
        if counted == rows and coverage == 1.0:
            return
        time.sleep(LOOK_SECS)
    raise StepFailed(
        f"after {FOLD_SECS:.0f} s {counted} of {rows} predictions are added up, {coverage} of them labelled"
    )


def _wait_for_job(client: Client, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + JOB_SECS
    while time.monotonic() < deadline:
        job = client.get(f"/jobs/{job_id}")
        if job["state"] == "succeeded":
            return job
        if job["state"] in ("failed", "cancelled"):
            raise StepFailed(f"the report {job['state']}: {job['error']}")
        time.sleep(LOOK_SECS)
    raise StepFailed(f"the report took longer than {JOB_SECS:.0f} s")


def alerts(client: Client) -> list[dict[str, Any]]:
    """The unresolved ones of the model, worst first."""
    found: list[dict[str, Any]] = client.get("/monitoring/alerts", model=MODEL)["results"]
    return found


def run_because_of(client: Client, alert: dict[str, Any], *, secs: float) -> str:
    """The job of the training that the policy decided on because of the alert; nobody asks for it here."""
    deadline = time.monotonic() + secs
    while time.monotonic() < deadline:
        decisions = client.get(f"/models/{MODEL}/retrain-policy")["decisions"]
        decision = next((one for one in decisions if one["alert"] == alert["id"]), None)
        if decision and decision["outcome"] != "taken":
            raise StepFailed(f"the policy refused to train again ({decision['outcome']}): {decision['detail']}")
        if decision:
            return str(decision["run"])
        time.sleep(LOOK_SECS)
    raise StepFailed(f"{secs:.0f} s after alert {alert['id']} the policy has not decided on it")


def drift_words(found: dict[str, Any]) -> str:
    drift = found["drift"]
    largest = sorted(drift["features"], key=lambda feature: -(feature["effect"] or 0))[:3]
    return (
        f"{found['samples']:,} claims against the training data: drift score {drift['overall_score']:.3f} "
        f"({drift['severity']}), {drift['drifted']} of {drift['total']} features drifted, "
        f"largest effects {_listed(largest)}"
    )


def _listed(features: Iterable[dict[str, Any]]) -> str:
    return ", ".join(f"{feature['name']} {feature['effect']:.3f}" for feature in features)


def performance_words(found: dict[str, Any]) -> str:
    """Realised figures, each with its interval where there is one, and the share of claims whose outcome is known."""
    performance = found["performance"]
    wanted = {metric["name"]: metric for metric in performance["realised"]}
    said = []
    for name in ("roc_auc", "f1_score"):
        low, high = wanted[name]["ci95"] or (None, None)
        interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
        said.append(f"{name} {wanted[name]['value']:.3f}{interval}")
    return f"realised {', '.join(said)}; outcomes known of {performance['label_coverage']:.0%}"
