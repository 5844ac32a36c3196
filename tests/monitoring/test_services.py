"""What was answered is kept once, whoever asks at the same moment."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Actor
from mlops_site.serving import Answers, Question, predict
from monitoring.models import Prediction
from monitoring.selectors import first_answers
from monitoring.services import Draft, log_answers
from registry import services
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.people import actor
from tests.registry.parts import candidate, into_production

pytestmark = pytest.mark.django_db


@kept_fixture
def model(db: None) -> RegisteredModel:
    return services.create_model(actor=actor("author", "ml_engineer"), name="high_cost", task_type="classification")


@kept_fixture
def version(model: RegisteredModel) -> Version:
    return services.register_version(model, actor=actor("author", "ml_engineer"), candidate=candidate())


def draft(version: Version, request_id: str, score: float = 0.5, digest: str = "d", place: str = "") -> Draft:
    row = Prediction(
        model_id=version.model_id,
        version=version,
        request_id=request_id,
        payload_digest=digest,
        features={"age": 1},
        prediction=1,
        score=score,
        decision=1,
        threshold=0.5,
    )
    return Draft(row, place)


def test_they_are_kept_as_they_are(version: Version) -> None:
    drafts = [draft(version, f"r{i}", i / 10) for i in range(5)]
    assert [row.pk for row in log_answers(drafts)] == [d.row.pk for d in drafts]
    for kept in Prediction.objects.order_by("request_id"):
        said = drafts[int(kept.request_id[1:])].row
        for field in Prediction._meta.concrete_fields:
            assert getattr(kept, field.attname) == getattr(said, field.attname), field.name


def test_one_answered_meanwhile_gets_the_first_answer(version: Version) -> None:
    (first,) = log_answers([draft(version, "r1", 0.1)])
    kept = log_answers([draft(version, "r0", 0.2), draft(version, "r1", 0.9)])
    assert [(row.request_id, row.score) for row in kept] == [("r0", 0.2), ("r1", 0.1)]
    assert kept[1].pk == first.pk
    assert kept[1].version.number == "1.0.0"
    assert Prediction.objects.count() == 2
    assert [row.pk for row in log_answers([draft(version, "r1", 0.7)])] == [first.pk]


def test_another_question_under_its_id_is_refused_and_nothing_is_kept(version: Version) -> None:
    log_answers([draft(version, "r1")])
    with pytest.raises(Conflict) as caught:
        log_answers([draft(version, "new"), draft(version, "r1", digest="other", place="rows[1].")])
    assert (caught.value.code, caught.value.errors[0].field) == ("request_id_conflict", "rows[1].request_id")
    assert Prediction.objects.count() == 1


def test_first_answers_are_one_query(version: Version, django_assert_num_queries: Any) -> None:
    log_answers([draft(version, f"r{i}", i / 10) for i in range(3)])
    with django_assert_num_queries(1):
        found = first_answers(version.model_id, ["r0", "r2", "absent"])
        assert {name: (row.score, row.version.number) for name, row in found.items()} == {
            "r0": (0.0, "1.0.0"),
            "r2": (0.2, "1.0.0"),
        }


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_eight_with_one_request_id_at_the_same_moment_get_one_answer(model: RegisteredModel) -> None:
    """Without the constraint one_answer_per_request there are several rows (tried)."""
    author, approver = actor("author", "ml_engineer"), actor("approver", "approver")
    into_production(model, author=author, approver=approver, seed=0)
    machine = actor("claims-app", "service")
    predict("high_cost", actor=machine, questions=[Question({"age": 1, "visits": 1})])
    for turn in range(10):
        answers = _at_once(machine, f"r{turn}")
        assert len({a.predictions[0]._replace(duplicate=False) for a in answers}) == 1
        assert sum(not a.predictions[0].duplicate for a in answers) == 1
    assert Prediction.objects.count() == 11


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_batches_with_the_same_ids_in_another_order_do_not_wait_in_a_circle(version: Version) -> None:
    """Written as they come, the database ends one of them as a deadlock (tried)."""

    def log(*ids: str) -> list[str]:
        try:
            return [row.request_id for row in log_answers([draft(version, request_id) for request_id in ids])]
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            log_answers([draft(version, "a")])
            other = threads.submit(log, "b", "a")
            _until_somebody_waits()
            log_answers([draft(version, "b")])
        assert other.result() == ["b", "a"]
    assert Prediction.objects.count() == 2


def _until_somebody_waits() -> None:
    """For a lock of this database, five seconds at most."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # or a transaction sees what it saw before
            cursor.execute(waiting)
            if cursor.fetchone():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def _at_once(machine: Actor, request_id: str) -> list[Answers]:
    answers: list[Answers] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        question = Question({"age": 50.0, "visits": 2}, request_id=request_id)
        answers.append(predict("high_cost", actor=machine, questions=[question]))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    return answers
