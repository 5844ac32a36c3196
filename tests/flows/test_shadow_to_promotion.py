"""Story (c) over HTTP: a challenger scores silently, and its frozen result carries it into production."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from abtesting.tasks import score_shadows
from mlops_site.core import audit
from monitoring.services import fold_all
from registry import services as registry
from registry.artifacts.formats import dump_skops
from tests.people import actor
from tests.registry.http import Person
from tests.registry.parts import candidate, claims, into_production

MODEL, CLAIMS = "high_cost", 600


def outcomes(rows: pd.DataFrame) -> list[int]:
    """Old people and many visits cost much, and one claim in ten is otherwise."""
    otherwise = np.random.default_rng(11).random(len(rows)) < 0.1
    found: list[int] = ((rows["age"] + 5 * rows["visits"] > 65) ^ otherwise).astype(int).tolist()
    return found


def better() -> bytes:
    """What has learned from both; the version in production knows the age alone."""
    known = claims(2_000, seed=3)
    return dump_skops(LogisticRegression(max_iter=1_000).fit(known, outcomes(known)))


def versions() -> dict[str, Person]:
    """1.0.0 in production, 1.1.0 in staging, and the people of their team."""
    engineer, approver = actor("enno", "ml_engineer"), actor("ben", "approver")
    model = registry.create_model(actor=engineer, name=MODEL, task_type="classification")
    into_production(model, author=engineer, approver=approver, seed=0)
    tried = candidate(artifact_bytes=better(), params={"C": 2.0})
    version = registry.register_version(model, actor=engineer, candidate=tried)
    registry.move_stage(version, actor=engineer, target_stage="staging", reason="It knows the visits too.")
    people = {"enno": engineer, "ben": approver, "app": actor("app", "service")}
    return {name: Person(own) for name, own in people.items()}


def answer_a_year(app: Person) -> None:
    """Production answers every claim; the outcomes come in."""
    year = claims(CLAIMS, seed=4)
    rows = [{"request_id": f"claim-{n}", "features": row} for n, row in enumerate(year.to_dict("records"))]
    status, said = app.post(f"/models/{MODEL}/predict", {"rows": rows})
    assert status == 200, said
    assert {each["version"] for each in said["predictions"]} == {"1.0.0"}
    labels = enumerate(outcomes(year))
    told = [{"model_name": MODEL, "request_id": f"claim-{n}", "label": label} for n, label in labels]
    assert app.post("/monitoring/ground-truth", told)[1]["accepted"] == CLAIMS


def start(enno: Person) -> int:
    about: dict[str, Any] = {"model_name": MODEL, "version_a": "1.0.0", "version_b": "1.1.0", "mode": "shadow"}
    status, made = enno.post("/ab-testing/create", {**about, "success_metrics": ["accuracy"]})
    assert (status, made["status"]) == (201, "running"), made
    return int(made["id"])


@pytest.mark.django_db(transaction=True)
def test_a_silent_challenger_goes_into_production_with_its_result_as_evidence() -> None:
    who = versions()
    test = start(who["enno"])
    answer_a_year(who["app"])
    fold_all()
    waiting = who["enno"].get(f"/ab-testing/results/{test}")[1]
    assert (waiting["verdict"], waiting["coverage"], waiting["pending"]) == ("blocked", 0.0, CLAIMS)

    score_shadows()  # what a worker does when the bell rings
    found = who["enno"].get(f"/ab-testing/results/{test}")[1]
    assert (found["verdict"], found["coverage"], found["arms"][1]["labelled"]) == ("ship_b", 1.0, CLAIMS), found

    status, frozen = who["enno"].post(f"/ab-testing/conclude/{test}", {"reason": "A whole year is in."})
    assert (status, frozen["status"], frozen["comparisons"]) == (200, "concluded", found["comparisons"])
    request = who["ben"].get(f"/approvals/{frozen['request']}")[1]
    assert request["evidence"]["experiment"]["digest"] == frozen["result_digest"]
    approved = who["ben"].post(f"/approvals/{frozen['request']}/approve", {"comment": "The year convinces me."})
    assert (approved[0], approved[1]["status"]) == (200, "approved"), approved
    assert who["enno"].get(f"/models/{MODEL}")[1]["stages"]["production"] == "1.1.0"
    assert who["enno"].post(f"/ab-testing/conclude/{test}", {"reason": "Again."})[1] == frozen
    assert list(audit.faults()) == []
