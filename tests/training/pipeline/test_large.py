"""A run on a table over the limit: in parts from its upload to the version that serves, and the same version."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pytest_django.fixtures import Settings

from mlops_site.core import jobs, store
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from registry.artifacts import scorer
from registry.services import create_model
from tests.training.claims import claims
from tests.training.pipeline.conftest import executed
from training.models import DatasetVersion, Run
from training.pipeline import large as rows_in_parts
from training.pipeline.data import rows_of
from training.services import large, request_run

pytestmark = pytest.mark.django_db
Train = Callable[..., Run]
Upload = Callable[..., DatasetVersion]


@pytest.fixture
def low(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table is large, and its parts are small; in this process: what a cluster adds, `ml/test_parted` tells."""
    monkeypatch.setattr(large, "find_spec", lambda name: None)
    monkeypatch.setattr("training.ml.tables.ROW_GROUP", 90)
    monkeypatch.setattr("training.ml.parted.PART_ROWS", 40)
    monkeypatch.setattr("training.pipeline.selection.cores", lambda: 1)  # threads of so few rows wait for each other
    settings.LARGE_RUN_BYTES = 1_000


def gapped() -> pd.DataFrame:
    """Claims of which some have no target, and some stand twice."""
    frame = pd.concat([claims(600), claims(600).head(8)], ignore_index=True)
    return frame.assign(high_cost=frame["high_cost"].where(np.arange(len(frame)) % 37 > 0))


@pytest.mark.parametrize(
    ("cv", "changes"),
    [
        ("stratified", {"group_column": "", "time_column": ""}),
        ("group", {}),
        ("time", {}),
        ("group_time", {}),
    ],
)
def test_rows_are_those_of_one_frame(
    cv: str, changes: Any, request_small: Callable[..., Run], upload: Upload, low: None, settings: Settings
) -> None:
    frame = gapped()
    if cv == "group_time":  # few persons come again, or nobody's past would be left
        frame = frame.assign(person=np.where(np.arange(len(frame)) % 5, np.arange(len(frame)), 1))
    run = jobs.claim(request_small(upload(frame, **changes), cv=cv), worker="test")
    assert run is not None
    settings.LARGE_RUN_BYTES = 2**30
    whole: Any = rows_of(run)
    settings.LARGE_RUN_BYTES = 1_000
    with rows_in_parts.opened(run) as found:
        parts: Any = found
        assert (parts.kinds, parts.classes, parts.period) == (whole.kinds, whole.classes, whole.period)
        pd.testing.assert_frame_equal(parts.training.frame.read(), whole.training.frame)
        pd.testing.assert_frame_equal(parts.holdout.frame, whole.holdout.frame)
        pd.testing.assert_frame_equal(
            parts.holdout_table, whole.holdout_table.reset_index(drop=True), check_dtype=False
        )
        for side in ("training", "holdout"):
            np.testing.assert_array_equal(getattr(parts, side).truth, getattr(whole, side).truth)
        np.testing.assert_array_equal(parts.holdout.keys, whole.holdout.keys)
        assert len(parts.folds) == len(whole.folds)
        for one, other in zip(parts.folds, whole.folds, strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
        pd.testing.assert_frame_equal(parts.sample, whole.training.frame)
    said = list(run.gate_reports.values_list("report", flat=True))
    assert len(said) == 2
    checks = [sorted((str(check) for check in report["checks"]), key=str) for report in said]
    assert checks[0] == checks[1]


@pytest.mark.parametrize("model_type", ["logistic_regression", "lightgbm"])
def test_a_run_ends_with_the_same_version(
    model_type: str, train: Train, upload: Upload, low: None, settings: Settings, scientist: Actor
) -> None:
    dataset = upload(gapped())
    asked: dict[str, Any] = {"model_types": [model_type], "calibration": "auto", "nested_folds": 2, "n_trials": 1}
    if model_type == "lightgbm":
        asked["search_space"] = {"lightgbm": {"n_estimators": {"low": 10, "high": 12}}}
    parts = train(dataset, **asked)
    assert parts.state == "succeeded", parts.error
    version = parts.version
    assert version is not None
    assert any("in parts" in line for line in parts.lines.values_list("text", flat=True))
    assert scorer.preflight(version) == []
    assert 15 <= len(version.golden) <= 20
    settings.LARGE_RUN_BYTES = 2**30
    whole = train(dataset, **asked).version
    assert whole is not None
    assert version.signature == whole.signature
    assert version.facts["data"] == whole.facts["data"]
    assert version.reference == whole.reference
    held = [pd.read_parquet(io.BytesIO(store.read(each.holdout.digest))) for each in (version, whole) if each.holdout]
    assert held[0]["row_key"].tolist() == held[1]["row_key"].tolist()
    near = 0 if model_type == "lightgbm" else 2e-3  # its trees are the same to the last bit
    np.testing.assert_allclose(held[0]["score"], held[1]["score"], rtol=0, atol=near)


def test_it_serves_as_any_other(upload: Upload, low: None, scientist: Actor, engineer: Actor) -> None:
    create_model(actor=engineer, name="dollars", task_type="regression")
    dataset = upload(claims(400), target="dollars", group_column="")
    run = request_run(actor=scientist, model_name="dollars", dataset=str(dataset), n_trials=1, cv_folds=2)
    assert run.spec["model_types"] == ["linear_regression", "lightgbm"]
    version = executed(run).version
    assert version is not None
    row = version.golden[0]
    answer = scorer.load(version.artifact.digest, "skops", version.signature)
    assert scorer.golden(answer, [row["features"]])[0] == row
    assert version.explanation["method"] in ("trees", "linear")


def test_what_must_see_all_rows_is_refused_with_the_names_of_what_can(
    request_small: Callable[..., Run], dataset: DatasetVersion, low: None, settings: Settings
) -> None:
    with pytest.raises(Invalid) as refused:
        request_small(dataset, model_types=["logistic_regression", "random_forest", "mlp"])
    assert [(error.field, error.code) for error in refused.value.errors] == [("model_types", "not_in_parts")] * 2
    assert "must be among logistic_regression, lightgbm for hie@1" in refused.value.errors[0].message
    settings.LARGE_RUN_BYTES = 2**30
    run = jobs.claim(request_small(dataset, model_types=["random_forest"]), worker="test")
    assert run is not None
    settings.LARGE_RUN_BYTES = 1_000  # lowered while it waited
    with pytest.raises(Invalid) as late, rows_in_parts.opened(run):
        pass
    assert late.value.code == "not_in_parts"


def test_the_holdout_is_bounded(
    request_small: Callable[..., Run], upload: Upload, low: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_in_parts, "HELD_ROWS", 60)
    run = jobs.claim(request_small(upload(claims(600), group_column="", time_column="")), worker="test")
    assert run is not None
    with rows_in_parts.opened(run) as rows:
        assert 35 < len(rows.holdout) < 90
        assert len(rows.holdout) + len(rows.training) == 600
