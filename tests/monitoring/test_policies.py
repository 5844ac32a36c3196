"""Retrain policies: set by the service, over the API and on the page; asked of by trigger-retraining."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from typing import Any

import pytest
from django.test import Client

from mlops_site.core.errors import Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from monitoring.models import RetrainPolicy
from monitoring.services import set_retrain_policy
from registry import services as registry
from tests.kept import kept_fixture
from tests.monitoring.trained import Production, alert, answered, production
from tests.people import actor, bearer, person
from tests.registry.parts import candidate, user
from training.models import Run

pytestmark = pytest.mark.django_db
POLICY, RETRAIN = "/api/v1/models/high_cost_claim/retrain-policy", "/api/v1/training/trigger-retraining"
PAGE = "/models/high_cost_claim/retraining"


@kept_fixture
def site(db: None) -> Production:
    return production()


@pytest.fixture
def api(site: Production) -> Client:
    return Client(headers=bearer(user(site.engineer)))


@pytest.fixture
def browser(site: Production) -> Client:
    client = Client()
    client.force_login(user(site.engineer), backend="django.contrib.auth.backends.ModelBackend")
    return client


def put(client: Client, **fields: Any) -> Any:
    return client.put(POLICY, fields, content_type="application/json")


class TestService:
    def test_what_is_left_out_stays(self, site: Production) -> None:
        set_retrain_policy(site.model, actor=site.engineer, fields={"cool_down": "6h", "min_labels": 50})
        policy = set_retrain_policy(site.model, actor=site.engineer, fields={"data_drift_score": None})
        assert (policy.cool_down, policy.min_labels, policy.data_drift_score) == (timedelta(hours=6), 50, None)
        assert (policy.performance_degradation, policy.scheduled_interval) == (0.05, timedelta(days=7))
        assert RetrainPolicy.objects.count() == 1
        record = AuditRecord.objects.filter(action="retrain_policy.set").latest("seq")
        assert (record.subject, record.data["cool_down"]) == ("retrain_policy:high_cost_claim", "6h")

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"data_drift_score": 1.5, "min_labels": 0}, ["data_drift_score", "min_labels"]),
            ({"performance_degradation": True}, ["performance_degradation"]),
            ({"cool_down": None}, ["cool_down"]),
            ({"cool_down": "400d"}, ["cool_down"]),
            ({"scheduled_interval": "59m"}, ["scheduled_interval"]),
            ({"scheduled_interval": "weekly"}, ["scheduled_interval"]),
            ({"enabled": "yes"}, ["enabled"]),
            ({"keep": True}, ["keep"]),
            ({"config_overrides": [1]}, ["config_overrides"]),
            ({"config_overrides": {"dataset": "x"}}, ["config_overrides.dataset"]),
            ({"config_overrides": {"target": ["high_cost"]}}, ["config_overrides.target"]),
            ({"config_overrides": {"target": {}}}, ["config_overrides.target"]),
            ({"config_overrides": {"features": 5, "monotone": {"age": 1}}}, ["config_overrides.features"]),
            (
                {"config_overrides": {"n_trials": 0, "metric": "auc"}},
                ["config_overrides.n_trials", "config_overrides.metric"],
            ),
        ],
    )
    def test_each_field_at_fault_is_named(self, site: Production, fields: dict[str, Any], wrong: list[str]) -> None:
        with pytest.raises(Invalid) as refused:
            set_retrain_policy(site.model, actor=site.engineer, fields=fields)
        assert [error.field for error in refused.value.errors] == wrong
        assert not RetrainPolicy.objects.exists()

    def test_only_who_may_schedule_sets_it(self, site: Production) -> None:
        with pytest.raises(Forbidden):
            set_retrain_policy(site.model, actor=actor("dana", "data_scientist"), fields={})


class TestApi:
    def test_none_is_set_until_somebody_does(self, api: Client) -> None:
        said = api.get(POLICY).json()
        assert (said["enabled"], said["set_by"], said["decisions"]) == (False, None, [])

    def test_it_is_set_and_read(self, api: Client) -> None:
        fields = {"scheduled_interval": "14d", "min_labels": 500, "config_overrides": {"n_trials": 40}}
        answer = put(api, **fields)
        assert answer.status_code == 200, answer.content
        said = api.get(POLICY).json()
        assert said == answer.json()
        assert {name: said[name] for name in fields} == fields
        assert (said["enabled"], said["set_by"], said["data_drift_score"]) == (True, "ada", 0.2)

    def test_a_wrong_field_is_a_problem_that_names_it(self, api: Client) -> None:
        answer = put(api, cool_down="soon")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cool_down")
        assert put(api, cooldown="1d").json()["errors"][0]["field"] == "cooldown"

    def test_another_teams_model_does_not_exist(self, site: Production) -> None:
        stranger = Client(headers=bearer(person("otto", "ml_engineer", team="elsewhere")))
        assert stranger.get(POLICY).status_code == 404
        assert put(stranger, min_labels=5).status_code == 404
        assert ask(stranger).status_code == 404

    def test_who_may_not_is_told(self, site: Production) -> None:
        assert put(Client(headers=bearer(person("vera", "viewer")))).status_code == 403


def ask(client: Client, **changes: Any) -> Any:
    body = {"model_name": "high_cost_claim", "trigger_reason": "performance_degradation", **changes}
    return client.post(RETRAIN, body, content_type="application/json")


class TestTrigger:
    def test_it_is_accepted_and_can_be_followed(self, api: Client, site: Production) -> None:
        answered(site, 210)
        answer = ask(api, config_overrides={"hyperparameter_optimization": True})
        assert answer.status_code == 202, answer.content
        status = api.get(answer.json()["status_url"]).json()
        assert (status["trigger_reason"], status["dataset"]) == ("performance_degradation", "hie@2")
        assert status["trigger"]["trigger"] == "manual"

    def test_refusals_have_their_code(self, api: Client, site: Production) -> None:
        few = ask(api)
        assert (few.status_code, few.json()["code"]) == (409, "not_enough_labels")
        assert ask(api, dataset="hie@1").status_code == 202
        again = ask(api, dataset="hie@1")
        assert (again.status_code, again.json()["code"]) == (409, "already_running")
        Run.objects.update(state="succeeded")
        cooling = ask(api, dataset="hie@1")
        assert (cooling.status_code, cooling.json()["code"]) == (409, "cooling_down")
        assert int(cooling.headers["Retry-After"]) > 86_000
        wrong = ask(api, config_overrides={"trials": 3}, dataset="hie@1")
        assert wrong.status_code == 409
        assert ask(api, reason="x").status_code == 422

    def test_a_target_that_is_no_name_is_refused(self, api: Client) -> None:
        answer = ask(api, config_overrides={"target": ["high_cost"]}, dataset="hie@1")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "config_overrides.target")


class TestPages:
    def test_the_form_sets_it(self, browser: Client) -> None:
        assert b"No policy is set" in browser.get(PAGE).content
        sent = {"enabled": "on", "data_drift_score": "0.25", "scheduled_interval": "", "cool_down": "2d"}
        answer = browser.post(PAGE, {**sent, "min_labels": "300", "config_overrides": '{"n_trials": 5}'})
        assert answer.status_code == 302, answer.content
        policy = RetrainPolicy.objects.get()
        assert (policy.data_drift_score, policy.performance_degradation) == (0.25, None)
        assert (policy.scheduled_interval, policy.cool_down) == (None, timedelta(days=2))
        assert (policy.keeps_training_rows, policy.config_overrides) == (False, {"n_trials": 5})
        assert b"Set by ada" in browser.get(PAGE).content

    def test_a_refusal_stands_on_the_form(self, browser: Client) -> None:
        answer = browser.post(PAGE, {"cool_down": "soon", "min_labels": "300", "config_overrides": '{"trials": 5}'})
        assert answer.status_code == 422
        assert b"cool_down must be like" in answer.content
        answer = browser.post(PAGE, {"cool_down": "1d", "min_labels": "300", "config_overrides": '{"trials": 5}'})
        assert b"config_overrides.trials is no field of a run" in answer.content

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 5_000 + "]" * 5_000,
            '{"seed": ' + "9" * 5_000 + "}",
            '{"n_trials": 1e400}',
            '{"metric": NaN}',
            '{"metric": "\\ud800"}',
            '{"metric": "\\u0000"}',
            '{"seed": 1, "seed": 2}',
            "{",
            "5",
        ],
    )
    def test_json_that_the_api_refuses_is_refused_here_too(self, browser: Client, text: str) -> None:
        answer = browser.post(PAGE, {"cool_down": "1d", "min_labels": "300", "config_overrides": text})
        assert answer.status_code == 422
        assert escape(text) in answer.content.decode()  # to be put right
        assert not RetrainPolicy.objects.exists()

    def test_who_may_not_set_it_reads_it(self, site: Production) -> None:
        client = Client()
        client.force_login(person("vera", "viewer"), backend="django.contrib.auth.backends.ModelBackend")
        page = client.get(PAGE)
        assert page.status_code == 200
        assert b"<form method" not in page.content.split(b"The policy")[1]
        assert client.post(PAGE, {"cool_down": "1d", "min_labels": "300"}).status_code == 403

    def test_the_run_and_the_approval_link_the_alert(self, browser: Client, site: Production) -> None:
        seen = alert(site)
        trigger = {"alert": str(seen.pk)}
        Run.objects.filter(pk=site.run.pk).update(trigger=trigger, trigger_reason="it drifted")
        lineage = {"run": str(site.run.pk), "trigger_reason": "it drifted", "trigger": trigger}
        made = candidate(7, lineage=lineage)
        version = registry.register_version(site.model, actor=site.engineer, candidate=made)
        registry.move_stage(version, actor=site.engineer, target_stage="staging", reason="ready")
        asked = registry.request_promotion(version, actor=site.engineer, reason="better")
        link = f'href="/alerts/{seen.pk}"'.encode()
        assert link in browser.get(f"/runs/{site.run.pk}").content
        page = browser.get(f"/admin/registry/promotionrequest/{asked.pk}/change/").content
        assert b"Why it was trained: it drifted" in page
        assert link in page

    def test_the_model_s_page_leads_to_it(self, browser: Client) -> None:
        assert f'href="{PAGE}"'.encode() in browser.get("/models/high_cost_claim").content
