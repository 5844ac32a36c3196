"""/metrics: who may read it, what it says, that it stays bounded, and that rules and dashboards name what it has."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from mlops_site.api import metrics
from mlops_site.core.permissions import Actor
from monitoring.analysis import report_of_window
from monitoring.models import MonitoringRun, Prediction, Report, Total
from monitoring.selectors import measures
from monitoring.services.reports import Content, Window, keep_report
from registry import services as registry
from registry.models import Version
from tests import programs
from tests.kept import kept_fixture
from tests.monitoring.parts import finding, raised
from tests.monitoring.traffic import DAY, NOW, answer, version_of
from tests.people import actor, bearer, person
from tests.registry.parts import candidate, user

RULES = Path(__file__).resolve().parents[2] / "deploy/prometheus"
STATEMENTS = {"operator": 19, "team": 8}  # the second finds the token, its teams, and what is to be seen
Said = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    metrics.forget()
    yield
    metrics.forget()


@kept_fixture
def author(db: None) -> Actor:
    return actor("author", "ml_engineer")


@kept_fixture
def version(author: Actor) -> Version:
    """Asked 400 times, with a report on that and two alerts."""
    made = version_of(author)
    raised(made, finding("volume"))
    answer(made, 400, start=NOW, shift=1.0, labelled=0.5)
    start = NOW - DAY / 2  # midnight
    content = report_of_window(made, start, start + 2 * DAY)
    keep_report(made, content, Window(start, start + 2 * DAY), explicit=True)
    return made


@pytest.fixture
def inside(settings: Any) -> None:
    """The operator trusts this machine."""
    settings.METRICS_NETWORKS = [ip_network("127.0.0.0/8"), ip_network("::1/128")]


def scrape(**headers: Any) -> Said:
    got = Client().get("/metrics", headers=headers)
    assert got.status_code == 200, got.content
    families = text_string_to_metric_families(got.content.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def of(version: Version, **more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"model": version.model.name, "version": version.number, **more}.items()))


@pytest.mark.django_db
class TestWhoMayRead:
    def test_a_stranger_is_asked_for_a_token(self) -> None:
        got = Client().get("/metrics")
        assert (got.status_code, got.json()["code"]) == (401, "not_authenticated")

    def test_a_claimed_address_opens_nothing(self, settings: Any) -> None:
        settings.METRICS_NETWORKS = [ip_network("10.1.0.0/16")]
        assert Client().get("/metrics", headers={"X-Forwarded-For": "10.1.2.3"}).status_code == 401
        assert Client().get("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 200
        assert Client().get("/metrics", REMOTE_ADDR="::ffff:10.1.2.3").status_code == 200
        assert Client().get("/metrics", REMOTE_ADDR="10.2.2.3").status_code == 401
        assert Client().get("/metrics", REMOTE_ADDR="unix").status_code == 401

    def test_a_bad_token_is_refused_inside_too(self, inside: None) -> None:
        assert Client().get("/metrics", headers={"Authorization": "Bearer stw_no"}).status_code == 401

    def test_a_token_reads_the_models_of_its_team_and_nothing_of_the_site(self, version: Version) -> None:
        theirs = person("elsewhere", "service", team="others")
        said = scrape(**bearer(theirs))
        assert said == {("mlops_models_left_out", ()): 0}
        own = scrape(**bearer(user(actor("reader", "viewer"))))
        assert own["mlops_predictions_total", of(version, status="ok")] == 400
        assert not [name for name, _ in own if name.startswith(("mlops_jobs", "mlops_fold", "mlops_web"))]

    def test_a_token_without_the_scope_is_told_so(self, author: Actor) -> None:
        from mlops_site.core import tokens

        _, text = tokens.create_token(user(author), scopes=["predict"])
        got = Client().get("/metrics", headers={"Authorization": f"Bearer {text}"})
        assert (got.status_code, got.json()["code"]) == (403, "forbidden")
        assert "metrics.view" in got.json()["detail"]

    def test_nothing_is_written(self, inside: None) -> None:
        assert Client().post("/metrics").status_code == 405


@pytest.mark.django_db
class TestWhatItSays:
    def test_the_figures_of_a_model(self, version: Version, inside: None) -> None:
        said = scrape()
        assert said["mlops_predictions_total", of(version, status="ok")] == 400
        assert said["mlops_predictions_total", of(version, status="error")] == 0
        assert said["mlops_prediction_duration_seconds_count", of(version)] == 400
        assert said["mlops_prediction_duration_seconds_sum", of(version)] == pytest.approx(0.6)
        assert said["mlops_prediction_duration_seconds_bucket", of(version, le="0.001")] == 0
        assert said["mlops_prediction_duration_seconds_bucket", of(version, le="0.001995")] == 400
        assert said["mlops_label_lag_seconds_count", of(version)] == 200
        assert said["mlops_feature_drift_ratio", of(version)] == 0.5
        assert said["mlops_drift_score", of(version)] > 0.1
        assert 0.8 < said["mlops_model_metric", of(version, kind="realised", metric="accuracy")] < 1
        assert said["mlops_report_timestamp_seconds", of(version)] == (NOW + 1.5 * DAY).timestamp()
        open_of = {"model": version.model.name}
        opened = {
            severity: said["mlops_alerts_open", tuple({**open_of, "severity": severity}.items())]
            for severity in ("critical", "high", "medium", "low")
        }
        assert opened == {"critical": 0, "high": 1, "medium": 0, "low": 1}

    def test_the_state_of_the_site(self, version: Version, inside: None) -> None:
        about = {"model": version.model, "version": version}
        MonitoringRun.objects.create(**about, window_from=NOW, window_to=NOW + DAY)
        Prediction.objects.create(**about, request_id="waits", payload_digest="0" * 64, features={})
        said = scrape()
        assert said["mlops_jobs", (("kind", "monitoring"), ("state", "queued"))] == 1
        assert said["mlops_jobs", (("kind", "run"), ("state", "running"))] == 0
        assert said["mlops_fold_queue_items", ()] == 1
        assert 0 <= said["mlops_fold_lag_seconds", ()] < 60
        assert said["mlops_web_processes", ()] >= 1
        assert said["mlops_web_resident_memory_bytes", ()] > 1e7

    def test_a_version_that_a_report_knows_nothing_of_has_no_line(self, author: Actor, inside: None) -> None:
        made = version_of(author)
        answer(made, 20, start=NOW)
        content = report_of_window(made, NOW, NOW + DAY)
        keep_report(made, content, Window(NOW, NOW + DAY), explicit=True)
        said = scrape()
        assert ("mlops_drift_score", of(made)) not in said
        assert ("mlops_feature_drift_ratio", of(made)) not in said

    def test_what_is_estimated_before_labels_arrive_stands_beside_it(self, version: Version, inside: None) -> None:
        newest = Report.objects.order_by("-created_at")[0]
        said = [
            {"name": "roc_auc", "value": 0.7},
            {"name": "of nobody", "value": 1.0},
            {"name": "f1_score", "value": None},
        ]
        body = {**newest.body, "performance": {**newest.body["performance"], "estimated": {"metrics": said}}}
        keep_report(version, Content(1, None, "unknown", body, []), Window(NOW, NOW + DAY), explicit=False)
        found = {labels: value for (name, labels), value in scrape().items() if name == "mlops_model_metric"}
        assert found[of(version, kind="estimated", metric="roc_auc")] == 0.7
        assert [labels for labels in found if ("kind", "estimated") in labels] == [
            of(version, kind="estimated", metric="roc_auc")
        ]

    def test_no_label_is_an_id(self, version: Version, inside: None) -> None:
        labels = {name for _, own in scrape() for name, _ in own}
        assert labels <= {"model", "version", "status", "severity", "metric", "le", "kind", "state", "channel"}


@pytest.mark.django_db
class TestBounds:
    def test_models_beyond_the_bound_add_up_to_one_that_no_model_can_be(
        self, author: Actor, inside: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(measures, "MODELS", 2)
        for number, count in enumerate((5, 7, 11, 13)):
            answer(version_of(author, name=f"model_{number}"), count, start=NOW, seed=number)
        said = scrape()
        found = {
            dict(labels)["model"]: value for (name, labels), value in said.items() if name.endswith("_seconds_count")
        }
        counted = {
            dict(labels)["model"]: value
            for (name, labels), value in said.items()
            if name == "mlops_predictions_total" and dict(labels)["status"] == "ok"
        }
        assert counted == {"model_0": 5, "model_1": 7, "_other": 24}
        assert set(found) == set(counted)
        assert said["mlops_models_left_out", ()] == 2
        assert not [labels for _, labels in said if dict(labels).get("model") in ("model_2", "model_3")]

    def test_the_newest_versions_are_named_and_other_never_falls(
        self, author: Actor, inside: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(measures, "VERSIONS", 2)
        first = version_of(author)
        versions, others = [first], []
        answer(first, 3, start=NOW)
        for number in range(2, 5):
            made = registry.register_version(first.model, actor=author, candidate=candidate(number))
            versions.append(made)
            answer(made, 3, start=NOW, seed=number)
            metrics.forget()
            key = "mlops_predictions_total", (("model", first.model.name), ("status", "ok"), ("version", "_other"))
            others.append(scrape().get(key, 0))
        assert others == [0, 3, 6]

    def test_an_answer_is_kept_for_some_seconds(
        self, version: Version, inside: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = scrape()
        Total.objects.update(predictions=500)
        assert scrape()["mlops_predictions_total", of(version, status="ok")] == 400
        monkeypatch.setattr(metrics, "KEPT_SECS", -1)
        assert scrape()["mlops_predictions_total", of(version, status="ok")] == 500
        assert first["mlops_predictions_total", of(version, status="ok")] == 400

    @pytest.mark.parametrize("who", ["operator", "team"])
    def test_statements_do_not_depend_on_what_there_is(self, author: Actor, who: str, settings: Any) -> None:
        settings.METRICS_NETWORKS = [ip_network("127.0.0.1/32")] if who == "operator" else []
        headers = {} if who == "operator" else bearer(user(author))
        counts = []
        for number in range(2):
            for name in range(3 * number + 1):
                answer(version_of(author, name=f"m{number}_{name}"), 5, start=NOW, seed=10 * number + name)
            metrics.forget()
            scrape(**headers)
            metrics.forget()
            with CaptureQueriesContext(connection) as asked:
                scrape(**headers)
            counts.append(len(asked))
        assert counts[0] == counts[1] <= STATEMENTS[who]


class TestRules:
    @pytest.fixture
    def promtool(self) -> Path:
        try:
            return programs.promtool()
        except programs.MissingProgram as error:
            pytest.skip(str(error))

    def test_they_are_valid_and_do_what_their_tests_say(self, promtool: Path) -> None:
        for command in (["check", "config", "prometheus.yml"], ["test", "rules", "tests.yml"]):
            done = subprocess.run([promtool, *command], cwd=RULES, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.django_db
    def test_the_answer_is_as_prometheus_wants_it(self, promtool: Path, version: Version, inside: None) -> None:
        text = Client().get("/metrics").content
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.django_db
    def test_rules_and_dashboard_name_only_what_is_there(self, version: Version, inside: None) -> None:
        there = {name for name, _ in scrape()} | {"mlops_deliveries"}
        recorded = set(re.findall(r"record: (\S+)", (RULES / "rules.yml").read_text()))
        board = json.loads((RULES / "grafana.json").read_text())
        queries = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
        written = (RULES / "rules.yml").read_text() + (RULES / "alerts.yml").read_text() + queries
        assert set(re.findall(r"\bmlops_\w+", written)) <= there
        assert set(re.findall(r"\bmlops:[\w:]+", written)) <= recorded
