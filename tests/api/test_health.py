"""/livez always answers; /readyz names the dependency that is down; MLflow is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from mlops_site.api import health
from mlops_site.core.admission import Admission, admitted_of
from tests.processes import free_port

OK = dict.fromkeys(("database", "migrations", "triggers", "storage", "broker"), "ok")


def readyz() -> tuple[int, dict[str, str]]:
    answer = Client().get("/readyz")
    body = answer.json()
    assert body["status"] == ("ready" if answer.status_code == 200 else "not ready")
    return answer.status_code, body["dependencies"]


def test_livez_asks_nobody() -> None:
    """Without the mark, pytest-django would refuse a query."""
    assert Client().get("/livez").json() == {"status": "alive"}


@pytest.mark.django_db
class TestReadyz:
    def test_all_is_well(self) -> None:
        assert readyz() == (200, OK)

    def test_a_migration_that_was_not_applied(self) -> None:
        MigrationRecorder(connection).record_unapplied("core", "0001_squashed_0005_deliveries_by_age")
        assert readyz() == (503, OK | {"migrations": "1 not applied"})

    def test_a_trigger_that_is_missing(self) -> None:
        on = "" if connection.vendor == "sqlite" else " ON core_auditrecord"
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER core_auditrecord_no_update{on}")
        assert readyz() == (503, OK | {"triggers": "1 missing"})

    def test_a_store_that_cannot_be_written(self) -> None:
        place = Path(storages["artifacts"].path(""))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("a file where the folder should be")
        try:
            assert readyz() == (503, OK | {"storage": "down"})
        finally:
            place.unlink()

    def test_nothing_is_left_in_the_store(self) -> None:
        readyz()
        assert list(Path(storages["artifacts"].path("")).iterdir()) == []

    def test_a_broker_that_does_not_answer(self, settings: Any) -> None:
        settings.REDIS_URL = f"redis://:a-secret@127.0.0.1:{free_port()}/0"
        assert readyz() == (503, OK | {"broker": "down"})

    def test_a_doorbell_file_that_cannot_be_opened(self, settings: Any) -> None:
        settings.REDIS_URL, settings.CELERY_BROKER_URL = "", "sqla+sqlite:////no/such/folder/broker.sqlite3"
        assert readyz() == (503, OK | {"broker": "down"})

    def test_nothing_else_is_told(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> str:
            raise RuntimeError("postgresql://user:a-secret@db.internal refused")

        monkeypatch.setitem(health.DEPENDENCIES, "database", fail)
        answer = Client().get("/readyz")
        assert answer.status_code == 503
        assert b"secret" not in answer.content
        assert b"internal" not in answer.content


class TestAdmission:
    @pytest.fixture
    def busy(self, settings: Any) -> Iterator[Admission]:
        """A process of four threads whose three places are taken."""
        settings.WEB_THREADS = 4
        release, inside = threading.Event(), threading.Semaphore(0)

        def slow(request: HttpRequest) -> HttpResponse:
            if request.path == "/slow":
                inside.release()
                release.wait(20)
            return HttpResponse("done")

        admission = Admission(slow)
        threads = [threading.Thread(target=admission, args=(RequestFactory().get("/slow"),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in threads:
            inside.acquire()
        yield admission
        release.set()
        for thread in threads:
            thread.join()
        assert admission(RequestFactory().get("/free-again")).status_code == 200

    def test_one_more_is_turned_away_at_once(self, busy: Admission) -> None:
        answer = busy(RequestFactory().post("/api/v1/models/m/predict"))
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        assert answer.headers["Content-Type"] == "application/problem+json"

    def test_livez_answers_all_the_same(self, busy: Admission) -> None:
        assert busy(RequestFactory().get("/livez")).status_code == 200

    def test_a_failure_gives_its_place_back(self, settings: Any) -> None:
        settings.WEB_THREADS = 2

        def fail(request: HttpRequest) -> HttpResponse:
            raise ZeroDivisionError

        admission = Admission(fail)
        for _ in range(5):
            with pytest.raises(ZeroDivisionError):
                admission(RequestFactory().get("/"))

    @pytest.mark.parametrize("threads", range(2, 100))
    def test_a_thread_is_always_left(self, threads: int) -> None:
        assert 1 <= admitted_of(threads) < threads
