"""Data set versions and sources over HTTP: what they answer, and what another team sees of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mlops_site.core.choices import Role
from mlops_site.core.entries import Place
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from registry.services import register_version
from tests.people import actor
from tests.registry.parts import candidate
from tests.training.claims import SMALL, claims
from tests.training.conftest import uploaded
from training.models import DatasetVersion, Fetch, Run
from training.services import request_run

Caller = Callable[[Actor], Client]
Upload = Callable[..., DatasetVersion]
API = "/api/v1"


@pytest.fixture
def dataset(scientist: Actor) -> DatasetVersion:
    """Not kept: an erasure looks at how old the bytes are."""
    return uploaded(scientist)


@pytest.fixture
def engineers(calling: Caller, engineer: Actor) -> Client:
    return calling(engineer)


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.DATA_FOLDERS = [Place("claims", str(tmp_path))]
    claims().to_csv(tmp_path / "hie.csv", index=False)
    return tmp_path


def sent(client: Client, method: str, path: str, body: Any = None) -> Any:
    return getattr(client, method)(f"{API}{path}", data=json.dumps(body or {}), content_type="application/json")


def test_a_file_is_registered_by_its_path(client: Client, folder: Path, upload: Upload) -> None:
    body = {"name": "hie", "location": f"{folder}/hie.csv", "target": "high_cost"}
    declared = {"group_column": "person", "time_column": "year"}
    made = sent(client, "post", "/datasets/register", {**body, **declared})
    assert (made.status_code, made.json()["version"]) == (201, 1)
    assert made.json()["lineage"] == {"source": "registered", "location": f"{folder}/hie.csv"}
    assert str(upload()) == "hie@1"  # the same bytes, however they come
    refused = sent(client, "post", "/datasets/register", {**body, "location": "/etc/passwd"})
    assert (refused.status_code, refused.json()["code"]) == (422, "place_not_allowed")
    assert refused.json()["errors"][0]["field"] == "location"


def test_profile_and_suggestions(client: Client, upload: Upload) -> None:
    upload(claims().assign(contact="ada@example.org"))
    said = client.get(f"{API}/datasets/hie/1/profile").json()
    columns = {column["name"]: column for column in said["columns"]}
    assert columns["age"]["low"] == claims().age.min()
    assert columns["age"]["mean"] == pytest.approx(claims().age.mean())
    assert sum(rows for _, rows in columns["plan"]["top"]) == 300
    assert [each["column"] for each in said["personal"]] == ["contact"]


def test_what_changed_between_two_versions(client: Client, upload: Upload) -> None:
    before = claims().assign(id=range(300))
    after = before.assign(dollars=before.dollars + 400).iloc[5:]
    upload(before)
    upload(after)
    said = client.get(f"{API}/datasets/hie/1/diff/2?keys=id").json()
    counts = {name: said["rows"][name] for name in ("before", "after", "added", "removed", "changed", "same")}
    assert counts == {"before": 300, "after": 295, "added": 0, "removed": 5, "changed": 295, "same": 0}
    assert (said["rows"]["cells"]["dollars"], said["rows"]["cells"]["age"]) == (295, 0)
    features = {each["name"]: each for each in said["distribution"]["features"]}
    assert (features["dollars"]["size"], features["dollars"]["drifted"], features["dollars"]["test"]) == (
        "high",
        True,
        "ks",
    )
    assert (features["plan"]["size"], features["plan"]["drifted"], features["plan"]["test"]) == (
        "low",
        False,
        "chi_square",
    )
    whole = client.get(f"{API}/datasets/hie/1/diff/2").json()["rows"]
    assert (whole["added"], whole["removed"], whole["changed"]) == (295, 300, 0)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("1/diff/1", 422, "same_version"),
        ("1/diff/2?keys=nothing", 422, "unknown_column"),
        ("1/diff/2?keys=plan", 422, "keys_not_unique"),
        ("1/diff/9", 404, "unknown_dataset"),
        ("1/diff/2?unknown=1", 422, "invalid"),
    ],
)
def test_what_cannot_be_compared_is_named(path: str, status: int, code: str, client: Client, upload: Upload) -> None:
    upload()
    upload(claims(rows=310))
    said = client.get(f"{API}/datasets/hie/{path}")
    assert (said.status_code, said.json()["code"]) == (status, code)


def test_deleted_bytes_cannot_be_compared(client: Client, engineers: Client, upload: Upload) -> None:
    upload()
    upload(claims(rows=310))
    client.get(f"{API}/datasets/hie/1/diff/2")
    assert sent(engineers, "post", "/datasets/hie/1/erase", {"reason": "asked for"}).json()["by"] == "enno"
    said = client.get(f"{API}/datasets/hie/1/diff/2")
    assert (said.status_code, said.json()["code"]) == (409, "data_gone")


def test_lineage_goes_both_ways(
    client: Client, dataset: DatasetVersion, model: RegisteredModel, engineer: Actor, scientist: Actor
) -> None:
    run = request_run(actor=scientist, model_name=model.name, dataset="hie@1", **SMALL)
    version = register_version(model, actor=engineer, candidate=candidate(1))
    Run.objects.filter(pk=run.pk).update(state="succeeded", version=version)
    said = client.get(f"{API}/datasets/hie/1/lineage").json()
    assert said["origin"] == {"kind": "uploaded", "said": {}, "source_name": "", "parent_version": ""}
    assert said["runs"][0].pop("started")
    assert said["runs"] == [
        {
            "run": str(run.pk), "state": "succeeded", "model": model.name, "version": version.number,
            "stage": "development", "request": None, "request_status": "", "by": "dana",
        }
    ]  # fmt: skip
    back = client.get(f"{API}/models/{model.name}/{version.number}/lineage").json()
    assert (back["run"], back["dataset"], back["digest"]) == (str(run.pk), "hie@1", dataset.digest)
    assert back["origin"]["kind"] == "uploaded"


def test_keeping_is_set_over_http(engineers: Client, dataset: DatasetVersion) -> None:
    said = sent(engineers, "patch", "/datasets/hie/keeping", {"owner": "enno", "retention_days": 90})
    assert said.json() == {"name": "hie", "team": "claims", "owner": "enno", "retention_days": 90, "hold": ""}
    assert sent(engineers, "patch", "/datasets/hie/keeping", {"hold": "no"}).status_code == 403
    assert engineers.get(f"{API}/datasets/hie/keeping").json()["retention_days"] == 90


def test_values_of_personal_columns_are_not_answered_to_a_viewer(calling: Caller, upload: Upload) -> None:
    upload(claims().assign(plan="basic"), pii=["plan"])
    upload(pii=["plan"])  # of which the checks say that it has other levels than before
    viewer = calling(actor("vera", Role.VIEWER))
    one, listed = viewer.get(f"{API}/datasets/hie/2").json(), viewer.get(f"{API}/datasets").json()["results"][0]
    for said in (one, listed):
        plan = next(column for column in said["schema"]["columns"] if column["name"] == "plan")
        assert (plan["labels"], plan["levels"]) == (None, None)
    for path in ("", "/1", "/2", "/2/profile"):
        said = viewer.get(f"{API}/datasets{'/hie' if path else ''}{path}").content.decode()
        assert not {"basic", "plus"} & set(re.findall(r"[a-z]+", said)), path


def test_a_source_is_made_looked_at_and_switched_off(
    engineers: Client, client: Client, folder: Path, model: RegisteredModel
) -> None:
    body = {"name": "exports", "kind": "folder", "location": str(folder), "dataset_name": "hie", "target": "high_cost"}
    made = sent(engineers, "post", "/sources", {**body, "every": "12h", "run_config": {"model_name": model.name}})
    assert (made.status_code, made.json()["every"], made.json()["owner"]) == (201, "12h", "enno")
    assert sent(client, "post", "/sources", {**body, "name": "mine"}).status_code == 403
    asked = sent(client, "post", "/sources/exports/fetches")
    assert asked.status_code == 202
    assert sent(client, "post", "/sources/exports/fetches").json() == asked.json()
    way = client.get(asked.json()["status_url"]).json()
    assert [step["state"] for step in way["steps"]][:2] == ["waiting", "waiting"]
    assert [row["state"] for row in client.get(f"{API}/sources/exports/fetches").json()["results"]] == ["queued"]
    assert sent(client, "post", f"/fetches/{asked.json()['job_id']}/cancel").status_code == 202
    assert Fetch.objects.get().state == "cancelled"
    assert sent(engineers, "patch", "/sources/exports", {"enabled": False}).json()["enabled"] is False
    assert sent(client, "post", "/sources/exports/fetches").json()["code"] == "source_off"
    assert client.get(f"{API}/sources").json()["results"][0]["last_state"] == "cancelled"


def test_all_of_it_is_unknown_to_another_team(
    calling: Caller, outsider: Actor, engineers: Client, folder: Path, dataset: DatasetVersion
) -> None:
    body = {"name": "exports", "kind": "folder", "location": str(folder), "dataset_name": "hie", "target": "high_cost"}
    sent(engineers, "post", "/sources", body)
    fetch = sent(engineers, "post", "/sources/exports/fetches").json()["job_id"]
    others = calling(outsider)
    reads = ("datasets/hie/keeping", "datasets/hie/1/profile", "datasets/hie/1/lineage", "datasets/hie/1/diff/2")
    for path in (*reads, "sources/exports", "sources/exports/fetches", f"fetches/{fetch}"):
        assert others.get(f"{API}/{path}").status_code == 404, path
    for path in ("/datasets/hie/1/erase", "/sources/exports/fetches", f"/fetches/{fetch}/cancel"):
        assert sent(others, "post", path, {"reason": "x"} if path.endswith("erase") else {}).status_code == 404, path
    assert sent(others, "patch", "/datasets/hie/keeping", {"hold": "x"}).status_code == 404
    assert others.get(f"{API}/sources").json()["results"] == []
    assert reverse("training:fetch", args=[fetch]).startswith(API)
