"""What the stories do: read a gate, approve by four eyes, score claims, ask who serves, walk the audit chain."""

from __future__ import annotations

from typing import Any

from mlops_site.demo.client import Client, StepFailed
from mlops_site.demo.report import Report

MODEL = "high_cost_claim"
BATCH = 500
RUN_SECS = 240
MARGIN = 0.02  # the holdout has some 90 costly person-years: it cannot tell smaller differences from none


def gate_words(status: dict[str, Any]) -> str:
    gate = status["gate"]
    levels = [check["level"] for check in gate["checks"]]
    if not gate["passed"]:
        failed = "; ".join(check["message"] for check in gate["checks"] if check["level"] == "fail")
        raise StepFailed(f"the gate did not pass version {status['version']}: {failed}")
    return f"gate: {_counted(levels.count('pass'), 'check')} passed, {_counted(levels.count('remark'), 'remark')}"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def approve(
    report: Report, who: dict[str, Client], version: str, *, requester: str = "scientist", title: str = ""
) -> None:
    """The request for the version that waits: refused to who asked for it, granted by the approver."""
    with report.step(title or f"Approval of {version} by four eyes") as outcome:
        request = pending(who["approver"], version)
        path = f"/approvals/{request['id']}/approve"
        refusal = who[requester].post(path, {"comment": "my own work"}, expect=403)
        if refusal["code"] != "four_eyes":
            raise StepFailed(f"the requester's own approval was refused with {refusal['code']}, not four_eyes")
        outcome.append(f"the {requester}'s own approval was refused ({refusal['code']})")
        decided = who["approver"].post(path, {"comment": "Gate passed and evidence read."})
        must_serve(who, version)
        outcome.append(f"the approver's was {decided['status']}; {version} is in production")
        outcome.append(f"bound to evidence {decided['evidence_digest'][:12]}…")


def pending(client: Client, version: str) -> dict[str, Any]:
    """The promotion request for the version that waits."""
    waiting = client.get("/approvals", status="pending")["results"]
    for request in waiting:
        if request["model"] == MODEL and request["version"] == version:
            return dict(request)
    raise StepFailed(f"no promotion request waits for {MODEL} {version}")


def score(client: Client, requests: list[dict[str, Any]], **asked: Any) -> dict[str, dict[str, Any]]:
    """The answers to the requests by their ids, asked for in batches."""
    path = f"/models/{MODEL}/predict"
    answers: dict[str, dict[str, Any]] = {}
    for start in range(0, len(requests), BATCH):
        answers |= by_request(client.post(path, {"rows": requests[start : start + BATCH], **asked}))
    if len(answers) != len(requests):
        raise StepFailed(f"{len(requests)} claims were sent and {len(answers)} answered")
    return answers


def by_request(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {prediction["request_id"]: prediction for prediction in answer["predictions"]}


def must_serve(who: dict[str, Client], version: str) -> None:
    """Ask for a prediction and see which version answers."""
    sample = who["scientist"].get(f"/models/{MODEL}/schema")["sample"]
    answer = who["claims-app"].post(f"/models/{MODEL}/predict", {"features": sample, "dry_run": True})
    if answer["version"] != version:
        raise StepFailed(f"{answer['version']} answers, not {version}")


def verify(report: Report, who: dict[str, Client]) -> None:
    with report.step("The audit chain") as outcome:
        from mlops_site.core import audit

        if faults := list(audit.faults()):
            raise StepFailed(f"the audit chain is broken: {faults[0]}")
        count = who["auditor"].get("/audit")["count"]
        outcome.append(f"whole: {count} records, each linked to the one before")
