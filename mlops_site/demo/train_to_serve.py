"""Story (a): a data scientist trains, the gate judges, another person approves, claims are scored and logged; then a
second candidate is compared, promoted and rolled back."""

from __future__ import annotations

import io
import statistics
import time
from typing import Any

from mlops_site.demo import claims
from mlops_site.demo.client import Client, StepFailed
from mlops_site.demo.report import Report

MODEL, DATASET = "high_cost_claim", "hie_year_2"
BATCH = 500
SINGLES = 200
RUN_SECS = 240
MARGIN = 0.02  # the holdout has some 90 costly person-years: it cannot tell smaller differences from none


def tell(report: Report, who: dict[str, Client]) -> None:
    """The whole story; StepFailed at the first step that does not hold."""
    rows = claims.person_years()
    threshold = _upload(report, who, rows)
    first = _train(report, who, "A first model: logistic regression and a random forest", FIRST_SEARCH)
    _approve(report, who, first)
    _score(report, who, rows, threshold)
    second = _train(report, who, "A challenger from another search: boosted trees", SECOND_SEARCH)
    _compare(report, who, first["version"], second["version"])
    _approve(report, who, second)
    _roll_back(report, who, back_to=first["version"], away_from=second["version"])
    _verify(report, who)


FIRST_SEARCH = {"model_types": ["logistic_regression", "random_forest"], "n_trials": 4, "seed": 7}
SECOND_SEARCH = {"model_types": ["gradient_boosting"], "n_trials": 6, "seed": 8}


def _upload(report: Report, who: dict[str, Client], rows: Any) -> float:
    with report.step("A model and its data") as outcome:
        body = {
            "name": MODEL,
            "task_type": "classification",
            "risk_tier": "medium",
            "auto_deploy": "staging",
            "description": "Will this year's medical dollars be among the top tenth?",
        }
        who["engineer"].post("/models", body, expect=201)
        frame, threshold = claims.training_rows(rows)
        file = io.BytesIO(frame.to_csv(index=False).encode())
        version = who["scientist"].call(
            "POST",
            "/datasets",
            expect=201,
            files={"file": ("hie_year_2.csv", file)},
            data={"name": DATASET, "target": claims.TARGET, "group_column": claims.GROUP},
        )
        outcome.append(
            f"{version['name']}@{version['version']}: {version['rows']:,} person-years of years 1-2, sites 1-5, "
            f"{frame[claims.TARGET].mean():.1%} above ${threshold:,.0f}"
        )
    return threshold


def _train(report: Report, who: dict[str, Client], title: str, search: dict[str, Any]) -> dict[str, Any]:
    with report.step(title) as outcome, report.bar() as show:
        body = {
            "model_name": MODEL,
            "dataset": DATASET,
            "hyperparameter_optimization": True,
            "cv": "group",
            "cv_folds": 4,
            "metric": "roc_auc",
            "margin": MARGIN,
            "trigger_reason": "demo",
            **search,
        }
        job = who["scientist"].post("/training/start", body, expect=202)
        status = who["scientist"].wait_for_run(job["job_id"], secs=RUN_SECS, on_progress=show)
        best = status["leaderboard"][0]
        outcome.append(
            f"{status['trials']['done']} trials; best {best['model_type']}, ROC AUC {best['mean']:.3f} "
            f"(standard error {best['se']:.3f}) over {len(best['folds'])} folds; version {status['version']}"
        )
        outcome.append(_gate(status))
    return status


def _gate(status: dict[str, Any]) -> str:
    gate = status["gate"]
    levels = [check["level"] for check in gate["checks"]]
    if not gate["passed"]:
        failed = "; ".join(check["message"] for check in gate["checks"] if check["level"] == "fail")
        raise StepFailed(f"the gate did not pass version {status['version']}: {failed}")
    return f"gate: {levels.count('pass')} checks passed, {levels.count('remark')} remarks"


def _approve(report: Report, who: dict[str, Client], status: dict[str, Any]) -> None:
    version = status["version"]
    with report.step(f"Approval of {version} by four eyes") as outcome:
        request = _pending(who["approver"], version)
        refusal = who["scientist"].post(f"/approvals/{request['id']}/approve", {"comment": "my own work"}, expect=403)
        if refusal["code"] != "four_eyes":
            raise StepFailed(f"the requester's own approval was refused with {refusal['code']}, not four_eyes")
        outcome.append(f"the requester's own approval was refused ({refusal['code']})")
        decided = who["approver"].post(
            f"/approvals/{request['id']}/approve", {"comment": "Gate passed and evidence read."}, expect=200
        )
        _must_serve(who, version)
        outcome.append(f"the approver's was {decided['status']}; {version} is in production")
        outcome.append(f"bound to evidence {decided['evidence_digest'][:12]}…")


