"""What a dashboard is taken away as: sheets of its figures, and one file of all."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mlops_site.core.permissions import Actor
from monitoring.analysis import report_of_window
from monitoring.models import Report
from monitoring.pipeline.standalone import dashboard_file, report_file
from monitoring.selectors.periods import period
from monitoring.selectors.tables import FIGURES
from monitoring.services.reports import Window, keep_report
from registry import services as registry
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.parts import finding, raised, report_of
from tests.people import actor, bearer, person
from tests.registry.parts import candidate, into_production, user
from tests.traffic import bucket, reference

LOADS = re.compile(
    r"""<(?:script|link|img|iframe|source|video|object)[^>]*?\s(?:src|href|data)=["']?(?!data:)[^"'\s>]+"""
)


@kept_fixture
def served(author: Actor) -> Version:
    """In production, asked 400 times today by older people than it was trained on, with two alerts."""
    model = registry.create_model(actor=author, name="high_cost", task_type="classification", risk_tier="low")
    parts: dict[str, Any] = {"reference": reference(), "importance": {"age": 0.7, "visits": 0.3}}
    made = into_production(model, author=author, approver=actor("ben", "approver"), seed=1, **parts)
    bucket(made, hours_ago=2, rows=400, older=9, labelled=1)
    bucket(made, hours_ago=30, rows=300, labelled=1, seed=4)
    raised(made, finding("volume"), finding("quality", "</script><b>"))
    return made


@pytest.fixture
def get(served: Version, author: Actor) -> Callable[..., Any]:
    client = Client(headers=bearer(user(author)))
    return lambda path, **query: client.get(f"/api/v1/monitoring/{path}", query)


def rows_of(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.content
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode(), newline="")))


class TestSheets:
    def sheet(self, get: Callable[..., Any], figure: str, **query: str) -> list[dict[str, str]]:
        return rows_of(get(f"dashboard/high_cost/figures/{figure}.csv", **query))

    def test_every_figure_has_one(self, get: Callable[..., Any]) -> None:
        for figure in FIGURES:
            answer = get(f"dashboard/high_cost/figures/{figure}.csv", feature="age")
            assert rows_of(answer) or figure == "slices", figure  # none is declared
            assert answer.headers["Content-Disposition"].endswith(f"-{figure}.csv")

    def test_the_numbers_are_those_of_the_window(self, get: Callable[..., Any]) -> None:
        assert sum(int(row["predictions"]) for row in self.sheet(get, "volume")) == 400
        assert sum(int(row["predictions"]) for row in self.sheet(get, "volume", window="7d")) == 700
        age = next(row for row in self.sheet(get, "drift") if row["feature"] == "age")
        assert (age["drifted"], float(age["importance"])) == ("yes", 0.7)
        assert float(age["effect"]) > 0.1
        for side in ("share_of_reference", "share_of_window"):
            assert sum(float(row[side]) for row in self.sheet(get, "feature", feature="age")) == pytest.approx(1)
        assert sum(float(row["share_of_window"]) for row in self.sheet(get, "scores")) == pytest.approx(1)
        accuracy = next(row for row in self.sheet(get, "metrics") if row["metric"] == "accuracy")
        assert 0.7 < float(accuracy["ci95_low"]) < float(accuracy["value"]) < float(accuracy["ci95_high"]) < 0.9

    def test_the_metric_asked_for_names_its_column(self, get: Callable[..., Any]) -> None:
        assert "roc_auc" in self.sheet(get, "performance", metric="roc_auc")[0]

    def test_alerts_stand_with_their_times(self, get: Callable[..., Any]) -> None:
        found = self.sheet(get, "alerts")
        assert {row["alert"] for row in found} == {"prediction volume", "data quality: </script><b>"}
        assert {row["resolved"] for row in found} == {""}

    @pytest.mark.parametrize(
        ("figure", "query", "status", "code"),
        [
            ("everything", {}, 404, "unknown_figure"),
            ("feature", {"feature": "no such"}, 422, "unknown_feature"),
            ("feature", {}, 422, "unknown_feature"),
            ("volume", {"window": "1y"}, 422, "unknown_window"),
            ("volume", {"version": "9.9.9"}, 404, "unknown_version"),
            ("volume", {"what": "else"}, 422, "unknown_field"),
        ],
    )
    def test_what_cannot_be_is_one_clear_problem(
        self, get: Callable[..., Any], figure: str, query: dict[str, str], status: int, code: str
    ) -> None:
        answer = get(f"dashboard/high_cost/figures/{figure}.csv", **query)
        said = answer.json()
        assert (answer.status_code, [said["code"], *(e["code"] for e in said.get("errors", []))][-1]) == (status, code)

    def test_another_team_finds_nothing(self, served: Version) -> None:
        stranger = Client(headers=bearer(person("zoe", "ml_engineer", team="others")))
        for path in ("dashboard/high_cost/figures/volume.csv", "dashboard/high_cost/report.html"):
            assert stranger.get(f"/api/v1/monitoring/{path}").status_code == 404
        kept = Report.objects.filter(model=served.model)[:1].get()
        assert stranger.get(f"/api/v1/monitoring/reports/{kept.pk}/report.html").status_code == 404


