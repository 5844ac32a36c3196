"""From a request to a registered version, a verdict and a filed request."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mlops_site.core import store
from mlops_site.core.permissions import Actor
from mlops_site.stats.heldout import HeldOut
from mlops_site.stats.losses import Losses
from mlops_site.stats.profile import Profile
from registry.artifacts import scorer
from registry.models import DeployPolicy, PromotionRequest, RegisteredModel, Version
from registry.services import create_model, move_stage, review_request, set_deploy_policy
from tests.kept import kept_fixture
from tests.people import actor
from tests.training.claims import claims
from training import selectors
from training.ml import estimators
from training.models import DatasetVersion, Run

Train = Callable[..., Run]
Upload = Callable[..., DatasetVersion]


def test_a_run_ends_with_a_version_that_says_how_it_came_to_be(train: Train, dataset: DatasetVersion) -> None:
    run = train(dataset, model_types=["logistic_regression", "gradient_boosting"], n_trials=2)
    assert run.state == "succeeded"
    assert run.progress == 1.0
    assert run.trials_done == run.trials_total == 4
    board = run.leaderboard
    assert {entry["model_type"] for entry in board} == {"logistic_regression", "gradient_boosting"}
    assert board[0]["mean"] == max(entry["mean"] for entry in board)
    assert all(np.mean(entry["folds"]) == pytest.approx(entry["mean"]) for entry in board)

    version = run.version
    assert version is not None
    assert version.number == "1.0.0"
    assert version.params["model_type"] == board[0]["model_type"]
    assert version.lineage["run"] == str(run.pk)
    assert version.lineage["dataset"] == "hie@1"
    assert version.data_digest == dataset.digest
    assert version.signature["positive_class"] == 1
    assert {"roc_auc", "f1_score", "brier"} <= version.metrics.keys()
    low, high = version.metrics["roc_auc"]["ci95"]
    assert low < version.metrics["roc_auc"]["value"] < high
    assert sum(version.importance.values()) == pytest.approx(1)
    assert version.explanation["method"] in ("trees", "linear")
    assert version.explanation["background"]["digest"] == version.background_id
    assert {row["feature"] for row in version.explanation["features"]} == set(version.importance)
    assert version.explanation["largest_residual"] < 1e-9
    data, slices = version.facts["data"], version.facts["slices"]
    assert (data["rows"], data["target"]) == (len(claims()), "high_cost")
    assert data["training_rows"] + data["holdout_rows"] == data["rows"]
    assert version.facts["search"]["n_trials"] == 2
    assert sum(part["rows"] for part in version.facts["calibration"]) == data["holdout_rows"]
    pairs = version.facts["correlations"]
    numbers = {feature["name"] for feature in version.signature["inputs"] if feature["kind"] == "number"}
    assert set(pairs["features"]) == numbers
    assert max(pairs["counts"]) == data["training_rows"]
    assert slices["metric"] == "roc_auc"
    assert all(part["lower"] <= part["value"] <= part["upper"] for part in slices["slices"])
    assert scorer.preflight(version) == []
    assert 15 <= len(version.golden) <= 20


def test_no_person_is_on_both_sides_and_the_reference_holds_the_training_rows(
    train: Train, dataset: DatasetVersion
) -> None:
    version = train(dataset).version
    assert version is not None
    assert version.holdout is not None
    held = pd.read_parquet(io.BytesIO(store.read(version.holdout.digest)))
    assert list(held.columns) == ["row_key", "label", "score"]
    assert held["row_key"].is_unique
    assert version.reference is not None
    assert Profile.from_bytes(bytes(version.reference)).rows + len(held) == len(claims())
    assert len(held) % 2 == 0  # two rows each person, always together
    assert version.held_out is not None
    kept = HeldOut.from_bytes(bytes(version.held_out))
    assert (kept.rows.sum(), kept.positive.sum()) == (len(held), held["label"].sum())
    assert kept.rows[kept.first :].sum() == (held["score"] >= version.threshold).sum()


def test_a_weak_run_stays_in_development_and_asks_for_nothing(train: Train, dataset: DatasetVersion) -> None:
    run = train(dataset, auto_deploy_threshold=0.999)
    assert run.gate is not None
    assert not run.gate["passed"]
    assert run.gate["outcome"]["stage"] == "development"
    assert run.gate["outcome"]["reason"].startswith("the gate did not pass: ")
    assert "at least 0.9990 is needed" in run.gate["outcome"]["reason"]
    assert run.version is not None
    assert not PromotionRequest.objects.exists()


def test_a_good_run_goes_to_staging_and_a_request_is_filed(train: Train, upload: Upload, scientist: Actor) -> None:
    run = train(upload(claims(1500)), auto_deploy_threshold=0.6)
    request = PromotionRequest.objects.get()
    assert run.gate is not None
    assert run.gate["passed"]
    policy = DeployPolicy.objects.get(model=run.model)
    assert run.gate["outcome"] == {
        "stage": "staging",
        "reason": f"approval {request.pk} waits for a decision",
        "request": request.pk,
        "policy": {"id": policy.pk, "reach": "staging", "set_by": policy.set_by.username},
    }
    assert request.requester == scientist.user
    assert request.version == run.version
    assert request.evidence["gate"]["passed"]


def test_a_policy_that_keeps_candidates_in_development_is_named_beside_the_passed_gate(
    train: Train, upload: Upload, engineer: Actor
) -> None:
    data = upload(claims(1500))
    model = RegisteredModel.objects.get()
    set_deploy_policy(model, actor=engineer, reach="none", reason="Not now.")
    run = train(data)
    assert run.gate is not None
    assert run.gate["passed"]
    outcome = run.gate["outcome"]
    assert (outcome["stage"], outcome["request"]) == ("development", None)
    assert outcome["reason"] == "the deploy policy keeps candidates in development"
    assert outcome["policy"]["reach"] == "none"


def test_a_candidate_that_must_be_better_is_held_to_it(train: Train, upload: Upload) -> None:
    good = upload(claims(2400))
    train(good)
    approve(PromotionRequest.objects.get())
    run = train(good, n_trials=4, need="superior")
    assert run.gate is not None
    comparison = next(check for check in run.gate["checks"] if check["name"] == "comparison")
    assert (comparison["values"]["need"], comparison["values"]["bound"]) == ("superior", 0.0)
    assert run.gate["policy"]["need"] == "superior"


def test_the_next_run_is_judged_against_the_version_in_production(train: Train, upload: Upload) -> None:
    good = upload(claims(2400))
    first = train(good)
    approve(PromotionRequest.objects.get())
    second = train(good, n_trials=4)
    assert second.gate is not None
    checks = {check["name"]: check for check in second.gate["checks"]}
    assert second.gate["champion"] == "1.0.0"
    assert checks["comparison"]["level"] == "pass"
    assert checks["slices"]["level"] in ("pass", "fail")
    assert second.version is not None
    assert second.version.number == "1.1.0"
    assert second.version.lineage["parent"] == "1.0.0"
    assert first.version != second.version


def test_a_champion_that_cannot_score_the_rows_is_no_reason_to_pass(
    train: Train, upload: Upload, engineer: Actor
) -> None:
    train(upload(claims(1500)))
    approve(PromotionRequest.objects.get())
    other = upload(claims(1500).drop(columns="visits"), name="without_visits")
    run = train(other)
    assert run.gate is not None
    assert not run.gate["passed"]
    messages = [check["message"] for check in run.gate["checks"] if check["name"] == "comparison"]
    assert "visits" in messages[0]
    assert run.version is not None
    assert run.version.number == "2.0.0"


def test_the_same_request_again_is_the_same_version(train: Train, dataset: DatasetVersion) -> None:
    first, second = train(dataset), train(dataset)
    assert first.version == second.version
    assert Version.objects.count() == 1


def test_the_same_spec_on_other_data_is_a_patch(train: Train, upload: Upload) -> None:
    train(upload())
    other = train(upload(claims(seed=3))).version
    assert other is not None
    assert other.number == "1.0.1"


@pytest.mark.parametrize("name", estimators.names("classification"))
def test_every_model_type_is_trained_and_served(train: Train, dataset: DatasetVersion, name: str) -> None:
    run = train(dataset, model_types=[name], hyperparameter_optimization=False, metric="f1_score")
    assert run.version is not None
    assert (run.version.serving is not None) == estimators.model_type(name, "classification").converts_to_onnx
    assert scorer.preflight(run.version) == []


def test_as_many_rows_are_positive_as_can_be_looked_at(train: Train, dataset: DatasetVersion) -> None:
    capacity = {"at_most": 20, "of_rows": 100}
    version = train(dataset, capacity=capacity, cost_matrix={"false_negative": 50, "false_positive": 1}).version
    assert version is not None
    decision = version.facts["decision"]
    assert decision["threshold"] == version.threshold
    assert 0.05 < decision["positive_share"] < 0.35
    assert (decision["capacity_share"], decision["costs"]["false_negative"]) == (0.2, 50.0)
    assert decision["cost_per_row"] > 0


def test_the_holdout_is_told_apart_by_the_groups_asked_for(train: Train, upload: Upload) -> None:
    version = train(upload(claims(1_200)), features=["age", "visits"], slices=["plan", "dollars"]).version
    assert version is not None
    found = version.facts["groups"]
    assert set(found) == {"plan", "dollars"}
    assert found["plan"]["groups"] or found["plan"]["too_small"]


def test_calibration_is_part_of_what_is_registered(train: Train, dataset: DatasetVersion) -> None:
    asked = {"model_types": ["extra_trees"], "hyperparameter_optimization": False}
    run = train(dataset, **asked, calibration="sigmoid", search_space={"extra_trees": {"max_depth": 3}})
    version = run.version
    assert version is not None
    told = version.facts["calibrated"]
    assert set(told["tried"]) == {"none", "sigmoid"}
    helps = all(told["tried"]["sigmoid"][name] < told["tried"]["none"][name] for name in ("log_loss", "brier"))
    assert told["method"] == ("sigmoid" if helps else None)
    assert any("calibration" in line for line in selectors.log_of(run))
    assert scorer.preflight(version) == []


def test_an_answer_that_must_fall_with_age_does(train: Train, dataset: DatasetVersion) -> None:
    asked = {"hyperparameter_optimization": False, "metric": "f1_score"}
    run = train(dataset, **asked, model_types=["lightgbm", "xgboost"], monotone={"age": -1})
    assert run.version is not None
    rows = pd.DataFrame({"age": np.arange(18.0, 90.0), "visits": 4.0, "plan": "full", "dollars": 900.0})
    artifact = run.version.artifact
    said = scorer.load(artifact.digest, artifact.format, run.version.signature).score(rows).score
    assert said is not None
    assert (np.diff(said) <= 0).all()
    assert any("xgboost trains on cpu" in line or "xgboost trains on cuda" in line for line in selectors.log_of(run))


def test_a_regression_is_trained_in_time_order(train: Train, upload: Upload, engineer: Actor) -> None:
    create_model(actor=engineer, name="dollars_next_year", task_type="regression")
    asked = {"model_name": "dollars_next_year", "target": "dollars", "cv": "time", "cv_folds": 2}
    table = upload(claims(1_500))  # enough held out to learn how large its errors are
    run = train(table, **asked, model_types=["linear_regression"], features=["age", "visits", "plan", "year"])
    version = run.version
    assert version is not None
    assert version.signature["output"] == "value"
    assert version.metrics["r2"]["value"] > 0.5
    assert version.metrics["gini"]["value"] > 0.5
    deciles = version.facts["actual_to_expected"]
    assert len(deciles) == 10
    assert all(part["ratio"] == pytest.approx(part["observed"] / part["predicted"]) for part in deciles)
    assert run.best == {"model_type": "linear_regression", "value": run.leaderboard[0]["mean"]}
    assert version.held_out is not None
    assert version.reference is not None
    losses, reference = Losses.from_bytes(bytes(version.held_out)), Profile.from_bytes(bytes(version.reference))
    assert (losses.names, losses.digest) == (("mae", "rmse"), reference.bins.digest)
    said = version.golden[len(version.golden) // 2]["prediction"]
    expected = losses.mean(reference.counts, reference.rows, (said, said**2))["mae"].value
    assert expected == pytest.approx(version.metrics["mae"]["value"], rel=0.5)


def test_three_classes_are_trained_and_compared(train: Train, dataset: DatasetVersion, engineer: Actor) -> None:
    create_model(actor=engineer, name="plan_of_person", task_type="classification")
    asked = {"model_name": "plan_of_person", "target": "plan", "cv": "stratified", "metric": "f1_score"}
    first = train(dataset, **asked)
    assert first.version is not None
    assert first.version.signature["classes"] == ["basic", "full", "plus"]
    assert first.version.held_out is None  # so few rows teach nothing
    staged = move_stage(first.version, actor=engineer, target_stage="staging", reason="to compare with")
    approve(move_stage(staged.version, actor=engineer, target_stage="production", reason="to compare with").request)
    second = train(dataset, **asked, seed=1)
    assert second.gate is not None
    assert [c["level"] for c in second.gate["checks"] if c["name"] == "comparison"] != ["remark"]


def test_rows_without_a_target_are_left_out_and_said(train: Train, upload: Upload) -> None:
    gaps = claims()
    gaps["high_cost"] = gaps["high_cost"].where(gaps.index % 10 != 0)
    run = train(upload(gaps))
    assert run.version is not None
    assert run.version.signature["classes"] == [0, 1]
    assert any("these rows are left out" in line for line in selectors.log_of(run))


def approve(request: PromotionRequest | None) -> None:
    assert request is not None
    review_request(request, actor=actor("anna", "approver"), decision="approve")


@kept_fixture
def model(engineer: Actor) -> RegisteredModel:
    return create_model(actor=engineer, name="high_cost_claim", task_type="classification", risk_tier="low")
