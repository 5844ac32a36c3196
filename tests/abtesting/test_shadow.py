"""Claims of a shadow test are queued with their answers and scored by B: none lost, none twice, no answer delayed."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from abtesting import tasks
from abtesting.models import Epoch, Experiment, ShadowAnswer
from abtesting.selectors.routing import routing
from abtesting.services import shadow
from abtesting.services.shadow import SIZES, score_all, score_queued
from abtesting.stats.assignment import assign
from mlops_site.celery import app
from mlops_site.core import store
from mlops_site.core.errors import Unavailable
from mlops_site.core.permissions import Actor
from mlops_site.serving import Answer, Question, predict
from monitoring.models import Prediction
from registry import services
from registry.artifacts import scorer
from registry.models import Version
from registry.selectors.served import served
from tests.abtesting.parts import begun, challenger
from tests.kept import kept_fixture
from tests.people import actor
from tests.processes import Process
from tests.registry.parts import into_production
from tests.training.workers import ENV, until

pytestmark = pytest.mark.django_db
AGES = [20.0 + n for n in range(60)]


@kept_fixture
def author(db: None) -> Actor:
    return actor("author", "ml_engineer")


@kept_fixture
def machine(db: None) -> Actor:
    return actor("claims-app", "service")


@kept_fixture
def version_a(author: Actor) -> Version:
    """1.0.0, in production."""
    model = services.create_model(actor=author, name="high_cost", task_type="classification")
    return into_production(model, author=author, approver=actor("approver", "approver"), seed=0)


@kept_fixture
def version_b(version_a: Version, author: Actor) -> Version:
    """1.1.0, in staging, with another threshold."""
    return challenger(version_a, author=author)


@pytest.fixture
def epoch(version_a: Version, version_b: Version, author: Actor) -> Epoch:
    """All claims are shadowed."""
    return begun(version_a, version_b, author=author, design="shadow", share_b=1.0)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[ShadowAnswer]:
    """What the sums were told of, in order."""
    found: list[ShadowAnswer] = []
    monkeypatch.setattr(shadow, "count_scored", found.extend)
    return found


def ask(machine: Actor, ages: Sequence[float] = AGES, **options: Any) -> list[Answer]:
    rows = [Question({"age": age, "visits": 2}) for age in ages]
    return predict("high_cost", actor=machine, questions=rows, is_batch=True, **options).predictions


def free() -> None:
    """A minute later: no claim on a row holds any more."""
    ShadowAnswer.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))


class TestTheQueue:
    def test_a_claim_is_queued_with_its_answer(self, machine: Actor, epoch: Epoch) -> None:
        (answer,) = ask(machine, [50.0])
        (row,) = ShadowAnswer.objects.all()
        assert (str(row.pk), row.epoch_id, row.state, row.attempts) == (answer.prediction_id, epoch.pk, "queued", 0)
        assert row.queued_at == Prediction.objects.get().predicted_at

    def test_both_are_rolled_back_together(self, machine: Actor, epoch: Epoch) -> None:
        with pytest.raises(RuntimeError, match="no"), transaction.atomic():
            ask(machine)
            assert ShadowAnswer.objects.count() == len(AGES)
            raise RuntimeError("no")
        assert not ShadowAnswer.objects.exists()
        assert not Prediction.objects.exists()

    def test_only_units_of_the_share_are_queued(
        self, machine: Actor, version_a: Version, version_b: Version, author: Actor
    ) -> None:
        epoch = begun(version_a, version_b, author=author, design="shadow", share_b=0.3, holdout=0.2)
        answers = ask(machine)
        split = epoch.split(epoch.experiment)
        chosen = {a.prediction_id for a in answers if assign(split, a.request_id) == "b"}
        assert {str(pk) for pk in ShadowAnswer.objects.values_list("pk", flat=True)} == chosen
        assert 5 < len(chosen) < 30
        assert {a.version for a in answers} == {"1.0.0"}

    def test_claims_of_other_experiments_are_not(
        self, machine: Actor, version_a: Version, version_b: Version, author: Actor
    ) -> None:
        begun(version_a, version_b, author=author, design="ab")
        ask(machine)
        ask(machine, version="1.1.0")
        assert not ShadowAnswer.objects.exists()

    def test_beat_asks_for_scoring(self, machine: Actor, epoch: Epoch, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tasks, "close_old_connections", lambda: None)  # it would end the test's transaction
        ask(machine, [50.0])
        entry = app.conf.beat_schedule["system: score shadows"]
        assert entry["task"] == tasks.score_shadows.name
        tasks.score_shadows.run()
        assert ShadowAnswer.objects.get().state == "scored"


class TestScoring:
    def test_b_says_what_it_would_have_answered(
        self, machine: Actor, epoch: Epoch, counted: list[ShadowAnswer]
    ) -> None:
        answers = ask(machine)
        own = dict(zip(AGES, ask(machine, version="1.1.0", dry_run=True), strict=True))
        assert score_queued() == len(AGES)
        for age, answer in zip(AGES, answers, strict=True):
            row = ShadowAnswer.objects.get(pk=str(answer.prediction_id))
            assert (row.state, row.error_code, row.attempts) == ("scored", "", 1)
            assert row.score == pytest.approx(own[age].score)
            assert (row.prediction, row.decision, row.threshold) == (own[age].prediction, own[age].decision, 0.4)
            assert row.latency_ms is not None
            assert row.scored_at is not None
            kept = Prediction.objects.get(pk=row.pk)
            assert (kept.version.number, kept.score) == ("1.0.0", answer.score)
        assert sorted(row.pk for row in counted) == sorted(ShadowAnswer.objects.values_list("pk", flat=True))
        assert {row.state for row in counted} == {"scored"}
        assert score_queued() == 0

    def test_latency_is_the_batchs_by_the_row(
        self, machine: Actor, epoch: Epoch, version_b: Version, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with served(version_b.pk).scorer() as loaded:
            real = loaded._answer

            def slowly(columns: Any) -> Any:
                time.sleep(0.3)
                return real(columns)

            monkeypatch.setattr(loaded, "_answer", slowly)
            ask(machine)
            score_queued()
        (latency,) = set(ShadowAnswer.objects.values_list("latency_ms", flat=True))
        assert latency is not None
        assert 300 / len(AGES) <= latency < 300

    def test_the_oldest_first_so_many_at_a_time(self, machine: Actor, epoch: Epoch) -> None:
        ask(machine)
        assert [score_queued(25), score_queued(25), score_queued(25), score_queued(25)] == [25, 25, 10, 0]
        ask(machine)
        assert score_all(limit=7) == len(AGES)

    def test_it_goes_on_after_the_experiment(self, machine: Actor, epoch: Epoch) -> None:
        ask(machine)
        now = timezone.now()
        Epoch.objects.update(ended_at=now)
        Experiment.objects.update(status="stopped", ending="stopped", ended_at=now)
        assert score_all() == len(AGES)


class TestFailures:
    @pytest.fixture(autouse=True)
    def empty(self) -> Iterator[None]:
        scorer._cache().clear()
        yield
        scorer._cache().clear()

    def test_what_b_fails_on_is_tried_three_times_and_harms_no_other(
        self,
        machine: Actor,
        epoch: Epoch,
        version_b: Version,
        counted: list[ShadowAnswer],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        ask(machine)
        with served(version_b.pk).scorer() as loaded:
            real = loaded._answer

            def answer(columns: Any) -> Any:
                if 33.0 in columns.numbers[0]:
                    raise RuntimeError("it hates 33")
                return real(columns)

            monkeypatch.setattr(loaded, "_answer", answer)
            for attempt in (1, 2, 3):
                score_all()
                assert len(counted) == len(AGES) - (attempt < 3)
                free()
            assert score_all() == 0
        failed = ShadowAnswer.objects.exclude(state="scored").get()
        assert (failed.state, failed.error_code, failed.attempts) == ("failed", "arm_failed", 3)
        assert Prediction.objects.get(pk=failed.pk).features["age"] == 33.0
        assert counted[-1].pk == failed.pk

    def test_an_answer_that_is_no_number_is_not_asked_for_again(
        self, machine: Actor, epoch: Epoch, version_b: Version, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask(machine, [50.0])
        with served(version_b.pk).scorer() as loaded:
            monkeypatch.setattr(loaded, "_answer", lambda columns: columns.numbers.T * float("nan"))
            score_all()
        row = ShadowAnswer.objects.get()
        assert (row.state, row.error_code, row.score) == ("failed", "not_scorable", None)

    def test_claims_that_were_erased_meanwhile_fail(self, machine: Actor, epoch: Epoch) -> None:
        first, second, third = (a.prediction_id for a in ask(machine, [50.0, 51.0, 52.0]))
        Prediction.objects.filter(pk=str(first)).delete()
        Prediction.objects.filter(pk=str(second)).update(features={})
        score_all()
        found = {str(row.pk): (row.state, row.error_code) for row in ShadowAnswer.objects.all()}
        assert found == {
            first: ("failed", "features_erased"), second: ("failed", "features_erased"), third: ("scored", ""),
        }  # fmt: skip

    def test_a_version_that_cannot_be_loaded_fails_its_claims(
        self, machine: Actor, epoch: Epoch, version_b: Version, counted: list[ShadowAnswer]
    ) -> None:
        ask(machine)
        store.delete(version_b.artifact_id)
        for _ in range(80):
            score_all()
            free()
        assert set(ShadowAnswer.objects.values_list("state", "error_code")) == {("failed", "arm_failed")}
        assert len(counted) == len(AGES)

    def test_a_store_that_is_down_says_nothing_of_b(
        self, machine: Actor, epoch: Epoch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask(machine, [50.0])
        with monkeypatch.context() as patch:

            def read(digest: str) -> bytes:
                raise Unavailable("the store is down")

            patch.setattr(store, "read", read)
            for _ in range(5):
                assert score_queued() == 1
                assert score_queued() == 0  # not at once again
                free()
        row = ShadowAnswer.objects.get()
        assert (row.state, row.attempts) == ("queued", 0)
        score_all()
        assert ShadowAnswer.objects.get().state == "scored"


class TestSeveralScorers:
    def test_what_is_claimed_is_left_alone_until_its_time_is_over(self, machine: Actor, epoch: Epoch) -> None:
        ask(machine)
        assert len(shadow._claimed(20, shadow.LEASE)) == 20  # and dies
        assert score_all() == len(AGES) - 20
        free()
        assert score_all() == 20
        assert set(ShadowAnswer.objects.values_list("state", flat=True)) == {"scored"}

    def test_who_comes_too_late_writes_nothing(self, machine: Actor, epoch: Epoch, counted: list[ShadowAnswer]) -> None:
        ask(machine, [50.0])
        late = shadow._claimed(20, shadow.LEASE)
        free()
        score_all()
        before = ShadowAnswer.objects.values().get()
        shadow._score(routing(epoch.pk), late)
        assert ShadowAnswer.objects.values().get() == before
        assert len(counted) == 1

    def test_a_row_whose_scorers_die_is_left_alone_with_them_and_fails(
        self, machine: Actor, epoch: Epoch, counted: list[ShadowAnswer]
    ) -> None:
        ask(machine, AGES[:30])
        taken = []
        for _ in range(3):
            rows = shadow._claimed(500, shadow.LEASE)
            taken.append(len(rows))
            ShadowAnswer.objects.filter(pk__in=[row.pk for row in rows]).update(claimed_until=timezone.now())
        assert taken == [30, 20, 1]
        for _ in range(40):
            score_all()
            free()
        states = list(ShadowAnswer.objects.order_by("state").values_list("state", "error_code"))
        assert states == [("failed", "arm_failed")] + [("scored", "")] * 29
        assert len(counted) == 30
        assert SIZES[-1] == 1

    @pytest.mark.postgres
    @pytest.mark.django_db(transaction=True)
    def test_share_the_work(self, machine: Actor, epoch: Epoch, counted: list[ShadowAnswer]) -> None:
        for _ in range(5):
            ask(machine, AGES)
        errors: list[BaseException] = []

        def work() -> None:
            try:
                while score_queued(10):
                    pass
            except BaseException as error:
                errors.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert len(counted) == len({row.pk for row in counted}) == 5 * len(AGES)
        assert set(ShadowAnswer.objects.values_list("state", "attempts")) == {("scored", 1)}


SCORER = """
import time, django
django.setup()
from datetime import timedelta
from django.db import connection
from abtesting.selectors.routing import routing
from abtesting.services import shadow
from registry.selectors.served import Served
from tests.kept import kept_fixture

