"""Requesting and cancelling runs: what is completed, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound, StewardError
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from registry.services import create_model
from tests.people import actor
from tests.training.claims import SMALL, claims
from training import signals
from training.models import DatasetVersion, Run
from training.services import cancel_run, request_run


def request(who: Actor, **changes: Any) -> Run:
    return request_run(actor=who, **{"model_name": "high_cost_claim", "dataset": "hie", **SMALL, **changes})


def test_a_request_is_completed_from_the_model_and_the_data_set(
    scientist: Actor, model: RegisteredModel, dataset: DatasetVersion
) -> None:
    run = request_run(actor=scientist, model_name=model.name, dataset="hie@1", auto_deploy_threshold=0.7)
    assert run.state == "queued"
    assert run.dataset == dataset
    assert run.spec == {
        "task_type": "classification",
        "target": "high_cost",
        "positive_class": 1,
        "features": ["age", "visits", "plan", "dollars"],
        "model_types": ["logistic_regression", "random_forest", "gradient_boosting", "hist_gradient_boosting"],
        "hyperparameter_optimization": True,
        "n_trials": 20,
        "search_space": {},
        "cv": "group",
        "cv_folds": 5,
        "metric": "roc_auc",
        "auto_deploy_threshold": 0.7,
        "margin": 0.01,
    }
    assert request(scientist, need="superior").spec["need"] == "superior"
    assert run.trials_total == 80
    assert len(run.lock_digest) == 64
    assert run.code


def test_a_model_that_must_rise_is_of_a_type_that_can_be_held_to_it(
    scientist: Actor, model: RegisteredModel, dataset: DatasetVersion
) -> None:
    run = request(scientist, model_types=None, monotone={"age": 1, "visits": -1, "dollars": 0})
    assert run.spec["model_types"] == ["random_forest", "hist_gradient_boosting"]
    assert run.spec["monotone"] == {"age": 1, "visits": -1}
    with pytest.raises(Invalid) as caught:
        request(scientist, model_types=["lightgbm", "mlp"], monotone={"age": 1, "plan": -1})
    assert [(error.field, error.code) for error in caught.value.errors] == [
        ("monotone.plan", "no_order"),
        ("monotone", "monotone_unsupported"),
    ]


def test_of_three_classes_none_rises(scientist: Actor, engineer: Actor, dataset: DatasetVersion) -> None:
    create_model(actor=engineer, name="plan_of_person", task_type="classification")
    with pytest.raises(Invalid) as caught:
        request(scientist, model_name="plan_of_person", target="plan", model_types=["lightgbm"], monotone={"age": 1})
    assert [(error.field, error.code) for error in caught.value.errors] == [("monotone", "too_many_classes")]


def test_costs_and_capacity_are_for_two_classes(scientist: Actor, engineer: Actor, dataset: DatasetVersion) -> None:
    create_model(actor=engineer, name="plan_of_person", task_type="classification")
    create_model(actor=engineer, name="dollars_next_year", task_type="regression")
    asked = {"cost_matrix": {"false_positive": 1, "false_negative": 9}, "capacity": {"at_most": 20, "of_rows": 100}}
    for name, target, kind in (
        ("plan_of_person", "plan", "logistic_regression"),
        ("dollars_next_year", "dollars", "linear_regression"),
    ):
        with pytest.raises(Invalid) as caught:
            request(scientist, model_name=name, target=target, model_types=[kind], **asked)
        assert [(e.field, e.code) for e in caught.value.errors] == [
            ("cost_matrix", "not_two_classes"),
            ("capacity", "not_two_classes"),
        ]


def test_without_a_search_each_type_is_trained_once(
    scientist: Actor, model: RegisteredModel, dataset: DatasetVersion
) -> None:
    run = request(scientist, hyperparameter_optimization=False, model_types=["random_forest", "gradient_boosting"])
    assert run.spec["n_trials"] == 1
    assert run.trials_total == 2


def test_a_name_means_its_newest_version(
    scientist: Actor, model: RegisteredModel, upload: Callable[..., DatasetVersion]
) -> None:
    upload()
    newest = upload(claims(seed=1))
    assert request(scientist).dataset == newest


def test_a_positive_class_is_found_whatever_its_spelling(
    scientist: Actor, model: RegisteredModel, dataset: DatasetVersion
) -> None:
    assert request(scientist, positive_class="0").spec["positive_class"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_trials", 0),
        ("n_trials", 1001),
        ("n_trials", True),
        ("cv_folds", 1),
        ("cv_folds", 21),
        ("seed", -1),
        ("seed", 2**32),
        ("auto_deploy_threshold", 1.01),
        ("need", "best"),
        ("margin", -0.01),
        ("margin", float("inf")),
        ("auto_deploy_threshold", float("nan")),
        ("hyperparameter_optimization", "yes"),
        ("metric", "rmse"),
        ("metric", "auc"),
        ("cv", "leave_one_out"),
        ("task_type", "regression"),
        ("target", "nothing"),
        ("target", "visits"),
        ("target", "person"),
        ("target", "dollars"),
        ("positive_class", 2),
        ("features", []),
        ("features", ["age", "nothing"]),
        ("features", ["age", "age"]),
        ("features", ["high_cost"]),
        ("features", ["person"]),
        ("features", "age"),
        ("model_types", []),
        ("model_types", ["catboost"]),
        ("model_types", ["linear_regression"]),
        ("model_types", ["random_forest", "random_forest"]),
        ("search_space", {"logistic_regression": {"depth": {"low": 1, "high": 2}}}),
        ("search_space", {"logistic_regression": {"C": {"low": 1, "high": 0.1}}}),
        ("search_space", {"random_forest": {}}),
        ("search_space", {"logistic_regression": 3}),
        ("search_space", [1]),
        ("cost_matrix", [1]),
        ("cost_matrix", {}),
        ("cost_matrix", {"false_alarm": 1}),
        ("cost_matrix", {"false_positive": float("nan")}),
        ("cost_matrix", {"false_positive": 10**400}),
        ("cost_matrix", {"false_positive": True}),
        ("cost_matrix", {"false_positive": -5, "true_negative": 0}),
        ("cost_matrix", {"false_positive": 5}),
        ("calibration", "platt"),
        ("calibration", True),
        ("slices", []),
        ("slices", "plan"),
        ("slices", ["nothing"]),
        ("slices", ["high_cost"]),
        ("slices", ["person"]),
        ("slices", ["plan", "plan"]),
        ("slices", [1]),
        ("capacity", 200),
        ("capacity", {"at_most": 200}),
        ("capacity", {"at_most": 0, "of_rows": 100}),
        ("capacity", {"at_most": 2, "of_rows": 0}),
        ("capacity", {"at_most": 200, "of_rows": 100}),
        ("capacity", {"at_most": 2, "of_rows": 100, "per": "week"}),
        ("monotone", [1]),
        ("monotone", {"nothing": 1}),
        ("monotone", {"age": 2}),
        ("monotone", {"age": True}),
        ("monotone", {"plan": 1}),
        ("monotone", {"age": 1}),  # a logistic regression, of which it cannot be asked
        ("trigger_reason", ""),
        ("trigger_reason", "x" * 201),
        ("dataset", "../etc/passwd"),
        ("dataset", "hie@0"),
        ("dataset", "hie@9"),
        ("dataset", "other"),
        ("model_name", "../models"),
        ("model_name", "unknown_model"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_written(
    scientist: Actor, model: RegisteredModel, dataset: DatasetVersion, field: str, value: object
) -> None:
    before = AuditRecord.objects.count()
    with pytest.raises(StewardError) as caught:
        request(scientist, **{field: value})
    assert 400 <= caught.value.status < 500
    assert caught.value.errors[0].field.split(".")[0] == field
    assert not Run.objects.exists()
    assert AuditRecord.objects.count() == before


def test_every_wrong_field_is_named_at_once(scientist: Actor, model: RegisteredModel, dataset: DatasetVersion) -> None:
    with pytest.raises(Invalid) as caught:
        request(scientist, n_trials=0, metric="auc", cv="random")
    assert [error.field for error in caught.value.errors] == ["n_trials", "metric", "cv"]


def test_a_regression_needs_a_number(engineer: Actor, scientist: Actor, dataset: DatasetVersion) -> None:
    create_model(actor=engineer, name="dollars_next_year", task_type="regression")
    asked = {"model_name": "dollars_next_year", "model_types": ["linear_regression"]}
    with pytest.raises(Invalid, match="must be a number that varies but 'plan'"):
        request(scientist, **asked, target="plan")
    assert request(scientist, **asked, target="dollars").spec["metric"] == "rmse"


def test_what_the_team_cannot_see_does_not_exist(
    outsider: Actor, model: RegisteredModel, dataset: DatasetVersion
) -> None:
    with pytest.raises(NotFound):
        request(outsider)
    create_model(actor=outsider, name="their_model", task_type="classification")
    with pytest.raises(NotFound) as caught:
        request(outsider, model_name="their_model")
    assert caught.value.errors[0].field == "dataset"


def test_a_viewer_may_not_train_and_the_refusal_is_recorded(model: RegisteredModel, dataset: DatasetVersion) -> None:
    with pytest.raises(Forbidden):
        request(actor("vera", "viewer"))
    assert AuditRecord.objects.filter(action="run.request.refused", actor="vera").exists()


def test_a_request_is_recorded_and_told(scientist: Actor, model: RegisteredModel, dataset: DatasetVersion) -> None:
    heard: list[Run] = []

    def hear(run: Run, **kwargs: Any) -> None:
        heard.append(run)

    signals.run_requested.connect(hear)
    try:
        run = request(scientist)
    finally:
        signals.run_requested.disconnect(hear)
    assert heard == [run]
    assert AuditRecord.objects.filter(action="run.requested", subject=run.subject).exists()


def test_a_waiting_run_is_cancelled_at_once_and_again(
    scientist: Actor, model: RegisteredModel, dataset: DatasetVersion
) -> None:
    run = request(scientist)
    for _ in range(2):
        assert cancel_run(run, actor=scientist).state == "cancelled"


def test_a_run_that_succeeded_cannot_be_cancelled(
    scientist: Actor, model: RegisteredModel, dataset: DatasetVersion
) -> None:
    run = request(scientist)
    Run.objects.filter(pk=run.pk).update(state="succeeded")
    with pytest.raises(Conflict):
        cancel_run(run, actor=scientist)


def test_a_viewer_may_not_cancel(scientist: Actor, model: RegisteredModel, dataset: DatasetVersion) -> None:
    run = request(scientist)
    with pytest.raises(Forbidden):
        cancel_run(run, actor=actor("vera", "viewer"))
    run.refresh_from_db()
    assert run.state == "queued"
