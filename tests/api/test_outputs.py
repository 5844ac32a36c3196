"""Models of many classes and of numbers, from the upload to the log, over HTTP alone."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

from mlops_site.core import jobs, store
from mlops_site.core.permissions import Actor
from monitoring.models import BatchRun, Prediction
from monitoring.pipeline import execute
from monitoring.services import fold_all
from registry.artifacts.formats import dump_skops
from tests.kept import kept_fixture
from tests.people import actor, bearer
from tests.registry.http import API, Person
from tests.registry.parts import user

pytestmark = pytest.mark.django_db
RANDOM = np.random.default_rng(3)
FRAME = pd.DataFrame({"age": RANDOM.normal(50, 10, 120), "visits": RANDOM.poisson(3, 120).astype(float)})
INPUTS = [{"name": "age", "kind": "number"}, {"name": "visits", "kind": "number"}]
ROWS = [{"age": 41.0, "visits": 2.0}, {"age": 66.5, "visits": 9.0}]
BANDS = np.array(["low", "mid", "top"])[np.digitize(FRAME["age"], [45, 55])]


@kept_fixture
def author(db: None) -> Actor:
    return actor("author", "ml_engineer")


@pytest.fixture
def engineer(author: Actor) -> Person:
    return Person(author)


def served(engineer: Person, name: str, model: Any, task_type: str, **signature: Any) -> None:
    """1.0.0 in production, as people bring it there."""
    assert engineer.post("/models", {"name": name, "task_type": task_type})[0] == 201
    said = {"signature": {"inputs": INPUTS, "task_type": task_type, **signature}, "reference": ROWS}
    status, made = engineer.upload(dump_skops(model), name=name, metadata=said)
    assert status == 201, made
    move = f"/models/{name}/1.0.0/promote"
    assert engineer.post(move, {"target_stage": "staging", "reason": "ready"})[0] == 200
    status, asked = engineer.post(move, {"target_stage": "production", "reason": "good"})
    assert status == 202
    decider = Person(actor(f"approver_of_{name}", "approver"))
    assert decider.post(f"/approvals/{asked['request']['id']}/approve", {"comment": "yes"})[0] == 200


def scored(author: Actor, name: str) -> pd.DataFrame:
    file = SimpleUploadedFile("claims.csv", FRAME.to_csv(index=False).encode())
    response = Client(headers=bearer(user(author))).post(f"{API}/models/{name}/score", {"file": file})
    run = jobs.claim(BatchRun.objects.get(pk=response.json()["job_id"]), worker="test")
    assert run is not None
    execute(run)
    digest = BatchRun.objects.get(pk=run.pk).result_digest
    return pd.read_parquet(io.BytesIO(store.read(digest)))


def test_many_classes(engineer: Person, author: Actor) -> None:
    model = RandomForestClassifier(10, max_depth=4, random_state=0).fit(FRAME, BANDS)
    served(engineer, "bands", model, "classification", classes=["low", "mid", "top"])
    expected = model.predict_proba(pd.DataFrame(ROWS))
    body = {"rows": [{"features": row, "request_id": f"r{i}"} for i, row in enumerate(ROWS)]}
    first = engineer.post("/models/bands/predict", body)[1]["predictions"]
    for answer, truth in zip(first, expected, strict=True):
        assert answer["probabilities"] == pytest.approx(dict(zip(["low", "mid", "top"], truth, strict=True)))
        assert answer["prediction"] == ["low", "mid", "top"][truth.argmax()]
        assert answer["score"] == pytest.approx(truth.max())
        assert (answer["decision"], answer["threshold"]) == (None, None)
    again = engineer.post("/models/bands/predict", body)[1]["predictions"]
    assert [answer | {"duplicate": False} for answer in again] == first
    found = scored(author, "bands")
    columns = ["probability_low", "probability_mid", "probability_top"]
    np.testing.assert_allclose(found[columns], model.predict_proba(FRAME), atol=1e-6)
    assert found["prediction"].tolist() == model.predict(FRAME).tolist()
    assert "decision" not in found
    kept = Prediction.objects.filter(arm="batch").first()
    assert kept is not None
    assert set(kept.probabilities or ()) == {"low", "mid", "top"}
    fold_all()
    status, seen = engineer.get("/monitoring/dashboard/bands")
    assert (status, seen["model"]) == (200, "bands")


def test_two_classes_have_a_score_instead(engineer: Person) -> None:
    model = RandomForestClassifier(10, max_depth=4, random_state=0).fit(FRAME, BANDS == "top")
    served(engineer, "top_band", model, "classification", classes=[False, True], positive_class=True)
    (answer,) = engineer.post("/models/top_band/predict", {"features": ROWS[1]})[1]["predictions"]
    assert answer["probabilities"] is None
    assert answer["prediction"] is True
    assert answer["decision"] == 1


def test_a_number(engineer: Person, author: Actor) -> None:
    model = LinearRegression().fit(FRAME, 3 * FRAME["age"] + FRAME["visits"])
    served(engineer, "cost", model, "regression")
    (answer,) = engineer.post("/models/cost/predict", {"features": ROWS[0], "request_id": "r"})[1]["predictions"]
    assert answer["prediction"] == pytest.approx(125.0)
    assert {name: answer[name] for name in ("score", "probabilities", "decision", "threshold")} == dict.fromkeys(
        ("score", "probabilities", "decision", "threshold")
    )
    found = scored(author, "cost")
    np.testing.assert_allclose(found["prediction"], 3 * FRAME["age"] + FRAME["visits"])
    assert not {"score", "decision"} & set(found)
    fold_all()
    assert engineer.get("/monitoring/dashboard/cost")[0] == 200


@pytest.mark.parametrize(("stage", "status"), [("staging", 200), ("archived", 409), ("development", 409)])
def test_a_client_pins_what_serves_or_is_about_to(engineer: Person, stage: str, status: int) -> None:
    model = LinearRegression().fit(FRAME, FRAME["age"])
    assert engineer.post("/models", {"name": "cost", "task_type": "regression"})[0] == 201
    said = {"signature": {"inputs": INPUTS, "task_type": "regression"}}
    assert engineer.upload(dump_skops(model), name="cost", metadata=said)[0] == 201
    if stage != "development":
        assert engineer.post("/models/cost/1.0.0/promote", {"target_stage": stage, "reason": "so"})[0] == 200
    got, answer = engineer.post("/models/cost/predict", {"features": ROWS[0], "version": "1.0.0"})
    assert got == status
    if status == 409:
        assert (answer["code"], answer["errors"][0]["field"]) == ("not_served", "version")
        assert stage in answer["detail"]
        assert "leave version out" in answer["detail"]
    else:
        assert answer["version"] == "1.0.0"
