"""GET /models/{name}/{version}/explanations: of predictions, and of a version in general."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from mlops_site.core import jobs
from mlops_site.core.permissions import Actor
from mlops_site.serving import Question, predict
from monitoring.models import Explanation, ExplanationRun, Prediction
from monitoring.services import explain_predictions, log_prediction, request_explanations
from monitoring.services.explanations import execute
from registry import services
from registry.artifacts.sums import log_odds
from registry.model_registry import ModelRegistry
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.people import actor
from tests.registry.http import Person
from tests.registry.parts import candidate, explained, into_production

pytestmark = pytest.mark.django_db
ADDRESS = "/models/high_cost/1.0.0/explanations"


@kept_fixture
def author(db: None) -> Actor:
    return actor("author", "ml_engineer")


@kept_fixture
def model(author: Actor) -> RegisteredModel:
    return services.create_model(actor=author, name="high_cost", task_type="classification")


@kept_fixture
def version(model: RegisteredModel, author: Actor) -> Version:
    return into_production(model, author=author, approver=actor("approver", "approver"), seed=0, **explained())


@pytest.fixture
def asked(version: Version, author: Actor) -> list[str]:
    """The ids of two predictions."""
    rows = [Question({"age": 61.0, "visits": 3}), Question({"age": 35, "visits": 9})]
    answers = predict("high_cost", actor=author, questions=rows, is_batch=True).predictions
    return [str(answer.prediction_id) for answer in answers]


def test_each_answer_is_taken_apart_in_the_order_asked(author: Actor, asked: list[str], version: Version) -> None:
    status, said = Person(author).get(ADDRESS, prediction_ids=", ".join(reversed(asked)))
    assert status == 200
    assert [row["prediction_id"] for row in said] == asked[::-1]
    for row in said:
        kept = Prediction.objects.get(pk=row["prediction_id"])
        assert kept.score is not None
        assert (row["method"], row["output_space"], row["explained"], row["samples"]) == ("linear", "log_odds", 1, 0)
        assert row["background"] == {"digest": version.background_id, "rows": 100}
        sizes = [each["contribution"] for each in row["contributions"]]
        assert row["base_value"] + sum(sizes) + row["residual"] == pytest.approx(log_odds(kept.score))
        assert {each["feature"]: each["value"] for each in row["contributions"]} == kept.features
        assert [abs(size) for size in sizes] == sorted(map(abs, sizes), reverse=True)
        assert not any(each["masked"] or each["standard_error"] for each in row["contributions"])


def test_an_explanation_is_made_once_and_told_the_same(author: Actor, asked: list[str]) -> None:
    first = Person(author).get(ADDRESS, prediction_ids=asked[0])
    assert Explanation.objects.count() == 1
    Explanation.objects.get()
    assert Person(author).get(ADDRESS, prediction_ids=f"{asked[0]},{asked[0]}") == first
    assert Explanation.objects.count() == 1


def test_without_ids_it_says_what_the_version_looks_at(author: Actor, version: Version) -> None:
    status, said = Person(author).get(ADDRESS)
    assert status == 200
    assert [row["feature"] for row in said["features"]] == ["age", "visits"]
    assert (said["rows"], said["background"]["digest"]) == (100, version.background_id)
    assert said["features"][0]["permutation_share"] is None


def test_an_answer_that_was_given_elsewhere_shows_its_residual(author: Actor, version: Version) -> None:
    row = {"model_name": "high_cost", "model_version": "1.0.0", "features": {"age": 61.0, "visits": 3}}
    logged = log_prediction({**row, "request_id": "x", "prediction": 1, "score": 0.5}, actor=author)
    _, (said,) = Person(author).get(ADDRESS, prediction_ids=str(logged.prediction_id))
    assert said["output"] == 0
    assert abs(said["residual"]) > 0.1


class TestRefusals:
    def refused(self, who: Actor, ids: str, address: str = ADDRESS) -> tuple[int, str, str]:
        status, problem = Person(who).get(address, prediction_ids=ids)
        assert not Explanation.objects.exists()
        return status, problem["code"], problem["detail"]

    def test_ids_that_are_none_or_unknown(self, author: Actor, asked: list[str]) -> None:
        assert self.refused(author, "pred_123")[:2] == (422, "bad_prediction_id")
        assert self.refused(author, f"{asked[0]},{uuid4()}")[:2] == (404, "unknown_prediction")
        assert self.refused(author, ",")[:2] == (422, "required")
        assert self.refused(author, ",".join(str(uuid4()) for _ in range(51)))[:2] == (422, "too_many")
        assert self.refused(author, "x" * 4_001)[0] == 422

    def test_those_of_another_version_and_of_another_model(
        self, author: Actor, model: RegisteredModel, asked: list[str]
    ) -> None:
        other = services.register_version(model, actor=author, candidate=candidate(1, params={"C": 2.0}))
        status, code, detail = self.refused(author, asked[0], f"/models/high_cost/{other.number}/explanations")
        assert (status, code) == (409, "other_version")
        assert "was answered by version 1.0.0, not 1.1.0" in detail
        second = services.create_model(actor=author, name="other", task_type="classification")
        services.register_version(second, actor=author, candidate=candidate(0))
        assert self.refused(author, asked[0], "/models/other/1.0.0/explanations")[:2] == (404, "unknown_prediction")

    def test_erased_features_and_failed_predictions(self, author: Actor, asked: list[str], version: Version) -> None:
        Prediction.objects.filter(pk=asked[0]).update(features={})
        assert self.refused(author, ",".join(asked))[:2] == (409, "features_erased")
        row = {"model_name": "high_cost", "model_version": "1.0.0", "features": {"age": 1}, "request_id": "f"}
        failed = log_prediction({**row, "status": "error", "error_code": "timeout"}, actor=author)
        assert self.refused(author, str(failed.prediction_id))[:2] == (409, "failed_prediction")
        other = log_prediction({**row, "request_id": "g", "prediction": 1, "score": 0.5}, actor=author)
        status, code, detail = self.refused(author, str(other.prediction_id))
        assert (status, code) == (409, "features_differ")
        assert "visits" in detail

    def test_a_version_without_rows_to_compare_with(
        self, author: Actor, model: RegisteredModel, asked: list[str]
    ) -> None:
        services.register_version(model, actor=author, candidate=candidate(1, params={"C": 2.0}))
        status, problem = Person(author).get("/models/high_cost/1.1.0/explanations")
        assert (status, problem["code"]) == (409, "no_background")

    def test_three_people(self, asked: list[str]) -> None:
        assert self.refused(actor("vera", "viewer"), asked[0])[:2] == (403, "forbidden")
        assert self.refused(actor("zoe", "ml_engineer", team="others"), asked[0])[:2] == (404, "unknown_model")
        assert Person(actor("val", "validator")).get(ADDRESS, prediction_ids=asked[0])[0] == 200


def test_old_versions_are_compared_with_their_golden_rows(author: Actor, model: RegisteredModel) -> None:
    golden: list[dict[str, Any]] = [
        {"features": {"age": 40.0 + i, "visits": i % 4}, "prediction": 0, "score": 0.5} for i in range(20)
    ]
    services.register_version(model, actor=author, candidate=candidate(0, golden=golden))
    row = {"model_name": "high_cost", "model_version": "1.0.0", "features": {"age": 61.0, "visits": 3}}
    logged = log_prediction({**row, "request_id": "x", "prediction": 1, "score": 0.5}, actor=author)
    _, (said,) = Person(author).get(ADDRESS, prediction_ids=str(logged.prediction_id))
    assert said["background"]["rows"] == 20


def test_the_notebook_face_says_the_same(author: Actor, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_site.core.face.actor", lambda: author)
    registry = ModelRegistry()
    found = registry.get_model_explanations(model_name="high_cost", version="1.0.0", prediction_ids=asked)
    _, said = Person(author).get(ADDRESS, prediction_ids=",".join(asked))
    assert isinstance(found, list)
    assert [each.prediction_id for each in found] == asked
    assert found[0].contributions[0].contribution == said[0]["contributions"][0]["contribution"]
    whole = registry.get_model_explanations("high_cost", "1.0.0")
    assert isinstance(whole, dict)
    assert whole["features"][0]["feature"] == "age"


class TestJob:
    """Many are explained by a worker, and read afterwards."""

    def test_it_explains_what_is_not_yet_and_goes_on_where_it_was(
        self, author: Actor, version: Version, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mlops_site.api.explanations.ring", lambda run: None)
        rows = [Question({"age": 20.0 + i, "visits": i % 9}) for i in range(25)]
        made = predict("high_cost", actor=author, questions=rows, is_batch=True).predictions
        ids = [str(answer.prediction_id) for answer in made]
        explain_predictions(version, actor=author, prediction_ids=ids[:3])
        status, said = Person(author).post(ADDRESS, {"prediction_ids": ids})
        assert status == 202
        run = jobs.claim(ExplanationRun.objects.get(pk=said["job_id"]), worker="test")
        assert run is not None
        execute(run)
        assert Explanation.objects.count() == 25
        status, job = Person(author).get(f"/jobs/{run.pk}")
        assert (status, job["state"], job["progress"]) == (200, "succeeded", 1.0)
        assert len(Person(author).get(ADDRESS, prediction_ids=",".join(ids))[1]) == 25

    def test_an_attempt_that_is_not_current_any_more_stops(
        self, author: Actor, version: Version, asked: list[str]
    ) -> None:
        run = jobs.claim(request_explanations(version, actor=author, prediction_ids=asked), worker="test")
        assert run is not None
        ExplanationRun.objects.filter(pk=run.pk).update(attempt=2)
        with pytest.raises(jobs.LeaseLost):
            execute(run)

    def test_what_cannot_be_explained_is_refused_before_it_is_queued(
        self, author: Actor, version: Version, asked: list[str]
    ) -> None:
        wrong = [(["x"], 422), ([], 422), ([str(uuid4())], 404), ([asked[0]] * 1_001, 422)]
        for ids, expected in wrong:
            assert Person(author).post(ADDRESS, {"prediction_ids": ids})[0] == expected
        assert Person(actor("vera", "viewer")).post(ADDRESS, {"prediction_ids": asked})[0] == 403
        assert not ExplanationRun.objects.exists()
