"""The endpoints of data sets."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from mlops_site.core.permissions import Actor
from tests.people import actor
from tests.training.api.conftest import Caller
from tests.training.bad_files import BAD_FILES, GOOD, BadFile
from training.models import Dataset, DatasetVersion

URL = "/api/v1/datasets"


def form(content: bytes = GOOD, filename: str = "hie.csv", **changes: Any) -> dict[str, Any]:
    file = SimpleUploadedFile(filename, content, "text/csv")
    return {"file": file, "name": "hie", "target": "high_cost", "group_column": "person", **changes}


def test_an_upload_answers_the_version(client: Client) -> None:
    answer = client.post(URL, form(pii=["age", "plan"]))
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["name"], body["version"], body["rows"]) == ("hie", 1, 120)
    assert len(body["digest"]) == 64
    assert body["pii"] == ["age", "plan"]
    assert body["quality"]["passed"]
    assert client.get(f"{URL}/hie/1").json() == body
    assert client.post(URL, form(pii=["age", "plan"])).json() == body


def test_the_list_has_pages(client: Client, upload: Callable[..., DatasetVersion]) -> None:
    upload()
    upload(time_column="")
    body = client.get(URL, {"page_size": 1}).json()
    assert body["count"] == 2
    assert body["results"][0]["version"] == 2
    assert body["next"].endswith("page=2&page_size=1")


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_a_bad_file_is_a_problem_that_names_the_field(client: Client, bad: BadFile) -> None:
    content = form(bad.content, bad.filename, group_column="")
    answer = client.post(URL, content)
    problem = answer.json()
    assert answer.status_code == 422, problem
    assert answer["Content-Type"] == "application/problem+json"
    assert problem["code"] == bad.code
    assert problem["errors"][0]["field"].split(".")[0] == bad.field
    assert not Dataset.objects.exists()


@pytest.mark.parametrize("field", ["file", "name", "target"])
def test_a_field_that_is_left_out_is_named(client: Client, field: str) -> None:
    answer = client.post(URL, {name: value for name, value in form().items() if name != field})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_an_unknown_field_is_named(client: Client) -> None:
    answer = client.post(URL, form(lable="high_cost"))
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert (error["field"], error["code"]) == ("lable", "unknown_field")


def test_a_file_of_200_mb_is_refused_before_it_is_read(client: Client) -> None:
    class Unread(io.BytesIO):
        def read(self, *args: Any) -> bytes:
            raise AssertionError("the body was read")

    started = time.monotonic()
    sent = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(200 * 2**20)}
    answer = client.generic("POST", URL, b"", content_type="multipart/form-data; boundary=x", **sent)  # type: ignore[arg-type]
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["field"] == "file"
    assert time.monotonic() - started < 5


def test_another_teams_data_set_does_not_exist(calling: Caller, outsider: Actor, dataset: DatasetVersion) -> None:
    stranger = calling(outsider)
    assert stranger.get(f"{URL}/hie/1").status_code == 404
    assert stranger.get(URL).json()["count"] == 0
    assert stranger.post(URL, form()).status_code == 404
    assert Dataset.objects.count() == 1


def test_roles_and_the_anonymous(calling: Caller, db: None) -> None:
    assert Client().post(URL, form()).status_code == 401
    assert Client().get(URL).status_code == 401
    viewer = calling(actor("vera", "viewer"))
    assert viewer.post(URL, form()).status_code == 403
    assert viewer.get(URL).status_code == 200


@pytest.mark.parametrize("path", ["hie/9", "nothing/1", "HIE/1", "..%2Fhie/1"])
def test_an_unknown_version_is_not_found(client: Client, dataset: DatasetVersion, path: str) -> None:
    assert client.get(f"{URL}/{path}").status_code in (400, 404)
