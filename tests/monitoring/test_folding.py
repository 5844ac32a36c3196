"""Buckets and queue together equal a recomputation from the rows, whatever is done in whatever order."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring.choices import Span
from monitoring.models import Bucket, FoldItem, Label, Prediction
from monitoring.selectors.spans import start_of
from monitoring.services import compact, fold, fold_all, log_labels, log_predictions
from monitoring.services.buckets import added, digest_of_bucket, placed
from monitoring.services.folding import recall_waiting
from registry import services
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.production import folded, is_same, queued, recomputed, watched
from tests.people import actor

pytestmark = pytest.mark.django_db
Step = tuple[Any, ...]


def world() -> tuple[Version, Actor]:
    author = actor("author", "ml_engineer")
    model = services.create_model(actor=author, name="high_cost", task_type="classification")
    return watched(model, author), actor("claims-app", "service")


@kept_fixture
def version(db: None) -> Version:
    return world()[0]


@kept_fixture
def machine(version: Version) -> Actor:
    return actor("claims-app", "service")


def row(n: int, *, minutes: float = 0, **changes: Any) -> dict[str, Any]:
    return {
        "model_name": "high_cost",
        "model_version": "1.0.0",
        "request_id": f"r{n}",
        "features": {"age": [51.5, "old", None, 10**16, True, 0.1][n % 6], "visits": n % 4},
        "prediction": n % 2,
        "score": (n % 7) / 7,
        "latency_ms": n % 5 / 3,
        "predicted_at": (timezone.now() - timedelta(minutes=minutes)).isoformat(),
        **changes,
    }


def label(n: int, value: Any) -> dict[str, Any]:
    return {"model_name": "high_cost", "request_id": f"r{n}", "label": value}


def assert_sum_holds(version: Version) -> None:
    assert is_same(added(folded(version), queued(version)), recomputed(version))


AGES = (0, 30, 200, 60 * 24 * 2, 60 * 24 * 5, 60 * 24 * 5 + 7)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("log"), st.integers(0, 1), st.sampled_from(AGES)),
        st.tuples(st.just("fail"), st.just(2), st.sampled_from(AGES)),
        st.tuples(st.just("replay"), st.integers(0, 1)),
        *[st.tuples(st.just("label"), st.integers(0, 2), st.sampled_from([0, 1, 1.0, "other"]))] * 3,
        st.tuples(st.just("fold"), st.integers(1, 5)),
        st.tuples(st.just("fold"), st.just(2000)),
        st.tuples(st.just("compact"), st.sampled_from([0, 3, 100])),
        st.tuples(st.just("recall")),
    ),
    min_size=20,
    max_size=40,
)


def take(step: Step, machine: Actor, sent: dict[int, dict[str, Any]]) -> None:
    match step:
        case ("log", n, minutes):
            sent.setdefault(n, row(n, minutes=minutes))
            log_predictions([sent[n]], actor=machine)
        case ("fail", n, minutes):
            failed = row(n, minutes=minutes, status="error", prediction=None, score=None)
            log_predictions([sent.setdefault(n, failed)], actor=machine)
        case ("replay", n):
            if n in sent:
                assert log_predictions([sent[n]], actor=machine).duplicate == 1
        case ("label", n, value):
            # a label that fits nothing may only come before its prediction
            log_labels([label(n, 1 if value == "other" and n in sent else value)], actor=machine)
        case ("fold", limit):
            fold(limit)
        case ("compact", hours):
            compact(timezone.now() + timedelta(hours=hours))
        case ("recall",):
            recall_waiting()


def holds_at_every_moment(version: Version, machine: Actor, steps: list[Step]) -> None:
    with transaction.atomic():
        sent: dict[int, dict[str, Any]] = {}
        for step in steps:
            take(step, machine, sent)
            assert_sum_holds(version)
        recall_waiting()
        fold_all()
        compact(timezone.now())
        assert not FoldItem.objects.filter(waiting=False).exists()
        assert is_same(folded(version), recomputed(version))
        transaction.set_rollback(True)


def schedules(count: int) -> settings:
    return settings(max_examples=count, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)


@given(STEPS)
@schedules(10)
def test_at_any_moment_of_a_random_schedule(version: Version, machine: Actor, steps: list[Step]) -> None:
    """With a fold that takes away another revision than the one before, this fails (tried)."""
    holds_at_every_moment(version, machine, steps)


@pytest.mark.slow
@given(STEPS)
@schedules(100)
def test_at_any_moment_of_a_hundred_schedules(version: Version, machine: Actor, steps: list[Step]) -> None:
    holds_at_every_moment(version, machine, steps)


def test_a_correction_folded_before_what_it_corrects(version: Version, machine: Actor) -> None:
    log_predictions([row(0)], actor=machine)
    log_labels([label(0, 1), label(0, 0)], actor=machine)
    first = FoldItem.objects.filter(label_id__isnull=False).earliest("pk")
    FoldItem.objects.filter(pk=first.pk).update(waiting=True)
    fold_all()
    assert_sum_holds(version)
    FoldItem.objects.filter(pk=first.pk).update(waiting=False)
    fold_all()
    assert is_same(folded(version), recomputed(version))
    assert folded(version).tally.labelled == 1


def test_a_label_set_aside_while_its_prediction_was_folded_is_found_again(version: Version, machine: Actor) -> None:
    log_predictions([row(0)], actor=machine)
    fold_all()
    log_labels([label(0, 1)], actor=machine)
    FoldItem.objects.update(waiting=True)
    compact(timezone.now())
    assert not FoldItem.objects.filter(waiting=True).exists()


def test_a_version_without_a_reference_has_tallies_alone(machine: Actor) -> None:
    author = actor("author", "ml_engineer")
    model = services.create_model(actor=author, name="bare", task_type="classification")
    bare = watched(model, author, reference=None)
    log_predictions([row(n, model_name="bare") for n in range(5)], actor=machine)
    fold_all()
    bucket = Bucket.objects.get(version=bare)
    assert (bucket.rows, bucket.profile) == (5, None)
    assert is_same(folded(bare), recomputed(bare))
    compact(timezone.now() + timedelta(days=5))
    assert is_same(folded(bare), recomputed(bare))


def statements(count: int) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert fold() == count
    return len(queries)


def test_two_thousand_rows_take_as_many_statements_as_ten(version: Version, machine: Actor) -> None:
    log_predictions([row(0)], actor=machine)
    fold()
    log_predictions([row(n) for n in range(1, 11)], actor=machine)
    few = statements(10)
    log_predictions([row(n) for n in range(100, 2100)], actor=machine)
    assert statements(2000) == few


def test_a_fold_is_all_or_nothing(version: Version, machine: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    log_predictions([row(n) for n in range(5)], actor=machine)
    with monkeypatch.context() as patch:
        patch.setattr("monitoring.services.folding._make_ready", lambda labels: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fold()
    assert not Bucket.objects.exists()
    assert FoldItem.objects.count() == 5


NOW = datetime(2026, 11, 24, 9, 42, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "start"),
    [
        (datetime(2026, 11, 24, 9, 41, 59, tzinfo=UTC), datetime(2026, 11, 24, 9, 40, tzinfo=UTC)),
        (datetime(2026, 11, 24, 7, 4, tzinfo=UTC), datetime(2026, 11, 24, 7, 0, tzinfo=UTC)),
        (datetime(2026, 11, 24, 6, 59, tzinfo=UTC), datetime(2026, 11, 24, 6, 0, tzinfo=UTC)),
        (datetime(2026, 11, 21, 0, 10, tzinfo=UTC), datetime(2026, 11, 21, 0, 0, tzinfo=UTC)),
        (datetime(2026, 11, 20, 23, 59, tzinfo=UTC), datetime(2026, 11, 20, 0, 0, tzinfo=UTC)),
        (datetime(2001, 5, 5, 5, 5, tzinfo=UTC), datetime(2001, 5, 5, 0, 0, tzinfo=UTC)),
    ],
)
def test_what_comes_late_lies_where_its_hour_or_day_begins(at: datetime, start: datetime) -> None:
    assert placed(at, NOW) == start


def test_buckets_start_at_whole_multiples_since_1970() -> None:
    assert start_of(datetime(2026, 11, 24, 9, 44, 59, 999999, tzinfo=UTC), Span.MINUTES).minute == 40


class TestCompaction:
    def test_minutes_become_hours_become_days(self, version: Version, machine: Actor) -> None:
        log_predictions([row(n, minutes=n * 10) for n in range(12)], actor=machine)
        fold_all()
        assert set(Bucket.objects.values_list("span_secs", flat=True)) == {Span.MINUTES}
        now = timezone.now()
        compact(now + timedelta(hours=4))
        assert set(Bucket.objects.values_list("span_secs", flat=True)) == {Span.HOUR}
        compact(now + timedelta(days=5))
        assert set(Bucket.objects.values_list("span_secs", flat=True)) == {Span.DAY}
        assert is_same(folded(version), recomputed(version))
        assert compact(now + timedelta(days=5)) == 0

    def test_each_closed_bucket_enters_the_chain(self, version: Version, machine: Actor) -> None:
        log_predictions([row(n, minutes=60 * 24 * 10) for n in range(3)], actor=machine)
        fold_all()
        compact(timezone.now())
        bucket, record = Bucket.objects.get(), AuditRecord.objects.get(action="bucket.closed")
        assert (record.actor, record.subject, record.team) == ("system:folder", "version:high_cost@1.0.0", "claims")
        assert (record.data["rows"], record.data["span_secs"]) == (3, Span.DAY)
        assert record.data["digest"] == digest_of_bucket(bucket)
        Bucket.objects.update(rows=4)
        assert record.data["digest"] != digest_of_bucket(Bucket.objects.get())


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_four_fold_while_four_log_and_one_compacts() -> None:
    """Without the lock on buckets sums are lost."""
    version, machine = world()
    done, errors = threading.Event(), []

    def run(work: Any, *given: Any) -> None:
        try:
            work(*given)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    def ingest(turn: int) -> None:
        chance = random.Random(turn)
        for batch in range(6):
            numbers = range(turn * 1000 + batch * 50, turn * 1000 + batch * 50 + 50)
            log_predictions([row(n, minutes=chance.choice(AGES)) for n in numbers], actor=machine)
            log_labels([label(n + chance.choice([-50, 0, 50]), n % 2) for n in numbers], actor=machine)

    def keep(work: Any) -> None:
        while not done.is_set():
            work()

    writers = [threading.Thread(target=run, args=[ingest, turn]) for turn in range(4)]
    folders = [threading.Thread(target=run, args=[keep, lambda: fold(37)]) for _ in range(4)]
    merging = threading.Thread(target=run, args=[keep, lambda: compact(timezone.now() + timedelta(hours=3))])
    for thread in [*writers, *folders, merging]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in [*folders, merging]:
        thread.join()
    assert errors == []
    recall_waiting()
    fold_all()
    assert Prediction.objects.count() == folded(version).rows == 1200
    assert not FoldItem.objects.filter(waiting=False).exists()
    assert Label.objects.count() > 600
    assert is_same(folded(version), recomputed(version))
