"""The endpoints of feature sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from mlops_site.core.permissions import Actor
from tests.kept import kept_fixture
from tests.people import actor
from tests.training.api.conftest import Caller
from tests.training.features import COLUMNS, DAY, day, feature_set, known, row
from training.models import DatasetVersion, FeatureRow, FeatureSetVersion

URL = "/api/v1/feature-sets"
JSON = "application/json"


@kept_fixture
def history(scientist: Actor) -> FeatureSetVersion:
    return feature_set(scientist)


def test_a_definition_is_answered_with_its_version(client: Client) -> None:
    said = {"name": "claim_history", "entity": "person", "columns": COLUMNS, "source": "the warehouse"}
    answer = client.post(URL, said, content_type=JSON)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["name"], body["version"], body["team"], body["owner"], body["source"]) == (
        "claim_history", 1, "claims", "dana", "the warehouse",
    )  # fmt: skip
    assert [each["pii"] for each in body["columns"]] == [False, True]
    assert body["state"] == {
        "rows": 0, "loads": 0, "received_at": None, "newest_event_at": None, "is_stale": False,
    }  # fmt: skip
    assert client.post(URL, {**said, "freshness_secs": 60}, content_type=JSON).json()["version"] == 2
    listed = client.get(URL).json()
    assert (listed["count"], listed["results"][0]["version"]) == (1, 2)
    one = client.get(f"{URL}/claim_history@1").json()
    assert one == {**body, "used_by": {"versions": [], "datasets": []}}


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"columns": [{"name": "a", "kind": "number", "dtype": "int"}]}, "columns[0].dtype", "unknown_field"),
        ({"columns": [{"name": "a", "kind": "date"}]}, "columns[0].kind", "unknown_kind"),
        ({"columns": [{"name": "a", "kind": "number"}] * 2}, "columns[1].name", "duplicate_column"),
        ({"name": "x" * 10_000}, "name", "max_length"),
        ({"owner": "nobody"}, "owner", "unknown_owner"),
        ({"team": "elsewhere"}, "team", "unknown_team"),
    ],
)
def test_a_definition_that_is_refused(client: Client, change: dict[str, Any], field: str, code: str) -> None:
    said = {"name": "claim_history", "entity": "person", "columns": COLUMNS, **change}
    answer = client.post(URL, said, content_type=JSON)
    assert answer.status_code in (400, 422), answer.content
    assert (field, code) in [(each["field"], each["code"]) for each in answer.json()["errors"]]


def test_values_come_as_json_or_lines(client: Client, history: FeatureSetVersion) -> None:
    rows = [row("p1", day(1)), row("p2", day(1)), {"unit_id": "p3"}]
    answer = client.post(f"{URL}/claim_history/values", rows, content_type=JSON)
    assert answer.status_code == 200, answer.content
    assert answer.json() == {
        "accepted": 2,
        "duplicate": 0,
        "rejected": [
            {
                "index": 2,
                "code": "required",
                "field": "event_at",
                "message": "event_at must be given: when the values held",
            }
        ],
    }
    lines = "\n".join([*(json.dumps(each) for each in rows[:2]), "{not json", '{"unit_id": NaN}'])
    again = client.post(f"{URL}/claim_history@1/values", lines, content_type="application/x-ndjson").json()
    assert (again["accepted"], again["duplicate"]) == (0, 2)
    assert [(each["index"], each["code"]) for each in again["rejected"]] == [(2, "malformed"), (3, "malformed")]


def test_a_machine_loads_what_it_may_not_see(calling: Caller, history: FeatureSetVersion) -> None:
    machine = calling(actor("feed", "service"))
    assert machine.post(f"{URL}/claim_history@1/values", [row("p1", day(1))], content_type=JSON).status_code == 200
    assert machine.get(f"{URL}/claim_history@1").status_code == 404
    assert machine.get(f"{URL}/claim_history@1/values?unit_id=p1").status_code == 404


def test_too_much_and_none_good(client: Client, history: FeatureSetVersion) -> None:
    assert client.post(f"{URL}/claim_history/values", [{}] * 10_001, content_type=JSON).status_code == 413
    assert client.post(f"{URL}/claim_history/values", [{}], content_type=JSON).json()["code"] == "no_good_row"
    assert client.post(f"{URL}/claim_history/values", {"a": 1}, content_type=JSON).status_code == 422
    assert not FeatureRow.objects.exists()


def test_the_latest_values(client: Client, scientist: Actor, history: FeatureSetVersion) -> None:
    known(history, scientist, "p1", {"visits": 3, "plan": "family"}, days_ago=2)
    known(history, scientist, "p1", {"visits": 4, "plan": "family"})
    (body,) = client.get(f"{URL}/claim_history/values", {"unit_id": "p1,p9"}).json()
    assert (body["unit_id"], body["values"], body["is_stale"]) == ("p1", {"visits": 4}, False)
    then = (timezone.now() - 1.5 * DAY).isoformat()
    (before,) = client.get(f"{URL}/claim_history/values", {"unit_id": "p1", "as_of": then}).json()
    assert before["values"] == {"visits": 3}
    for query in ({"unit_id": ","}, {"unit_id": "p1", "as_of": "2026-01-01"}, {"unit_id": "p1", "as_of": "x"}, {}):
        assert client.get(f"{URL}/claim_history/values", query).status_code in (400, 422), query


def test_another_teams_set_does_not_exist(calling: Caller, outsider: Actor, history: FeatureSetVersion) -> None:
    other = calling(outsider)
    assert other.get(URL).json()["count"] == 0
    for path in ("", "/values?unit_id=p1"):
        assert other.get(f"{URL}/claim_history{path}").status_code == 404
    assert other.post(f"{URL}/claim_history/values", [row("p1", day(1))], content_type=JSON).status_code == 404
    asked = {"unit_column": "a", "event_column": "b", "dataset": "hie"}
    assert other.post(f"{URL}/claim_history/load", asked, content_type=JSON).status_code == 404


def test_a_file_and_a_training_set(
    client: Client, history: FeatureSetVersion, upload: Callable[..., DatasetVersion]
) -> None:
    text = "who,at,n,plan\n" + "".join(f"{n},2026-01-01,{n},free\n" for n in range(10))
    about = {"unit_column": "who", "event_column": "at", "ingested_column": "at", "zone": "UTC"}
    file = SimpleUploadedFile("history.csv", text.encode(), "text/csv")
    answer = client.post(f"{URL}/claim_history/load", {**about, "file": file, "columns": '{"visits": "n"}'})
    assert answer.status_code == 200, answer.content
    assert answer.json() == {"accepted": 10, "duplicate": 0, "rejected": 0, "rejections": []}
    frame = pd.DataFrame({"who": np.arange(60) % 10, "asked": ["2026-01-09"] * 60, "high_cost": np.arange(60) % 2})
    upload(frame.assign(n=range(60)), name="asked", time_column="", group_column="who")
    said = {"name": "joined", "labels": "asked", "unit_column": "who", "time_column": "asked", "zone": "UTC"}
    answer = client.post("/api/v1/training-sets", {**said, "feature_sets": ["claim_history@1"]}, content_type=JSON)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["name"], body["rows"], body["lineage"]["feature_sets"]) == ("joined", 60, ["claim_history@1"])
    assert [each["name"] for each in body["schema"]["columns"]][-2:] == ["visits", "plan"]
    assert client.get(f"{URL}/claim_history").json()["used_by"]["datasets"] == ["joined@1"]


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "hie", "file": True},
        {},
        {"dataset": "nothing"},
        {"dataset": "a b"},
        {"file": True, "columns": "[1]"},
        {"file": True, "columns": "{"},
        {"file": True, "unit_column": "x" * 10_000},
    ],
)
def test_a_load_that_is_refused(client: Client, history: FeatureSetVersion, change: dict[str, Any]) -> None:
    asked = {"unit_column": "who", "event_column": "at", **change}
    if "file" in asked:
        asked["file"] = SimpleUploadedFile("a.csv", b"who,at\n1,2\n", "text/csv")
    answer = client.post(f"{URL}/claim_history/load", asked)
    assert answer.status_code in (400, 404, 422), answer.content
    assert answer.json()["errors"]