class TestFile:
    def test_it_holds_all_that_the_page_shows_and_loads_nothing(self, get: Callable[..., Any]) -> None:
        answer = get("dashboard/high_cost/report.html", window="24h")
        text = answer.content.decode()
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''high_cost-1.0.0-")
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        for figure in ("performance", "volume", "latency", "predictions", "spells", "feature0", "feature1"):
            assert f'data-figure="{figure}"' in text
        outside = text.replace(text[text.index("<script>/**") : text.rindex("</script>\n<script>")], "")
        assert not LOADS.findall(outside)
        assert "</script><b>" not in text
        assert "400 predictions" in text
        assert 4_500_000 < len(answer.content) < 6_000_000

    def test_its_links_lead_to_the_site(self, served: Version, get: Callable[..., Any]) -> None:
        text = get("dashboard/high_cost/report.html").content.decode()
        assert ' href="http://testserver/alerts' in text
        assert not re.findall(r' href="[/?#]', text)
        assert " href=" not in dashboard_file(served, period()).partition("<body>")[2].partition("<script>/**")[0]

    def test_a_report_is_as_it_was_written_with_its_features_drawn(
        self, served: Version, get: Callable[..., Any]
    ) -> None:
        day = period()
        kept = keep_report(
            served, report_of_window(served, day.start, day.end), Window(day.start, day.end), explicit=True
        )
        text = get(f"reports/{kept.pk}/report.html").content.decode()
        assert kept.findings[0]["summary"] in text
        assert 'data-figure="feature1"' in text
        assert "Drawn from the answers of the window" in text

    def test_a_report_on_frames_has_its_tables_only(self, served: Version) -> None:
        about = {"model": served.model, "version": served, "window_from": timezone.now(), "window_to": timezone.now()}
        body = report_of(served).body
        kept = Report.objects.create(**about, samples=9, severity="high", body=body, from_frames=True)
        text = report_file(kept, library="../plotly.min.js")
        assert "data-figure=" not in text.partition("<script")[0]
        assert len(text) < 100_000
        assert '<script src="../plotly.min.js">' in text

    def test_a_version_without_answers_and_without_a_reference_has_one_too(
        self, author: Actor, served: Version
    ) -> None:
        bare = registry.register_version(served.model, actor=author, candidate=candidate(7))
        text = dashboard_file(bare, period())
        assert "No predictions in the last 24 hours" in text
        bucket(bare, rows=30)
        assert "without a reference" in dashboard_file(bare, period())


class TestLive:
    @pytest.fixture
    def browser(self, served: Version, author: Actor) -> Client:
        client = Client()
        client.force_login(user(author))
        return client

    def test_who_has_the_page_is_not_sent_it_again(self, browser: Client, served: Version) -> None:
        first = browser.get("/models/high_cost/monitoring")
        tag = first.headers["ETag"]
        assert f'data-tag="{tag}"'.replace('"&quot;', '"') in first.content.decode().replace("&quot;", '"')
        with CaptureQueriesContext(connection) as asked:
            again = browser.get("/models/high_cost/monitoring", headers={"If-None-Match": tag})
        assert not [query["sql"] for query in asked.captured_queries if '"tally"' in query["sql"]]  # no sum is read
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)

    @pytest.mark.parametrize("what", ["answers", "alert", "acknowledged", "report", "window", "feature"])
    def test_whatever_it_shows_changes_the_tag(self, browser: Client, served: Version, what: str) -> None:
        tag = browser.get("/models/high_cost/monitoring").headers["ETag"]
        query = {"window": {"window": "7d"}, "feature": {"feature": "age"}}.get(what, {})
        if what == "answers":
            bucket(served, hours_ago=3, rows=1)
        elif what == "alert":
            raised(served, finding("drift"))
        elif what == "acknowledged":
            alert = raised(served, finding("drift"))[0]
            tag = browser.get("/models/high_cost/monitoring").headers["ETag"]
            type(alert).objects.filter(pk=alert.pk).update(acknowledged_at=timezone.now())
        elif what == "report":
            report_of(served)
        again = browser.get("/models/high_cost/monitoring", query, headers={"If-None-Match": tag})
        assert again.status_code == 200
        assert again.headers["ETag"] != tag

    def test_windows_lead_to_their_neighbours(self, browser: Client) -> None:
        found = browser.get("/models/high_cost/monitoring", {"window": "24h"}).context
        assert (found["after"], found["is_live"]) == ("", True)
        back = browser.get(f"/models/high_cost/monitoring?{found['before']}").context
        assert (back["wrong"], back["is_live"]) == ("", False)
        assert back["period"].end <= found["period"].start + timedelta(hours=1)
        forth = browser.get(f"/models/high_cost/monitoring?{back['after']}").context
        assert forth["period"].start == back["period"].end

    def test_a_feature_that_is_asked_for_is_drawn_first(self, browser: Client) -> None:
        found = browser.get("/models/high_cost/monitoring", {"feature": "visits"}).context["pictures"]
        assert [picture.shares.feature for picture in found] == ["visits", "age"]
        odd = browser.get("/models/high_cost/monitoring", {"feature": "<script>"})
        assert odd.context["pictures"][0].shares.feature == "age"
