"""The running sums of a version: what the folder took, once each, whatever the buckets become."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from mlops_site.core.permissions import Actor
from monitoring.models import Bucket, Label, Prediction, Total
from monitoring.services import fold, fold_all
from monitoring.stats.totals import LAG_SECS, LATENCY_SECS
from tests.monitoring.traffic import DAY, answer, version_of
from tests.traffic import bucket

NOW = timezone.now()


def place(edges: tuple[float, ...], secs: float) -> int:
    return next(i for i, edge in enumerate([*edges, float("inf")]) if secs <= edge)


@pytest.mark.django_db
def test_answers_and_first_labels_are_counted_once(author: Actor) -> None:
    version = version_of(author)
    answer(version, 60, start=NOW - 2 * DAY, labelled=0.5)
    total = Total.objects.get(version=version)
    assert (total.predictions, total.errors, sum(total.latency)) == (60, 0, 60)
    assert total.latency[place(LATENCY_SECS, 0.0015)] == 60
    assert total.latency_us == 60 * 1500
    assert sum(total.label_lag) == 30
    assert total.label_lag_secs == pytest.approx(sum(30 * [1.75 * DAY.total_seconds()]), rel=0.02)
    assert total.label_lag[place(LAG_SECS, DAY.total_seconds()) + 1] == 30


@pytest.mark.django_db
def test_a_correction_is_no_second_label_and_an_early_label_waited_for_nothing(author: Actor) -> None:
    version = version_of(author)
    (row,) = answer(version, 1, start=NOW)
    about = {"model": version.model, "request_id": row.request_id, "created_by": version.created_by}
    for revision in (1, 2):
        Label.objects.create(**about, revision=revision, label=revision % 2, received_at=NOW - DAY)
        fold_all()
    total = Total.objects.get(version=version)
    assert (sum(total.label_lag), total.label_lag[0], total.label_lag_secs) == (1, 1, 0.0)


@pytest.mark.django_db
def test_failures_are_told_apart(author: Actor) -> None:
    version = version_of(author)
    answer(version, 3, start=NOW)
    Prediction.objects.create(
        model=version.model, version=version, request_id="bad", payload_digest="0" * 64, features={}, status="error"
    )
    fold_all()
    total = Total.objects.get(version=version)
    assert (total.predictions, total.errors, sum(total.latency)) == (4, 1, 3)


@pytest.mark.django_db
def test_a_version_that_was_used_before_begins_with_its_buckets(author: Actor) -> None:
    """Those of an install that did not keep these sums yet; then they outlive the buckets."""
    version = version_of(author)
    bucket(version, rows=40, errors=2, latency_ms=250.0)
    answer(version, 10, start=NOW - DAY)
    total = Total.objects.get(version=version)
    assert (total.predictions, total.errors) == (50, 2)
    assert total.latency[place(LATENCY_SECS, 0.25)] == 40
    Bucket.objects.filter(version=version).delete()
    answer(version, 5, start=NOW - DAY, seed=2)
    total.refresh_from_db()
    assert (total.predictions, sum(total.latency)) == (55, 55)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_folders_that_meet_in_a_new_version_count_each_answer_once(author: Actor) -> None:
    version = version_of(author)
    start = NOW - timedelta(hours=30)
    Prediction.objects.bulk_create(
        Prediction(
            model=version.model, version=version, request_id=f"r{i}", payload_digest="0" * 64, features={},
            latency_ms=1.0, predicted_at=start + timedelta(minutes=i),
        )
        for i in range(400)
    )  # fmt: skip
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        while fold(20):
            pass
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fold_all()
    total = Total.objects.get(version=version)
    assert (total.predictions, sum(total.latency), total.latency_us) == (400, 400, 400_000)
