"""Jobs of every kind, the audit chain, the schema and its page, and what has no address."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client

from mlops_site.core import jobs
from mlops_site.core.models import AuditRecord
from tests.jobsapp.models import Errand
from tests.people import bearer, person

pytestmark = pytest.mark.django_db


def client(name: str, role: str, team: str = "claims") -> Client:
    return Client(headers=bearer(person(name, role, team=team), team=team))


class TestJobs:
    def test_one_of_any_kind(self) -> None:
        job = jobs.claim(Errand.objects.create(), worker="w")
        assert job is not None
        jobs.advance(job, step="fold 2", progress=0.4)
        answer = client("eve", "viewer").get(f"/api/v1/jobs/{job.pk}")
        said = answer.json()
        assert answer.status_code == 200
        assert (said["job_id"], said["kind"], said["state"]) == (str(job.pk), "errand", "running")
        assert (said["progress"], said["step"], said["attempts"], said["finished_at"]) == (0.4, "fold 2", 1, None)

    def test_another_teams_is_absent(self) -> None:
        job = Errand.objects.create()
        person("eve", "viewer")
        outsider, machine = client("zoe", "approver", "others"), client("app", "service")
        for asker, pk in ((outsider, job.pk), (machine, job.pk), (outsider, uuid4())):
            answer = asker.get(f"/api/v1/jobs/{pk}")
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_job")
        assert outsider.get("/api/v1/jobs/not-an-id").status_code == 404


class TestAudit:
    def test_the_auditor_reads_the_records_of_the_team_newest_first(self) -> None:
        auditor = client("olga", "auditor")
        person("zoe", "approver", team="others")
        answer = auditor.get("/api/v1/audit")
        said = answer.json()
        assert answer.status_code == 200
        assert said["count"] == AuditRecord.objects.filter(team="claims").count() == 3
        assert [row["action"] for row in said["results"]] == ["token.created", "member.set", "team.created"]
        assert said["results"][1]["data"] == {"new": True, "role": "auditor"}
        assert {row["team"] for row in said["results"]} == {"claims"}

    def test_filters(self) -> None:
        auditor = client("olga", "auditor")
        person("eve", "viewer")
        asked = {
            "action=member.set": 2,
            "subject=user:eve": 1,
            "actor=system:operator": 4,
            "actor=nobody": 0,
            "team=others": 0,
            "since=2999-01-01T00:00:00Z": 0,
            "until=2999-01-01T00:00:00Z": 4,
            "page_size=1": 4,
        }
        for query, count in asked.items():
            assert auditor.get(f"/api/v1/audit?{query}").json()["count"] == count, query

    @pytest.mark.parametrize("query", ["since=yesterday", "page=0", "page_size=201", "colour=red", "page=x"])
    def test_a_wrong_filter_is_named(self, query: str) -> None:
        answer = client("olga", "auditor").get(f"/api/v1/audit?{query}")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, query.split("=")[0])

    def test_nobody_else_reads_them_and_trying_is_recorded(self) -> None:
        for role in ("viewer", "ml_engineer", "approver", "admin", "service"):
            answer = client(f"a-{role}", role).get("/api/v1/audit")
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
            assert AuditRecord.objects.filter(action="audit.view.refused", actor=f"a-{role}").count() == 1


class TestSchema:
    def test_it_is_complete_and_without_warnings(self, capfd: pytest.CaptureFixture[str]) -> None:
        answer = client("eve", "viewer").get("/api/schema?format=json")
        assert answer.status_code == 200
        said = answer.json()
        assert capfd.readouterr().err == ""
        predict = said["paths"]["/api/v1/models/{name}/predict"]["post"]
        assert predict["security"] == [{"bearer": []}, {"cookieAuth": []}]
        assert "/api/v1/jobs/{job_id}" in said["paths"]
        audit = said["paths"]["/api/v1/audit"]["get"]["responses"]["200"]["content"]["application/json"]
        assert audit["schema"] == {"$ref": "#/components/schemas/PaginatedAuditAnswerList"}

    def test_it_and_its_page_are_behind_the_login(self) -> None:
        assert Client().get("/api/schema").status_code == 401
        answer = Client().get("/docs")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/login/?next=/docs")

    def test_its_page_needs_nothing_from_elsewhere_and_no_inline_script(self) -> None:
        browser = Client()
        browser.force_login(person("eve", "viewer"), backend="django.contrib.auth.backends.ModelBackend")
        page = browser.get("/docs").content.decode()
        assert "https://" not in page
        assert page.count("<script") == page.count('<script src="/') == 3
        script = browser.get("/docs?script=").content.decode()
        assert "https://" not in script
        assert "/api/schema" in script


class TestNoAddress:
    def test_below_api_it_is_a_problem(self) -> None:
        answer = Client().get("/api/v1/nothing")
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
        assert answer.json()["detail"] == "no endpoint '/api/v1/nothing'"

    def test_elsewhere_it_is_a_page(self) -> None:
        answer = Client().get("/nothing")
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")

    def test_a_mistake_of_ours_tells_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(job_id: object) -> None:
            raise ZeroDivisionError("a secret")

        monkeypatch.setattr(jobs, "find", fail)
        asker = client("eve", "viewer")
        asker.raise_request_exception = False
        answer = asker.get(f"/api/v1/jobs/{uuid4()}")
        assert (answer.status_code, answer.json()["code"]) == (500, "error")
        assert b"secret" not in answer.content

    def test_a_host_that_is_not_ours_is_malformed(self) -> None:
        answer = Client().get("/api/v1/audit", headers={"Host": "evil.example"})
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
