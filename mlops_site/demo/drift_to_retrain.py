"""Story (b): outcomes come in and nothing is wrong; then another site's claims arrive, the drift is noticed and told,
the model is trained again by its policy on what was logged, and the new version waits for its approval."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlops_site.demo import claims, steps, watching
from mlops_site.demo.client import Client, StepFailed
from mlops_site.demo.receiver import Receiver
from mlops_site.demo.report import Report
from mlops_site.demo.train_to_serve import Served

MODEL = steps.MODEL
TIMELINE = f"/models/{MODEL}/timeline"
RETRAIN_SECS, WEBHOOK_SECS = 180.0, 180.0  # a machine with other work to do takes its time
POLICY = {
    "data_drift_score": 0.1,
    "performance_degradation": None,
    "prediction_volume_drop": None,
    "scheduled_interval": "7d",
    "min_labels": 1_000,
    "cool_down": "30m",
    "keeps_training_rows": True,
    "config_overrides": {
        "model_types": ["logistic_regression", "hist_gradient_boosting"],
        "n_trials": 2,
        "margin": steps.MARGIN,
    },
}


class Retrained(NamedTuple):
    """What the next story goes on from."""

    version: str  # made because of the alert; its request waits
    serving: str  # in production meanwhile
    alert: dict[str, Any]


def tell(report: Report, who: dict[str, Client], served: Served, receiver: Receiver) -> Retrained:
    """The whole story; StepFailed at the first step that does not hold."""
    rows, dollars = served.rows, served.threshold
    known, later, elsewhere = claims.year_3(rows), claims.year_4(rows), claims.site_6(rows)
    _outcomes(report, who, known, dollars, "The outcomes of year 3 of sites 1-5 arrive")
    _control(report, who, served, rows=len(known))
    _set_policy(report, who)
    _log_batch(report, who, later, dollars, version=served.version)
    _forward_again(report, who, served.rolled_back)
    _another_site(report, who, elsewhere, dollars)
    alert = _alarm(report, who, version=served.rolled_back, rows=len(elsewhere))
    status = _retrain(report, who, alert)
    _told(report, who, alert, receiver)
    return Retrained(status["version"], served.rolled_back, alert)


def _outcomes(report: Report, who: dict[str, Client], rows: Any, dollars: float, title: str) -> None:
    with report.step(title) as outcome:
        outcome.append(watching.send_outcomes(who["claims-app"], rows, dollars))


def _control(report: Report, who: dict[str, Client], served: Served, *, rows: int) -> None:
    with report.step("Control: the claims of the sites that the model knows") as outcome:
        found = watching.report_on(who["engineer"], served.version, since=served.scored_at, rows=rows)
        outcome.append(watching.drift_words(found))
        alarms = [alert for alert in watching.alerts(who["engineer"]) if alert["rule"] == "drift"]
        if found["drift"]["drifted"] or alarms:
            raise StepFailed(f"nothing changed in these claims, but: {outcome[0]}; {len(alarms)} drift alarms")
        outcome.append("no drift alarm")
        outcome.append(watching.performance_words(found))


def _set_policy(report: Report, who: dict[str, Client]) -> None:
    with report.step("When to train again is set by the engineer") as outcome:
        policy = who["engineer"].call("PUT", f"/models/{MODEL}/retrain-policy", expect=200, json=POLICY)
        outcome.append(
            f"from a drift score of {policy['data_drift_score']} and {policy['min_labels']:,} new outcomes on, "
            f"at most once in {policy['cool_down']}"
        )


def _log_batch(report: Report, who: dict[str, Client], rows: Any, dollars: float, *, version: str) -> None:
    """The application scores a batch for itself and says afterwards what it answered: a dry run is not logged."""
    with report.step("Year 4 is scored in the application's own batch and logged afterwards") as outcome:
        requests = claims.as_requests(rows)
        answers = steps.score(who["claims-app"], requests, dry_run=True)
        outcome.append(watching.log_answers(who["claims-app"], requests, answers, version=version))
        outcome.append(watching.send_outcomes(who["claims-app"], rows, dollars))


def _forward_again(report: Report, who: dict[str, Client], version: str) -> None:
    """What was rolled back goes into production again only by a new request."""
    order = {"target_stage": "production", "reason": "The rollback was a drill; the comparison stands."}
    asked = who["scientist"].post(f"/models/{MODEL}/{version}/promote", order, expect=202)
    if asked["status"] != "pending_approval":
        raise StepFailed(f"{version} was rolled back, and its promotion was {asked['status']}, not pending_approval")
    steps.approve(report, who, version, title=f"{version} goes forward again, by a new request")


def _another_site(report: Report, who: dict[str, Client], rows: Any, dollars: float) -> None:
    with report.step("Site 6 joins: its claims of year 3 are scored and logged") as outcome:
        answers = steps.score(who["claims-app"], claims.as_requests(rows))
        outcome.append(f"{len(answers):,} claims of a site that no training row came from")
        outcome.append(watching.send_outcomes(who["claims-app"], rows, dollars))


def _alarm(report: Report, who: dict[str, Client], *, version: str, rows: int) -> dict[str, Any]:
    with report.step("The drift is noticed") as outcome:
        found = watching.report_on(who["engineer"], version, rows=rows)
        outcome.append(watching.drift_words(found))
        outcome.append(watching.performance_words(found))
        alert = next((a for a in watching.alerts(who["engineer"]) if a["rule"] == "drift"), None)
        if alert is None:
            raise StepFailed(f"site 6 is another population, but no drift alarm was raised: {outcome[0]}")
        outcome.append(f"{alert['severity']} alert: {alert['summary']}")
        path = f"/monitoring/alerts/{alert['id']}/acknowledge"
        said = who["engineer"].post(path, {"comment": "Site 6 has joined; this was to be expected."})
        outcome.append(f"{said['status']} by {said['acknowledged_by']}")
    return alert


def _retrain(report: Report, who: dict[str, Client], alert: dict[str, Any]) -> dict[str, Any]:
    with report.step("The model is trained again, by its policy") as outcome, report.bar() as show:
        job_id = watching.run_because_of(who["scientist"], alert, secs=RETRAIN_SECS)
        status = who["scientist"].wait_for_run(job_id, secs=steps.RUN_SECS, on_progress=show)
        if status["trigger"]["alert"] != alert["id"]:
            raise StepFailed(f"run {job_id} names {status['trigger']}, not alert {alert['id']}")
        name, _, number = status["dataset"].partition("@")
        made = who["scientist"].get(f"/datasets/{name}/{number}")
        outcome.append(f"{status['trigger_reason']}, for alert {alert['id'][:8]}")
        outcome.append(
            f"{status['dataset']}: {made['rows']:,} rows, {made['lineage']['labels']:,} of them logged claims with "
            f"their outcome, after those of {made['lineage']['parent']}"
        )
        outcome.append(f"best {status['leaderboard'][0]['model_type']}; version {status['version']}")
        outcome.append(steps.gate_words(status))
    return status


def _told(report: Report, who: dict[str, Client], alert: dict[str, Any], receiver: Receiver) -> None:
    with report.step("The alert reaches the webhook, whose receiver was down at first") as outcome:
        calls = receiver.wait_for(alert["id"], secs=WEBHOOK_SECS)
        first, *again = [call for call in calls if call.key == calls[0].key]
        tries = ", ".join(f"{call.answered} after {call.at - first.at:.0f} s" for call in again)
        outcome.append(f"the first call was answered {first.answered}, the same message again {tries}")
        body = next(call.body for call in calls if call.body["id"] == alert["id"])
        outcome.append(f"{body['type']}: {body['severity']}, {body['model']} {body['version']}, {body['summary']}")
