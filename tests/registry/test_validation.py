"""Validation reports: kept by digest, bound to what is decided, never shown as a page."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mlops_site.core import holdings
from mlops_site.core.errors import Conflict, Forbidden, Invalid, TooLarge
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring.models import Prediction
from registry import selectors, services
from registry.models import PromotionRequest, RegisteredModel, Review, ValidationReport, Version
from tests.people import actor as person
from tests.people import bearer
from tests.registry.http import Person
from tests.registry.parts import candidate, user

PDF = b"%PDF-1.7\n%..."
REPORTS = "/models/claims/1.0.0/reports"


def attach(version: Version, actor: Actor, *, name: str = "report.pdf", content: bytes = PDF) -> ValidationReport:
    return services.attach_report(version, actor=actor, name=name, content=io.BytesIO(content))


def upload(actor: Actor, name: str, content: bytes) -> Any:
    client = Client(headers=bearer(user(actor)))
    return client.post(f"/api/v1{REPORTS}", {"file": SimpleUploadedFile(name, content)})


def test_the_evidence_names_its_digest(staged: Version, author: Actor, validator: Actor) -> None:
    report = attach(staged, validator)
    request = services.request_promotion(staged, actor=author, reason="x")
    (said,) = request.evidence["reports"]
    assert said == {"name": "report.pdf", "digest": report.digest, "size": len(PDF), "by": "validator"}
    assert AuditRecord.objects.get(action="report.attached").data["digest"] == report.digest


def test_a_report_after_an_approval_voids_it_and_asks_again(author: Actor, approver: Actor, validator: Actor) -> None:
    model = services.create_model(actor=author, name="claims", task_type="classification", risk_tier="high")
    version = services.register_version(model, actor=author, candidate=candidate())
    services.move_stage(version, actor=author, target_stage="staging", reason="x")
    request = services.request_promotion(version, actor=author, reason="x")
    services.review_request(request, actor=approver, decision="approve")
    attach(version, validator)
    first = Review.objects.get()
    assert first.voided_at is not None
    assert first.void_reason == "report.pdf was attached after it"
    assert AuditRecord.objects.filter(action="promotion.review_voided").count() == 1
    assert list(selectors.requests(approver, waiting_for_me=True)) == [request]
    services.review_request(request, actor=validator, decision="approve")
    assert selectors.in_production(model) is None
    services.review_request(request, actor=approver, decision="approve")
    assert selectors.in_production(model) == version
    assert Review.objects.filter(voided_at=None, reports_seen=1).count() == 2


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("report.exe", PDF, "bad_name"),
        ("report.html", b"<p>fine</p>", "bad_name"),
        ("../../etc/report.pdf", PDF, "bad_name"),
        ("a\u202egpj.pdf", PDF, "bad_name"),
        ("x" * 200 + ".pdf", PDF, "bad_name"),
        ("report.pdf", b"<html>", "false_type"),
        ("report.md", b"\xff\xfe\x00", "false_type"),
        ("report.txt", b"a\x00b", "false_type"),
        ("report.md", "right \u202eto left".encode(), "false_type"),
        ("report.txt", b" \n", "empty"),
    ],
)
def test_a_false_type_or_name_is_refused(
    staged: Version, validator: Actor, name: str, content: bytes, code: str
) -> None:
    with pytest.raises(Invalid) as raised:
        attach(staged, validator, name=name, content=content)
    assert (raised.value.code, raised.value.errors[0].field) == (code, "file")
    assert not ValidationReport.objects.exists()


def test_a_large_one_is_refused(staged: Version, validator: Actor, settings: Any) -> None:
    settings.REPORT_MAX_BYTES = 1000
    with pytest.raises(TooLarge, match="at most 1,000 bytes"):
        attach(staged, validator, content=PDF + b"x" * 1000)
    answer = upload(validator, "report.pdf", PDF + b"x" * 1000)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_the_same_bytes_once_and_by_who_may(staged: Version, validator: Actor) -> None:
    attach(staged, validator)
    with pytest.raises(Conflict) as raised:
        attach(staged, validator, name="again.pdf")
    assert raised.value.code == "attached_already"
    with pytest.raises(Forbidden):
        attach(staged, person("vera", "viewer"), content=PDF + b"2")


def test_over_the_api_it_is_a_download_and_never_a_page(
    staged: Version, validator: Actor, approver: Actor, outsider: Actor, engineer: Person
) -> None:
    page = b"# Fine\n<script>alert(1)</script>\n"
    made = upload(validator, "report \u00fc.md", page)
    assert made.status_code == 201
    (row,) = engineer.get(REPORTS)[1]["results"]
    assert row == made.json()
    path = f"/api/v1/validation-reports/{row['id']}"
    answer = Client(headers=bearer(user(approver))).get(path)
    assert answer.content == page
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Disposition"] == "attachment; filename*=UTF-8''report%20%C3%BC.md"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert Client(headers=bearer(user(outsider))).get(path).status_code == 404
    assert upload(outsider, "report.pdf", PDF).status_code == 404


def test_the_store_keeps_what_a_report_names(staged: Version, validator: Actor) -> None:
    report = attach(staged, validator)
    assert holdings.named()[report.digest].startswith("validation report")


def test_on_the_page(request_: PromotionRequest, validator: Actor) -> None:
    client = Client()
    client.force_login(user(validator))
    file = SimpleUploadedFile("report.txt", b"seen by me")
    address = reverse("version_report", args=["claims", "1.0.0"])
    assert client.post(address, {"file": file}).status_code == 302
    said = client.get(reverse("admin:registry_promotionrequest_change", args=[request_.pk])).content.decode()
    assert "report.txt" in said
    assert "Attached after the request was filed" in said
    wrong = client.post(address, {"file": SimpleUploadedFile("report.pdf", b"no pdf")})
    assert (wrong.status_code, ValidationReport.objects.count()) == (422, 1)


def test_the_reviewer_tries_claims_of_their_own(
    served: Version, model: RegisteredModel, author: Actor, validator: Actor, engineer: Person
) -> None:
    version = services.register_version(model, actor=author, candidate=candidate(1))
    services.move_stage(version, actor=author, target_stage="staging", reason="x")
    request = services.request_promotion(version, actor=author, reason="x")
    path, rows = f"/approvals/{request.pk}/try", [{"age": 62, "visits": 3}, {"age": 20, "visits": 0}]
    status, said = Person(validator).post(path, {"rows": rows})
    assert status == 200
    assert (said["candidate"]["version"], said["production"]["version"]) == ("1.0.1", "1.0.0")
    assert [row["decision"] for row in said["candidate"]["answers"]] == [1, 0]
    assert said["candidate"]["answers"][0]["score"] != said["production"]["answers"][0]["score"]
    assert not Prediction.objects.exists()
    status, problem = Person(validator).post(path, {"rows": [{"age": "old", "visits": 1}]})
    assert status == 422
    assert problem["errors"][0]["field"].startswith("rows[0]")
    assert engineer.post(path, {"rows": rows})[0] == 403
    assert Person(validator).post(path, {"rows": []})[0] == 422
    assert Person(validator).post(path, {"rows": [{}] * 101})[0] == 422


def test_trying_on_the_page(request_: PromotionRequest, approver: Actor) -> None:
    client = Client()
    client.force_login(user(approver))
    page = reverse("admin:registry_promotionrequest_change", args=[request_.pk])
    assert "Try it on claims of your own" in client.get(page).content.decode()
    said = client.post(page, {"decision": "try", "rows": '[{"age": 62, "visits": 3}]'})
    assert said.status_code == 200
    assert "decision 1" in said.content.decode()
    for rows in ("[", '"x"', '[{"age": "old", "visits": 1}]', '[{"age": NaN}]'):
        assert client.post(page, {"decision": "try", "rows": rows}).status_code == 422
    request_.refresh_from_db()
    assert request_.status == "pending"
