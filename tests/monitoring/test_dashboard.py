"""What the monitoring page and its endpoint say of a window."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from monitoring.analysis import report_of_window
from monitoring.models import Report
from monitoring.selectors import periods
from monitoring.selectors.dashboard import Dashboard, dashboard, version_shown
from monitoring.selectors.periods import period
from registry import services as registry
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.parts import finding, raised, report_of
from tests.people import actor, bearer, person
from tests.registry.parts import candidate, into_production, user
from tests.traffic import bucket, reference

NOW = datetime(2026, 11, 24, 9, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
METRICS = {"f1_score": {"value": 0.8, "ci95": [0.7, 0.9]}}


@kept_fixture
def served(author: Actor) -> Version:
    """In production, with a reference."""
    model = registry.create_model(actor=author, name="high_cost", task_type="classification", risk_tier="low")
    parts: dict[str, Any] = {"reference": reference(), "metrics": METRICS, "importance": {"age": 0.7, "visits": 0.3}}
    return into_production(model, author=author, approver=actor("ben", "approver"), seed=1, **parts)


@pytest.fixture
def ask(served: Version, author: Actor) -> Callable[..., tuple[int, Any]]:
    """GET the dashboard of the model as JSON."""
    client = Client(headers=bearer(user(author)))

    def get(model: str = "high_cost", **query: str) -> tuple[int, Any]:
        answer = client.get(f"/api/v1/monitoring/dashboard/{model}", query)
        return answer.status_code, answer.json()

    return get


@pytest.fixture
def page(served: Version, author: Actor) -> Callable[..., Any]:
    client = Client()
    client.force_login(user(author))
    return lambda **query: client.get("/models/high_cost/monitoring", query)


def last_day(version: Version) -> Dashboard:
    return dashboard(version, period())


def test_metrics_stand_beside_those_of_the_window_before_and_at_registration(served: Version) -> None:
    bucket(served, hours_ago=2, rows=400, right=0.9, labelled=1, seed=1)
    bucket(served, hours_ago=30, rows=400, right=0.6, labelled=1, seed=2)
    found = {row.name: row for row in last_day(served).metrics}
    accuracy = found["accuracy"]
    assert accuracy.value == pytest.approx(0.9, abs=0.04)
    assert accuracy.before == pytest.approx(0.6, abs=0.06)
    assert accuracy.change == pytest.approx(accuracy.value - (accuracy.before or 0))
    assert (accuracy.better, accuracy.certain, accuracy.baseline) == (True, True, None)
    assert found["f1_score"].baseline == 0.8
    assert found["brier"].change is not None
    assert found["brier"].change < 0
    assert found["brier"].better  # a smaller error is better


def test_a_change_within_its_intervals_is_not_certain(served: Version) -> None:
    bucket(served, hours_ago=2, rows=60, right=0.80, labelled=1, seed=1)
    bucket(served, hours_ago=30, rows=60, right=0.75, labelled=1, seed=2)
    accuracy = next(row for row in last_day(served).metrics if row.name == "accuracy")
    assert accuracy.change
    assert not accuracy.certain


def test_operations_are_of_the_window(served: Version) -> None:
    bucket(served, hours_ago=2, rows=480, errors=12, latency_ms=5.0)
    found = last_day(served)
    assert (found.operations.predictions, found.operations.errors) == (480, 12)
    assert found.operations.per_hour == pytest.approx(480 * 3600 / found.period.secs)
    assert found.operations.load == pytest.approx(480 * 0.005 / found.period.secs)
    assert found.now.tally.coverage == pytest.approx(0.5, abs=0.1)


def test_drift_is_what_a_report_of_the_same_window_says(served: Version) -> None:
    bucket(served, hours_ago=2, rows=400, older=9)
    found = last_day(served)
    said = report_of_window(served, found.period.start, found.period.end).body
    assert found.drift is not None
    assert found.drift.overall_score == said["drift"]["overall_score"]
    assert [row.q_value for row in found.drift.features] == [row["q_value"] for row in said["drift"]["features"]]
    assert [row.name for row in found.ranked] == ["age", "visits"]
    assert (found.ranked[0].drifted, found.health.status) == (True, "drifting")
    assert "most of all age" in found.health.sentence
    assert len(found.quality) == len(said["quality"])
    assert found.volume.rows == said["volume"]["rows"]


def test_a_metric_that_fell_below_its_promise_degrades_the_model(served: Version) -> None:
    bucket(served, hours_ago=2, rows=600, right=0.5, labelled=1)
    found = last_day(served)
    assert found.health.status == "degraded"
    assert "instead of 0.800" in found.health.sentence


def test_an_open_critical_alert_degrades_the_model_and_stands_first(served: Version) -> None:
    bucket(served, rows=300, labelled=1, right=0.95)
    raised(served, finding("volume"), finding("performance", "f1_score"))
    found = last_day(served)
    assert [alert.severity for alert in found.alerts] == ["critical", "low"]
    assert found.health.status == "degraded"


def test_below_the_least_samples_nothing_is_judged(served: Version) -> None:
    bucket(served, rows=99, older=50)
    found = last_day(served)
    assert found.drift is not None
    assert found.drift.overall_score is None
    assert (found.quality, found.health.status) == ([], "too few")


def test_without_a_reference_the_note_says_so(author: Actor, served: Version) -> None:
    bare = registry.register_version(served.model, actor=author, candidate=candidate(7, metrics=METRICS))
    bucket(bare, rows=300)
    found = last_day(bare)
    assert found.drift is None
    assert "without a reference" in found.drift_note
    assert found.operations.predictions == 300


def test_the_series_hold_what_the_window_holds(served: Version) -> None:
    for hours_ago in (1, 2, 5, 20):
        bucket(served, hours_ago=hours_ago, rows=50, seed=int(hours_ago), errors=1)
    bucket(served, hours_ago=40, rows=70)
    report_of(served)
    series = last_day(served).series
    assert (sum(series.volume.rows), sum(series.volume.errors)) == (200, 4)
    assert len(series.volume.times) == len(series.performance.values) == 25
    assert sum(value is not None for value in series.performance.values) == 4
    assert series.performance.name == "f1_score"
    assert series.drift.scores == [0.22]


def test_another_metric_can_be_drawn(served: Version) -> None:
    bucket(served, rows=50)
    assert dashboard(served, period(), metric="roc_auc").series.performance.name == "roc_auc"
    assert dashboard(served, period(), metric="<script>").series.performance.name == "f1_score"


def test_promotions_and_alerts_are_marked(served: Version) -> None:
    raised(served)
    said = [event.said for event in last_day(served).series.events]
    assert said == ["1.0.0 serves", "alert: data drift"]


def test_reports_of_frames_are_not_production(served: Version) -> None:
    kept = report_of(served)
    Report.objects.create(
        model=served.model, version=served, window_from=timezone.now(), window_to=timezone.now(), samples=9,
        severity="high", body={}, from_frames=True,
    )  # fmt: skip
    assert last_day(served).reports == [kept]


def test_presets_begin_at_whole_spans() -> None:
    found = period(window="7d", now=NOW)
    assert (found.start, found.end) == (datetime(2026, 11, 17, tzinfo=UTC), NOW)
    assert period(window="30d", now=NOW).start == datetime(2026, 10, 25, tzinfo=UTC)
    assert period(now=NOW).name == "24h"
    assert period(now=NOW).times[0] == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert len(period(now=NOW).times) == 25


def test_a_window_is_widened_to_the_buckets_that_it_would_cut() -> None:
    hour, day = (period(start=NOW - back, end=NOW - back + HOUR, now=NOW) for back in (4 * HOUR, 96 * HOUR))
    assert (hour.start.hour, hour.end.hour, hour.secs) == (5, 7, 7200)
    assert (day.start, day.secs) == (datetime(2026, 11, 20, tzinfo=UTC), 86400)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"window": "1y"}, "window"),
        ({"window": "24h", "start": NOW}, "window"),
        ({"end": NOW}, "from"),
        ({"start": NOW, "end": NOW}, "to"),
        ({"start": NOW + timedelta(days=1)}, "to"),
        ({"start": NOW - timedelta(days=401)}, "from"),
        ({"start": datetime(1, 1, 1, tzinfo=UTC), "end": datetime(1, 2, 1, tzinfo=UTC)}, "from"),
        ({"start": datetime(9999, 12, 1, tzinfo=UTC), "end": datetime(9999, 12, 31, tzinfo=UTC)}, "from"),
        ({"start": datetime.fromisoformat("0001-01-01T00:00:00+14:00"), "end": NOW}, "from"),
        ({"start": NOW, "end": datetime.fromisoformat("9999-12-31T23:59:59-14:00")}, "to"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        period(**asked, now=NOW)
    assert [error.field for error in refused.value.errors] == [field]


@pytest.mark.parametrize("days", [0.01, 1, 10, 100, 400])
def test_a_window_is_drawn_in_a_readable_number_of_steps(days: float) -> None:
    found = period(start=NOW - timedelta(days=days), end=NOW)
    assert 1 <= len(found.times) <= periods.MOST_STEPS


def test_the_version_shown_is_the_one_in_production_else_the_newest(author: Actor, served: Version) -> None:
    newer = registry.register_version(served.model, actor=author, candidate=candidate(8))
    assert version_shown(served.model) == served
    assert version_shown(served.model, newer.number) == newer
    empty = registry.create_model(actor=author, name="empty", task_type="regression")
    assert version_shown(empty) is None


class TestEndpoint:
    def test_it_answers_what_the_page_shows(self, served: Version, ask: Callable[..., tuple[int, Any]]) -> None:
        bucket(served, hours_ago=2, rows=400, older=9, errors=4)
        status, said = ask(window="7d")
        found = dashboard(served, period(window="7d"))
        assert status == 200
        assert (said["model"], said["version"], said["window"]["name"]) == ("high_cost", "1.0.0", "7d")
        assert said["health"]["status"] == found.health.status
        assert said["drift"]["most"]["name"] == "age"
        assert said["drift"]["features"][0]["q_value"] == found.ranked[0].q_value
        assert said["operations"]["error_rate"] == 0.01
        assert sum(row["window"] for row in said["scores"]) == pytest.approx(1)
        assert said["alert_times"] == []
        assert said["label_coverage"] == found.now.tally.coverage
        assert sum(step["predictions"] for step in said["series"]["steps"]) == 400
        assert {row["name"] for row in said["metrics"]} >= {"accuracy", "precision", "recall", "f1_score"}

    def test_a_window_by_its_ends(self, served: Version, ask: Callable[..., tuple[int, Any]]) -> None:
        bucket(served, hours_ago=30, rows=100)
        start = (timezone.now() - timedelta(days=2)).isoformat()
        status, said = ask(**{"from": start, "to": timezone.now().isoformat()})
        assert (status, said["operations"]["predictions"], said["window"]["name"]) == (200, 100, "")

    @pytest.mark.parametrize(
        "query",
        [
            {"window": "1y"},
            {"from": "yesterday"},
            {"to": "2026-01-01T00:00:00Z"},
            {"from": "0001-01-01T00:00:00Z", "to": "0001-02-01T00:00:00Z"},
            {"from": "0001-01-01T00:00:00+14:00", "to": "0001-02-01T00:00:00Z"},
            {"from": "9999-12-01T00:00:00Z", "to": "9999-12-31T23:59:59-14:00"},
            {"from": "2026-01-01T00:00:00", "to": "2026-01-02T00:00:00Z"},
        ],
    )
    def test_a_bad_window_is_one_clear_problem(
        self, ask: Callable[..., tuple[int, Any]], query: dict[str, str]
    ) -> None:
        status, said = ask(**query)
        assert status == 422
        assert said["errors"][0]["field"] in query or said["errors"][0]["field"] == "from"

    def test_unknown_fields_and_versions_are_refused(self, ask: Callable[..., tuple[int, Any]]) -> None:
        assert ask(windows="24h")[0] == 422
        assert ask(version="9.9.9")[0] == 404

    def test_a_model_without_a_version_and_another_team_s_are_not_there(
        self, author: Actor, ask: Callable[..., tuple[int, Any]]
    ) -> None:
        registry.create_model(actor=author, name="empty", task_type="regression")
        assert (ask("empty")[0], ask("unknown_one")[0]) == (404, 404)
        stranger = Client(headers=bearer(person("zoe", "ml_engineer", team="others")))
        assert stranger.get("/api/v1/monitoring/dashboard/high_cost").status_code == 404


class TestPage:
    def test_it_opens_with_the_sentence_and_shows_the_tables(self, served: Version, page: Callable[..., Any]) -> None:
        bucket(served, hours_ago=2, rows=400, older=9, labelled=1)
        bucket(served, hours_ago=4, rows=400, older=9, labelled=1, seed=4)
        text = page().content.decode()
        assert "800 predictions" in text
        assert "2 of 2 features drifted" in text or "1 of 2 features drifted" in text
        for name in ("Accuracy", "F1 score", "Precision", "Recall", "Overall drift", "Model load"):
            assert name in text
        for figure in ("performance", "volume", "latency", "feature0"):
            assert f'data-figure="{figure}"' in text
        assert "The numbers" in text

    def test_a_version_that_was_asked_nothing_says_how_to_log(self, page: Callable[..., Any]) -> None:
        text = page().content.decode()
        assert "No predictions in the last 24 hours" in text
        assert "/api/v1/monitoring/log-predictions" in text

    def test_it_leads_to_the_versions_that_were_asked(
        self, served: Version, author: Actor, page: Callable[..., Any]
    ) -> None:
        newer = registry.register_version(served.model, actor=author, candidate=candidate(7))
        bucket(served, hours_ago=2, rows=120)
        answer = page(version=newer.number, window="7d")
        assert answer.context["asked"] == [(served.number, 120)]
        assert f"?version={served.number}&amp;window=7d" in answer.content.decode()
        assert page(version=served.number).context["asked"] == []

    def test_a_window_that_makes_no_sense_shows_the_last_day_and_says_why(
        self, served: Version, page: Callable[..., Any]
    ) -> None:
        bucket(served, rows=10)
        for query in ({"window": "1y"}, {"from": "<blink>"}, {"from": "2026-01-02T00:00", "to": "2026-01-01T00:00"}):
            answer = page(**query)
            assert answer.status_code == 200
            assert answer.context["period"].name == "24h"
            assert 'role="alert"' in answer.content.decode()
            assert "<blink>" not in answer.content.decode()

    def test_times_without_a_zone_are_utc(self, page: Callable[..., Any]) -> None:
        found = page(**{"from": "2026-11-01T00:00", "to": "2026-11-02T00:00"}).context["period"]
        assert (found.start, found.end) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))

    def test_a_model_without_a_version_says_what_is_missing(self, author: Actor, page: Callable[..., Any]) -> None:
        registry.create_model(actor=author, name="empty", task_type="regression")
        answer = page().client.get("/models/empty/monitoring")
        assert "has no version yet" in answer.content.decode()


def test_a_report_s_page_shows_what_was_written(served: Version, page: Callable[..., Any]) -> None:
    bucket(served, hours_ago=2, rows=400, older=9)
    day = period()
    content = report_of_window(served, day.start, day.end)
    kept = Report.objects.create(
        model=served.model, version=served, window_from=day.start, window_to=day.end, samples=content.samples,
        overall_score=content.overall_score, severity=content.severity, body=content.body, findings=content.findings,
    )  # fmt: skip
    client = page().client
    text = client.get(f"/reports/{kept.pk}").content.decode()
    assert "400 predictions" in text
    assert "drifted" in text
    assert kept.findings[0]["summary"] in text
    assert f"/reports/{kept.pk}" in client.get("/reports?model=high_cost").content.decode()
