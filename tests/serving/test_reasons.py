"""predict() with reasons: what contributed most, kept with the answer, told the same ever after."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from mlops_site.core.errors import Conflict, Invalid
from mlops_site.core.permissions import Actor
from mlops_site.serving import Answer, Question, predict
from monitoring.models import Explanation, Prediction
from monitoring.services import explain_predictions
from registry.artifacts.sums import log_odds
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.registry.parts import explained, into_production

pytestmark = pytest.mark.django_db
FEATURES = {"age": 51.5, "visits": 3}


@kept_fixture
def told(model: RegisteredModel, author: Actor, approver: Actor) -> Version:
    """1.0.0, in production, registered with rows to compare with."""
    return into_production(model, author=author, approver=approver, seed=0, **explained())


def ask(machine: Actor, *questions: Question, reasons: int = 2, **options: Any) -> list[Answer]:
    asked = questions or (Question(FEATURES, request_id="r1"),)
    return predict("high_cost", actor=machine, questions=asked, reasons=reasons, **options).predictions


def test_the_largest_contributions_come_with_the_answer_and_add_up(machine: Actor, told: Version) -> None:
    (answer,) = ask(machine)
    assert answer.reasons is not None
    assert answer.explanation is not None
    assert [(reason.feature, reason.value) for reason in answer.reasons] == [("age", 51.5), ("visits", 3)]
    sizes = [reason.contribution for reason in answer.reasons]
    assert abs(sizes[0]) > abs(sizes[1])
    whole = answer.explanation
    assert whole["background"] == {"digest": told.background_id, "rows": 100}
    assert (whole["method"], whole["output_space"], whole["explained"]) == ("linear", "log_odds", 1)
    assert answer.score is not None
    assert log_odds(answer.score) == pytest.approx(whole["base_value"] + sum(sizes) + whole["residual"])
    assert abs(whole["residual"]) < 1e-9
    assert ask(machine, Question(FEATURES), reasons=1)[0].reasons == answer.reasons[:1]


def test_they_are_kept_and_told_again(machine: Actor, author: Actor, told: Version) -> None:
    (answer,) = ask(machine)
    assert Explanation.objects.get().prediction.request_id == "r1"
    (later,) = explain_predictions(told, actor=author, prediction_ids=[answer.prediction_id])
    assert [(c.feature, c.contribution) for c in later.contributions] == [
        (r.feature, r.contribution) for r in answer.reasons or []
    ]


def test_what_was_told_is_not_told_differently_later(machine: Actor, told: Version) -> None:
    ask(machine)
    with pytest.raises(IntegrityError, match="an explanation stays as it was told first"), transaction.atomic():
        Explanation.objects.update(content={})
    Prediction.objects.all().delete()  # what erases a prediction erases its explanation
    assert not Explanation.objects.exists()


def test_a_repeated_request_gets_its_first_reasons(machine: Actor, told: Version) -> None:
    first, second = ask(machine)[0], ask(machine)[0]
    assert second == first._replace(duplicate=True)
    assert Prediction.objects.count() == Explanation.objects.count() == 1
    with pytest.raises(Conflict, match="'r1' was used for other features"):
        ask(machine, reasons=1)
    with pytest.raises(Conflict, match="'r1' was used for other features"):
        ask(machine, reasons=0)


def test_a_dry_run_keeps_nothing(machine: Actor, told: Version) -> None:
    (answer,) = ask(machine, dry_run=True)
    assert len(answer.reasons or []) == 2
    assert not Prediction.objects.exists()
    assert not Explanation.objects.exists()


def test_who_does_not_ask_pays_nothing(machine: Actor, told: Version) -> None:
    plain = Question(FEATURES)
    ask(machine, plain, reasons=0)
    with CaptureQueriesContext(connection) as queries:
        (answer,) = ask(machine, plain, reasons=0)
    assert (answer.reasons, answer.explanation) == (None, None)
    assert len([q for q in queries if "SAVEPOINT" not in q["sql"]]) == 2
    assert not Explanation.objects.exists()


def test_a_batch_is_explained_row_by_row(machine: Actor, told: Version) -> None:
    rows = [Question({"age": float(age), "visits": 2}, request_id=f"b{age}") for age in range(40, 60)]
    answers = ask(machine, *rows, is_batch=True)
    assert [answer.reasons[0].value for answer in answers if answer.reasons] == [float(age) for age in range(40, 60)]
    assert Explanation.objects.count() == 20
    again = ask(machine, *rows, is_batch=True)
    assert [a.reasons for a in again] == [a.reasons for a in answers]


@pytest.mark.parametrize(
    ("reasons", "rows", "code"), [(51, 1, "out_of_range"), (-1, 1, "out_of_range"), (1, 21, "too_many_rows")]
)
def test_more_than_fits_is_refused_and_nothing_is_kept(
    machine: Actor, told: Version, reasons: int, rows: int, code: str
) -> None:
    with pytest.raises(Invalid) as caught:
        ask(machine, *[Question(FEATURES) for _ in range(rows)], reasons=reasons, is_batch=rows > 1)
    assert (caught.value.errors[0].field, caught.value.code) == ("reasons", code)
    assert not Prediction.objects.exists()


def test_a_version_without_rows_answers_without_reasons_only(machine: Actor, served: Version) -> None:
    with pytest.raises(Conflict, match="registered without rows of its training data") as caught:
        ask(machine)
    assert caught.value.code == "no_background"
    assert not Prediction.objects.exists()
    assert ask(machine, reasons=0)[0].score is not None
