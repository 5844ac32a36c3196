"""Story (c): the approver wants to see the retrained version on claims that nobody has trained on. It scores a new
year silently beside the version that answers, the outcomes come in, and the frozen result is evidence of its approval.
"""

from __future__ import annotations

import time
from typing import Any

from mlops_site.demo import claims, steps, watching
from mlops_site.demo.client import Client, StepFailed
from mlops_site.demo.drift_to_retrain import Retrained
from mlops_site.demo.report import Report
from mlops_site.demo.train_to_serve import Served

MODEL = steps.MODEL
METRIC, WORSE_BY = "brier", 0.01
SETTLE_SECS = 90.0
LOOK_SECS = 0.5


def tell(report: Report, who: dict[str, Client], served: Served, made: Retrained) -> None:
    """The whole story; StepFailed at the first step that does not hold."""
    _send_back(report, who, made.version)
    test = _start(report, who, made)
    rows = claims.year_5(served.rows)
    _answer(report, who, rows, served.threshold, serving=made.serving)
    _look(report, who, test, rows=len(rows))
    _conclude(report, who, test, made)
    steps.approve(report, who, made.version, requester="engineer")
    _resolve(report, who, made)
    steps.verify(report, who)


def _send_back(report: Report, who: dict[str, Client], version: str) -> None:
    with report.step(f"The approver sends the request for {version} back") as outcome:
        request = steps.pending(who["approver"], version)
        comment = "Show me claims that it was not trained on: run it beside the one in production for a year."
        said = who["approver"].post(f"/approvals/{request['id']}/request-changes", {"comment": comment})
        outcome.append(f"{said['status']}: {comment}")


def _start(report: Report, who: dict[str, Client], made: Retrained) -> int:
    with report.step(f"{made.version} becomes the challenger in a paired shadow test") as outcome:
        order = {
            "name": "Retrained on site 6",
            "model_name": MODEL,
            "version_a": made.serving,
            "version_b": made.version,
            "mode": "shadow",
            "success_metrics": [METRIC],
            "margin": WORSE_BY,
            "min_samples": 500,
            "hypothesis": "Trained on site 6 too, it is not worse on anybody's claims.",
        }
        test = who["engineer"].post("/ab-testing/create", order, expect=201)
        outcome.append(f"experiment {test['id']}: ship if {METRIC} is not worse by {WORSE_BY:g}")
        early = who["engineer"].get(f"/ab-testing/results/{test['id']}")
        if early["verdict"] != "blocked":
            raise StepFailed(f"nothing has been scored yet, but the verdict is {early['verdict']}: {early['reason']}")
        outcome.append(f"a verdict now would be {early['verdict']}")
    return int(test["id"])


def _answer(report: Report, who: dict[str, Client], rows: Any, dollars: float, *, serving: str) -> None:
    with report.step("Year 5 of every site is answered by production, and scored silently") as outcome:
        answers = steps.score(who["claims-app"], claims.as_requests(rows))
        others = {answer["version"] for answer in answers.values()} - {serving}
        if others:
            raise StepFailed(f"in a shadow test only {serving} answers, but {', '.join(sorted(others))} did as well")
        outcome.append(f"{len(answers):,} claims, all answered by {serving}")
        outcome.append(watching.send_outcomes(who["claims-app"], rows, dollars))


def _look(report: Report, who: dict[str, Client], test: int, *, rows: int) -> None:
    with report.step("What the test says") as outcome:
        found = _settled(who["engineer"], test, rows)
        outcome.append(f"{found['coverage']:.0%} of the claims scored by both, {found['arms'][1]['labelled']:,} judged")
        (metric,) = found["comparisons"]
        low, high = metric["sequential_ci"]
        outcome.append(f"{METRIC} {metric['difference']:+.4f} (always-valid interval {low:+.4f} to {high:+.4f})")
        outcome.append(f"{found['verdict']}: {found['reason']}")


def _settled(client: Client, test: int, rows: int) -> dict[str, Any]:
    """The results once every claim is scored by both and counted with its outcome."""
    deadline = time.monotonic() + SETTLE_SECS
    while time.monotonic() < deadline:
        found = client.get(f"/ab-testing/results/{test}")
        if not found["pending"] and found["coverage"] == 1.0 and found["arms"][1]["labelled"] == rows:
            return found
        time.sleep(LOOK_SECS)
    raise StepFailed(
        f"after {SETTLE_SECS:.0f} s {found['coverage']} of {rows} claims are scored by both, "
        f"{found['arms'][1]['labelled']} of them judged, {found['pending']} not counted"
    )


def _conclude(report: Report, who: dict[str, Client], test: int, made: Retrained) -> None:
    with report.step("The test is concluded") as outcome:
        frozen = who["engineer"].post(f"/ab-testing/conclude/{test}", {"reason": "A whole year is in."})
        if frozen["verdict"] != "ship_b" or frozen["request"] is None:
            said = f"{frozen['verdict']}: {frozen['reason']} {frozen['request_refused']}"
            raise StepFailed(f"the shadow test does not carry {made.version} to an approval: {said}")
        outcome.append(f"{frozen['verdict']}, frozen as {frozen['result_digest'][:12]}…")
        request = who["approver"].get(f"/approvals/{frozen['request']}")
        shown = request["evidence"]["experiment"]
        if shown["digest"] != frozen["result_digest"]:
            raise StepFailed(f"the evidence shows result {shown['digest'][:12]}, not {frozen['result_digest'][:12]}")
        outcome.append(f"request {frozen['request']} for {made.version} carries it as evidence")


def _resolve(report: Report, who: dict[str, Client], made: Retrained) -> None:
    with report.step("The alert is resolved") as outcome:
        comment = f"{made.version} was trained on site 6 too."
        said = who["engineer"].post(f"/monitoring/alerts/{made.alert['id']}/resolve", {"comment": comment})
        outcome.append(f"{said['status']} by {said['resolved_by']}: {said['comment']}")
