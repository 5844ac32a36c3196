"""The gates of a run: on its rows before training, on its model before registration; nothing is half-registered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_site.core import jobs
from mlops_site.core.permissions import Actor
from registry.models import PromotionRequest, RegisteredModel, Version
from registry.selectors.period import WAIVER, period_report
from registry.services import move_stage, request_promotion
from tests.kept import kept_fixture
from tests.people import actor
from tests.training.claims import claims
from training.models import DatasetVersion, GateReport, Run
from training.pipeline import data, evidence, quality
from training.selectors import quality as gates
from training.services import infer_expectations, revoke_waiver, set_expectations, waive_check

Train = Callable[..., Run]
Upload = Callable[..., DatasetVersion]
SOON = datetime.now(UTC).date() + timedelta(days=5)


@kept_fixture
def validator(db: None) -> Actor:
    return actor("vito", "validator")


@pytest.fixture
def ended(request_small: Callable[..., Run]) -> Train:
    """A run to its end, whatever that is, as a worker's child leaves it."""

    def run(dataset: DatasetVersion, **changes: Any) -> Run:
        claimed = jobs.claim(request_small(dataset, **changes), worker="test")
        assert claimed is not None
        jobs.run_here(claimed)
        return Run.objects.select_related("version", "model__team").get(pk=claimed.pk)

    return run


def blocking(run: Run) -> dict[tuple[str, str | None], Any]:
    (*_, last) = gates.verdicts_of(run)
    return {(check.name, check.column): check for check in last.report.blocks}


def assert_failed_at(run: Run, stage: str) -> None:
    assert run.state == "failed", run.error
    assert gates.verdicts_of(run)[-1].stage == stage
    assert not gates.verdicts_of(run)[-1].passed
    assert not Version.objects.exists()
    assert not PromotionRequest.objects.exists()


def test_a_run_passes_both_gates_and_says_so(ended: Train, dataset: DatasetVersion) -> None:
    run = ended(dataset)
    assert run.state == "succeeded", run.error
    first, second = gates.verdicts_of(run)
    assert [(v.stage, v.passed) for v in (first, second)] == [("training", True), ("registration", True)]
    names = {check.name for check in [*first.report.checks, *second.report.checks]}
    assert names >= {"target_copy", "entity_overlap", "rows_overlap", "scores_finite", "golden_rows", "too_good"}
    assert run.version is not None
    assert "waived" not in run.version.facts


def test_a_copy_of_the_target_fails_the_run_unless_it_is_waived_or_left_out(
    ended: Train, upload: Upload, scientist: Actor, engineer: Actor, validator: Actor
) -> None:
    data = upload(claims(600).assign(outcome=lambda rows: np.where(rows["high_cost"] == 1, "paid", "open")))
    assert data.quality["passed"]  # a column that may be left out is no fault of the data
    run = ended(data)
    assert_failed_at(run, "training")
    assert run.error.startswith("blocked by the quality gate before training: Column 'outcome' tells the target")
    assert run.step == "check the data"
    assert set(blocking(run)) == {("target_copy", "outcome")}
    assert run.trials_done == 0

    assert ended(data, features=["age", "visits"]).state == "succeeded"
    asked = {"check": "target_copy", "column": "outcome", "reason": "To show what a leak does."}
    waiver = waive_check(data.dataset, actor=validator, until=SOON, **asked)
    waived = ended(data)
    assert waived.version is not None
    assert [row["id"] for row in waived.version.facts["waived"]] == [waiver.pk]
    assert any("Waived by vito until" in line for line in waived.version.facts["data"]["quality"])
    assert {check.name for check in gates.verdicts_of(waived)[1].report.warnings} == {"too_good"}

    move_stage(waived.version, actor=engineer, target_stage="staging", reason="To look at it.")
    request = request_promotion(waived.version, actor=engineer, reason="It is perfect.")
    told = {gate["stage"]: gate["failed"] for gate in request.evidence["quality_gates"]}
    assert [check["waiver"]["by"] for check in told["training"]] == ["vito"]
    today = datetime.now(UTC).date()
    (line,) = period_report(scientist, first=today, last=today).of(WAIVER)
    assert (line.by, line.reason, line.version) == ("vito", asked["reason"], waived.version.number)
    assert "target_copy: outcome failed, waived until" in line.what


def test_expectations_are_held_to_the_rows_that_are_used(ended: Train, upload: Upload, engineer: Actor) -> None:
    frame = claims().astype({"high_cost": float})
    frame.loc[3, ["high_cost", "age"]] = [np.nan, 500]  # a row without target is not used, whatever else it holds
    data = upload(frame)
    document = {"columns": {"age": {"range": {"min": 18, "max": 90, "severity": "block"}}}}
    set_expectations(data.dataset, actor=engineer, document=document, comment="Adults.")
    assert ended(data).state == "succeeded"
    document["columns"]["age"]["range"]["max"] = 88
    set_expectations(data.dataset, actor=engineer, document=document, comment="Fewer adults.")
    run = ended(data)
    old = frame.index[(frame["age"] > 88) & frame["high_cost"].notna()] + 1
    (check,) = blocking(run).values()
    assert (check.name, check.where, check.observed) == ("schema_range", tuple(old[:5]), len(old))


