"""The pages of feature sets: their forms, what they show and what they mask."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mlops_site.core.permissions import Actor
from tests.people import actor
from tests.training.features import COLUMNS, feature_set, known
from training.models import FeatureRow, FeatureSetVersion


@pytest.fixture
def client(scientist: Actor) -> Client:
    return browser(scientist)


def browser(who: Actor) -> Client:
    found = Client()
    assert who.user is not None
    found.force_login(who.user, backend="django.contrib.auth.backends.ModelBackend")
    return found


def said(answer: Any) -> str:
    found: str = answer.content.decode()
    return found


def test_define_change_and_load(client: Client) -> None:
    form = {"name": "claim_history", "entity": "person", "columns": json.dumps(COLUMNS), "team": "claims"}
    answer = client.post(reverse("feature_set_new"), {**form, "freshness_days": "0.5"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/features/claim_history@1")
    assert FeatureSetVersion.objects.get().freshness_secs == 43_200
    again = said(client.get(reverse("feature_set_new"), {"of": "claim_history@1"}))
    assert 'value="claim_history"' in again
    assert "in the twelve months before" in again
    file = SimpleUploadedFile("h.csv", b"who,at,visits,plan\np1,2026-01-01T00:00:00Z,3,free\np2,x,4,free\n", "text/csv")
    load = reverse("feature_load", args=["claim_history@1"])
    answer = client.post(load, {"file": file, "unit_column": "who", "event_column": "at", "columns": "{}"}, follow=True)
    page = said(answer)
    assert "1 rows are new, 0 were known" in page
    assert "1 rows were refused; row 2: event_at must be a time" in page
    assert ">stale<" in page
    assert FeatureRow.objects.get().entity == "p1"


def test_what_is_wrong_stands_beside_its_field(client: Client, scientist: Actor) -> None:
    form = {"name": "Claim", "entity": "person", "columns": '[{"name": "a", "kind": "date"}]', "team": "claims"}
    answer = client.post(reverse("feature_set_new"), form)
    assert answer.status_code == 422
    assert "columns[0].kind must be one of number, category" in said(answer).replace("&#x27;", "'")
    feature_set(scientist)
    load = reverse("feature_load", args=["claim_history"])
    assert "one of them" in said(client.post(load, {"unit_column": "a", "event_column": "b"}))


def test_a_unit_is_looked_up_and_personal_data_masked(client: Client, scientist: Actor) -> None:
    found = feature_set(scientist)
    known(found, scientist, "p1", {"visits": 37, "plan": "secretplan"})
    page = reverse("feature_set", args=[found])
    told = said(client.get(page, {"unit": "p1"}))
    assert "37" in told
    assert "secretplan" not in told
    assert "masked" in told
    assert "Nothing is known of nobody" in said(client.get(page, {"unit": "nobody"}))
    viewer = said(browser(actor("vera", "viewer")).get(page, {"unit": "p1"}))
    assert "Unit id" not in viewer


def test_a_set_that_is_not_there(client: Client, outsider: Actor, scientist: Actor) -> None:
    assert client.get("/features/nothing").status_code == 404
    assert client.get("/features/a b").status_code == 404
    feature_set(scientist)
    other = browser(outsider)
    assert other.get("/features/claim_history").status_code == 404
    assert "claim_history" not in said(other.get("/features"))
