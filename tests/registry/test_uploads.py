"""Uploads: a file becomes a version, or is refused and leaves nothing."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import joblib
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from mlops_site.core import store
from mlops_site.stats.heldout import HeldOut
from mlops_site.stats.profile import Profile
from registry.models import Artifact, RegisteredModel, Version
from tests.registry.http import API, Person
from tests.registry.parts import SIGNATURE, artifact


@pytest.mark.real_child
def test_an_upload_becomes_a_version_and_again_the_same(model: RegisteredModel, engineer: Person) -> None:
    rows = [{"age": 30 + i, "visits": i % 5} for i in range(60)]
    metadata = {"metrics": {"roc_auc": 0.7}, "params": {"C": 1}, "tags": {"ticket": "A-1"}, "reference": rows}
    status, made = engineer.upload(artifact(), metadata=metadata)
    assert (status, made["version"], made["stage"]) == (201, "1.0.0", "development")
    assert made["metrics"] == {"roc_auc": {"value": 0.7, "ci95": None}}
    columns = [{**column, "required": True, "nullable": False} for column in SIGNATURE["inputs"]]
    assert made["signature"] == {**SIGNATURE, "inputs": columns}
    assert made["artifact"]["size"] == len(artifact())
    assert [interval["stage"] for interval in made["intervals"]] == ["development"]
    assert set(made["intervals"][0]) == {"stage", "from", "to", "by", "reason", "cause"}
    assert engineer.upload(artifact(), metadata=metadata)[1]["version"] == "1.0.0"
    assert engineer.upload(artifact(1), metadata=metadata, version="3.1.0")[1]["version"] == "3.1.0"
    kept = Version.objects.get(major=1)
    assert kept.reference is not None
    assert Profile.from_bytes(bytes(kept.reference)).rows == 60
    assert [row["features"] for row in kept.golden] == rows[:20]
    assert engineer.get("/models/claims/1.0.0")[1] == made


def test_an_upload_may_bring_its_answers_to_held_out_rows(model: RegisteredModel, engineer: Person) -> None:
    rows = [{"label": int(place % 10 > 6), "score": (place % 10) / 10} for place in range(200)]
    named = [{**row, "row_key": f"claim-{place}"} for place, row in enumerate(rows)]
    for number, sent in enumerate((rows, named)):
        status, made = engineer.upload(artifact(number), metadata={"holdout": sent, "threshold": 0.7})
        assert status == 201, made
    first, second = Version.objects.order_by("created_at")
    assert first.holdout is not None
    assert first.held_out is not None
    held = HeldOut.from_bytes(bytes(first.held_out))
    assert (held.rows.sum(), held.positive.sum(), held.threshold) == (200, 60, 0.7)
    assert second.holdout is not None
    keys = pd.read_parquet(io.BytesIO(store.read(second.holdout.digest)))["row_key"]
    assert keys.tolist()[:2] == ["claim-0", "claim-1"]
    again = pd.read_parquet(io.BytesIO(store.read(first.holdout.digest)))["row_key"]
    assert again.is_unique
    assert not set(again) & set(keys)


def bad_pickle() -> bytes:
    return pickle.dumps(LogisticRegression())


def bad_joblib() -> bytes:
    stream = io.BytesIO()
    joblib.dump({"model": LogisticRegression()}, stream, compress=3)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "form", "field", "code"),
    [
        (bad_pickle, {}, "artifact", "pickle_refused"),
        (bad_joblib, {}, "artifact", "pickle_refused"),
        (lambda: b"", {}, "artifact", "empty_artifact"),
        (lambda: b"PK\x03\x04 cut off", {}, "artifact", "damaged_archive"),
        (artifact, {"metadata": "{"}, "metadata", "malformed"),
        (artifact, {"metadata": '{"metrics": {"roc_auc": NaN}}'}, "metadata", "malformed"),
        (artifact, {"metadata": {"metric": {}}}, "metadata.metric", "unknown_field"),
        (artifact, {"metadata": {"metrics": {"roc_auc": "high"}}}, "metrics.roc_auc", "bad_metric"),
        (artifact, {"metadata": {"metrics": {"": 1}}}, "metrics", "bad_metric"),
        (artifact, {"metadata": {"metrics": {"auc\n": 1}}}, "metrics", "bad_metric"),
        (artifact, {"metadata": {"metrics": {"x" * 81: 1}}}, "metrics", "bad_metric"),
        (artifact, {"metadata": {"metrics": {f"m{i}": 1 for i in range(9_000)}}}, "metrics", "too_long"),
        (artifact, {"metadata": {"params": {"note": "x" * 300_000}}}, "params", "too_long"),
        (artifact, {"metadata": {"tags": {str(i): "x" * 2_000 for i in range(200)}}}, "tags", "too_long"),
        (artifact, {"metadata": {"signature": {"inputs": []}}}, "signature.task_type", "bad_signature"),
        (artifact, {"metadata": {"reference": [{"age": "old", "visits": 1}]}}, "features.age", "wrong_type"),
        (artifact, {"metadata": {"reference": []}}, "metadata.reference", "min_length"),
        (artifact, {"metadata": {"holdout": []}}, "metadata.holdout", "min_length"),
        (artifact, {"metadata": {"holdout": [{"label": 1}]}}, "holdout.0", "bad_holdout"),
        (
            artifact,
            {"metadata": {"holdout": [{"label": 1, "score": 0.5}, {"label": 7, "score": 0.5}]}},
            "holdout.1",
            "bad_holdout",
        ),
        (artifact, {"metadata": {"holdout": [{"label": True, "score": 0.5}]}}, "holdout.0", "bad_holdout"),
        (artifact, {"metadata": {"holdout": [{"label": 1, "score": 1.5}]}}, "holdout.0", "bad_holdout"),
        (artifact, {"metadata": {"holdout": [{"label": 1, "score": "0.5"}]}}, "holdout.0", "bad_holdout"),
        (artifact, {"metadata": {"holdout": [{"label": 1, "score": 10**400}]}}, "metadata", "malformed"),
        (
            artifact,
            {"metadata": {"holdout": [{"label": 1, "score": 0.5, "row_key": "a"}] * 2}},
            "holdout",
            "bad_holdout",
        ),
        (artifact, {"metadata": {"threshold": True}}, "metadata.threshold", "not_finite"),
        (artifact, {"version": "1.0"}, "version", "bad_version"),
        (artifact, {"file_format": "skops"}, "file_format", "unknown_field"),
    ],
)
def test_a_bad_upload_names_the_field_and_leaves_nothing(
    model: RegisteredModel,
    engineer: Person,
    content: Callable[[], bytes],
    form: dict[str, Any],
    field: str,
    code: str,
) -> None:
    status, problem = engineer.upload(content(), **form)
    assert status == 422
    assert (problem["errors"][0]["field"], problem["errors"][0]["code"]) == (field, code)
    assert not Version.objects.exists()
    assert not Artifact.objects.exists()


def test_an_upload_too_large_is_refused_by_its_length(model: RegisteredModel, engineer: Person, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 1000
    status, problem = engineer.upload(artifact())
    assert (status, problem["code"], problem["errors"][0]["field"]) == (413, "too_large", "artifact")
    settings.MAX_UPLOAD_BYTES = -(16 << 20)  # the form's own allowance used up: refused before the body is read
    assert engineer.upload(artifact())[0] == 413


def test_uploads_are_forms_and_nothing_else_is(model: RegisteredModel, engineer: Person) -> None:
    assert engineer.post("/models/claims/versions", {"metadata": {}})[0] == 415
    form = engineer._client.post(f"{API}/models", {"name": "x_y", "task_type": "regression"})
    assert form.status_code == 415


def test_who_may_not_register_starts_no_inspection(model: RegisteredModel, decider: Person, stranger: Person) -> None:
    assert decider.upload(b"\x80\x04 a pickle")[0] == 403  # refused for the person, not for the file
    assert stranger.upload(artifact())[0] == 404
