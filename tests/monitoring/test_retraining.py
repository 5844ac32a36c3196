"""Training again: what the data set is made of, when it happens, and what is written down when it does not."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from django.db import connection
from django.utils import timezone

from mlops_site.core import store
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord, Membership
from monitoring.choices import Outcome, Rule, Trigger
from monitoring.models import Alert, Label, Prediction, RetrainDecision, RetrainPolicy
from monitoring.selectors import policies as selectors
from monitoring.services import Ingested, set_retrain_policy, set_team_retrain_policy, trigger_retraining
from monitoring.services.labels import log_labels
from monitoring.services.material import made_for
from monitoring.services.retraining import evaluate, evaluate_policies
from registry import services as registry
from registry.models import RegisteredModel
from tests.kept import kept_fixture
from tests.monitoring.trained import Production, alert, answered, labelled, production
from tests.people import actor
from training.models import DatasetVersion, Run

pytestmark = pytest.mark.django_db


@kept_fixture
def site(db: None) -> Production:
    return production()


def policy(site: Production, **fields: Any) -> RetrainPolicy:
    return set_retrain_policy(site.model, actor=site.engineer, fields={"min_labels": 60, **fields})


def retrain(site: Production, **changes: Any) -> Run:
    said = {"actor": site.engineer, "trigger_reason": "asked by a test", **changes}
    return trigger_retraining(site.model, **said)


def rows_of(version: DatasetVersion) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(store.read(version.digest)))


def ended(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(state=JobState.SUCCEEDED)


def outcomes(site: Production) -> list[str]:
    return list(
        RetrainDecision.objects.filter(model=site.model).order_by("decided_at").values_list("outcome", flat=True)
    )


class TestData:
    def test_it_is_the_data_set_before_and_the_labelled_predictions(self, site: Production) -> None:
        policy(site)
        answered(site, 70)
        run = retrain(site)
        version, before, after = run.dataset, rows_of(site.dataset), rows_of(run.dataset)
        assert str(version) == "hie@2"
        assert (version.target, version.group_column) == ("high_cost", "person")
        assert list(after.columns) == list(before.columns)
        assert after.dtypes.to_dict() == before.dtypes.to_dict()
        pd.testing.assert_frame_equal(after.head(len(before)), before)
        fresh = after.tail(70).reset_index(drop=True)
        asked = Prediction.objects.get(request_id="p0").features
        assert list(fresh.loc[0, ["person", "age", "visits"]]) == [0, asked["age"], asked["visits"]]
        assert fresh.loc[0, "high_cost"] == int(asked["visits"] > 3)
        assert fresh["plan"].isna().all()

    def test_its_lineage_says_what_it_was_made_of(self, site: Production) -> None:
        policy(site)
        answered(site, 70)
        seen = alert(site)
        run = retrain(site, alert=seen)
        said = run.dataset.lineage
        kept = {name: said[name] for name in ("source", "model", "labels", "parent", "alert", "version")}
        assert kept == {
            "source": "production",
            "model": "high_cost_claim",
            "labels": 70,
            "parent": "hie@1",
            "alert": str(seen.pk),
            "version": site.version.number,
        }

    def test_without_the_rows_before_it_is_the_new_ones_alone(self, site: Production) -> None:
        policy(site, keeps_training_rows=False)
        answered(site, 70)
        assert retrain(site).dataset.rows == 70

    def test_the_next_one_goes_on_where_the_last_one_ended(self, site: Production) -> None:
        policy(site, cool_down="0m")
        answered(site, 70)
        answered(site, 1, start=500, label=False)
        ended(retrain(site))
        answered(site, 65, start=100)
        labelled(site, "p500", 1)  # late: asked before the last data set, true only now
        labelled(site, "p0", 1, revision=2)  # a correction is no new row
        run = retrain(site)
        assert run.dataset.lineage["labels"] == 66
        assert run.dataset.rows == 300 + 70 + 66
        assert 500 in rows_of(run.dataset)["person"].tolist()

    def test_the_newest_label_holds(self, site: Production) -> None:
        policy(site, keeps_training_rows=False)
        answered(site, 70)
        before = int(Prediction.objects.get(request_id="p3").features["visits"] > 3)
        labelled(site, "p3", 1 - before, revision=2)
        table = rows_of(retrain(site).dataset)
        assert table.set_index("person").loc[3, "high_cost"] == 1 - before

    def test_what_does_not_fit_is_left_out(self, site: Production) -> None:
        policy(site, min_labels=50)
        answered(site, 60)
        answered(site, 1, start=100, label="unknown")
        answered(site, 1, start=101, status="error")
        answered(site, 1, start=102, label=False)
        (odd,) = answered(site, 1, start=103)
        Prediction.objects.filter(pk=odd.pk).update(features={"age": 1})
        assert retrain(site).dataset.lineage["labels"] == 60

    def test_a_unit_without_a_number_is_a_group_of_its_own(self, site: Production) -> None:
        policy(site, keeps_training_rows=False)
        answered(site, 70)
        Prediction.objects.filter(request_id__in=["p1", "p2"]).update(unit_id="member-7")
        Prediction.objects.filter(request_id="p3").update(unit_id="")
        persons = rows_of(retrain(site).dataset)["person"]
        assert persons.nunique() == 69
        assert (persons < 0).sum() == 3

    def test_a_table_that_fails_the_gate_is_refused_and_kept_with_the_reason(self, site: Production) -> None:
        policy(site, keeps_training_rows=False)
        answered(site, 70, label=1)
        with pytest.raises(Conflict, match=r"hie@2 is blocked.*classes") as refused:
            retrain(site)
        assert refused.value.code == "data_blocked"
        held = DatasetVersion.objects.get(version=2)
        assert not held.quality["passed"]
        assert (held.lineage["labels"], held.lineage["parent"]) == (70, "hie@1")
        assert not Run.objects.filter(dataset=held).exists()


class TestAsking:
    def test_the_run_is_like_the_one_that_trained_production(self, site: Production) -> None:
        policy(site, config_overrides={"n_trials": 9})
        answered(site, 70)
        run = retrain(site, config_overrides={"seed": 5, "model_types": ["logistic_regression"]})
        expected = {**site.run.spec, "n_trials": 9, "model_types": ["logistic_regression"]}
        assert run.spec == expected
        assert (run.seed, run.trigger_reason, run.requested_by.username) == (5, "asked by a test", "ada")
        decision = RetrainDecision.objects.get()
        assert run.trigger == {"decision": str(decision.pk), "trigger": "manual"}
        assert (decision.outcome, decision.run_id, decision.dataset) == ("taken", run.pk, "hie@2")

    def test_a_named_data_set_needs_no_labels(self, site: Production) -> None:
        assert str(retrain(site, dataset="hie@1").dataset) == "hie@1"

    def test_too_few_labels_are_counted(self, site: Production) -> None:
        policy(site)
        answered(site, 59)
        with pytest.raises(Conflict, match=r"60 predictions.* there are 59") as refused:
            retrain(site)
        assert refused.value.code == "not_enough_labels"
        assert not RetrainDecision.objects.exists()

    def test_it_cools_down(self, site: Production) -> None:
        policy(site)
        answered(site, 70)
        ended(retrain(site))
        with pytest.raises(Conflict, match="cooling down until") as refused:
            retrain(site, dataset="hie@1")
        assert refused.value.code == "cooling_down"
        assert 0 < (refused.value.retry_after_secs or 0) <= 86_400

    def test_one_at_a_time(self, site: Production) -> None:
        policy(site, cool_down="0m")
        answered(site, 70)
        run = retrain(site)
        with pytest.raises(Conflict, match=str(run.pk)) as refused:
            retrain(site, dataset="hie@1")
        assert refused.value.code == "already_running"

    def test_a_wrong_override_is_named(self, site: Production) -> None:
        answered(site, 210)
        with pytest.raises(Invalid) as refused:
            retrain(site, config_overrides={"n_trials": 0, "metric": "auc"})
        assert [e.field for e in refused.value.errors] == ["config_overrides.n_trials", "config_overrides.metric"]

    @pytest.mark.parametrize("name", ["n_trails", "model_name"])
    def test_an_override_of_no_field_is_named(self, site: Production, name: str) -> None:
        answered(site, 210)
        with pytest.raises(Invalid) as refused:
            retrain(site, config_overrides={name: "x"})
        (error,) = refused.value.errors
        assert (error.field, error.code) == (f"config_overrides.{name}", "unknown_field")

    def test_types_that_are_no_list_are_named(self, site: Production) -> None:
        answered(site, 210)
        policy(site, config_overrides={"search_space": {"logistic_regression": {"C": {"low": 0.1, "high": 1.0}}}})
        with pytest.raises(Invalid) as refused:
            retrain(site, config_overrides={"model_types": 5})
        assert [e.field for e in refused.value.errors] == ["config_overrides.model_types"]
        assert not DatasetVersion.objects.filter(version=2).exists()

    def test_roles(self, site: Production) -> None:
        with pytest.raises(Forbidden):
            retrain(site, actor=actor("vera", "viewer"))
        assert AuditRecord.objects.filter(action="run.request.refused").count() == 1

    def test_a_model_that_nobody_trained_here_needs_a_data_set(self, site: Production) -> None:
        Run.objects.filter(pk=site.run.pk).delete()
        with pytest.raises(Conflict) as refused:
            retrain(site)
        assert refused.value.code == "no_training_run"


class TestAlerts:
    @pytest.mark.parametrize(
        ("rule", "given", "trigger"),
        [
            (Rule.DRIFT, {"score": 0.2}, Trigger.DATA_DRIFT_SCORE),
            (Rule.DRIFT, {"score": 0.19}, None),
            (Rule.PERFORMANCE, {"evidence": {"metric": "f1_score", "drop": 0.06}}, Trigger.PERFORMANCE_DEGRADATION),
            (Rule.PERFORMANCE, {"evidence": {"metric": "f1_score", "drop": 0.04}}, None),
            (Rule.VOLUME, {"body": {"volume": {"change": -0.6}}}, Trigger.PREDICTION_VOLUME_DROP),
            (Rule.VOLUME, {"body": {"volume": {"change": -0.4}}}, None),
            (Rule.QUALITY, {"score": 0.9}, None),
        ],
    )
    def test_each_trigger_has_its_limit(
        self, site: Production, rule: str, given: dict[str, Any], trigger: Trigger | None
    ) -> None:
        policy(site)
        answered(site, 70)
        run = evaluate(alert(site, rule, **given))
        assert (run and run.trigger["trigger"]) == trigger

    def test_the_run_names_its_alert(self, site: Production) -> None:
        policy(site)
        answered(site, 70)
        seen = alert(site)
        run = evaluate(seen)
        assert run is not None
        assert run.trigger["alert"] == str(seen.pk)
        assert run.trigger_reason == "data_drift_score: the drift score is 0.3, the policy's limit is 0.2"
        assert seen.decisions.get().run_id == run.pk

    def test_no_policy_no_run(self, site: Production) -> None:
        answered(site, 210)
        assert evaluate(alert(site)) is None
        policy(site, enabled=False)
        assert evaluate(Alert.objects.get()) is None
        assert outcomes(site) == []

    def test_too_few_labels_are_written_down_once_and_tried_again(self, site: Production) -> None:
        policy(site)
        seen = alert(site)
        for _ in range(3):
            assert evaluate_policies() == []
        assert outcomes(site) == [Outcome.NOT_ENOUGH_LABELS]
        answered(site, 70)
        (run,) = evaluate_policies()
        assert run.trigger["alert"] == str(seen.pk)
        assert outcomes(site) == [Outcome.NOT_ENOUGH_LABELS, Outcome.TAKEN]

    def test_a_model_that_fails_keeps_no_other_from_its_training(
        self, site: Production, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = registry.create_model(actor=site.engineer, name="broken", task_type="classification")
        set_retrain_policy(broken, actor=site.engineer, fields={})
        policy(site)
        answered(site, 70)
        alert(site)
        real = selectors.waiting_alerts

        def fail(policy: RetrainPolicy) -> Any:
            if policy.model_id == broken.pk:
                raise MemoryError("too large")
            return real(policy)

        monkeypatch.setattr(selectors, "waiting_alerts", fail)
        (run,) = evaluate_policies()
        assert run.model == site.model
        assert "broken" in caplog.text

    def test_one_alert_leads_to_one_run(self, site: Production) -> None:
        policy(site, cool_down="0m")
        answered(site, 70)
        seen = alert(site)
        alert(site, subject="age")
        run = evaluate(seen)
        assert run is not None
        ended(run)
        answered(site, 70, start=100)
        assert evaluate_policies() == []  # the other one was not seen since the training

    def test_who_set_the_policy_and_left_is_said(self, site: Production) -> None:
        policy(site)
        answered(site, 70)
        Membership.objects.filter(user=site.engineer.user).update(role="viewer")
        assert evaluate(alert(site)) is None
        decision = RetrainDecision.objects.get()
        assert decision.outcome == Outcome.REFUSED
        assert "ada, who set the policy, may no longer" in decision.detail
        assert evaluate_policies() == []
        assert outcomes(site) == [Outcome.REFUSED]

    def test_a_refused_one_is_tried_again_under_another_policy(self, site: Production) -> None:
        policy(site, config_overrides={"features": ["age"]})
        answered(site, 70)
        RetrainPolicy.objects.update(config_overrides={"features": ["nothing"]})
        assert evaluate(alert(site)) is None
        assert "nothing" in RetrainDecision.objects.get().detail
        assert evaluate_policies() == []
        policy(site, config_overrides={})
        assert len(evaluate_policies()) == 1


class TestSchedule:
    def test_it_is_due_when_the_interval_has_passed(self, site: Production) -> None:
        policy(site, scheduled_interval="2h")
        answered(site, 70)
        assert evaluate_policies() == []
        long_ago = timezone.now() - timedelta(hours=1, minutes=58)
        Run.objects.update(created_at=long_ago)
        (run,) = evaluate_policies()
        assert run.trigger["trigger"] == "scheduled_interval"

    def test_what_stands_against_it_is_written_down_once(self, site: Production) -> None:
        policy(site, scheduled_interval="1h")
        long_ago = timezone.now() - timedelta(hours=3)
        Run.objects.update(created_at=long_ago)
        for _ in range(3):
            assert evaluate_policies() == []
        assert outcomes(site) == [Outcome.NOT_ENOUGH_LABELS]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_eight_at_the_same_moment_one_starts_a_run() -> None:
    site = production()
    policy(site, cool_down="0m")
    answered(site, 70)

    def ask(_: int) -> str:
        try:
            retrain(site)
        except Conflict as error:
            return error.code
        else:
            return "taken"
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        came = list(threads.map(ask, range(8)))
    assert sorted(came) == ["already_running"] * 7 + ["taken"]
    assert Run.objects.filter(model=site.model, state=JobState.QUEUED).count() == 1
    assert DatasetVersion.objects.filter(version__gt=1).count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_six_models_of_a_team_at_the_same_moment_take_no_more_than_its_budget() -> None:
    """No model waits for another one's lock: the team's row is what they share."""
    site = production()
    names = [f"model_{n}" for n in range(6)]
    models = [registry.create_model(actor=site.engineer, name=name, task_type="classification") for name in names]
    set_team_retrain_policy(site.model.team, actor=site.engineer, fields={"cool_down": "0m", "team_daily_budget": 2})
    together = threading.Barrier(len(models))

    def ask(model: RegisteredModel) -> str:
        try:
            together.wait(20)
            trigger_retraining(model, actor=site.engineer, trigger_reason="all at once", dataset="hie@1")
        except Conflict as error:
            return error.code
        else:
            return "taken"
        finally:
            connection.close()

    with ThreadPoolExecutor(len(models)) as threads:
        came = list(threads.map(ask, models))
    assert sorted(came) == ["budget_spent"] * 4 + ["taken"] * 2
    assert Run.objects.filter(model__in=models).count() == 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_four_who_evaluate_one_alert_one_starts_a_run_and_the_others_say_nothing() -> None:
    site = production()
    policy(site, cool_down="0m")
    answered(site, 70)
    seen = alert(site)

    def look(_: int) -> Run | None:
        try:
            return evaluate(Alert.objects.get(pk=seen.pk))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        runs = [run for run in threads.map(look, range(4)) if run]
    assert len(runs) == 1
    assert outcomes(site) == [Outcome.TAKEN]


@pytest.mark.django_db(transaction=True)
def test_labels_that_are_being_written_at_the_cut_are_in_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    site = production()
    policy(site)
    answered(site, 59)
    [late] = answered(site, 1, start=59, label=False)
    begun, go, write = threading.Event(), threading.Event(), Label.objects.bulk_create

    def slowly(labels: Any) -> Any:
        begun.set()
        assert go.wait(20)
        return write(labels)

    def say() -> Ingested:
        try:
            return log_labels([{"prediction_id": str(late.pk), "label": 1}], actor=site.engineer)
        finally:
            connection.close()

    def train() -> DatasetVersion:
        try:
            return retrain(site).dataset
        finally:
            connection.close()

    monkeypatch.setattr(Label.objects, "bulk_create", slowly)
    with ThreadPoolExecutor(2) as threads:
        said = threads.submit(say)
        assert begun.wait(20)
        trained = threads.submit(train)
        wait([trained], timeout=0.5)
        go.set()
        assert said.result(timeout=20).accepted == 1
        version = trained.result(timeout=60)
    assert version.lineage["labels"] == 60


def test_what_stands_against_an_alert_is_not_said_once_it_has_led_to_a_run(
    site: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy(site, cool_down="0m")
    answered(site, 70)
    seen = alert(site)

    def another_worker(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.undo()
        assert evaluate(seen) is not None
        raise Conflict("a run of the model is queued", code="already_running")

    monkeypatch.setattr("monitoring.services.retraining.trigger_retraining", another_worker)
    assert evaluate(seen) is None
    assert outcomes(site) == [Outcome.TAKEN]


def test_a_policy_that_is_switched_off_while_the_data_are_prepared_trains_nothing(
    site: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy(site)
    answered(site, 70)

    def slow(*args: Any, **kwargs: Any) -> Any:
        made = made_for(*args, **kwargs)
        policy(site, enabled=False)
        return made

    monkeypatch.setattr("monitoring.services.retraining.made_for", slow)
    assert evaluate(alert(site)) is None
    with pytest.raises(Conflict) as caught:
        retrain(site)
    assert caught.value.code == "policy_changed"
    assert (outcomes(site), Run.objects.count(), DatasetVersion.objects.count()) == ([], 1, 1)


def test_the_cap_keeps_the_newest(site: Production, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.services.labelled.MAX_ROWS", 60)
    policy(site, keeps_training_rows=False)
    for n, row in enumerate(answered(site, 70)):
        Prediction.objects.filter(pk=row.pk).update(received_at=timezone.now() - timedelta(minutes=100 - n))
    persons = rows_of(retrain(site).dataset)["person"].tolist()
    assert persons == list(range(10, 70))
