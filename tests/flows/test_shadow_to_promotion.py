"""Story (c) over HTTP: a challenger scores claims silently, outcomes arrive, the test is concluded, and its frozen
result is evidence of the promotion that an approver agrees to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.test import Client

from abtesting.tasks import score_shadows
from mlops_site.core import audit, tokens
from mlops_site.core.models import AuditRecord
from monitoring.tasks import fold
from tests.abtesting.lab import Lab
from tests.people import person

API = "/api/v1"
CLAIMS = 400


def client_of(name: str, role: str) -> Client:
    headers: dict[str, Any] = {"authorization": f"Bearer {tokens.create_token(person(name, role))[1]}"}
    return Client(headers=headers)


def post(client: Client, path: str, body: Any, *, expect: int = 200) -> Any:
    answer = client.post(f"{API}{path}", body, content_type="application/json")
    assert answer.status_code == expect, answer.content
    return answer.json()


def results(client: Client, test: int) -> Any:
    return client.get(f"{API}/ab-testing/results/{test}").json()


def start(lab: Lab, engineer: Client) -> int:
    """A paired shadow test, which has no verdict before anything was scored."""
    order = lab.body(mode="shadow", traffic_split=1.0, success_metrics=["brier"], margin=0.1, min_samples=CLAIMS // 2)
    test = int(post(engineer, "/ab-testing/create", order, expect=201)["id"])
    assert results(engineer, test)["verdict"] == "blocked"
    return test


def answer_claims(lab: Lab, app: Client) -> list[dict[str, Any]]:
    """All of them answered by A, as if there were no test."""
    random = np.random.default_rng(11)
    features = [{"age": float(age), "visits": float(age % 7)} for age in random.integers(20, 80, CLAIMS)]
    rows = [{"request_id": f"claim-{n}", "unit_id": f"unit-{n}", "features": row} for n, row in enumerate(features)]
    said = post(app, f"/models/{lab.model.name}/predict", {"rows": rows})
    assert (said["version"], said["arm"]) == (lab.a.number, "a")
    return list(said["predictions"])


def tell_outcomes(lab: Lab, app: Client, answers: list[dict[str, Any]]) -> None:
    """Nine of ten claims turn out as A said."""
    rows = [
        {"model_name": lab.model.name, "request_id": one["request_id"], "label": one["decision"] ^ int(n % 10 == 0)}
        for n, one in enumerate(answers)
    ]
    assert post(app, "/monitoring/ground-truth", rows)["accepted"] == CLAIMS


@pytest.mark.django_db(transaction=True)
def test_a_shadow_test_carries_the_challenger_into_production() -> None:
    lab = Lab()
    engineer, approver = client_of("engineer", "ml_engineer"), client_of("approver", "approver")
    app = client_of("app", "service")
    test = start(lab, engineer)
    answers = answer_claims(lab, app)
    fold()
    assert results(engineer, test)["coverage"] == 0.0
    score_shadows()  # what a worker does when Beat rings
    tell_outcomes(lab, app, answers)
    fold()

    found = results(engineer, test)
    assert (found["coverage"], found["pending"]) == (1.0, 0)
    assert [(arm["version"], arm["units"], arm["labelled"]) for arm in found["arms"]] == [
        (lab.a.number, CLAIMS, CLAIMS),
        (lab.b.number, CLAIMS, CLAIMS),
    ]
    frozen = post(engineer, f"/ab-testing/conclude/{test}", {"reason": "enough is known"})
    assert (frozen["verdict"], frozen["request_refused"]) == ("ship_b", ""), frozen["reason"]

    path = f"/approvals/{frozen['request']}/approve"
    assert post(engineer, path, {"comment": "my own"}, expect=403)["code"] == "four_eyes"
    request = client_of("olga", "auditor").get(f"{API}/approvals/{frozen['request']}").json()
    assert request["evidence"]["experiment"]["digest"] == frozen["result_digest"]
    assert post(approver, path, {"comment": "read"})["status"] == "approved"
    again = post(app, f"/models/{lab.model.name}/predict", {"features": {"age": 51.0, "visits": 3.0}})
    assert (again["version"], again["arm"]) == (lab.b.number, "production")

    story = ["experiment.started", "experiment.concluded", "promotion.requested", "promotion.approved"]
    told = list(AuditRecord.objects.filter(action__in=story).order_by("seq").values_list("action", flat=True))
    assert told[told.index("experiment.started") :] == [story[0], story[2], story[1], story[3]]
    assert list(audit.faults()) == []
