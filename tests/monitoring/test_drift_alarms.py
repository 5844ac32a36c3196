"""The alarm budget of a model: set, simulated in its own traffic, and obeyed by its reports."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring import tasks
from monitoring.analysis import report_of_window
from monitoring.models import CalibrationRun, DriftAlarm
from monitoring.selectors.alarms import alarm_of, alarm_said, is_due, rule_of, standard, traffic_seen
from monitoring.services import calibrations as service
from monitoring.services import due_calibrations, request_calibration, set_drift_alarm
from monitoring.stats.persistence import AlarmRule
from registry import services as registry
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.monitoring.production import reference
from tests.monitoring.traffic import DAY, answer, model_of
from tests.people import actor, person
from tests.registry.http import Person
from tests.registry.parts import SIGNATURE, candidate, into_production, user

pytestmark = pytest.mark.django_db
ALARM = "/models/high_cost/drift-alarm"
PAGE = ALARM
HOUR = timedelta(hours=1)
FOUND: dict[str, Any] = {
    "chosen": {"q": 0.001, "effect": 0.3, "k": 3, "m": 4, "false_alarms_a_month": 0.25, "upper_bound": 0.5,
               "delays": [{"sd": 0.2, "hours": 8.0, "found": 1.0}, {"sd": 0.5, "hours": None, "found": 0.2}]},
    "standard": {"q": 0.02, "effect": 0.1, "k": 2, "m": 3, "false_alarms_a_month": 2.0, "upper_bound": 3.0,
                 "delays": [{"sd": 0.2, "hours": 30.0, "found": 0.7}, {"sd": 0.5, "hours": 9.0, "found": 1.0}]},
    "reached": True, "months": 24, "features": 2, "features_skipped": 0,
    "schedule": {"window_hours": 24.0, "min_rows": 100, "every_hours": 1.0, "check_after": 100},
    "traffic": {"rows_a_day": 400.0, "days": 2.0, "largest_hour_effect": 0.0, "largest_design_effect": 1.0},
}  # fmt: skip


@kept_fixture
def model(author: Actor) -> RegisteredModel:
    return model_of(author)


@kept_fixture
def version(model: RegisteredModel, author: Actor) -> Version:
    """In production, with a reference of age and visits."""
    approver = actor("approver", "approver")
    return into_production(model, author=author, approver=approver, seed=1, signature=SIGNATURE, reference=reference())


def two_days(version: Version, count: int = 400) -> None:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    for day in (2, 1):
        answer(version, count, start=now - day * DAY - HOUR, seed=day)


def calibrated(version: Version, result: dict[str, Any] = FOUND, **changes: Any) -> CalibrationRun:
    """A run that ended well, as if it had found `result`."""
    setting = DriftAlarm.objects.get(model=version.model)
    fields = {"false_alarms_a_month": setting.false_alarms_a_month, "smallest_shift_sd": setting.smallest_shift_sd}
    made = {"model": version.model, "version": version, "state": JobState.SUCCEEDED, "result": result}
    return CalibrationRun.objects.create(**{**made, **fields, **changes})


class TestBudget:
    def test_setting_it_is_audited_and_asks_for_its_rule(self, version: Version, author: Actor) -> None:
        two_days(version)
        setting, run = set_drift_alarm(version.model, actor=author, fields={"false_alarms_a_month": 1})
        assert (setting.false_alarms_a_month, setting.smallest_shift_sd) == (1.0, 0.2)
        record = AuditRecord.objects.filter(action="drift_alarm.set").latest("seq")
        assert (record.subject, record.data) == (
            "drift_alarm:high_cost",
            {"false_alarms_a_month": 1.0, "smallest_shift_sd": 0.2},
        )
        assert run is not None
        assert (run.version, run.state, alarm_of(version).state) == (version, "queued", "calibrating")
        assert rule_of(version) == standard()  # until it is found

    def test_what_is_left_out_stays_and_none_brings_back_the_standard(self, version: Version, author: Actor) -> None:
        set_drift_alarm(version.model, actor=author, fields={"false_alarms_a_month": 2, "smallest_shift_sd": 0.5})
        calibrated(version)
        assert rule_of(version) == AlarmRule(0.001, 0.3, 3, 4)
        setting, run = set_drift_alarm(version.model, actor=author, fields={"false_alarms_a_month": None})
        assert (setting.smallest_shift_sd, run, rule_of(version)) == (0.5, None, standard())

    def test_a_rule_of_another_budget_or_version_does_not_hold(self, version: Version, author: Actor) -> None:
        set_drift_alarm(version.model, actor=author, fields={"false_alarms_a_month": 1})
        calibrated(version, false_alarms_a_month=5.0)
        other = registry.register_version(
            version.model, actor=author, candidate=candidate(2, reference=reference(), signature=SIGNATURE)
        )
        calibrated(other)
        assert (rule_of(version), alarm_of(version).state) == (standard(), "waiting")

    @pytest.mark.parametrize(
        ("fields", "wrong"),
        [
            ({"false_alarms_a_month": 0}, "false_alarms_a_month must be a number, or null"),
            ({"false_alarms_a_month": 31}, "from 0.1 to 30 but got 31"),
            ({"false_alarms_a_month": float("nan")}, "but got nan"),
            ({"false_alarms_a_month": True}, "but got True"),
            ({"false_alarms_a_month": "1"}, "but got '1'"),
            ({"smallest_shift_sd": 0.01}, "from 0.05 to 2 but got 0.01"),
            ({"smallest_shift_sd": None}, "but got None"),
            ({"q": 0.1}, "q is unknown; known: false_alarms_a_month, smallest_shift_sd"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, model: RegisteredModel, author: Actor, fields: dict[str, Any], wrong: str
    ) -> None:
        with pytest.raises(Invalid, match=wrong.split(" from")[0][:60].replace("(", ".")) as error:
            set_drift_alarm(model, actor=author, fields=fields)
        assert wrong in error.value.errors[0].message
        assert not DriftAlarm.objects.exists()

    def test_only_who_may_set_alarms(self, model: RegisteredModel) -> None:
        with pytest.raises(Forbidden):
            set_drift_alarm(model, actor=actor("sam", "data_scientist"), fields={"false_alarms_a_month": 1})


class TestCalibration:
    def test_it_ends_with_a_rule_that_keeps_the_budget_in_the_traffic_seen(
        self, version: Version, author: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("monitoring.stats.alarm_budget.FEWEST_MONTHS", 6)
        monkeypatch.setattr("monitoring.stats.alarm_budget.months_needed", lambda budget: 6)
        monkeypatch.setattr("monitoring.stats.alarm_budget.RUNS", 5)
        two_days(version)
        _, run = set_drift_alarm(version.model, actor=author, fields={"false_alarms_a_month": 3})
        assert run is not None
        claimed = jobs.claim(run, worker="w")
        assert claimed is not None
        jobs.run_here(claimed)
        run.refresh_from_db()
        assert (run.state, run.progress, run.error) == ("succeeded", 1.0, "")
        assert run.result["traffic"]["rows_a_day"] == pytest.approx(400, rel=0.1)
        assert run.result["chosen"]["upper_bound"] <= 3 < run.result["months"]
        assert run.result["reached"]
        alarm = alarm_of(version)
        assert (alarm.state, alarm.rule.effect) == ("calibrated", run.result["chosen"]["effect"])
        assert AuditRecord.objects.filter(action="drift_alarm.calibrated").count() == 1
        assert not is_due(version, alarm)

    def test_the_traffic_is_seen_hour_by_hour(self, version: Version) -> None:
        two_days(version)
        seen = traffic_seen(version)
        assert seen is not None
        assert seen.rows_a_day == pytest.approx(400, rel=0.1)
        assert set(seen.tilts) == {"age", "visits"}
        assert np.ptp(seen.rows) < 12

    def test_before_a_day_of_traffic_there_is_none(self, version: Version, author: Actor) -> None:
        answer(version, 300, start=timezone.now() - 3 * HOUR, seed=1)
        assert traffic_seen(version) is None
        _, run = set_drift_alarm(version.model, actor=author, fields={"false_alarms_a_month": 1})
        assert (run, alarm_of(version).state) == (None, "waiting")
        with pytest.raises(Conflict) as error:
            request_calibration(version.model, actor=author)
        assert error.value.code == "not_enough_traffic"

    def test_what_cannot_be_calibrated_says_why(self, version: Version, author: Actor) -> None:
        with pytest.raises(Conflict) as error:
            request_calibration(version.model, actor=author)
        assert error.value.code == "no_budget"
        two_days(version)
        set_drift_alarm(version.model, actor=author, fields={"false_alarms_a_month": 1})
        with pytest.raises(Conflict) as error:
            request_calibration(version.model, actor=author)
        assert error.value.code == "already_running"
        bare = registry.register_version(version.model, actor=author, candidate=candidate(3))
        with pytest.raises(Conflict) as error:
            request_calibration(version.model, actor=author, version=bare)
        assert error.value.code == "no_reference"
        with pytest.raises(Forbidden):
            request_calibration(version.model, actor=actor("vic", "viewer"))

    def test_traffic_that_went_meanwhile_ends_it_with_a_reason(self, version: Version, author: Actor) -> None:
        two_days(version)
        _, run = set_drift_alarm(version.model, actor=author, fields={"false_alarms_a_month": 1})
        assert run is not None
        from monitoring.models import Bucket

        Bucket.objects.all().delete()
        claimed = jobs.claim(run, worker="w")
        assert claimed is not None
        service.execute(claimed)
        run.refresh_from_db()
        assert (run.state, run.error) == ("failed", "nothing to simulate: a whole day of its traffic is not there")
        assert alarm_of(version).state == "failed"

    def test_the_hourly_schedule_asks_for_what_waits_and_for_what_is_old(
        self, version: Version, author: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rung: list[Any] = []
        monkeypatch.setattr("monitoring.tasks.ring", rung.append)
        monkeypatch.setattr("monitoring.tasks.close_old_connections", lambda: None)  # the test's would be closed too
        set_drift_alarm(version.model, actor=author, fields={"false_alarms_a_month": 1})
        assert due_calibrations() == []  # no traffic yet
        two_days(version)
        tasks.run_all()
        assert [run.version for run in rung if isinstance(run, CalibrationRun)] == [version]
        assert due_calibrations() == []  # it is under way
        CalibrationRun.objects.update(state=JobState.SUCCEEDED, result=FOUND)
        assert due_calibrations() == []
        CalibrationRun.objects.update(created_at=timezone.now() - timedelta(days=31))
        assert len(due_calibrations()) == 1
        CalibrationRun.objects.all().delete()
        calibrated(version, {**FOUND, "traffic": {"rows_a_day": 40.0}})
        assert len(due_calibrations()) == 1  # ten times the traffic


class TestReports:
    """The rule holds for the drift of reports, scheduled or asked for."""

    NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.get_fixed_timezone(0))

    def on(self, version: Version, **how: Any) -> Any:
        return report_of_window(version, self.NOW - DAY, self.NOW, **how)

    def raised(self, version: Version, *, explicit: bool) -> list[bool]:
        found = self.on(version, explicit=explicit).findings
        return [finding["raised"] for finding in found if finding["rule"] == "drift"]

    def test_the_effect_of_the_rule_decides_what_drifted(self, version: Version, author: Actor) -> None:
        answer(version, 500, start=self.NOW - DAY, shift=0.6)
        assert self.on(version).body["drift"]["drifted"] == 1
        set_drift_alarm(version.model, actor=author, fields={"false_alarms_a_month": 1})
        calibrated(version)
        body = self.on(version).body
        assert (body["drift"]["drifted"], body["rule"]) == (0, {"q": 0.001, "effect": 0.3, "k": 3, "m": 4})

    def test_a_scheduled_report_waits_for_as_many_windows_as_the_rule_says(
        self, version: Version, author: Actor
    ) -> None:
        answer(version, 500, start=self.NOW - DAY, shift=2.0)
        set_drift_alarm(version.model, actor=author, fields={"false_alarms_a_month": 1})
        calibrated(version, {**FOUND, "chosen": {**FOUND["chosen"], "k": 1, "m": 1}})
        assert self.raised(version, explicit=False) == [True]
        CalibrationRun.objects.update(result=FOUND)
        assert self.raised(version, explicit=False) == [False]
        assert self.raised(version, explicit=True) == [True]


class TestApi:
    def test_it_is_set_read_and_calibrated(
        self, version: Version, author: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rung: list[str] = []
        for place in ("alarms", "reports"):
            monkeypatch.setattr(f"monitoring.api.{place}.ring", lambda run: rung.append(str(run.pk)))
        engineer = Person(author)
        status, said = engineer.get(ALARM)
        assert (status, said["state"], said["false_alarms_a_month"], said["set_by"]) == (200, "standard", None, None)
        assert said["rule"] == {"q": 0.02, "effect": 0.1, "k": 2, "m": 3}
        two_days(version)
        status, said = engineer.put(ALARM, {"false_alarms_a_month": 1, "smallest_shift_sd": 0.3})
        assert (status, said["state"], said["calibration"]["job_id"]) == (200, "calibrating", rung[0])
        CalibrationRun.objects.update(state=JobState.SUCCEEDED, result=FOUND)
        status, said = engineer.get(ALARM)
        assert (said["state"], said["version"], said["result"]["months"]) == ("calibrated", version.number, 24)
        assert said["sentence"].endswith(
            "At this setting: 0.25 false alarms a month expected (at most 0.5, with 95 % confidence); a shift of 0.2 "
            "SD is found after about 8 hours; one of 0.5 SD is not found within four days."
        )
        status, job = engineer.post(f"{ALARM}/calibrate", {"model_version": version.number})
        assert (status, job["job_id"]) == (202, rung[1])
        status, followed = engineer.get(job["status_url"].removeprefix("/api/v1"))
        assert (status, followed["kind"], followed["state"]) == (200, "calibration", "queued")

    def test_refusals_name_the_field(self, version: Version, author: Actor) -> None:
        engineer = Person(author)
        for body, field in (({"false_alarms_a_month": 99}, "false_alarms_a_month"), ({"k": 1}, "k")):
            status, said = engineer.put(ALARM, body)
            assert (status, said["errors"][0]["field"]) == (422, field)
        status, said = engineer.post(f"{ALARM}/calibrate", {})
        assert (status, said["code"]) == (409, "no_budget")

    def test_another_team_finds_nothing(self, version: Version) -> None:
        stranger = Person(actor("zoe", "ml_engineer", team="motor"))
        assert stranger.get(ALARM)[0] == 404
        assert stranger.put(ALARM, {"false_alarms_a_month": 1})[0] == 404
        reader = Person(actor("vic", "viewer"))
        assert reader.get(ALARM)[0] == 200
        assert reader.put(ALARM, {"false_alarms_a_month": 1})[0] == 403


class TestPage:
    @pytest.fixture
    def browser(self, version: Version, author: Actor) -> Client:
        client = Client()
        client.force_login(user(author), backend="django.contrib.auth.backends.ModelBackend")
        return client

    def test_the_budget_is_set_in_the_form_and_its_cost_is_told(self, browser: Client, version: Version) -> None:
        assert "No budget is set" in browser.get(PAGE).content.decode()
        sent = {"false_alarms_a_month": "1", "smallest_shift_sd": "0.2"}
        assert browser.post(PAGE, sent).status_code == 302
        calibrated(version)
        page = browser.get(PAGE).content.decode()
        assert "0.25 false alarms a month expected" in page
        assert "a shift of 0.2 SD is found after about 8 hours" in page
        assert "3 of 4" in page
        assert alarm_said(version.model).alarm.state == "calibrated"

    def test_what_is_wrong_stands_beside_its_field(self, browser: Client) -> None:
        answer = browser.post(PAGE, {"false_alarms_a_month": "99", "smallest_shift_sd": "x"})
        assert answer.status_code == 422
        assert "less than or equal to 30" in answer.content.decode()

    def test_a_viewer_reads_it_without_a_form(self, version: Version) -> None:
        client = Client()
        client.force_login(person("vic", "viewer"), backend="django.contrib.auth.backends.ModelBackend")
        assert "An ML engineer of" in client.get(PAGE).content.decode()
        assert "<form method" not in client.get(PAGE).content.decode().split("The budget")[1]