count, try_each = shadow.count_scored, Served.try_each

def counted(rows):
    count(rows)
    time.sleep(0.02)
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO test_counted VALUES (%s)", [[row.pk] for row in rows])
    time.sleep(0.02)

def slowly(self, scorer, rows):
    time.sleep(0.02)
    return try_each(self, scorer, rows)

shadow.count_scored, Served.try_each = counted, slowly
print("scores", flush=True)
while True:
    if not shadow.score_queued(10, lease=timedelta(seconds=15)):
        time.sleep(0.02)
"""


@pytest.fixture
def table(transactional_db: None) -> Iterator[None]:
    """What was counted, each time, written in the transaction that counts."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE test_counted (prediction_id uuid)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE test_counted")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_scorer_that_is_killed_loses_and_doubles_nothing(
    table: None, machine: Actor, epoch: Epoch, processes: Callable[..., Process]
) -> None:
    """Two processes score while claims come in; one is killed three times at any moment and replaced."""
    chance = random.Random(20261125)

    def start() -> Process:
        started = processes([sys.executable, "-c", SCORER], env=ENV)
        until(lambda: "scores" in started.output())
        return started

    for _ in range(10):
        ask(machine)
    first, _ = start(), start()
    for _ in range(3):
        time.sleep(chance.uniform(0.1, 0.5))
        first.kill()
        ask(machine)
        first = start()
    total = 13 * len(AGES)
    until(lambda: not ShadowAnswer.objects.filter(state="queued").exists())
    assert ShadowAnswer.objects.filter(state="scored", score__isnull=False).count() == total
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*), COUNT(DISTINCT prediction_id) FROM test_counted")
        assert cursor.fetchone() == (total, total)
    assert ShadowAnswer.objects.filter(attempts__gt=1).exists(), "no kill met a scorer at its work"
