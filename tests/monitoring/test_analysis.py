"""A report says what a window shows, and what of it is told."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.test import override_settings

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.permissions import Actor
from monitoring.analysis import keep_report_of_frames, report_of_frames, report_of_window
from monitoring.choices import Span
from monitoring.models import Alert, Bucket, MonitoringRun, Prediction, Report
from monitoring.selectors.limits import uncorrelated
from monitoring.services import request_report, set_alert_rules
from monitoring.services.reports import Content, window_of
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.traffic import DAY, NOW, answer, kept, version_of
from tests.people import actor
from tests.registry.parts import holdout

pytestmark = pytest.mark.django_db


@kept_fixture
def version(author: Actor) -> Version:
    return version_of(author)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.services.reports.timezone.now", lambda: NOW)


def at(moment: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{moment}+00:00")


def told(content: Content) -> list[tuple[str, str]]:
    return [(finding["rule"], finding["subject"]) for finding in content.findings if finding["raised"]]


def on(version: Version, **how: Any) -> Content:
    """A report on the day before noon."""
    return report_of_window(version, NOW - DAY, NOW, **how)


class TestBeside:
    """What a report says of drift beside its features."""

    def test_a_drifted_feature_that_the_model_does_not_use_is_no_alarm(self, author: Actor) -> None:
        version = version_of(author, importance={"age": 0.0, "visits": 1.0})
        answer(version, 500, start=NOW - DAY, shift=0.6)
        content = on(version)
        assert (content.body["drift"]["drifted"], told(content)) == (1, [])
        (first, second) = content.body["triage"]
        assert (first["name"], first["kind"], first["rank"]) == ("age", "information", 1)
        assert (second["name"], second["kind"]) == ("visits", "")

    def test_the_loss_of_a_drifted_feature_is_estimated_from_logged_rows(self, version: Version) -> None:
        answer(version, 500, start=NOW - DAY, shift=0.6)
        (age, visits) = on(version).body["triage"]
        assert age["loss"]["rows"] == 500
        assert abs(age["loss"]["loss"]) < 5 * age["loss"]["se"] + 0.02  # what was answered had nothing to do with age
        assert visits["loss"] is None

    def test_without_a_holdout_answers_are_compared_with_the_window_before(self, version: Version) -> None:
        answer(version, 400, start=NOW - 2 * DAY, seed=1, labelled=1.0)
        answer(version, 400, start=NOW - DAY, seed=2, labelled=1.0)
        said = on(version).body["answers"]
        assert said["against"] == "the window before"
        assert [(row["subject"], row["drifted"], row["n"]) for row in said["rows"]] == [
            ("score", False, 400),
            ("prediction", False, 400),
            ("label", False, 400),
        ]

    def test_with_one_they_are_compared_with_it(self, author: Actor) -> None:
        random = np.random.default_rng(0)
        score = random.uniform(0, 1, 400)
        version = version_of(author, holdout_bytes=holdout(score, label=(score > 0.5).astype(int)))
        answer(version, 400, start=NOW - DAY)
        said = on(version).body["answers"]
        (scores, *_) = said["rows"]
        assert (said["against"], scores["m"], scores["drifted"]) == ("the holdout at registration", 400, True)
        assert scores["before"] == pytest.approx(0.5, abs=0.05)

    def test_columns_that_came_and_went_are_noticed(self, version: Version) -> None:
        rows = answer(version, 300, start=NOW - DAY)
        for row in rows[-100:]:
            row.features = {**row.features, "region": "north"}
        Prediction.objects.bulk_update(rows[-100:], ["features"])
        body = on(version).body
        assert body["columns"] == {
            "new": [{"name": "region", "share": 0.5}],
            "new_total": 1,
            "vanished": [],
            "sample": 200,
        }
        assert "new columns that the version does not know: 'region'" in body["notes"]

    def test_one_that_is_not_sent_any_more_is_named(self, version: Version) -> None:
        answer(version, 300, start=NOW - DAY, missing=1.0)
        body = on(version).body
        assert body["columns"]["vanished"] == ["visits"]
        assert "columns that are not sent any more: 'visits'" in body["notes"]

    def test_only_a_report_that_somebody_asked_for_looks_at_rows_as_a_whole(
        self, version: Version, author: Actor
    ) -> None:
        answer(version, 300, start=NOW - 2 * DAY, seed=1)
        answer(version, 300, start=NOW - DAY, seed=2, shift=1)
        span = {"window_from": NOW - DAY, "window_to": NOW}
        for asking, explicit in ((author, True), (None, False)):
            how: dict[str, Any] = {"model": version.model, "version": version, "explicit": explicit, **span}
            run = jobs.claim(request_report(actor=asking, **how), worker="w")
            assert run is not None
            jobs.run_here(run)
            body = kept(run).body
            assert ("multivariate" in body) is explicit
            if explicit:
                whole = body["multivariate"]
                assert (whole["against"], whole["rows"], whole["reference_rows"]) == ("the window before", 300, 300)
                assert whole["drifted"]
                assert whole["classifier"]["ci95"][0] > 0.5


class TestRules:
    def test_a_threshold_of_the_model_and_its_switch_hold(self, version: Version, author: Actor) -> None:
        answer(version, 300, start=NOW - 2 * DAY, seed=1)
        answer(version, 400, start=NOW - DAY, seed=2, shift=1.0)
        assert ("drift", "") in told(on(version))
        set_alert_rules(version.model, actor=author, rules={"drift": {"threshold": 0.99}})
        calm = on(version)
        assert (calm.body["drift"]["drifted"], told(calm)) == (0, [])
        set_alert_rules(version.model, actor=author, rules={"drift": {"threshold": None, "enabled": False}})
        (found,) = [each for each in on(version).findings if each["rule"] == "drift"]
        assert (found["raised"], found["held"]) == (False, "the rule is off")


class TestWindow:
    def test_undisturbed_traffic_raises_nothing(self, version: Version) -> None:
        answer(version, 300, start=NOW - 2 * DAY, seed=1)
        answer(version, 400, start=NOW - DAY, seed=2, labelled=0.5)
        content = on(version)
        body = content.body
        assert (content.samples, content.findings, content.severity) == (400, [], "low")
        assert body["window"] == {"from": "2026-11-23T12:00:00+00:00", "to": "2026-11-24T12:00:00+00:00"}
        assert (body["drift"]["drifted"], body["drift"]["total"]) == (0, 2)
        assert {row["test"] for row in body["drift"]["features"]} == {"ks"}
        assert body["volume"]["before"] == 300
        assert (body["performance"]["label_coverage"], body["performance"]["labelled"]) == (0.5, 200)
        assert body["performance"]["estimated"]["note"].startswith(
            "not computable: the version was registered without scores"
        )
        assert body["performance"]["baseline"] == {"f1_score": 0.75, "accuracy": 0.8}
        names = [metric["name"] for metric in body["performance"]["realised"]]
        assert names[:7] == ["f1_score", "precision", "recall", "accuracy", "roc_auc", "average_precision", "brier"]
        assert names[7:] == ["calibration_error", "calibration_slope"]
        assert body["notes"] == [uncorrelated(version)]
        assert json.loads(json.dumps(body, allow_nan=False)) == body

    def test_a_shift_is_one_finding_that_names_the_features(self, version: Version) -> None:
        answer(version, 500, start=NOW - DAY, shift=0.6)
        content = on(version)
        assert told(content) == [("drift", "")]
        (finding,) = content.findings
        assert finding["summary"].startswith("1 of 2 features drifted: age (0.")
        assert [row["name"] for row in finding["evidence"]["features"]] == ["age"]
        assert content.overall_score == content.body["drift"]["overall_score"] > 0.08

    def test_bad_performance_is_the_first_finding(self, version: Version) -> None:
        answer(version, 500, start=NOW - DAY, shift=0.6, right=0.6, labelled=0.8)
        content = on(version)
        assert told(content) == [("performance", "f1_score"), ("drift", "")]
        evidence = content.findings[0]["evidence"]
        assert (evidence["metric"], evidence["baseline"], evidence["n"]) == ("f1_score", 0.75, 400)
        assert evidence["drop"] == pytest.approx(0.75 - evidence["value"])
        assert "instead of 0.75" in content.findings[0]["summary"]

    def test_bad_data_is_a_finding_for_each_feature(self, version: Version) -> None:
        answer(version, 500, start=NOW - DAY, missing=0.08)
        with override_settings(DRIFT_THRESHOLD=0.2):  # a missing value is drift as well
            content = on(version)
        assert told(content) == [("quality", "visits")]
        (check,) = [row for row in content.body["quality"] if row["check"] == "missing"]
        assert (check["drifted"], check["reference_share"]) == (True, 0.0)

    def test_few_rows_say_so_and_find_nothing_but_the_volume(self, version: Version) -> None:
        answer(version, 400, start=NOW - 2 * DAY)
        answer(version, 99, start=NOW - DAY, shift=3, missing=0.5, right=0.0, labelled=1.0)
        content = on(version)
        assert told(content) == [("volume", "")]
        assert content.body["notes"] == ["too few rows (99 of at least 100)"]
        assert "99 rows after 400" in content.findings[0]["summary"]
        assert content.body["drift"]["features"][0]["note"] == "not computable: too few rows (99 of at least 100)"
        assert content.severity == "unknown"

    def test_an_empty_window_is_reported_on(self, version: Version) -> None:
        content = on(version)
        assert (content.samples, content.findings) == (0, [])
        assert content.body["notes"] == ["too few rows (0 of at least 100)"]
        assert content.body["performance"]["label_coverage"] is None

    def test_a_version_without_a_reference_has_all_but_drift_and_quality(self, author: Actor) -> None:
        version = version_of(author, reference=None)
        answer(version, 300, start=NOW - DAY, right=0.5, labelled=1.0)
        content = on(version)
        assert told(content) == [("performance", "f1_score")]
        assert content.body["drift"]["note"] == "not computable: the version has no reference profile"
        assert content.body["notes"] == ["not computable: the version has no reference profile"]
        assert (content.overall_score, content.severity, content.body["quality"]) == (None, "unknown", [])

    def test_rows_of_the_window_alone_count(self, version: Version) -> None:
        answer(version, 500, start=NOW - 2 * DAY, shift=3)
        answer(version, 500, start=NOW, shift=3, seed=1)
        answer(version, 300, start=NOW - DAY, seed=2)
        assert (on(version).samples, on(version).findings) == (300, [])

    def test_a_threshold_is_the_operators(self, version: Version) -> None:
        answer(version, 500, start=NOW - DAY, shift=0.6, right=0.7, labelled=1.0)
        assert told(on(version)) == [("performance", "f1_score"), ("drift", "")]
        with override_settings(DRIFT_THRESHOLD=0.5, PERFORMANCE_DEGRADATION_THRESHOLD=0.5):
            assert told(on(version)) == []
        with override_settings(MIN_SAMPLES_FOR_MONITORING=501):
            assert told(on(version)) == []


class TestPersistence:
    def report(self, version: Version, end: Any, **how: Any) -> Report:
        run = request_report(
            actor=None, model=version.model, version=version, window_from=end - DAY, window_to=end, explicit=False
        )
        MonitoringRun.objects.filter(pk=run.pk).update(**how)
        claimed = jobs.claim(MonitoringRun.objects.get(pk=run.pk), worker="w")
        assert claimed is not None
        jobs.run_here(claimed)
        return kept(claimed)

    def test_a_scheduled_report_tells_drift_at_the_second_time(self, version: Version) -> None:
        answer(version, 300, start=NOW - 3 * DAY, shift=1)
        answer(version, 300, start=NOW - 2 * DAY)
        answer(version, 300, start=NOW - DAY, shift=1)
        first = self.report(version, NOW - 2 * DAY)
        assert [finding["raised"] for finding in first.findings] == [False]
        assert Alert.objects.count() == 0
        assert self.report(version, NOW - DAY).findings == []
        third = self.report(version, NOW)
        assert [finding["raised"] for finding in third.findings] == [True]
        assert Alert.objects.get().report == third

    def test_an_explicit_report_does_not_count_among_them(self, version: Version) -> None:
        answer(version, 300, start=NOW - 2 * DAY, shift=1)
        answer(version, 300, start=NOW - DAY, shift=1)
        self.report(version, NOW - DAY, explicit=True)
        assert [finding["raised"] for finding in self.report(version, NOW).findings] == [False]

    def test_other_findings_are_told_at_once(self, version: Version) -> None:
        answer(version, 300, start=NOW - DAY, missing=0.2)
        report = self.report(version, NOW)
        assert [(f["rule"], f["raised"]) for f in report.findings if f["rule"] == "quality"] == [("quality", True)]


class TestExecute:
    def claimed(self, version: Version) -> MonitoringRun:
        run = request_report(
            actor=Actor.of(version.created_by), model=version.model, version=version,
            window_from=NOW - DAY, window_to=NOW,
        )  # fmt: skip
        claimed = jobs.claim(run, worker="w")
        assert claimed is not None
        return claimed

    def test_report_alerts_and_end_are_written_together(self, version: Version) -> None:
        answer(version, 300, start=NOW - DAY, shift=1)
        run = self.claimed(version)
        jobs.run_here(run)
        report = kept(run)
        assert (run.state, run.progress, report.explicit) == (JobState.SUCCEEDED, 1.0, True)
        assert report.created_by == version.created_by
        alert = Alert.objects.get()
        assert (alert.rule, alert.severity, alert.report) == ("drift", "high", report)

    def test_what_was_logged_and_not_yet_added_up_is_in_it(
        self, version: Version, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tests.monitoring.traffic.fold_all", lambda: 0)
        answer(version, 120, start=NOW - DAY)
        run = self.claimed(version)
        jobs.run_here(run)
        assert kept(run).samples == 120

    def test_an_attempt_that_was_overtaken_writes_nothing(self, version: Version) -> None:
        answer(version, 300, start=NOW - DAY, shift=1)
        run = self.claimed(version)
        MonitoringRun.objects.filter(pk=run.pk).update(attempt=7)
        jobs.run_here(run)
        assert (Report.objects.count(), Alert.objects.count()) == (0, 0)

    def test_alerts_that_cannot_be_raised_leave_no_report(
        self, version: Version, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(report: Report) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("monitoring.services.reports.raise_alerts", broken)
        run = self.claimed(version)
        jobs.run_here(run)
        assert Report.objects.count() == 0
        assert MonitoringRun.objects.get().state == JobState.QUEUED

    def test_the_same_shift_again_is_the_same_alert(self, version: Version) -> None:
        answer(version, 300, start=NOW - DAY, shift=1)
        for _ in range(2):
            jobs.run_here(self.claimed(version))
        assert Alert.objects.get().count == 2


class TestRequest:
    def test_a_viewer_may_not_ask(self, version: Version) -> None:
        with pytest.raises(Forbidden, match=r"monitoring.run in team claims is not allowed to viewer"):
            request_report(actor=actor("vera", "viewer"), model=version.model, window_from=NOW - DAY, window_to=NOW)

    def test_without_a_version_the_one_in_production_is_meant(self, version: Version, author: Actor) -> None:
        with pytest.raises(Conflict) as caught:
            request_report(actor=author, model=version.model, window_from=NOW - DAY, window_to=NOW)
        assert caught.value.code == "no_production_version"

    @pytest.mark.parametrize(
        ("start", "end", "field", "code"),
        [
            (NOW, NOW, "window.from", "invalid_window"),
            (NOW, NOW - DAY, "window.from", "invalid_window"),
            (NOW - DAY, NOW + DAY, "window.to", "window_in_the_future"),
            (NOW + DAY, NOW + 2 * DAY, "window.from", "window_in_the_future"),
            (NOW - 367 * DAY, NOW, "window.from", "window_too_long"),
        ],
    )
    def test_a_window_is_checked(self, version: Version, start: Any, end: Any, field: str, code: str) -> None:
        with pytest.raises(Invalid) as caught:
            request_report(actor=None, model=version.model, version=version, window_from=start, window_to=end)
        assert (caught.value.errors[0].field, caught.value.code) == (field, code)
        assert MonitoringRun.objects.count() == 0

    @pytest.mark.parametrize(
        ("start", "end", "whole"),
        [
            ("24T05:10", "24T06:10", ("24T05:00", "24T07:00")),
            ("24T05:00", "24T06:00", ("24T05:00", "24T06:00")),
            ("24T11:02", "24T11:59", ("24T11:00", "24T11:59")),
            ("24T08:30", "24T11:02", ("24T08:00", "24T11:02")),
            ("19T06:00", "19T12:00", ("19T00:00", "20T00:00")),
        ],
    )
    def test_a_window_is_widened_to_whole_buckets(
        self, version: Version, start: str, end: str, whole: tuple[str, str]
    ) -> None:
        run = request_report(actor=None, model=version.model, version=version, window_from=at(start), window_to=at(end))
        assert (run.window_from, run.window_to) == (at(whole[0]), at(whole[1]))

    def test_a_part_of_an_hour_is_no_drop_from_the_rest_of_it(self, version: Version) -> None:
        Bucket.objects.create(version=version, span_secs=Span.HOUR, started_at=at("24T05:00"), rows=600)
        start, end = at("24T05:10"), at("24T06:00")
        run = request_report(actor=None, model=version.model, version=version, window_from=start, window_to=end)
        content = report_of_window(version, run.window_from, run.window_to)
        assert (content.body["volume"]["rows"], content.body["volume"]["before"], told(content)) == (600, 0, [])

    @pytest.mark.parametrize(
        ("text", "start"),
        [("30m", "24T11:45"), ("5m", "24T12:10"), ("24h", "23T12:00"), ("3d", "21T00:00"), ("7d", "17T00:00")],
    )
    def test_a_length_ends_now_and_begins_with_a_bucket(self, text: str, start: str) -> None:
        now = NOW + timedelta(minutes=17)
        assert window_of(text, now=now) == (datetime.fromisoformat(f"2026-11-{start}+00:00"), now)

    @pytest.mark.parametrize("text", ["", "1m", "24", "24x", "-1h", "367d", "999999999d", "1d ", "٣d", None, 24])
    def test_other_lengths_are_refused(self, text: Any) -> None:
        with pytest.raises(Invalid) as caught:
            window_of(text)
        assert caught.value.errors[0].field == "window"


class TestFrames:
    def frames(self, n: int, shift: float = 0.0, seed: int = 0) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        return pd.DataFrame({"age": random.normal(50 + shift, 10, n), "visits": random.poisson(3, n)})

    def test_two_frames_alone_are_compared_and_nothing_is_kept(self) -> None:
        content = report_of_frames(self.frames(400, 6.0), self.frames(900, seed=1))
        assert told(content) == [("drift", "")]
        assert (content.samples, content.body["volume"], content.body["drift"]["total"]) == (400, None, 2)
        assert Report.objects.count() == 0

    def test_only_the_columns_asked_for_take_part(self) -> None:
        content = report_of_frames(self.frames(400, 6.0), self.frames(900, seed=1), feature_columns=["visits"])
        assert [row["name"] for row in content.body["drift"]["features"]] == ["visits"]
        with pytest.raises(Invalid, match=r"must be in the data but got \['agee'\]"):
            report_of_frames(self.frames(9), self.frames(9), feature_columns=["agee", "visits"])

    def test_a_column_that_one_side_lacks_is_not_computable(self) -> None:
        names = ["age", "visits"]
        content = report_of_frames(
            self.frames(400).drop(columns="age"), self.frames(400, seed=1), feature_columns=names
        )
        assert "absent" in content.body["drift"]["features"][0]["note"]

    def test_few_rows_say_so(self) -> None:
        content = report_of_frames(self.frames(50, 60.0), self.frames(900, seed=1))
        assert (content.findings, content.body["notes"]) == ([], ["too few rows (50 of at least 100)"])

    def test_under_a_version_it_is_kept_and_alerts(self, version: Version, author: Actor) -> None:
        content = report_of_frames(self.frames(400, 6.0), self.frames(900, seed=1), version=version)
        report = keep_report_of_frames(version, content, actor=author)
        assert (report.from_frames, report.explicit, report.samples) == (True, True, 400)
        assert Alert.objects.get().report == report
        with pytest.raises(Forbidden):
            keep_report_of_frames(version, content, actor=actor("vera", "viewer"))
