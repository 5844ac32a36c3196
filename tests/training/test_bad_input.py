"""What a run may be asked wrongly, over the API and on the pages, and what may go wrong under it: named, and nothing
half-registered. What the notebook face says of it is in test_training_pipeline."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mlops_site.core import jobs, store
from mlops_site.core.errors import StorageFull
from mlops_site.core.permissions import Actor
from registry.models import PromotionRequest, RegisteredModel, Version
from registry.services import create_model
from tests.people import bearer
from tests.training.claims import SMALL, claims, csv_of
from training.models import Dataset, DatasetVersion, Run
from training.services import cancel_run, request_run

START = "/api/v1/training/start"
Upload = Callable[..., DatasetVersion]


@pytest.fixture
def api(scientist: Actor) -> Client:
    assert scientist.user is not None
    return Client(headers=bearer(scientist.user))


@pytest.fixture
def browser(scientist: Actor) -> Client:
    assert scientist.user is not None
    client = Client()
    client.force_login(scientist.user)
    return client


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device on which the store writes has no room: each write of a new file is answered ENOSPC by the kernel."""
    made = tempfile.mkstemp

    def on_it(*args: Any, **options: Any) -> tuple[int, str]:
        handle, path = made(*args, **options)
        os.close(handle)
        return os.open("/dev/full", os.O_WRONLY), path

    monkeypatch.setattr("mlops_site.core.store.tempfile.mkstemp", on_it)


def asked(**changes: Any) -> dict[str, Any]:
    return {"model_name": "high_cost_claim", "dataset": "hie", **SMALL, **changes}


def stored() -> list[Path]:
    kept = Path(settings.STORAGES["artifacts"]["OPTIONS"]["location"])
    return [path for path in kept.rglob("*") if path.is_file()]


def nothing_registered() -> bool:
    return not Version.objects.exists() and not PromotionRequest.objects.exists()


TYPES = "must be among logistic_regression, random_forest, gradient_boosting"
METRICS = "must be one of f1_score, precision, recall, accuracy, roc_auc"
PARAMETERS = "search_space.logistic_regression must name at least one of C, class_weight but names none"


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"target": "nothing"}, "target", "must be a column of hie@1 but got 'nothing'"),
        ({"target": "flat"}, "target", "must have 2 to 50 classes but 'flat' has 1"),
        ({"target": "dollars"}, "target", "must have 2 to 50 classes but 'dollars' has"),
        ({"model_name": "dollars", "target": "plan"}, "target", "must be a number that varies but 'plan' is not"),
        ({"model_name": "dollars", "target": "flat"}, "target", "must be a number that varies but 'flat' is not"),
        ({"cv_folds": 21}, "cv_folds", "must be a whole number from 2 to 20 but got 21"),
        ({"dataset": "few", "cv_folds": 3}, "cv_folds", "must be fewer than the 3 groups of 'person'"),
        ({"dataset": "few", "cv": "time", "cv_folds": 6}, "cv_folds", "must be fewer than the 6 times of 'year'"),
        ({"model_types": ["catboost"]}, "model_types", TYPES),
        ({"metric": "auc"}, "metric", METRICS),
        ({"metric": "rmse"}, "metric", METRICS),
        ({"search_space": {"logistic_regression": {}}}, "search_space.logistic_regression", PARAMETERS),
        ({"search_space": {"logistic_regression": {"c": [1]}}}, "search_space.logistic_regression", "C"),
        ({"search_space": {"svm": {"C": [1]}}}, "search_space.svm", "must be about logistic_regression"),
        ({"available_at": {"age": "nothing"}}, "available_at.age", "must name columns of hie@1 but got 'nothing'"),
        ({"available_at": {}}, "available_at", "must be an object of features"),
        ({"dataset": "timeless", "available_at": {"age": "visits"}}, "available_at", "which timeless@1 has not"),
    ],
)
def test_a_wrong_request_is_refused_by_field_and_leaves_no_run(
    api: Client, engineer: Actor, model: RegisteredModel, upload: Upload, changes: Any, field: str, said: str
) -> None:
    create_model(actor=engineer, name="dollars", task_type="regression")
    upload(claims().assign(flat=1))
    if changes.get("dataset") == "few":
        upload(claims().assign(person=lambda rows: rows.index % 3), name="few")
    if changes.get("dataset") == "timeless":
        upload(name="timeless", time_column="")
    answer = api.post(START, asked(**changes), content_type="application/json")
    assert answer.status_code == 422, answer.content
    error = answer.json()["errors"][0]
    assert error["field"] == field
    assert said in error["message"]
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"dataset": "few@1", "cv_folds": 3}, "cv_folds"),
        ({"metric": "auc"}, "metric"),
        ({"metric": "rmse"}, "metric"),
        ({"model_types": ["catboost"]}, "model_types"),
        ({"cv_folds": 21}, "cv_folds"),
        ({"n_trials": 0}, "n_trials"),
        ({"available_at": '{"age": "nothing"}'}, "available_at"),
    ],
)
def test_a_wrong_run_form_says_so_beside_the_field(
    browser: Client, model: RegisteredModel, upload: Upload, changes: dict[str, Any], field: str
) -> None:
    upload()
    upload(claims().assign(person=lambda rows: rows.index % 3), name="few")
    sent = {
        "model_name": model.name,
        "dataset": "hie@1",
        "n_trials": 3,
        "cv_folds": 3,
        "seed": 0,
        "trigger_reason": "x",
    }
    answer = browser.post(reverse("run_new"), {**sent, **changes})
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"target": "nothing"}, "target"), ({"target": "flat"}, "target"), ({"time_column": "plan"}, "time_column")],
)
def test_a_wrong_upload_form_says_so_beside_the_field(browser: Client, changes: dict[str, Any], field: str) -> None:
    file = SimpleUploadedFile("hie.csv", csv_of(claims().assign(flat=1)).getvalue())
    sent = {"name": "hie", "target": "high_cost", "team": "claims", "file": file, **changes}
    answer = browser.post(reverse("dataset_new"), sent)
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    assert not Dataset.objects.exists()


