"""Story (a): a data scientist trains, the gate judges, another person approves, claims are scored and logged; then a
second candidate is compared, promoted and rolled back."""

from __future__ import annotations

import io
import statistics
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mlops_site.demo import claims, steps
from mlops_site.demo.client import Client, StepFailed
from mlops_site.demo.report import Report

DATASET = "hie_year_2"
SINGLES = 200


class Served(NamedTuple):
    """What the next story goes on from."""

    rows: Any  # every person-year
    threshold: float  # dollars from which a year is costly
    version: str  # in production
    rolled_back: str
    scored_at: datetime  # when the first claim of year 3 was sent


def tell(report: Report, who: dict[str, Client]) -> Served:
    """The whole story; StepFailed at the first step that does not hold."""
    rows = claims.person_years()
    threshold = _upload(report, who, rows)
    first = _train(report, who, "A first model: logistic regression and a random forest", FIRST_SEARCH)
    steps.approve(report, who, first["version"])
    scored_at = datetime.now(UTC)
    _score(report, who, rows, threshold)
    second = _train(report, who, "A challenger from another search: boosted trees", SECOND_SEARCH)
    _compare(report, who, first["version"], second["version"])
    steps.approve(report, who, second["version"])
    _roll_back(report, who, back_to=first["version"], away_from=second["version"])
    return Served(rows, threshold, first["version"], second["version"], scored_at)


FIRST_SEARCH = {"model_types": ["logistic_regression", "random_forest"], "n_trials": 4, "seed": 7}
SECOND_SEARCH = {"model_types": ["gradient_boosting"], "n_trials": 6, "seed": 8}


def _upload(report: Report, who: dict[str, Client], rows: Any) -> float:
    with report.step("A model and its data") as outcome:
        body = {
            "name": steps.MODEL,
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
            "model_name": steps.MODEL,
            "dataset": DATASET,
            "hyperparameter_optimization": True,
            "cv": "group",
            "cv_folds": 4,
            "metric": "roc_auc",
            "margin": steps.MARGIN,
            "trigger_reason": "demo",
            **search,
        }
        job = who["scientist"].post("/training/start", body, expect=202)
        status = who["scientist"].wait_for_run(job["job_id"], secs=steps.RUN_SECS, on_progress=show)
        best = status["leaderboard"][0]
        outcome.append(
            f"{status['trials']['done']} trials; best {best['model_type']}, ROC AUC {best['mean']:.3f} "
            f"(standard error {best['se']:.3f}) over {len(best['folds'])} folds; version {status['version']}"
        )
        outcome.append(steps.gate_words(status))
    return status


def _score(report: Report, who: dict[str, Client], rows: Any, threshold: float) -> None:
    year_3 = claims.year_3(rows)
    requests = claims.as_requests(year_3)
    with report.step("Year 3 of sites 1-5 is scored over HTTP and logged") as outcome:
        path = f"/models/{steps.MODEL}/predict"
        times: list[float] = []
        answers: dict[str, dict[str, Any]] = {}
        for one in requests[:SINGLES]:
            started = time.perf_counter()
            answer = who["claims-app"].post(path, one)
            times.append((time.perf_counter() - started) * 1000)
            answers |= steps.by_request(answer)
        answers |= steps.score(who["claims-app"], requests[SINGLES:])
        scores = {name: answer["score"] for name, answer in answers.items()}
        outcome.append(
            f"{len(scores):,} claims; one claim takes {statistics.median(times):.1f} ms (median of {len(times)})"
        )
        outcome.append(f"ROC AUC on what then happened {_auc(year_3, requests, scores, threshold):.3f}")
        outcome.append(_replayed(who["claims-app"], path, requests[0], scores))


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
        answer = who["approver"].get(f"/models/{steps.MODEL}/compare/{old}/{new}")
        metric = next(m for m in answer["metrics"] if m["name"] == "roc_auc")
        low, high = metric["ci95"]
        outcome.append(
            f"ROC AUC on the same holdout {metric['v1']:.3f} and {metric['v2']:.3f}: "
            f"difference {metric['delta']:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"
        )


def _roll_back(report: Report, who: dict[str, Client], *, back_to: str, away_from: str) -> None:
    with report.step("Rollback") as outcome:
        started = time.perf_counter()
        answer = who["approver"].post(f"/models/{steps.MODEL}/rollback", {"reason": "Demonstration of a rollback."})
        if (answer["version"], answer["replaced"]) != (back_to, away_from):
            raise StepFailed(f"the rollback went to {answer['version']}, not to {back_to}")
        steps.must_serve(who, back_to)
        outcome.append(
            f"{answer['version']} serves again instead of {answer['replaced']}, {time.perf_counter() - started:.2f} s"
        )