def test_by_time_it_is_said_that_groups_are_on_both_sides_and_with_groups_apart_they_are_not(
    request_small: Train, dataset: DatasetVersion
) -> None:
    """Each person has two years, one after the other."""
    found = {}
    for cv in ("time", "group_time"):
        claimed = jobs.claim(request_small(dataset, cv=cv, cv_folds=2), worker="test")
        assert claimed is not None
        rows = data.rows_of(claimed)
        (verdict,) = gates.verdicts_of(claimed)
        (check,) = (each for each in verdict.report.checks if each.name == "entity_overlap")
        found[cv] = (check.passed, check.severity, check.observed, len(rows.training), len(rows.holdout))
        found_lines = [line.text for line in claimed.lines.all()]
    assert found["time"] == (False, "warn", {"holdout": 50, "folds": 0}, 250, 50)
    assert found["group_time"] == (True, "block", {"holdout": 0, "folds": 0}, 200, 50)
    assert any("50 rows are left out" in line for line in found_lines)


def test_a_declared_entity_on_both_sides_fails_the_run(
    ended: Train, upload: Upload, engineer: Actor, request_small: Train
) -> None:
    data = upload(group_column="", time_column="")
    document = {"columns": {}, "entity": {"column": "person", "severity": "block"}}
    set_expectations(data.dataset, actor=engineer, document=document, comment="A person is one case.")
    run = ended(data, features=["age", "visits"])
    assert_failed_at(run, "training")
    (check,) = blocking(run).values()
    assert (check.name, check.column) == ("entity_overlap", "person")
    assert check.observed["holdout"] > 10


def test_a_feature_from_after_the_prediction_fails_the_run(ended: Train, upload: Upload) -> None:
    data = upload(claims().assign(paid_in=lambda rows: rows["year"] + (rows.index == 7)))
    features = ["age", "visits", "dollars"]
    run = ended(data, features=features, available_at={"dollars": "paid_in"})
    assert_failed_at(run, "training")
    (check,) = blocking(run).values()
    assert (check.name, check.column, check.where) == ("after_prediction", "dollars", (8,))
    assert ended(data, features=["age", "visits"], available_at={"dollars": "paid_in"}).state == "succeeded"


@pytest.mark.parametrize("broken", ["scores", "golden"])
def test_a_model_that_is_not_sound_is_not_registered(
    ended: Train, dataset: DatasetVersion, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    if broken == "scores":
        flat = SimpleNamespace(predicted=lambda pipeline, frame, classes: np.full(len(frame), 0.5))
        monkeypatch.setattr("training.pipeline.soundness.evaluate", flat)
    else:
        kept = evidence._golden
        monkeypatch.setattr(evidence, "_golden", lambda *a: [{**row, "score": row["score"] / 2} for row in kept(*a)])
    run = ended(dataset)
    assert_failed_at(run, "registration")
    assert {name for name, _ in blocking(run)} == {{"scores": "scores_vary", "golden": "golden_rows"}[broken]}
    assert run.mlflow == {}
    assert run.trials_done == 3


def test_a_waiver_that_is_revoked_while_the_run_works_blocks_its_model(
    ended: Train, upload: Upload, validator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = upload(claims().assign(outcome=lambda rows: rows["high_cost"] * 2))
    waiver = waive_check(
        data.dataset, actor=validator, check="target_copy", column="outcome", reason="For now.", until=SOON
    )
    kept = quality.before_training

    def and_then_revoked(*args: Any, **options: Any) -> None:
        kept(*args, **options)
        revoke_waiver(waiver, actor=validator, reason="No longer.")

    monkeypatch.setattr(quality, "before_training", and_then_revoked)
    run = ended(data)
    assert_failed_at(run, "registration")
    assert set(blocking(run)) == {("lapsed_waiver", "outcome")}


def test_a_resumed_run_keeps_the_verdict_of_its_last_attempt(dataset: DatasetVersion, request_small: Train) -> None:
    run = jobs.claim(request_small(dataset), worker="test")
    assert run is not None
    for attempt in (1, 2):
        GateReport.objects.create(
            stage="training", dataset=dataset, run=run, attempt=attempt, passed=attempt == 2, report={"checks": []}
        )
    (verdict,) = gates.verdicts_of(run)
    assert verdict.judged_at == GateReport.objects.get(attempt=2).created_at


def test_claims_inferred_and_unchanged_are_trained_on(ended: Train, upload: Upload, engineer: Actor) -> None:
    infer_expectations(upload(), actor=engineer)
    later = upload(pd.concat([claims(), claims(60, seed=4).assign(person=lambda rows: rows["person"] + 1000)]))
    assert later.quality["passed"]
    assert ended(later).state == "succeeded"


def test_a_model_is_unsound_by_its_numbers(model: RegisteredModel) -> None:
    from training.ml import soundness

    truth = np.linspace(0, 10, 50)
    good = {check.name: check for check in soundness.answers(truth, truth, classes=None)}
    assert all(check.passed for check in good.values())
    far = truth.copy()
    far[3] = 21
    (*_, check) = soundness.answers(far, truth, classes=None)
    assert (check.passed, check.severity, check.where) == (False, "block", (4,))  # one of fifty is more than one in 100
    (check,) = soundness.answers(np.r_[truth, np.nan], truth, classes=None)
    assert (check.name, check.where) == ("scores_finite", (51,))
    (*_, check) = soundness.answers(np.array([0.2, 1.4]), None, classes=(0, 1))
    assert (check.name, check.passed) == ("predictions_in_range", False)
    assert not soundness.columns([{"name": "a", "kind": "number"}], {"a": "category"}).passed
    assert not soundness.too_good({"r2": {"estimate": 1.0}}).passed
