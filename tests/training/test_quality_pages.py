"""The pages of the quality gates: verdicts that can be acted on, expectations, waivers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from tests.people import actor
from tests.training.claims import SMALL, claims
from training.models import DatasetVersion, GateReport, Waiver
from training.selectors import quality as gates
from training.services import infer_expectations, request_run

Browse = Callable[[Actor], Client]


@pytest.fixture
def browse(db: None) -> Browse:
    def client(who: Actor) -> Client:
        assert who.user is not None
        made = Client()
        made.force_login(who.user)
        return made

    return client


@pytest.fixture
def blocked(upload: Callable[..., DatasetVersion], engineer: Actor) -> DatasetVersion:
    infer_expectations(upload(), actor=engineer)
    return upload(claims().drop(columns="age").assign(plan=lambda rows: rows["plan"].replace("basic", "<b>basic</b>")))


def said(client: Client, name: str, *args: Any) -> str:
    answer = client.get(reverse(name, args=args))
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_blocked_version_says_why_where_and_what_to_do(
    browse: Browse, scientist: Actor, blocked: DatasetVersion
) -> None:
    page = said(browse(scientist), "dataset_gates", blocked)
    for word in (
        "May hie@2 be trained on?",
        "holds it back",
        "Schema missing",
        "What to do:",
        "Schema levels",
        "blocks",
    ):
        assert word in page
    assert "&lt;b&gt;basic" in page
    assert "<b>basic" not in page
    assert "Waive…" not in page
    data = said(browse(scientist), "dataset", blocked)
    assert "it cannot be trained on" in data
    assert "Train on it…" not in data


def test_a_validator_waives_from_the_report_and_revokes(
    browse: Browse, blocked: DatasetVersion, scientist: Actor
) -> None:
    client = browse(actor("vito", "validator"))
    offer = f"{reverse('waiver_new', args=['hie'])}?check=schema_missing&amp;column=age"
    assert offer in said(client, "dataset_gates", blocked)
    form = client.get(offer.replace("&amp;", "&")).context["form"]
    until = datetime.now(UTC).date() + timedelta(days=30)
    assert form.initial == {"until": until, "check": "schema_missing", "column": "age"}
    sent = {"check": "schema_missing", "column": "age", "reason": "", "until": until}
    assert client.post(reverse("waiver_new", args=["hie"]), sent).status_code == 422
    late = client.post(reverse("waiver_new", args=["hie"]), {**sent, "reason": "x", "until": "2999-01-01"})
    assert "90 days" in late.context["form"].errors["until"][0]
    client.post(reverse("waiver_new", args=["hie"]), {**sent, "reason": "Being mended."})
    assert "passed under a waiver" in said(client, "dataset_gates", blocked)
    page = said(browse(scientist), "expectations", "hie")
    assert "Being mended." in page
    assert "Revoke…" not in page
    waiver = Waiver.objects.get()
    client.post(reverse("waiver_revoke", args=[waiver.pk]), {"reason": "It is mended."})
    assert "Revoked by vito: It is mended." in said(client, "expectations", "hie")
    assert not gates.verdict_of(blocked).passed


def test_expectations_are_inferred_edited_and_checked_again_on_pages(
    browse: Browse, engineer: Actor, dataset: DatasetVersion
) -> None:
    client = browse(engineer)
    assert "Nobody has said" in said(client, "expectations", "hie")
    client.post(reverse("expectations_infer", args=["hie"]), {"version": 1})
    assert "inferred from" in said(client, "expectations", "hie")
    edit = reverse("expectations_edit", args=["hie"])
    document = json.loads(client.get(edit).context["form"]["document"].value())
    document["columns"]["age"]["range"] = {"min": 30, "max": 90, "severity": "block"}
    wrong = {**document, "rows": {"min": 5}}
    refused = client.post(edit, {"document": json.dumps(wrong), "comment": "x"})
    assert refused.status_code == 422
    assert "document.rows.severity is needed" in refused.content.decode()
    client.post(edit, {"document": json.dumps(document), "comment": "Adults over thirty."})
    assert "Adults over thirty." in said(client, "expectations", "hie")
    client.post(reverse("dataset_check", args=["hie@1"]))
    page = said(client, "dataset_gates", "hie@1")
    assert "by version 2 of the expectations" in page
    assert "checked again 1 time since" in page


def test_a_run_shows_its_gates(
    browse: Browse, scientist: Actor, model: RegisteredModel, dataset: DatasetVersion
) -> None:
    run = request_run(actor=scientist, model_name=model.name, dataset=str(dataset), **SMALL)
    check = {"name": "target_copy", "column": "age", "severity": "block", "passed": False, "message": "A copy."}
    given = {"id": 1, "by": "vito", "until": "2027-01-01", "reason": "For now."}
    for stage, checks in (
        ("training", [{**check, "waiver": given}]),
        ("registration", [{**check, "name": "too_good"}]),
    ):
        GateReport.objects.create(stage=stage, dataset=dataset, run=run, passed=True, report={"checks": checks})
    page = said(browse(scientist), "run", run.pk)
    for word in ("Quality gate before training", "Waived by vito until 2027-01-01", "Quality gate before registration"):
        assert word in page


def test_forms_are_for_who_may_and_of_ones_own_team(
    browse: Browse, scientist: Actor, outsider: Actor, blocked: DatasetVersion
) -> None:
    for name in ("expectations_infer", "expectations_edit", "waiver_new"):
        assert browse(scientist).get(reverse(name, args=["hie"])).status_code == 403
        assert browse(outsider).get(reverse(name, args=["hie"])).status_code == 404
    for name in ("dataset_gates", "dataset_check"):
        assert browse(outsider).get(reverse(name, args=["hie@2"])).status_code == 404
    viewer = browse(actor("vera", "viewer"))
    assert viewer.post(reverse("dataset_check", args=["hie@2"])).status_code == 403
