"""Reports over HTTP: asked for, waited for, listed, and who may see them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring import analysis
from monitoring.models import Alert, MonitoringRun, Report
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.traffic import DAY, answer, version_of
from tests.people import actor
from tests.registry.http import Person

pytestmark = pytest.mark.django_db
RUN, REPORTS = "/monitoring/run", "/monitoring/reports"


@kept_fixture
def version(author: Actor) -> Version:
    return version_of(author)


@pytest.fixture
def engineer(author: Actor) -> Person:
    return Person(author)


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the jobs for which the bell was rung."""
    ids: list[str] = []
    monkeypatch.setattr("monitoring.api.reports.ring", lambda run: ids.append(str(run.pk)))
    return ids


def asked(version: Version, **changes: Any) -> dict[str, Any]:
    return {"model_name": version.model.name, "model_version": version.number, "window": "24h", **changes}


def traffic(version: Version, count: int = 300, **how: Any) -> None:
    answer(version, count, start=timezone.now() - DAY + timedelta(minutes=1), **how)


def test_a_report_is_queued_and_followed(version: Version, engineer: Person, rung: list[str]) -> None:
    traffic(version, shift=1)
    status, said = engineer.post(RUN, asked(version))
    assert (status, said["status_url"]) == (202, f"/api/v1/jobs/{said['job_id']}")
    assert rung == [said["job_id"]]
    followed = said["status_url"].removeprefix("/api/v1")
    status, job = engineer.get(followed)
    assert (status, job["kind"], job["state"], job["report_url"]) == (200, "monitoring", "queued", None)

    claimed = jobs.claim(MonitoringRun.objects.get(), worker="w")
    assert claimed is not None
    jobs.run_here(claimed)
    _, job = engineer.get(followed)
    assert (job["state"], job["progress"]) == ("succeeded", 1.0)
    status, report = engineer.get(job["report_url"].removeprefix("/api/v1"))
    assert (status, report["samples"], report["drift"]["drifted"]) == (200, 300, 1)
    assert Alert.objects.get().report_id == Report.objects.get().pk


def test_it_may_be_waited_for(version: Version, engineer: Person, rung: list[str]) -> None:
    traffic(version, labelled=0.5)
    status, report = engineer.post(f"{RUN}?wait=true", asked(version))
    assert (status, rung) == (200, [])
    assert set(report) == {
        "id", "model_name", "model_version", "window", "covered", "samples", "drift", "performance", "quality",
        "predictions", "followup", "volume", "rule", "triage", "answers", "columns", "multivariate", "notes",
        "findings", "explicit", "occasion", "from_frames", "created_by", "created_at",
    }  # fmt: skip
    assert set(report["drift"]) == {"overall_score", "severity", "drifted", "total", "features", "note"}
    assert set(report["drift"]["features"][0]) == {
        "name", "kind", "test", "statistic", "p_value", "q_value", "effect", "psi", "drifted", "note",
        "wasserstein", "js", "tvd", "missing", "missing_reference", "unseen",
    }  # fmt: skip
    assert set(report["performance"]) >= {"realised", "estimated", "label_coverage", "baseline"}
    assert (report["model_name"], report["model_version"], report["created_by"]) == ("high_cost", "1.0.0", "author")
    assert (report["explicit"], report["occasion"]) == (True, "asked")
    assert MonitoringRun.objects.get().state == JobState.SUCCEEDED
    assert engineer.get(f"{REPORTS}/{report['id']}") == (200, report)


