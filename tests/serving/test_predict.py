"""predict(): which version answers, what is logged, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from sklearn.linear_model import LinearRegression

from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from mlops_site.serving import Answers, Question, predict
from monitoring.models import Prediction
from registry import services
from registry.artifacts.formats import dump_skops
from registry.artifacts.scorer import load
from registry.models import RegisteredModel, Version
from tests.people import actor
from tests.registry.parts import SIGNATURE, candidate, into_production

pytestmark = pytest.mark.django_db
FEATURES = {"age": 51.5, "visits": 3}


def ask(machine: Actor, *questions: Question, **options: Any) -> Answers:
    return predict("high_cost", actor=machine, questions=questions or (Question(FEATURES),), **options)


def test_the_answer_is_the_models_own_and_is_logged(machine: Actor, served: Version) -> None:
    answers = ask(machine, Question(FEATURES, request_id="r1", unit_id="claim 7"))
    assert (answers.model, answers.version, answers.arm) == ("high_cost", "1.0.0", "production")
    (answer,) = answers.predictions
    scorer = load(served.artifact.digest, served.artifact.format, served.signature)
    scores = scorer.score(scorer.check_rows([FEATURES]))
    assert scores.score is not None
    assert (answer.prediction, answer.score) == (scores.prediction[0], scores.score[0])
    assert (answer.threshold, answer.decision) == (0.5, int(scores.score[0] >= 0.5))
    assert (answer.request_id, answer.version, answer.duplicate) == ("r1", "1.0.0", False)
    row = Prediction.objects.get()
    assert (str(row.pk), row.request_id, row.unit_id, row.version, row.arm) == (
        answer.prediction_id, "r1", "claim 7", served, "production",
    )  # fmt: skip
    assert (row.features, row.prediction, row.score, row.decision, row.threshold) == (
        FEATURES, answer.prediction, answer.score, answer.decision, answer.threshold,
    )  # fmt: skip
    assert row.latency_ms is not None
    assert 0 < row.latency_ms < 60_000
    assert row.status == "ok"


def test_predictions_never_enter_the_audit_chain(machine: Actor, served: Version) -> None:
    before = AuditRecord.objects.count()
    ask(machine)
    assert AuditRecord.objects.count() == before


def test_a_batch_is_answered_in_order_like_one_by_one(machine: Actor, served: Version) -> None:
    rows = [{"age": float(age), "visits": age % 7} for age in range(20, 70)]
    together = ask(machine, *(Question(row, request_id=f"b{i}") for i, row in enumerate(rows)), is_batch=True)
    alone = [ask(machine, Question(row)).predictions[0] for row in rows]
    assert [a.request_id for a in together.predictions] == [f"b{i}" for i in range(50)]
    assert [a.score for a in together.predictions] == pytest.approx([a.score for a in alone])
    assert {a.decision for a in together.predictions} == {0, 1}
    assert Prediction.objects.count() == 100


def test_without_a_request_id_one_is_made(machine: Actor, served: Version) -> None:
    first, second = (ask(machine).predictions[0] for _ in range(2))
    assert len({first.request_id, second.request_id}) == 2
    assert set(Prediction.objects.values_list("request_id", flat=True)) == {first.request_id, second.request_id}


def test_a_dry_run_is_answered_and_not_logged(machine: Actor, served: Version) -> None:
    answer = ask(machine, Question(FEATURES, request_id="r1"), dry_run=True).predictions[0]
    assert (answer.prediction_id, answer.score is None) == (None, False)
    assert not Prediction.objects.exists()


class TestRepeats:
    def test_a_repeated_request_gets_its_first_answer(self, machine: Actor, served: Version) -> None:
        first, second = (ask(machine, Question(FEATURES, request_id="r1")).predictions[0] for _ in range(2))
        assert second == first._replace(duplicate=True)
        assert Prediction.objects.count() == 1

    def test_even_when_another_version_serves_by_now(
        self, machine: Actor, model: RegisteredModel, served: Version, author: Actor, approver: Actor
    ) -> None:
        first = ask(machine, Question(FEATURES, request_id="r1"))
        into_production(model, author=author, approver=approver, seed=1, params={"C": 2.0})
        second = ask(machine, Question(FEATURES, request_id="r1"))
        assert (second.version, second.predictions[0].score) == ("1.0.0", first.predictions[0].score)
        both = ask(machine, Question(FEATURES, request_id="r1"), Question(FEATURES, request_id="r2"), is_batch=True)
        assert both.version == "1.1.0"
        assert [(a.version, a.duplicate) for a in both.predictions] == [("1.0.0", True), ("1.1.0", False)]

    @pytest.mark.parametrize(
        "other",
        [Question({**FEATURES, "age": 51.6}, request_id="r1"), Question(FEATURES, request_id="r1", unit_id="another")],
    )
    def test_the_same_id_for_something_else_is_refused_as_a_whole(
        self, machine: Actor, served: Version, other: Question
    ) -> None:
        ask(machine, Question(FEATURES, request_id="r1"))
        with pytest.raises(Conflict, match="'r1' was used for other features") as caught:
            ask(machine, Question(FEATURES, request_id="new"), other, is_batch=True)
        assert caught.value.code == "request_id_conflict"
        assert caught.value.errors[0].field == "rows[1].request_id"
        assert Prediction.objects.count() == 1

    def test_an_id_twice_in_one_batch_is_refused(self, machine: Actor, served: Version) -> None:
        with pytest.raises(Invalid, match="'r1' stands twice") as caught:
            ask(machine, Question(FEATURES, request_id="r1"), Question(FEATURES, request_id="r1"), is_batch=True)
        assert caught.value.errors[0].field == "rows[1].request_id"
        assert not Prediction.objects.exists()

    def test_ids_are_each_models_own(self, machine: Actor, served: Version, author: Actor, approver: Actor) -> None:
        other = services.create_model(actor=author, name="other", task_type="classification")
        into_production(other, author=author, approver=approver, seed=0)
        ask(machine, Question(FEATURES, request_id="r1"))
        answer = predict("other", actor=machine, questions=[Question({"age": 20, "visits": 0}, request_id="r1")])
        assert not answer.predictions[0].duplicate


class TestFeatures:
    def test_what_is_wrong_is_named_and_nothing_is_logged(self, machine: Actor, served: Version) -> None:
        rows = [Question(FEATURES), Question({"age": "old", "extra": 1})]
        with pytest.raises(Invalid) as caught:
            ask(machine, *rows, is_batch=True)
        assert {e.field for e in caught.value.errors} == {
            "rows[1].features.age",
            "rows[1].features.visits",
            "rows[1].features.extra",
        }
        assert not Prediction.objects.exists()

    def test_a_single_row_is_named_without_a_number(self, machine: Actor, served: Version) -> None:
        with pytest.raises(Invalid) as caught:
            ask(machine, Question({"age": 1}))
        assert [e.field for e in caught.value.errors] == ["features.visits"]

    def test_rows_keep_their_numbers_beside_repeated_ones(self, machine: Actor, served: Version) -> None:
        ask(machine, Question(FEATURES, request_id="r1"))
        with pytest.raises(Invalid, match=r"rows\[1\]\.features\.age") as caught:
            ask(machine, Question(FEATURES, request_id="r1"), Question({"age": None, "visits": 1}), is_batch=True)
        assert [e.field for e in caught.value.errors] == ["rows[1].features.age"]

    def test_a_regression_has_neither_score_nor_decision(self, machine: Actor, author: Actor, approver: Actor) -> None:
        costs = services.create_model(actor=author, name="costs", task_type="regression")
        frame = pd.DataFrame({"age": [1.0, 2.0, 3.0], "visits": [0.0, 1.0, 0.0]})
        signature = {"inputs": SIGNATURE["inputs"], "task_type": "regression"}
        fitted = dump_skops(LinearRegression().fit(frame, np.array([2.0, 4.0, 6.0])))
        into_production(costs, author=author, approver=approver, seed=0, artifact_bytes=fitted, signature=signature)
        (answer,) = predict("costs", actor=machine, questions=[Question({"age": 4, "visits": 0})]).predictions
        assert answer.prediction == pytest.approx(8.0)
        assert (answer.score, answer.decision, answer.threshold) == (None, None, None)


class TestWhichVersion:
    def test_the_one_in_production_is_read_at_each_request(
        self, machine: Actor, model: RegisteredModel, served: Version, author: Actor, approver: Actor
    ) -> None:
        assert ask(machine).version == "1.0.0"
        into_production(model, author=author, approver=approver, seed=1, params={"C": 2.0})
        assert ask(machine).version == "1.1.0"
        services.rollback(model, actor=approver, reason="worse")
        assert ask(machine).version == "1.0.0"

    def test_each_answers_with_its_own_artifact_and_threshold(
        self, machine: Actor, model: RegisteredModel, served: Version, author: Actor, approver: Actor
    ) -> None:
        first = ask(machine).predictions[0]
        into_production(model, author=author, approver=approver, seed=1, threshold=0.99, params={"C": 2.0})
        second = ask(machine).predictions[0]
        assert first.score != second.score
        assert (second.threshold, second.decision) == (0.99, 0)

    def test_without_one_in_production_it_is_a_conflict(self, machine: Actor, model: RegisteredModel) -> None:
        with pytest.raises(Conflict, match="high_cost has no version in production") as caught:
            ask(machine)
        assert caught.value.code == "no_production_version"

    def test_a_version_in_staging_answers_when_it_is_pinned(
        self, machine: Actor, model: RegisteredModel, served: Version, author: Actor
    ) -> None:
        staged = services.register_version(model, actor=author, candidate=candidate(1, params={"C": 2.0}))
        with pytest.raises(
            Conflict, match=r"1\.1\.0 .* must be in staging or production but is in development"
        ) as caught:
            ask(machine, version="1.1.0")
        assert (caught.value.code, caught.value.errors[0].field) == ("not_served", "version")
        services.move_stage(staged, actor=author, target_stage="staging", reason="try it")
        assert ask(machine, version="1.1.0").version == "1.1.0"
        assert ask(machine, version="1.0.0").version == ask(machine).version == "1.0.0"

    @pytest.mark.parametrize("number", ["9.9.9", "1.0", "01.0.0", "1.0.0 ", "", "latest", "../1", "١.0.0", "1" * 200])
    def test_one_that_does_not_exist_is_named(self, machine: Actor, served: Version, number: str) -> None:
        with pytest.raises(NotFound, match="high_cost has no version") as caught:
            ask(machine, version=number)
        assert (caught.value.code, caught.value.errors[0].field) == ("unknown_version", "version")


class TestThreePeople:
    def test_a_viewer_of_the_team_is_refused_and_that_is_recorded(self, served: Version) -> None:
        with pytest.raises(Forbidden, match="predict in team claims is not allowed to viewer vera"):
            ask(actor("vera", "viewer"))
        assert (
            AuditRecord.objects.filter(action="predict.refused", actor="vera", subject="model:high_cost").count() == 1
        )
        assert not Prediction.objects.exists()

    def test_another_teams_model_does_not_exist(self, served: Version) -> None:
        outsider = actor("zoe", "service", team="others")
        messages = []
        for name in ("high_cost", "no_such"):
            with pytest.raises(NotFound) as caught:
                predict(name, actor=outsider, questions=[Question(FEATURES)])
            messages.append(caught.value.detail.replace(name, "?"))
        assert messages[0] == messages[1]

    def test_an_engineer_may(self, served: Version, author: Actor) -> None:
        assert ask(author).version == "1.0.0"


def test_three_queries_at_most(machine: Actor, served: Version) -> None:
    """Version, first answers, insert (between a savepoint and its release); the token makes the fourth."""
    ask(machine)
    for question, count in ((Question(FEATURES), 2), (Question(FEATURES, request_id="r1"), 3)):
        with CaptureQueriesContext(connection) as queries:
            ask(machine, question)
        said = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
        assert len(said) == count, said