def _pending(client: Client, version: str) -> dict[str, Any]:
    waiting = client.get("/approvals", status="pending")["results"]
    for request in waiting:
        if request["model"] == MODEL and request["version"] == version:
            return dict(request)
    raise StepFailed(f"no promotion request waits for {MODEL} {version}")


def _score(report: Report, who: dict[str, Client], rows: Any, threshold: float) -> None:
    year_3 = rows[(rows["year"] == 3) & (rows["site"] <= 5)]
    requests = claims.as_requests(year_3)
    with report.step("Year 3 of sites 1-5 is scored over HTTP and logged") as outcome:
        path = f"/models/{MODEL}/predict"
        times: list[float] = []
        scores: dict[str, float] = {}
        for one in requests[:SINGLES]:
            started = time.perf_counter()
            answer = who["claims-app"].post(path, one)
            times.append((time.perf_counter() - started) * 1000)
            scores |= _scores(answer)
        for start in range(SINGLES, len(requests), BATCH):
            scores |= _scores(who["claims-app"].post(path, {"rows": requests[start : start + BATCH]}))
        if len(scores) != len(requests):
            raise StepFailed(f"{len(requests)} claims were sent and {len(scores)} answered")
        outcome.append(
            f"{len(scores):,} claims; one claim takes {statistics.median(times):.1f} ms (median of {len(times)})"
        )
        outcome.append(f"ROC AUC on what then happened {_auc(year_3, requests, scores, threshold):.3f}")
        outcome.append(_replayed(who["claims-app"], path, requests[0], scores))


def _scores(answer: dict[str, Any]) -> dict[str, float]:
    return {p["request_id"]: p["score"] for p in answer["predictions"]}


def _auc(year_3: Any, requests: list[dict[str, Any]], scores: dict[str, float], threshold: float) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(year_3["meddol"] > threshold, [scores[one["request_id"]] for one in requests]))


def _replayed(client: Client, path: str, one: dict[str, Any], scores: dict[str, float]) -> str:
    again = client.post(path, one)["predictions"][0]
    if again["score"] != scores[one["request_id"]]:
        raise StepFailed(f"request {one['request_id']} was answered twice, and not the same")
    return "a repeated request got its first answer"


def _compare(report: Report, who: dict[str, Client], old: str, new: str) -> None:
    with report.step(f"{new} beside {old}") as outcome:
        answer = who["approver"].get(f"/models/{MODEL}/compare/{old}/{new}")
        metric = next(m for m in answer["metrics"] if m["name"] == "roc_auc")
        low, high = metric["ci95"]
        outcome.append(
            f"ROC AUC on the same holdout {metric['v1']:.3f} and {metric['v2']:.3f}: "
            f"difference {metric['delta']:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"
        )


def _roll_back(report: Report, who: dict[str, Client], *, back_to: str, away_from: str) -> None:
    with report.step("Rollback") as outcome:
        started = time.perf_counter()
        answer = who["approver"].post(f"/models/{MODEL}/rollback", {"reason": "Demonstration of a rollback."})
        if (answer["version"], answer["replaced"]) != (back_to, away_from):
            raise StepFailed(f"the rollback went to {answer['version']}, not to {back_to}")
        _must_serve(who, back_to)
        outcome.append(
            f"{answer['version']} serves again instead of {answer['replaced']}, {time.perf_counter() - started:.2f} s"
        )


def _must_serve(who: dict[str, Client], version: str) -> None:
    """Ask for a prediction and see which version answers."""
    sample = who["scientist"].get(f"/models/{MODEL}/schema")["sample"]
    answer = who["claims-app"].post(f"/models/{MODEL}/predict", {"features": sample, "dry_run": True})
    if answer["version"] != version:
        raise StepFailed(f"{answer['version']} answers, not {version}")


def _verify(report: Report, who: dict[str, Client]) -> None:
    with report.step("The audit chain") as outcome:
        from mlops_site.core import audit

        if faults := list(audit.faults()):
            raise StepFailed(f"the audit chain is broken: {faults[0]}")
        count = who["auditor"].get("/audit")["count"]
        outcome.append(f"whole: {count} records, each linked to the one before")
