"""The registry with its artifacts in an S3-compatible store: the whole story, and what an outage leaves of it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import call_command

from mlops_site.core import store
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from mlops_site.core.tasks import execute_job
from registry import services
from registry.artifacts import scorer
from registry.models import Artifact, RegisteredModel, StageInterval, Version
from tests.buckets import Bucket
from tests.jobsapp.models import Errand
from tests.registry.http import Person
from tests.registry.parts import artifact, candidate, into_production
from tests.training.claims import claims, csv_of
from training.models import DatasetVersion
from training.services import create_dataset_version

pytestmark = pytest.mark.django_db(transaction=True)
ROW = {"features": {"age": 50, "visits": 3}}


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> None:
    """What a job's process inherits."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    for name, value in bucket.environment.items():  # tests.settings takes away what begins with S3_
        monkeypatch.setenv(f"TEST_{name}", value)


@pytest.fixture
def uploaded(bucket: Bucket, model: RegisteredModel, engineer: Person) -> Version:
    status, made = engineer.upload(artifact())
    assert status == 201, made
    return Version.objects.get()


def produced(version: Version, author: Actor, approver: Actor) -> None:
    services.move_stage(version, actor=author, target_stage="staging", reason="ready")
    request = services.request_promotion(version, actor=author, reason="better")
    services.review_request(request, actor=approver, decision="approve")


def test_from_the_upload_to_an_answer(
    bucket: Bucket, uploaded: Version, engineer: Person, author: Actor, approver: Actor, child: None, capsys: Any
) -> None:
    assert bucket.content(uploaded.artifact_id) == artifact()
    produced(uploaded, author, approver)  # its pre-flight loads and tries it
    scorer._cache().clear()
    assert engineer.post("/models/claims/predict", ROW)[0] == 200
    job = Errand.objects.create(orders=[f"load skops {uploaded.artifact_id}", "succeed in a child"])
    execute_job(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.note, job.error) == ("succeeded", "in a child", "")
    source = io.BytesIO(csv_of(claims(300)).getvalue())
    create_dataset_version(actor=author, name="hie", source=source, filename="hie.csv", target="high_cost")
    data = DatasetVersion.objects.get()
    assert store.read(data.digest).startswith(b"PAR1")
    assert len(bucket.keys()) == 2
    call_command("verify_artifacts")
    assert "All stored files are whole: 2." in capsys.readouterr().out


def test_a_changed_object_serves_nobody(
    bucket: Bucket, uploaded: Version, engineer: Person, author: Actor, approver: Actor
) -> None:
    produced(uploaded, author, approver)
    bucket.overwrite(uploaded.artifact_id, artifact(1))
    scorer._cache().clear()
    status, problem = engineer.post("/models/claims/predict", ROW)
    assert (status, problem["code"]) == (500, "artifact_damaged")
    assert "is damaged" in scorer.preflight(uploaded)[0]


def test_an_outage_is_a_503_that_leaves_nothing_and_what_is_loaded_serves_on(
    bucket: Bucket, uploaded: Version, engineer: Person, author: Actor, approver: Actor, decider: Person
) -> None:
    produced(uploaded, author, approver)
    assert engineer.post("/models/claims/predict", ROW)[0] == 200
    services.move_stage(second := staged(uploaded.model, author), actor=author, target_stage="staging", reason="ready")
    request = services.request_promotion(second, actor=author, reason="newer")
    before = (Version.objects.count(), Artifact.objects.count(), StageInterval.objects.count(), bucket.keys())
    records = AuditRecord.objects.count()
    bucket.server.hang()
    assert engineer.post("/models/claims/predict", ROW)[0] == 200
    status, problem = engineer.upload(artifact(7))
    assert (status, problem["code"]) == (503, "store_unavailable")
    status, problem = decider.post(f"/approvals/{request.pk}/approve", {"comment": "fine"})
    assert (status, problem["code"]) == (503, "store_unavailable")
    bucket.server.wake()
    after = (Version.objects.count(), Artifact.objects.count(), StageInterval.objects.count())
    assert (after, AuditRecord.objects.count()) == (before[:3], records)
    assert engineer.upload(artifact(7))[0] == 201
    assert decider.post(f"/approvals/{request.pk}/approve", {"comment": "fine"})[0] == 200
    for digest in store.digests():
        store.read(digest)


def staged(model: RegisteredModel, author: Actor) -> Version:
    return services.register_version(model, actor=author, candidate=candidate(3))


def test_a_rollback_does_not_take_an_outage_for_damage(
    bucket: Bucket, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    """It would pass over a good version, or say that there is none."""
    for seed in (0, 1):
        into_production(model, author=author, approver=approver, seed=seed)
    who, body = Person(approver), {"reason": "worse than thought"}
    bucket.server.hang()
    status, problem = who.post("/models/claims/rollback", body)
    assert (status, problem["code"]) == (503, "store_unavailable")
    bucket.server.wake()
    assert who.post("/models/claims/rollback", body)[1]["version"] == "1.0.0"


def test_a_job_waits_for_the_store(bucket: Bucket, uploaded: Version, child: None) -> None:
    job = Errand.objects.create(orders=[f"load skops {uploaded.artifact_id}", "succeed after all"])
    bucket.server.hang()
    execute_job(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("queued", 1)
    assert "cannot be reached" in job.error
    bucket.server.wake()
    execute_job(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.attempt, job.note) == ("succeeded", 2, "after all")


def test_readyz_says_that_the_store_is_down(bucket: Bucket, client: Any) -> None:
    assert client.get("/readyz").json()["dependencies"]["storage"] == "ok"
    bucket.server.hang()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["dependencies"]["storage"]) == (503, "down")