def test_one_that_fails_while_it_is_waited_for_goes_on_as_a_job(
    version: Version, engineer: Person, rung: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(analysis, "report_of_window", broken)
    status, said = engineer.post(f"{RUN}?wait=true", asked(version))
    assert (status, rung) == (202, [said["job_id"]])
    assert MonitoringRun.objects.get().state == JobState.QUEUED


def test_a_window_may_be_given_by_its_ends(version: Version, engineer: Person) -> None:
    traffic(version)
    now = timezone.now()
    window = {"from": (now - 3 * DAY).isoformat(), "to": (now - 2 * DAY).isoformat()}
    status, report = engineer.post(f"{RUN}?wait=true", asked(version, window=window))
    assert (status, report["samples"]) == (200, 0)
    assert report["notes"] == ["too few rows (0 of at least 100)"]
    whole = {"from": f"{now - 3 * DAY:%Y-%m-%dT00:00}", "to": f"{now - 2 * DAY + timedelta(hours=1):%Y-%m-%dT%H:00}"}
    assert {name: end[:16] for name, end in report["window"].items()} == whole  # of days, and of hours


@pytest.mark.parametrize(("window", "shown"), [(5, "5"), ([], "[]"), ("", "''"), ("24x", "'24x'")])
def test_what_is_no_window_is_shown(version: Version, engineer: Person, window: Any, shown: str) -> None:
    status, problem = engineer.post(RUN, asked(version, window=window))
    assert (status, problem["code"]) == (422, "invalid_window")
    assert problem["detail"] == f'window must be like "7d", "12h" or "30m" but got {shown}'


def ends(start: Any, end: Any) -> dict[str, str]:
    return {"from": str(start), "to": str(end)}


@pytest.mark.parametrize(
    ("window", "field"),
    [
        ("tomorrow", "window"),
        ("400d", "window"),
        (24, "window"),
        (None, "window"),
        (["24h"], "window"),
        ({"from": "2026-01-01T00:00:00Z"}, "window.to"),
        (ends("2026-01-01T00:00:00Z", "no time"), "window.to"),
        (ends("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"), "window.from"),
        (ends("2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"), "window.to"),
        (ends("2998-01-01T00:00:00Z", "2999-01-01T00:00:00Z"), "window.from"),
        (ends("2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), "window.from"),
        (ends("0001-01-01T00:00:00Z", "0001-02-01T00:00:00Z"), "window.from"),
        (ends("1999-12-31T23:59:59Z", "2000-01-02T00:00:00Z"), "window.from"),
        (ends("2026-01-01T00:00:00", "2026-01-02T00:00:00Z"), "window.from"),  # whose midnight?
        (ends("2026-01-01T00:00:00Z", "2026-01-02"), "window.to"),
        ({**ends("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"), "step": 1}, "window.step"),
    ],
)
def test_a_window_that_cannot_be_is_refused_by_name(
    version: Version, engineer: Person, window: Any, field: str
) -> None:
    status, problem = engineer.post(RUN, asked(version, window=window))
    assert (status, problem["errors"][0]["field"]) == (422, field), problem
    assert MonitoringRun.objects.count() == 0


def test_what_is_not_there_is_said(version: Version, engineer: Person) -> None:
    assert engineer.post(RUN, asked(version, model_name="nothing"))[1]["code"] == "unknown_model"
    assert engineer.post(RUN, asked(version, model_version="9.9.9"))[1]["code"] == "unknown_version"
    status, problem = engineer.post(RUN, {"model_name": "high_cost", "window": "24h"})
    assert (status, problem["code"]) == (409, "no_production_version")
    assert engineer.post(RUN, asked(version, until="now"))[0] == 422
    assert engineer.get(f"{REPORTS}/{uuid4()}")[1]["code"] == "unknown_report"


def test_another_teams_reports_do_not_exist(version: Version, engineer: Person) -> None:
    _, report = engineer.post(f"{RUN}?wait=true", asked(version))
    stranger = Person(actor("zoe", "ml_engineer", team="others"))
    assert stranger.get(f"{REPORTS}/{report['id']}")[0] == 404
    assert stranger.get(REPORTS)[1]["count"] == 0
    assert stranger.get(f"/jobs/{MonitoringRun.objects.get().pk}")[0] == 404
    assert stranger.post(RUN, asked(version))[1]["code"] == "unknown_model"


def test_a_viewer_reads_and_does_not_ask(version: Version, engineer: Person) -> None:
    viewer = Person(actor("vera", "viewer"))
    engineer.post(f"{RUN}?wait=true", asked(version))
    assert viewer.get(REPORTS)[1]["count"] == 1
    status, problem = viewer.post(RUN, asked(version))
    assert (status, problem["code"]) == (403, "forbidden")
    assert AuditRecord.objects.filter(action="monitoring.run.refused").count() == 1


def test_they_are_listed_newest_first_and_by_model(version: Version, engineer: Person, author: Actor) -> None:
    other = version_of(author, name="another")
    for each in (version, other, version):
        engineer.post(f"{RUN}?wait=true", asked(each))
    _, page = engineer.get(REPORTS)
    assert [row["model_name"] for row in page["results"]] == ["high_cost", "another", "high_cost"]
    _, page = engineer.get(REPORTS, model="another", page_size=1)
    assert (page["count"], [row["model_name"] for row in page["results"]]) == (1, ["another"])
    assert engineer.get(REPORTS, models="another")[0] == 422


def test_a_repeated_request_makes_one_report(version: Version, engineer: Person) -> None:
    key = {"Idempotency-Key": "monday"}
    first = engineer.post(f"{RUN}?wait=true", asked(version), **key)
    assert engineer.post(f"{RUN}?wait=true", asked(version), **key) == first
    assert Report.objects.count() == 1


def test_asking_and_ending_are_in_the_audit_chain(version: Version, engineer: Person) -> None:
    engineer.post(f"{RUN}?wait=true", asked(version))
    found = AuditRecord.objects.filter(action__startswith="monitoring.").order_by("seq")
    assert list(found.values_list("action", "actor")) == [
        ("monitoring.requested", "author"),
        ("monitoring.succeeded", "system:jobs"),
    ]
