"""A dry run of a policy, budgets, a team's policy, the weight of new rows, and the list of decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mlops_site.core.errors import Conflict
from monitoring.models import Report, RetrainDecision, RetrainPolicy
from monitoring.selectors.policies import policy_of
from monitoring.services import drop_retrain_policy, set_retrain_policy, set_team_retrain_policy, trigger_retraining
from monitoring.stats.rehearsal import Hint, Limits, Past, rehearse
from tests.kept import kept_fixture
from tests.monitoring.trained import Production, answered, production
from tests.people import bearer, person
from tests.registry.parts import user
from training.models import Run

START = datetime(2026, 3, 1, tzinfo=UTC)
POLICY = "/api/v1/models/high_cost_claim/retrain-policy"


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def past(*hints: Hint, labels: Any = ((START, 500),), **changes: Any) -> Past:
    return Past(START, day(30), hints, labels, **changes)


def hint(number: float, **changes: Any) -> Hint:
    return Hint(day(number), ("drift", ""), "data_drift_score", "it drifted", **changes)


def told(found: Past, **changes: Any) -> list[tuple[float, str]]:
    limits = Limits(**{"interval": None, "cool_down": timedelta(days=1), "min_labels": 100, **changes})
    return [((step.at - START) / timedelta(days=1), step.outcome) for step in rehearse(found, limits)]


class TestWalk:
    def test_a_finding_is_taken_when_nothing_stands_against_it(self) -> None:
        assert told(past(hint(2))) == [(2, "taken")]

    def test_it_waits_for_labels_and_is_told_once(self) -> None:
        assert told(past(hint(2), labels=[(START, 0), (day(4), 100)])) == [(2, "not_enough_labels"), (4, "taken")]

    def test_one_that_somebody_resolved_waits_no_longer(self) -> None:
        found = past(hint(2, until=day(3)), labels=[(START, 0), (day(4), 100)])
        assert told(found) == [(2, "not_enough_labels")]

    def test_labels_are_used_up_and_it_cools_down(self) -> None:
        found = past(hint(2), hint(2.5), hint(5), labels=[(START, 150), (day(2.2), 150)])
        assert told(found) == [(2, "taken"), (2.5, "cooling_down"), (3, "taken"), (5, "not_enough_labels")]

    def test_a_budget_holds_it_back_for_a_day(self) -> None:
        found = past(hint(2), hint(2.25), labels=[(START, 150), (day(2.1), 500)])
        steps = told(found, cool_down=timedelta(0), daily_budget=1)
        assert steps == [(2, "taken"), (2.25, "budget_spent"), (3, "taken")]

    def test_the_team_s_budget_counts_other_models(self) -> None:
        found = past(hint(2), team_taken=[day(1.5)])
        assert told(found, team_budget=1) == [(2, "budget_spent"), (2.5, "taken")]

    def test_the_interval_counts_from_the_last_training_whoever_asked(self) -> None:
        found = past(trained_at=day(-1), busy=[(day(3), day(3.5))], labels=[(START, 100)])
        assert told(found, interval=timedelta(days=7)) == [(10, "taken"), (17, "not_enough_labels")]

    def test_one_at_a_time(self) -> None:
        assert told(past(hint(2), busy=[(day(1), day(3))])) == [(2, "already_running"), (3, "taken")]


@kept_fixture
def site(db: None) -> Production:
    return production()


@pytest.fixture
def api(site: Production) -> Client:
    return Client(headers=bearer(user(site.engineer)))


def reported(site: Production, ago: timedelta, score: float = 0.3) -> None:
    at = timezone.now() - ago
    finding = {"rule": "drift", "subject": "", "summary": "It drifts.", "evidence": {}, "raised": True}
    about = {"model": site.model, "version": site.version, "overall_score": score, "severity": "high", "body": {}}
    window = {"window_from": at - timedelta(days=1), "window_to": at, "samples": 1000, "created_at": at}
    Report.objects.create(**about, **window, findings=[finding])


@pytest.mark.django_db
class TestSite:
    def test_a_dry_run_over_http_starts_nothing(self, site: Production, api: Client) -> None:
        answered(site, 70)
        reported(site, timedelta(minutes=90))
        ask = {"min_labels": 60, "scheduled_interval": None}
        answer = api.post(f"{POLICY}/dry-run", {**ask, "data_drift_score": 0.25}, content_type="application/json")
        assert answer.status_code == 200, answer.content
        said = answer.json()
        assert {step["trigger"] for step in said["steps"]} == {"data_drift_score"}
        assert said["steps"][0]["outcome"] == "not_enough_labels"  # they came after the report
        calm = api.post(f"{POLICY}/dry-run", {**ask, "data_drift_score": 0.35}, content_type="application/json").json()
        assert (calm["runs"], calm["steps"]) == (0, [])
        assert not RetrainPolicy.objects.exists()
        assert not RetrainDecision.objects.exists()
        wrong = api.post(f"{POLICY}/dry-run", {"cool_down": "soon"}, content_type="application/json")
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "cool_down")
        stranger = Client(headers=bearer(person("otto", "ml_engineer", team="elsewhere")))
        assert stranger.post(f"{POLICY}/dry-run", {}, content_type="application/json").status_code == 404

    def test_pages(self, site: Production) -> None:
        browser = Client()
        browser.force_login(user(site.engineer), backend="django.contrib.auth.backends.ModelBackend")
        reported(site, timedelta(days=3))
        sent = {"data_drift_score": "0.2", "cool_down": "1d", "min_labels": "300", "new_rows_weight": "2"}
        page = browser.post("/models/high_cost_claim/retraining", {**sent, "dry_run": "1"})
        assert b"it would not have retrained" in page.content
        assert not RetrainPolicy.objects.exists()
        trigger_retraining(site.model, actor=site.engineer, trigger_reason="asked by a test", dataset="hie@1")
        assert b"asked by a test" in browser.get("/retraining?outcome=taken").content
        assert b"asked by a test" not in browser.get("/retraining?outcome=not_taken").content
        lost = {"passed": False, "outcome": {"stage": "development", "reason": "the gate did not pass: it is worse"}}
        Run.objects.exclude(pk=site.run.pk).update(state="succeeded", version=site.version, gate=lost)
        said = browser.get("/retraining?outcome=taken").content.decode()
        assert "did not pass; development: the gate did not pass: it is worse" in said
        assert f"/models/{site.model.name}/{site.version.number}" in said
        team = f"/retraining/teams/{site.model.team.name}"
        assert browser.post(team, {**sent, "enabled": "on", "team_daily_budget": "3"}).status_code == 302
        assert policy_of(site.model).new_rows_weight == 2.0

    def test_budgets_of_the_model_and_of_its_team(self, site: Production) -> None:
        set_retrain_policy(site.model, actor=site.engineer, fields={"cool_down": "0m", "daily_budget": 1})
        ask: dict[str, Any] = {"actor": site.engineer, "trigger_reason": "asked", "dataset": "hie@1"}
        trigger_retraining(site.model, **ask)
        Run.objects.update(state="succeeded")
        with pytest.raises(Conflict, match="budget of high_cost_claim is 1 in 24 hours") as refused:
            trigger_retraining(site.model, **ask)
        assert refused.value.code == "budget_spent"
        assert 86_000 < (refused.value.retry_after_secs or 0) <= 86_401
        set_retrain_policy(site.model, actor=site.engineer, fields={"daily_budget": None})
        set_team_retrain_policy(site.model.team, actor=site.engineer, fields={"team_daily_budget": 1})
        with pytest.raises(Conflict, match=r"budget of team .* is 1 in 24 hours"):
            trigger_retraining(site.model, **ask)

    def test_a_team_s_policy_holds_until_the_model_has_its_own(self, site: Production, api: Client) -> None:
        fields = {"min_labels": 60, "new_rows_weight": 3.0, "cool_down": "2d"}
        path = f"/api/v1/teams/{site.model.team.name}/retrain-policy"
        assert api.put(path, fields, content_type="application/json").status_code == 200
        said = api.get(POLICY).json()
        assert (said["own"], said["set_by"], said["min_labels"], said["enabled"]) == (False, "ada", 60, True)
        set_retrain_policy(site.model, actor=site.engineer, fields={"min_labels": 90})
        own = policy_of(site.model)
        assert (own.is_own, own.min_labels, own.cool_down) == (True, 90, timedelta(days=2))
        assert drop_retrain_policy(site.model, actor=site.engineer).min_labels == 60
        assert api.delete(POLICY).status_code == 409
        assert api.get("/api/v1/teams/nowhere/retrain-policy").status_code == 404

    def test_new_rows_count_as_the_policy_says(self, site: Production, api: Client) -> None:
        set_retrain_policy(site.model, actor=site.engineer, fields={"min_labels": 60, "new_rows_weight": 3})
        answered(site, 70)
        run = trigger_retraining(site.model, actor=site.engineer, trigger_reason="asked")
        assert run.spec["new_rows_weight"] == 3.0
        listed = api.get("/api/v1/monitoring/retrain-decisions?outcome=taken").json()["results"]
        assert [row["model_name"] for row in listed] == ["high_cost_claim"]