def ended(run: Run) -> Run:
    claimed = jobs.claim(run, worker="test")
    assert claimed is not None
    jobs.run_here(claimed)
    claimed.refresh_from_db()
    return claimed


def request(scientist: Actor, dataset: DatasetVersion, **changes: Any) -> Run:
    return request_run(actor=scientist, **asked(dataset=str(dataset), **changes))


def test_groups_that_the_holdout_leaves_too_few_fail_the_run(
    scientist: Actor, model: RegisteredModel, upload: Upload
) -> None:
    run = ended(request(scientist, upload(claims().assign(person=lambda rows: rows.index % 6)), cv_folds=5))
    assert run.state == "failed"
    assert "5 folds must have at least 5 groups but got" in run.error
    assert nothing_registered()


def test_data_that_is_deleted_while_the_run_waits_fails_it_with_the_reason_on_its_page(
    scientist: Actor, model: RegisteredModel, dataset: DatasetVersion, browser: Client, api: Client
) -> None:
    run = request(scientist, dataset)
    store.delete(dataset.digest)
    run = ended(run)
    said = (
        f"the file of hie@1 (sha256 {dataset.digest}) is not in the store, though nobody deleted it here; restore it "
        "from a backup of the store, or upload the same file under the same name"
    )
    assert (run.state, run.error) == ("failed", said)
    assert said in browser.get(reverse("run", args=[run.pk])).content.decode()
    assert api.get(f"/api/v1/training/status/{run.pk}").json()["error"] == said
    assert nothing_registered()


def test_a_full_disk_refuses_an_upload_and_keeps_nothing(api: Client, browser: Client, full_disk: None) -> None:
    def form() -> dict[str, Any]:
        file = SimpleUploadedFile("hie.csv", csv_of(claims()).getvalue())
        return {"file": file, "name": "hie", "target": "high_cost", "team": "claims"}

    answer = api.post("/api/v1/datasets", form())
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert "no space left on device" in answer.json()["detail"]
    page = browser.post(reverse("dataset_new"), form())
    assert page.status_code == 507
    assert "The disk is full" in page.content.decode() or "the disk is full" in page.content.decode()
    assert not Dataset.objects.exists()
    assert stored() == []


@pytest.fixture
def full_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The device of the temporary folder has no room."""
    with Path("/dev/full").open("wb", buffering=0) as device:
        monkeypatch.setattr("django.core.files.uploadedfile.tempfile.NamedTemporaryFile", lambda **_: device)
        yield


def test_a_form_whose_file_finds_the_temporary_folder_full_is_told_so(scientist: Actor, full_folder: None) -> None:
    """Django keeps it while it looks for the CSRF token, long before the view."""
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    assert scientist.user is not None
    client.force_login(scientist.user)
    client.get(reverse("dataset_new"))
    file = SimpleUploadedFile("hie.csv", b"a,high_cost\n" * 300_000)  # kept in a file, not in memory
    for path, said in ((reverse("dataset_new"), "<h1"), ("/api/v1/datasets", "storage_full")):
        file.seek(0)
        answer = client.post(path, {"file": file, "name": "hie", "target": "high_cost", "team": "claims"})
        assert answer.status_code == 507, path
        assert "he disk is full (no space left on device); nothing was kept." in answer.content.decode()
        assert said in answer.content.decode()
    assert not Dataset.objects.exists()


def test_a_disk_that_is_full_when_the_version_is_kept_fails_the_run_and_registers_nothing(
    scientist: Actor, model: RegisteredModel, dataset: DatasetVersion, browser: Client, request: pytest.FixtureRequest
) -> None:
    run = request_run(actor=scientist, **asked())
    request.getfixturevalue("full_disk")
    run = ended(run)
    assert run.state == "failed"
    assert run.error.startswith("the disk is full (no space left on device); nothing was kept.")
    assert run.error in browser.get(reverse("run", args=[run.pk])).content.decode()
    assert run.trials_done == 3
    assert nothing_registered()
    assert len(stored()) == 1  # the data set


@pytest.mark.parametrize("number", [27, 122])  # EFBIG of a process's own limit, EDQUOT of a quota
def test_other_limits_of_a_disk_are_told_like_it(number: int) -> None:
    full = StorageFull.of(OSError(number, os.strerror(number)))
    assert full is not None
    assert os.strerror(number).lower() in full.detail
    assert StorageFull.of(OSError(13, "Permission denied")) is None


def test_a_run_is_cancelled_twice_on_its_page_and_by_the_service(
    scientist: Actor, model: RegisteredModel, dataset: DatasetVersion, browser: Client
) -> None:
    run = request(scientist, dataset)
    for _ in range(2):
        answer = browser.post(reverse("run_cancel", args=[run.pk]), follow=True)
        assert "The run is stopped." in answer.content.decode()
    assert cancel_run(run, actor=scientist).state == "cancelled"
    assert jobs.claim(run, worker="test") is None
    assert nothing_registered()
