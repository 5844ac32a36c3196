"""Hours survive compaction, versions share the traffic of their model, and reports judge by the hours of weeks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mlops_site.core.permissions import Actor
from monitoring.analysis import report_of_window
from monitoring.choices import Rule, Span, Trigger
from monitoring.models import Alert, Bucket, RetrainPolicy, VolumeDay
from monitoring.selectors.periods import period
from monitoring.selectors.volumes import band_of, baseline_before, hours_of, rows_of, volume_of
from monitoring.services import compact
from monitoring.services.reports import Window, keep_report
from monitoring.services.retraining import reason_of
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.production import watched
from tests.monitoring.traffic import version_of

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)  # a Tuesday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = NOW - 12 * HOUR
SHAPE = [2] * 7 + [40] * 12 + [2] * 5


@kept_fixture
def version(author: Actor) -> Version:
    return version_of(author)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.selectors.volumes.timezone.now", lambda: NOW)


def asked(version: Version, at: datetime, rows: int, span: int = Span.HOUR) -> Bucket:
    return Bucket.objects.create(version=version, span_secs=span, started_at=at, rows=rows)


def history(version: Version, weeks: int = 4) -> None:
    """Weeks of days until the day before yesterday, weekends at a quarter; a day more in hours until noon today."""
    random = np.random.default_rng(0)
    first = MIDNIGHT - timedelta(weeks=weeks) - DAY
    for day in (first + n * DAY for n in range(weeks * 7)):
        hours = random.poisson(_usual(day)).tolist()
        VolumeDay.objects.create(model=version.model, day=day.date(), hours=hours)
        asked(version, day, sum(hours), Span.DAY)
    for at in (MIDNIGHT - DAY + n * HOUR for n in range(24)):
        asked(version, at, SHAPE[at.hour])


def _usual(day: datetime) -> list[float]:
    return [count * (0.25 if day.weekday() >= 5 else 1) for count in SHAPE]


class TestHours:
    def test_a_day_that_is_closed_keeps_its_hours(self, version: Version) -> None:
        old = MIDNIGHT - 5 * DAY
        asked(version, old + 3 * HOUR, 7)
        asked(version, old + 9 * HOUR, 50)
        asked(version, old + 9 * HOUR + timedelta(minutes=5), 4, Span.MINUTES)  # came late, for that hour
        compact(NOW)
        assert (Bucket.objects.get().span_secs, Bucket.objects.get().rows) == (Span.DAY, 61)
        hours = hours_of(version.model, old, 24)
        assert (hours[3], hours[9], hours.sum()) == (7, 54, 61)
        asked(version, old + 9 * HOUR, 6)
        compact(NOW)
        assert hours_of(version.model, old, 24)[9] == 60

    def test_what_comes_after_days_has_no_hour(self, version: Version) -> None:
        """It is put at the start of its day, and would be a midnight that never was."""
        old = MIDNIGHT - 5 * DAY
        asked(version, old, 500, Span.MINUTES)
        assert np.isnan(hours_of(version.model, old, 24)).all()
        compact(NOW)
        assert VolumeDay.objects.count() == 0
        found = hours_of(version.model, old - DAY, 72)
        assert np.isnan(found).tolist() == [False] * 24 + [True] * 24 + [False] * 24
        assert rows_of(version.model, old, old + DAY) == 500

    def test_versions_of_a_model_are_one_traffic(self, version: Version, author: Actor) -> None:
        other = watched(version.model, author, columns=3)
        old = MIDNIGHT - 5 * DAY
        for each in (version, other):
            asked(each, old + HOUR, 10)
            asked(each, NOW - 2 * HOUR, 5)
        compact(NOW)
        assert hours_of(version.model, old, 24)[1] == 20
        assert hours_of(version.model, NOW - 2 * HOUR, 1).tolist() == [10]
        assert VolumeDay.objects.count() == 1

    def test_another_model_is_not_counted(self, version: Version, author: Actor) -> None:
        asked(version_of(author, name="other"), NOW - HOUR, 9)
        assert hours_of(version.model, NOW - HOUR, 1).tolist() == [0]


class TestVolume:
    def test_usual_traffic_is_as_expected(self, version: Version) -> None:
        history(version)
        for at in (MIDNIGHT + n * HOUR for n in range(12)):
            asked(version, at, SHAPE[at.hour])
        found = volume_of(version.model, NOW - DAY, NOW)
        assert (found.drop, found.spike, found.baseline, found.history_days) == (False, False, "hour of week", 28)
        assert found.rows == sum(SHAPE)
        assert found.expected == pytest.approx(sum(SHAPE), rel=0.06)
        assert found.change == pytest.approx(0, abs=0.06)
        assert found.lower is not None
        assert found.upper is not None
        assert found.lower < found.rows < found.upper

    def test_a_weekend_is_no_drop_and_a_silent_morning_is(self, version: Version) -> None:
        history(version)
        saturday = MIDNIGHT - 3 * DAY
        quiet = volume_of(version.model, saturday, saturday + DAY)
        assert 0 < quiet.rows < 0.5 * 514
        assert not quiet.drop
        found = volume_of(version.model, NOW - DAY, NOW)
        assert (found.drop, found.stretch, found.stretch_rows) == (True, 12, 0)
        assert " in the last 12 hours where about " in found.reason

    def test_a_report_alerts_of_a_silence_and_of_a_flood_apart(self, version: Version) -> None:
        history(version)
        asked(version, NOW - HOUR, 3_000)
        flood = report_of_window(version, NOW - DAY, NOW)
        assert [(f["rule"], f["subject"]) for f in flood.findings] == [("volume", "spike")]
        assert flood.findings[0]["summary"].startswith("prediction volume rose: ")
        Bucket.objects.filter(rows=3_000).delete()
        silence = report_of_window(version, NOW - DAY, NOW)
        assert [(f["rule"], f["subject"]) for f in silence.findings] == [("volume", "")]
        for content in (flood, silence):
            keep_report(version, content, Window(NOW - DAY, NOW), explicit=True)
        assert set(Alert.objects.values_list("subject_key", "severity")) == {("spike", "low"), ("", "low")}

    def test_half_of_the_traffic_pulls_the_retrain_trigger(self, version: Version) -> None:
        """By what is expected of the window, as before by the window before it."""
        history(version)
        Bucket.objects.filter(span_secs=Span.HOUR).delete()
        content = report_of_window(version, NOW - DAY, NOW)
        report = keep_report(version, content, Window(NOW - DAY, NOW), explicit=True)
        alert = Alert.objects.get(report=report)
        policy = RetrainPolicy(model=version.model, set_by=version.created_by)
        reason = reason_of(policy, alert)
        assert (alert.rule, content.body["volume"]["change"]) == (Rule.VOLUME, -1.0)
        assert reason is not None
        assert reason.trigger == Trigger.PREDICTION_VOLUME_DROP

    def test_a_flood_is_no_reason_to_retrain(self, version: Version) -> None:
        history(version)
        asked(version, NOW - HOUR, 5_000)
        content = report_of_window(version, NOW - DAY, NOW)
        keep_report(version, content, Window(NOW - DAY, NOW), explicit=True)
        policy = RetrainPolicy(model=version.model, set_by=version.created_by)
        assert reason_of(policy, Alert.objects.get()) is None

    def test_the_next_version_is_judged_at_once(self, version: Version, author: Actor) -> None:
        history(version)
        other = watched(version.model, author, columns=3)
        for at in (MIDNIGHT + n * HOUR for n in range(12)):
            asked(other, at, SHAPE[at.hour])
        content = report_of_window(other, NOW - DAY, NOW)
        assert (content.body["volume"]["baseline"], content.body["volume"]["drop"]) == ("hour of week", False)
        assert (content.samples, content.body["volume"]["rows"]) == (sum(SHAPE[:12]), sum(SHAPE))

    def test_what_has_not_begun_is_not_judged(self, version: Version) -> None:
        history(version)
        content = report_of_window(version, NOW + HOUR, NOW + DAY)
        assert content.findings == []
        assert content.body["volume"]["reason"] == "not judged: the window has not begun"
        found = volume_of(version.model, NOW, NOW + DAY)
        assert (found.drop, found.reason) == (False, "not judged: the window has not begun")

    def test_of_a_window_that_is_under_way_only_the_past_is_expected(self, version: Version) -> None:
        history(version)
        for at in (MIDNIGHT + n * HOUR for n in range(12)):
            asked(version, at, SHAPE[at.hour])
        found = volume_of(version.model, MIDNIGHT, MIDNIGHT + DAY)
        assert found.expected == pytest.approx(sum(SHAPE[:12]), rel=0.15)
        assert not found.drop

    def test_without_hours_the_window_before_is_what_is_expected(self, version: Version) -> None:
        asked(version, NOW - 2 * DAY, 400)
        found = volume_of(version.model, NOW - DAY, NOW)
        assert (found.baseline, found.before, found.drop) == ("window before", 400, True)

    def test_the_band_of_a_chart_and_what_others_brought(self, version: Version, author: Actor) -> None:
        history(version)
        other = watched(version.model, author, columns=3)
        asked(other, MIDNIGHT + 10 * HOUR, 9)
        day = period(start=MIDNIGHT, end=NOW, now=NOW)
        found = band_of(version, day, baseline_before(version.model, day.start))
        assert found is not None
        assert found.others[10] == 9
        assert sum(found.others) == 9
        assert found.expected[10] == pytest.approx(40, rel=0.2)
        assert found.expected[2] < 6
        assert found.lower[10] < 40 < found.upper[10]
        assert band_of(version, day, None) is None
