"""Reports on a model's own schedule, in between when enough is new, and on the past."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client, override_settings
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring import tasks
from monitoring.choices import Occasion
from monitoring.models import Alert, MonitoringRun, MonitoringSchedule, Report, Unchecked
from monitoring.selectors.reports import findings_before
from monitoring.services import (
    drop_monitoring_schedule,
    fold_all,
    request_backfill,
    request_due_checks,
    request_report,
    request_scheduled,
    set_monitoring_schedule,
    set_schedule,
)
from registry.models import Version
from tests import factories
from tests.kept import kept_fixture
from tests.monitoring.traffic import DAY, answer, version_of
from tests.people import actor, person

pytestmark = pytest.mark.django_db


@kept_fixture
def version(author: Actor) -> Version:
    found = version_of(author)
    factories.into_production(found, author, actor("ben", "approver"))
    return found


def done(run: MonitoringRun) -> MonitoringRun:
    claimed = jobs.claim(run, worker="w")
    assert claimed is not None
    jobs.run_here(claimed)
    claimed.refresh_from_db()
    return claimed


def occasions() -> list[str]:
    return list(MonitoringRun.objects.order_by("created_at").values_list("occasion", flat=True))


class TestInTime:
    @pytest.mark.parametrize("rows", [99, 100])
    def test_the_hundredth_new_row_makes_a_look(self, version: Version, rows: int) -> None:
        answer(version, rows, start=timezone.now() - DAY)
        assert Unchecked.objects.get().rows == rows
        found = request_due_checks()
        assert [(run.version, run.occasion, run.explicit) for run in found] == [(version, "in_time", False)][
            : rows - 99
        ]
        assert Unchecked.objects.get().rows == (0 if found else 99)

    def test_it_reports_on_the_last_day_and_raises_what_it_finds(self, version: Version) -> None:
        answer(version, 200, start=timezone.now() - DAY, missing=0.3)
        report = done(request_due_checks()[0]).report
        assert report is not None
        assert (report.samples, report.occasion) == (200, "in_time")
        assert timedelta(hours=24) <= report.window_to - report.window_from < timedelta(hours=25)
        assert {alert.rule for alert in Alert.objects.all()} == {"quality"}
        assert Unchecked.objects.get().samples == 200

    def test_a_busy_model_is_looked_at_after_a_fiftieth(self, version: Version) -> None:
        Unchecked.objects.create(version=version, rows=199, samples=10_000)
        assert request_due_checks() == []
        Unchecked.objects.update(rows=200)
        assert len(request_due_checks()) == 1

    def test_labels_are_new_too(self, version: Version) -> None:
        answer(version, 60, start=timezone.now() - DAY, labelled=1.0)
        assert Unchecked.objects.get().rows == 120

    def test_one_look_at_a_time(self, version: Version) -> None:
        Unchecked.objects.create(version=version, rows=500)
        (run,) = request_due_checks()
        Unchecked.objects.update(rows=500)
        assert request_due_checks() == []
        done(run)
        assert len(request_due_checks()) == 1

    def test_a_report_on_time_counts_as_a_look(self, version: Version) -> None:
        Unchecked.objects.create(version=version, rows=500)
        request_scheduled()
        assert (Unchecked.objects.get().rows, request_due_checks()) == (0, [])

    def test_only_what_is_in_production(self, author: Actor) -> None:
        other = version_of(author, name="other_claim")
        Unchecked.objects.create(version=other, rows=500)
        assert request_due_checks() == []

    @pytest.mark.parametrize(
        ("fields", "looks"), [({"check_after": 0}, 0), ({"check_after": 30}, 1), ({"enabled": False}, 0)]
    )
    def test_the_schedule_says_how_many(self, version: Version, fields: dict[str, Any], looks: int) -> None:
        set_monitoring_schedule(version.model, actor=actor("ida", "ml_engineer"), fields=fields)
        Unchecked.objects.create(version=version, rows=30 if looks else 500)
        assert len(request_due_checks()) == looks

    @override_settings(MONITORING_CHECK_AFTER=0)
    def test_the_operator_may_switch_it_off(self, version: Version) -> None:
        Unchecked.objects.create(version=version, rows=500)
        assert request_due_checks() == []

    def test_a_look_in_between_does_not_count_as_a_window(self, version: Version) -> None:
        answer(version, 200, start=timezone.now() - DAY, shift=1)
        done(request_due_checks()[0])
        later = timezone.now() + timedelta(hours=1)
        assert findings_before(version, later, 2) == []
        assert not Alert.objects.filter(rule="drift").exists()
        done(request_scheduled()[0])
        assert [len(each) > 0 for each in findings_before(version, later, 2)] == [True]

    @pytest.mark.django_db(transaction=True)
    def test_the_folder_asks_at_once(self, version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
        rung: list[MonitoringRun] = []
        monkeypatch.setattr(tasks, "ring", rung.append)
        with monkeypatch.context() as patch:
            patch.setattr("tests.monitoring.traffic.fold_all", lambda: 0)
            answer(version, 150, start=timezone.now() - DAY)
        tasks.fold()
        assert [run.occasion for run in rung] == ["in_time"]

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.skipif(connection.vendor != "postgresql", reason="one writer at a time there")
    def test_of_many_who_ask_one_gets_it(self, version: Version) -> None:
        Unchecked.objects.create(version=version, rows=500)
        found: list[MonitoringRun] = []
        start = threading.Barrier(8)

        def ask() -> None:
            start.wait()
            found.extend(request_due_checks())
            connections.close_all()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(found), occasions()) == (1, ["in_time"])


class TestSchedule:
    def test_a_model_with_its_own_is_left_out_of_the_tick_of_all(self, version: Version) -> None:
        set_monitoring_schedule(version.model, actor=actor("ida", "ml_engineer"), fields={"window": "7d"})
        assert request_scheduled() == []
        (run,) = request_scheduled(version.model.name)
        assert timedelta(days=7) <= run.window_to - run.window_from < timedelta(days=8)
        assert run.occasion == Occasion.SCHEDULE

    def test_the_row_of_beat_follows(self, version: Version) -> None:
        ida = actor("ida", "ml_engineer")
        set_monitoring_schedule(version.model, actor=ida, fields={"every": "15m"})
        row = PeriodicTask.objects.get(name=f"monitoring of {version.model}")
        assert (row.task, row.args, str(row.interval)) == (
            "monitoring.run_model",
            f'["{version.model}"]',
            "every 15 minutes",
        )
        set_schedule(row, actor=ida, every="30m", enabled=False)
        schedule = MonitoringSchedule.objects.get()
        assert (schedule.every, schedule.enabled) == (timedelta(minutes=30), False)
        assert not PeriodicTask.objects.get(pk=row.pk).enabled
        drop_monitoring_schedule(version.model, actor=ida)
        assert not PeriodicTask.objects.filter(pk=row.pk).exists()
        said = AuditRecord.objects.filter(action__startswith="monitoring_schedule").order_by("pk")
        assert [record.action.partition(".")[2] for record in said] == ["set", "set", "dropped"]

    def test_bad_fields_are_named(self, version: Version) -> None:
        fields = {"every": "1m", "window": "400d", "check_after": -1, "enabled": "yes", "often": 1}
        with pytest.raises(Invalid) as caught:
            set_monitoring_schedule(version.model, actor=actor("ida", "ml_engineer"), fields=fields)
        assert {error.field for error in caught.value.errors} == set(fields)
        assert not MonitoringSchedule.objects.exists()

    def test_who_may(self, version: Version) -> None:
        with pytest.raises(Forbidden):
            set_monitoring_schedule(version.model, actor=actor("vera", "viewer"), fields={})
        with pytest.raises(Conflict, match="no monitoring schedule of its own"):
            drop_monitoring_schedule(version.model, actor=actor("ida", "ml_engineer"))

    def test_the_api(self, version: Version, client: Client) -> None:
        client.force_login(person("ida", "ml_engineer"))
        path = f"/api/v1/models/{version.model}/monitoring-schedule"
        usual = {
            "enabled": True,
            "every": "1h",
            "window": "1d",
            "check_after": None,
            "set_by": None,
            "updated_at": None,
        }
        assert client.get(path).json() == usual
        answer = client.put(path, {"every": "2h"}, content_type="application/json").json()
        assert {**answer, "updated_at": None} == {**usual, "every": "2h", "set_by": "ida"}
        assert client.put(path, {"evry": "2h"}, content_type="application/json").status_code == 422
        assert client.delete(path).json() == usual
        assert client.delete(path).json()["code"] == "no_schedule"


class TestBackfill:
    def back(self, version: Version, **fields: Any) -> MonitoringRun:
        now = timezone.now()
        about = {"window_from": now - 5 * DAY, "window_to": now, "every": "1d", "length": "1d", **fields}
        return request_backfill(actor=actor("dora", "data_scientist"), model=version.model, **about)

    def test_each_past_window_has_its_report_and_nobody_is_woken(self, version: Version) -> None:
        now = timezone.now()
        for days in (5, 4, 3, 2, 1):
            answer(version, 120, start=now - days * DAY, shift=1, seed=days)
        run = done(self.back(version))
        assert (run.state, run.progress, run.step, run.report) == (JobState.SUCCEEDED, 1.0, "done", None)
        found = list(Report.objects.order_by("window_to"))
        assert 4 <= len(found) <= 6
        assert {(report.occasion, report.explicit) for report in found} == {("backfill", False)}
        assert all(finding["raised"] is False for report in found for finding in report.findings)
        assert any(finding["rule"] == "drift" for finding in found[-1].findings)
        assert not Alert.objects.exists()
        assert len(findings_before(version, now + DAY, 3)) == 3

    def test_again_it_makes_none_twice(self, version: Version) -> None:
        now = timezone.now()
        answer(version, 120, start=now - 2 * DAY)
        span = {"window_from": now - 5 * DAY, "window_to": now}
        done(self.back(version, **span))
        before = Report.objects.count()
        done(self.back(version, **span))
        assert Report.objects.count() == before > 0

    def test_another_attempt_goes_on(self, version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
        answer(version, 120, start=timezone.now() - 2 * DAY)
        run = self.back(version)
        calls = []

        def failing(*args: Any, **more: Any) -> Any:
            calls.append(args[1])
            if len(calls) == 3:
                raise OSError("disk")
            return kept(*args, **more)

        from monitoring import analysis

        kept = analysis.report_of_window
        monkeypatch.setattr(analysis, "report_of_window", failing)
        assert done(run).state == JobState.QUEUED
        assert Report.objects.count() == 2
        again = done(run)
        assert (again.state, again.attempt) == (JobState.SUCCEEDED, 2)
        assert len(calls) - 1 == Report.objects.count() == len(set(calls))

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"window_from": timezone.now() - 400 * DAY}, "window_too_long"),
            ({"every": "30d"}, "no_window"),
            ({"length": "1m"}, "invalid"),
            ({"every": 7}, "invalid"),
            ({"window_to": timezone.now() + DAY}, "window_in_the_future"),
            ({"window_from": timezone.now(), "window_to": timezone.now() - DAY}, "invalid_window"),
        ],
    )
    def test_bad_input(self, version: Version, fields: dict[str, Any], code: str) -> None:
        with pytest.raises(Invalid) as caught:
            self.back(version, **fields)
        assert caught.value.code == code
        assert not MonitoringRun.objects.exists()

    def test_the_api_and_the_page(self, version: Version, client: Client) -> None:
        client.force_login(person("dora", "data_scientist"))
        now = timezone.now()
        body = {"model_name": version.model.name, "from": (now - DAY).isoformat(), "to": now.isoformat(), "every": "6h"}
        made = client.post("/api/v1/monitoring/backfill", body, content_type="application/json")
        assert made.status_code == 202
        assert client.get(made.json()["status_url"]).json()["state"] in ("queued", "running", "succeeded")
        page = f"/models/{version.model}/monitoring/past"
        form = {
            "start": f"{now - 2 * DAY:%Y-%m-%d %H:%M}",
            "end": f"{now:%Y-%m-%d %H:%M}",
            "every": "1d",
            "window": "1d",
        }
        assert client.post(page, form).status_code == 302
        assert occasions() == ["backfill", "backfill"]
        wrong = client.post(page, {**form, "every": "often"})
        assert wrong.status_code == 422
        assert "like" in wrong.content.decode()


def test_what_was_asked_for_is_no_look(version: Version) -> None:
    Unchecked.objects.create(version=version, rows=50)
    now = timezone.now()
    request_report(actor=None, model=version.model, version=version, window_from=now - DAY, window_to=now)
    assert Unchecked.objects.get().rows == 50
    fold_all()
