"""The REST face of experiments: what is answered, to whom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from abtesting import services
from abtesting.models import Epoch
from abtesting.stats.assignment import Split, assign, assign_all
from registry import services as registry
from tests.abtesting.lab import Lab
from tests.people import actor, bearer
from tests.registry.http import Person

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db

ASKED: dict[str, Any] = {
    "name": "spring",
    "traffic_split": 0.1,
    "success_metrics": ["f1_score", "precision"],
    "margin": 0.01,
    "guardrails": {"latency": {"warn": 0.5}, "cost": None},
    "costs": {"false_positive": 1, "false_negative": 20},
    "group_by": "age",
    "follow_up_days": 30,
    "holdout": 0.05,
    "planned_labels": 4000,
    "hypothesis": "It finds more.",
}


@pytest.fixture
def engineer(lab: Lab) -> Person:
    return Person(lab.engineer)


def test_one_is_answered_with_all_that_it_was_asked(lab: Lab, engineer: Person) -> None:
    status, made = engineer.post("/ab-testing/create", lab.body(**ASKED))
    assert status == 201
    assert engineer.get(f"/ab-testing/{made['id']}") == (200, made)
    rails = made.pop("guardrails")
    assert rails["latency"] == {"warn": 0.5, "hold": None, "roll_back": None}
    assert rails["cost"] == {"warn": None, "hold": None, "roll_back": None}
    assert rails["error_rate"] == {"warn": 0.002, "hold": 0.01, "roll_back": 0.03}
    (split,) = made.pop("splits")
    assert (split["number"], split["traffic_split"], split["by"]) == (1, 0.1, "eva-high_cost")
    started = made.pop("started_at")
    assert started == split["started_at"]
    assert made.pop("id") > 0
    assert made.pop("salt").startswith("high_cost-")
    assert made == {name: value for name, value in ASKED.items() if name != "guardrails"} | {
        "model_name": "high_cost",
        "mode": "ab",
        "version_a": "1.0.0",
        "version_b": "1.1.0",
        "status": "running",
        "min_samples": 100,
        "steps": [],
        "step_hours": None,
        "created_by": "eva-high_cost",
        "ending": "",
        "ended_by": None,
        "ended_at": None,
        "end_reason": "",
        "mismatch_at": None,
        "verdict": "",
        "result_digest": "",
        "request": None,
    }


def test_the_list_is_of_ones_teams_latest_first_and_can_be_narrowed(lab: Lab, engineer: Person) -> None:
    services.stop_experiment(lab.start(name="first"), actor=lab.engineer, reason="enough")
    lab.start(name="second")
    Lab(name="theirs", team="others").start()

    def names(**query: Any) -> list[str]:
        status, page = engineer.get("/ab-testing", **query)
        assert (status, set(page)) == (200, {"count", "next", "previous", "results"})
        return [row["name"] for row in page["results"]]

    assert names() == names(status="all") == ["second", "first"]
    assert names(status="stopped") == ["first"]
    assert names(model="high_cost", status="running") == ["second"]
    assert names(model="theirs") == names(model="nobody") == []
    assert names(page_size="1", page="2") == ["first"]
    assert engineer.get("/ab-testing", status="charming")[1]["code"] == "unknown_status"
    assert Person(actor("vera", "viewer")).get("/ab-testing")[1]["count"] == 2


def test_another_teams_experiment_does_not_exist(lab: Lab) -> None:
    pk = lab.start().pk
    other = Person(actor("zoe", "ml_engineer", team="others"))
    assert other.get("/ab-testing")[1]["count"] == 0
    for path in (f"/ab-testing/{pk}", f"/ab-testing/results/{pk}", "/ab-testing/999999999999"):
        assert (other.get(path)[0], other.get(path)[1]["code"]) == (404, "unknown_experiment")
    for path, body in (
        (f"/ab-testing/{pk}/assign", {"unit_id": "x"}),
        (f"/ab-testing/{pk}/stop", {"reason": "x"}),
        (f"/ab-testing/{pk}/split", {"traffic_split": 0.1, "reason": "x"}),
        (f"/ab-testing/conclude/{pk}", {"reason": "x"}),
    ):
        assert other.post(path, body)[0] == 404, path


class TestAssign:
    def test_it_is_the_pure_function_of_the_open_split(self, lab: Lab, engineer: Person) -> None:
        experiment = lab.start(traffic_split=0.3, holdout=0.2)
        split = Split(experiment.salt, 0.3, 0.2)
        seen = set()
        for number in range(40):
            status, said = engineer.post(f"/ab-testing/{experiment.pk}/assign", {"unit_id": f"person {number}"})
            arm = assign(split, f"person {number}")
            assert (status, said) == (200, {"arm": arm, "version": "1.1.0" if arm == "b" else "1.0.0"})
            seen.add(arm)
        assert seen == {"a", "b", "holdout"}
        assert engineer.post(f"/ab-testing/{experiment.pk}/assign", {"unit_id": " x"})[1]["arm"] == assign(split, " x")

    @pytest.mark.postgres
    def test_the_documented_sql_deals_alike(self, db: None) -> None:
        """With 48 bits for 52 in the documentation, this fails (tried)."""
        (sql,) = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "experiments.md").read_text(), re.DOTALL)
        units = [*(f"person-{number}" for number in range(2_000)), "ä", "a/b", " x", "日本"]
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE units (unit_id text) ON COMMIT DROP")
            cursor.execute("INSERT INTO units SELECT unnest(%s::text[])", [units])
            cursor.execute(sql)
            dealt = dict(cursor.fetchall())
        split = Split("claims-7", share_b=0.3, holdout=0.05)
        assert dealt == dict(zip(units, assign_all(split, units), strict=True))
        assert set(dealt.values()) == {"a", "b", "holdout"}

    def test_a_shadow_test_answers_with_a(self, lab: Lab, engineer: Person) -> None:
        path = f"/ab-testing/{lab.start(design='shadow', traffic_split=0.5).pk}/assign"
        said = {tuple(engineer.post(path, {"unit_id": str(n)})[1].values()) for n in range(20)}
        assert said == {("a", "1.0.0")}

    def test_machines_may_ask_and_an_ended_one_says_what_to_do(self, lab: Lab, engineer: Person) -> None:
        experiment = lab.start()
        path = f"/api/v1/ab-testing/{experiment.pk}/assign"
        machine = Client(headers=bearer(actor("app", "service").user, scopes=("predict",)))  # type: ignore[arg-type]
        body = {"unit_id": "x"}
        assert machine.post(path, body, content_type="application/json").status_code == 200
        assert machine.post(path, {}, content_type="application/json").json()["errors"][0]["field"] == "unit_id"
        services.stop_experiment(experiment, actor=lab.engineer, reason="enough")
        answer = machine.post(path, body, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (409, "experiment_ended")
        assert "ask the version in production" in answer.json()["detail"]


class TestResults:
    def test_live_results_have_the_contracts_fields(self, lab: Lab, engineer: Person) -> None:
        experiment = lab.start(metrics=["accuracy", "recall"])
        lab.answer(experiment, 400)
        status, said = engineer.get(f"/ab-testing/results/{experiment.pk}")
        assert (status, said["status"], said["mode"], said["request"]) == (200, "running", "ab", None)
        assert [(arm["arm"], arm["version"]) for arm in said["arms"]] == [("a", "1.0.0"), ("b", "1.1.0")]
        assert sum(arm["units"] for arm in said["arms"]) == 400
        assert sum(arm["labelled"] for arm in said["arms"]) == 400
        assert set(said["arms"][0]["metrics"]) >= {"accuracy", "recall"}
        assert said["srm"]["ok"]
        assert [each["metric"] for each in said["comparisons"]] == ["accuracy", "recall"]
        assert set(said["comparisons"][0]) >= {"difference", "ci95", "sequential_ci", "p_value", "verdict"}
        assert said["verdict"] in ("ship_b", "keep_a", "undecided", "blocked")
        assert set(said) >= {"reason", "samples_needed", "coverage", "guardrails", "as_of"}

    def test_what_was_stopped_has_figures_and_no_verdict(self, lab: Lab, engineer: Person) -> None:
        experiment = lab.start()
        lab.answer(experiment, 100)
        services.stop_experiment(experiment, actor=lab.engineer, reason="wrong metric")
        said = engineer.get(f"/ab-testing/results/{experiment.pk}")[1]
        assert (said["status"], said["verdict"], said["ending"]) == ("stopped", None, "stopped")
        assert said["reason"] == "stopped by a person: wrong metric"
        assert sum(arm["units"] for arm in said["arms"]) == 100


def test_a_model_names_the_experiment_that_runs_on_it(lab: Lab, engineer: Person) -> None:
    assert engineer.get("/models/high_cost")[1]["running_experiment"] is None
    experiment = lab.start()
    running = engineer.get("/models/high_cost")[1]["running_experiment"]
    assert running.pop("started_at")
    assert running == {
        "id": experiment.pk, "name": "1.1.0 against 1.0.0", "mode": "ab", "version_a": "1.0.0", "version_b": "1.1.0",
    }  # fmt: skip
    registry.move_stage(lab.b, actor=lab.engineer, target_stage="archived", reason="never mind")
    assert engineer.get("/models/high_cost")[1]["running_experiment"] is None
    assert Epoch.objects.filter(ended_at=None).count() == 0
