"""Files scored as a job: every row answered or refused by name, each piece scored once, and only for those who may."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mlops_site.core import holdings, jobs, store
from mlops_site.core.errors import Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring.models import BatchChunk, BatchRun, Bucket, Prediction
from monitoring.pipeline import execute, scoring
from monitoring.services import batches, fold_all, forget_pieces
from registry import services
from registry.artifacts.rows import Columns
from registry.artifacts.scorer import load
from registry.artifacts.signature import Input, Signature
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.people import actor, bearer
from tests.registry.http import API, Person
from tests.registry.parts import candidate, into_production, user

pytestmark = pytest.mark.django_db


@kept_fixture
def model(author: Actor) -> RegisteredModel:
    return services.create_model(actor=author, name="high_cost", task_type="classification")


@kept_fixture
def served(model: RegisteredModel, author: Actor) -> Version:
    """1.0.0, in production."""
    return into_production(model, author=author, approver=actor("approver", "approver"), seed=0)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK_ROWS", 10)
    monkeypatch.setattr(batches, "LOGGED_CHUNK_ROWS", 10)


def claims(rows: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = {"claim": [f"c{i}" for i in range(rows)], "age": random.normal(50, 10, rows).round(3)}
    return pd.DataFrame({**frame, "visits": random.poisson(3, rows), "extra": "not an input"})


def parquet(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


def csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def send(
    who: Actor, content: bytes, *, name: str = "claims.csv", model: str = "high_cost", **form: Any
) -> tuple[int, Any]:
    client = Client(headers=bearer(user(who)))
    response = client.post(f"{API}/models/{model}/score", {"file": SimpleUploadedFile(name, content), **form})
    return response.status_code, response.json()


def asked(who: Actor, content: bytes, **options: Any) -> BatchRun:
    status, answer = send(who, content, **options)
    assert status == 202, answer
    assert answer["status_url"] == f"{API}/scoring/{answer['job_id']}"
    return BatchRun.objects.get(pk=answer["job_id"])


def executed(run: BatchRun) -> BatchRun:
    claimed = jobs.claim(run, worker="test")
    assert claimed is not None
    execute(claimed)
    return BatchRun.objects.get(pk=run.pk)


def result(run: BatchRun) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(store.read(run.result_digest)))


def test_each_row_gets_the_models_own_answer_in_its_place(author: Actor, served: Version, small_pieces: None) -> None:
    frame = claims(37)
    scorer = load(served.artifact.digest, served.artifact.format, served.signature)
    rows: Any = frame[["age", "visits"]].to_dict("records")
    expected = scorer.score(scorer.check_rows(rows))
    for content, name in ((csv(frame), "claims.csv"), (parquet(frame), "claims.parquet")):
        run = executed(asked(author, content, name=name, id_column="claim"))
        assert (run.state, run.progress, run.rows_total, run.rejected) == ("succeeded", 1.0, 37, 0)
        found = result(run)
        assert found["row"].tolist() == list(range(37))
        assert found["id"].tolist() == frame["claim"].tolist()
        assert expected.score is not None
        assert found["score"].tolist() == pytest.approx(expected.score.tolist(), rel=1e-12)
        assert found["prediction"].tolist() == expected.prediction.tolist()
        assert found["decision"].tolist() == (expected.score >= 0.5).astype(int).tolist()
        assert set(found["version"]) == {"1.0.0"}
        assert found["error_code"].isna().all()


def test_its_answers_are_predictions_that_monitoring_sees(author: Actor, served: Version, small_pieces: None) -> None:
    run = executed(asked(author, csv(claims(25)), id_column="claim"))
    found = result(run).set_index("request_id")
    rows = list(Prediction.objects.all())
    assert len(rows) == 25
    for row in rows:
        line = found.loc[row.request_id]
        assert (str(row.pk), row.unit_id) == (line["prediction_id"], line["id"])
        assert (row.score, row.decision, row.arm) == (line["score"], line["decision"], "batch")
    fold_all()
    assert sum(Bucket.objects.values_list("rows", flat=True)) == 25
    label = [{"model_name": "high_cost", "request_id": found.index[0], "label": 1}]
    assert Person(author).post("/monitoring/ground-truth", label)[1]["accepted"] == 1


def test_what_is_not_logged_is_in_the_record_of_the_run_alone(author: Actor, served: Version) -> None:
    run = executed(asked(author, csv(claims(25)), log="false"))
    assert not Prediction.objects.exists()
    assert "request_id" not in result(run)
    said = AuditRecord.objects.get(action="batch.scored")
    wanted = {"version": "1.0.0", "source": run.source_digest, "result": run.result_digest, "rows": 25, "rejected": 0}
    assert said.actor == "author"
    assert wanted.items() <= said.data.items()


def test_a_bad_row_keeps_its_place_and_says_why(author: Actor, served: Version, small_pieces: None) -> None:
    frame = claims(30).astype({"age": object})
    frame.loc[3, "age"] = "old"
    frame.loc[17, "age"] = None
    frame.loc[29, "age"] = 1e300
    run = executed(asked(author, csv(frame)))
    assert (run.rows_done, run.rejected, run.scored) == (30, 3, 27)
    assert [(each["index"], each["code"], each["field"]) for each in run.rejections] == [
        (3, "wrong_type", "age"), (17, "null", "age"), (29, "out_of_range", "age"),
    ]  # fmt: skip
    assert "'old'" in run.rejections[0]["message"]
    found = result(run)
    assert found["row"].tolist() == list(range(30))
    assert found.index[found["score"].isna()].tolist() == [3, 17, 29]
    assert found["error_code"].dropna().tolist() == ["wrong_type", "null", "out_of_range"]
    assert Prediction.objects.count() == 27
    status, answer = Person(author).get(f"/scoring/{run.pk}")
    assert (status, answer["rejected"], answer["rejections"]) == (200, 3, run.rejections)


def test_a_killed_attempt_loses_the_piece_it_was_at_and_no_other(
    author: Actor, served: Version, small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = asked(author, csv(claims(50)))
    starts: list[int] = []
    real = scoring.scored

    def crash(frame: Any, model: Any, run: Any, start: int, **options: Any) -> Any:
        starts.append(start)
        if len(starts) == 4:
            raise RuntimeError("killed")
        return real(frame, model, run, start, **options)

    monkeypatch.setattr(scoring, "scored", crash)
    claimed = jobs.claim(run, worker="first")
    assert claimed is not None
    with pytest.raises(RuntimeError):
        execute(claimed)
    jobs.release(claimed, error="killed")
    run.refresh_from_db()
    assert (run.rows_done, run.stalled, Prediction.objects.count()) == (30, 0, 30)
    run = executed(run)
    assert starts == [0, 10, 20, 30, 30, 40]
    assert (run.state, run.rows_done, Prediction.objects.count()) == ("succeeded", 50, 50)
    assert result(run)["row"].tolist() == list(range(50))


def test_an_attempt_that_was_replaced_writes_nothing(author: Actor, served: Version, small_pieces: None) -> None:
    run = asked(author, csv(claims(30)))
    claimed = jobs.claim(run, worker="first")
    assert claimed is not None
    BatchRun.objects.filter(pk=run.pk).update(attempt=2)
    with pytest.raises(jobs.LeaseLost):
        execute(claimed)
    assert not BatchChunk.objects.exists()
    assert not Prediction.objects.exists()


def test_pieces_are_named_while_they_are_needed_and_gone_afterwards(
    author: Actor, served: Version, small_pieces: None, django_capture_on_commit_callbacks: Any
) -> None:
    run = asked(author, csv(claims(30)))
    before = set(store.digests())
    with django_capture_on_commit_callbacks(execute=True):
        run = executed(run)
    assert set(store.digests()) - before == {run.result_digest}
    assert {run.source_digest, run.result_digest} <= set(holdings.named())
    assert "" not in holdings.named()


def stopped(run: BatchRun, state: str) -> BatchRun:
    """After 20 of its rows, and never to go on."""
    real = scoring.scored

    def crash(frame: Any, model: Any, run: Any, start: int, **options: Any) -> Any:
        if start == 20:
            raise RuntimeError("killed")
        return real(frame, model, run, start, **options)

    claimed = jobs.claim(run, worker="test")
    assert claimed is not None
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(scoring, "scored", crash)
        execute(claimed)
    if state == "queued":
        jobs.release(claimed, error="killed")
    else:
        assert jobs.finish(claimed, state)
    return run


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_pieces_of_a_run_that_never_goes_on_are_deleted(
    author: Actor, served: Version, small_pieces: None, state: str
) -> None:
    going_on = stopped(asked(author, csv(claims(30, seed=1))), "queued")
    before = set(store.digests())
    run = stopped(asked(author, csv(claims(30, seed=2))), state)
    assert len(set(store.digests()) - before) == 3, "the file and two pieces"
    assert (forget_pieces(), forget_pieces()) == (2, 0)
    assert set(store.digests()) - before == {run.source_digest}
    assert list(holdings.faults()) == []
    going_on = executed(going_on)
    assert (going_on.state, going_on.attempt) == ("succeeded", 2)
    assert result(going_on)["row"].tolist() == list(range(30))


def test_names_and_features_are_written_as_the_standard_library_would(author: Actor, served: Version) -> None:
    run = executed(asked(author, csv(claims(3))))
    for at, row in enumerate(Prediction.objects.order_by("request_id")):
        assert (row.request_id, row.pk) == (f"{run.pk}:{at}", uuid.uuid5(run.pk, str(at)))
    inputs = (Input('100% "a"', "number", nullable=True), Input("plän", "category", nullable=True, open=True))
    numbers = np.array([[1e22, np.nan, -0.1, 3.0]])
    columns = Columns(Signature(inputs, "regression"), numbers, [['say "no"', "", "ü\\", "a"]])
    pairs = zip(numbers[0].tolist(), columns.categories[0], strict=True)
    rows = [{'100% "a"': None if n != n else n, "plän": t or None} for n, t in pairs]
    assert list(scoring._features(columns)) == [json.dumps(row) for row in rows]


@pytest.mark.parametrize("index", ["claim", "age"])
def test_what_pandas_made_its_index_is_a_column_still(author: Actor, served: Version, index: str) -> None:
    content = parquet(claims(6).set_index(index))
    run = executed(asked(author, content, name="claims.parquet", id_column="claim"))
    assert (run.state, run.rows_done, run.rejected) == ("succeeded", 6, 0)
    assert result(run)["id"].tolist() == claims(6)["claim"].tolist()


def test_what_pandas_writes_of_itself_into_a_file_may_be_anything(author: Actor, served: Version) -> None:
    table = pa.Table.from_pandas(claims(6)).replace_schema_metadata({"pandas": b"{not json"})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    run = executed(asked(author, stream.getvalue(), name="claims.parquet"))
    assert (run.state, run.rejected) == ("succeeded", 0)


def test_long_ids_stay_what_they_are_beside_missing_ones(author: Actor, served: Version) -> None:
    frame = claims(3).assign(claim=pd.array([2**60 + 1, None, 2**63 - 1], "Int64"))
    run = executed(asked(author, parquet(frame), name="claims.parquet", id_column="claim"))
    assert result(run)["id"].dropna().to_dict() == {0: str(2**60 + 1), 2: str(2**63 - 1)}


def test_a_file_of_one_piece_keeps_its_result(
    author: Actor, served: Version, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    """The one piece and the result are the same bytes, so they are one file of the store."""
    with django_capture_on_commit_callbacks(execute=True):
        run = executed(asked(author, csv(claims(20))))
    assert len(result(run)) == 20
    assert list(holdings.faults()) == []


def test_a_data_set_is_scored(author: Actor, served: Version) -> None:
    engineer = Person(author)
    frame = claims(200).assign(high=np.arange(200) % 2)
    file = SimpleUploadedFile("claims.csv", csv(frame))
    client = Client(headers=bearer(user(author)))
    made = client.post(f"{API}/datasets", {"file": file, "name": "claims_2026", "target": "high"})
    assert made.status_code == 201, made.content
    status, answer = engineer.post("/models/high_cost/score", {"dataset": "claims_2026@1"})
    assert status == 202
    run = executed(BatchRun.objects.get(pk=answer["job_id"]))
    assert (run.rows_total, len(result(run))) == (200, 200)
    assert engineer.get(f"/scoring/{run.pk}")[1]["dataset"] == "claims_2026@1"


class TestRefusals:
    def test_inputs_that_are_missing_are_named(self, author: Actor, served: Version) -> None:
        status, problem = send(author, csv(claims(5).drop(columns=["age", "visits"])))
        assert (status, problem["code"]) == (422, "missing_columns")
        assert [each["field"] for each in problem["errors"]] == ["file.age", "file.visits"]
        assert not BatchRun.objects.exists()

    @pytest.mark.parametrize(
        ("content", "name", "code"),
        [
            (b"", "claims.csv", "empty_file"),
            (b"age,visits\n", "claims.csv", "no_rows"),
            (b"age;visits\n1;2\n", "claims.csv", "wrong_delimiter"),
            (b"age,age,visits\n1,2,3\n", "claims.csv", "duplicate_column"),
            (b"age,visits\n1,2\n", "claims.parquet", "not_parquet"),
            (b"age,visits\n1,2\n", "claims.xlsx", "unsupported_type"),
            (b"age,visits\n1,2\n3\n", "claims.csv", "malformed_file"),
            (b"age,visits\n1,\xff\n", "claims.csv", "malformed_file"),
        ],
    )
    def test_what_is_no_table(self, author: Actor, served: Version, content: bytes, name: str, code: str) -> None:
        status, problem = send(author, content, name=name)
        if status == 202:  # what only reading it shows, the run says
            run = jobs.claim(BatchRun.objects.get(), worker="test")
            assert run is not None
            with pytest.raises(Invalid) as caught:
                execute(run)
            assert caught.value.code == code
        else:
            assert (status, problem["code"]) == (422, code)

    @pytest.mark.parametrize(
        ("form", "field"),
        [({"id_column": "nope"}, "id_column"), ({"version": "9.9.9"}, "version"), ({"other": "1"}, "other")],
    )
    def test_other_fields(self, author: Actor, served: Version, form: dict[str, str], field: str) -> None:
        status, problem = send(author, csv(claims(3)), **form)
        assert status in (400, 404, 422)
        assert field in str(problem)
        assert not BatchRun.objects.exists()

    def test_only_a_version_that_serves(self, author: Actor, served: Version, model: RegisteredModel) -> None:
        services.register_version(model, actor=author, candidate=candidate(5))
        status, problem = send(author, csv(claims(3)), version="1.0.1")
        assert (status, problem["code"]) == (409, "not_served")

    def test_nothing_in_production(self, author: Actor, model: RegisteredModel) -> None:
        assert send(author, csv(claims(3)))[1]["code"] == "no_production_version"

    def test_who_may_not_ask_may_not_take_the_result_either(self, author: Actor, served: Version) -> None:
        viewer, outsider = actor("viewer", "viewer"), actor("outsider", "ml_engineer", team="elsewhere")
        assert send(viewer, csv(claims(3)))[0] == 403
        assert send(outsider, csv(claims(3)))[0] == 404
        run = executed(asked(author, csv(claims(3))))
        assert Person(viewer).get(f"/scoring/{run.pk}")[0] == 200
        assert Person(viewer).get(f"/scoring/{run.pk}/result")[0] == 403
        for path in ("", "/result"):
            assert Person(outsider).get(f"/scoring/{run.pk}{path}")[0] == 404
        assert Person(outsider).get("/scoring")[1]["count"] == 0


def test_what_was_in_a_refused_row_is_for_who_may_see_inputs(author: Actor, served: Version) -> None:
    frame = claims(2).astype({"age": object})
    frame.loc[1, "age"] = "Jo of 3 Mill Lane"
    run = executed(asked(author, csv(frame)))
    for role, sees in {"viewer": False, "admin": False, "auditor": True, "service": True}.items():
        who = actor(f"some-{role}", role)
        said = Person(who).get(f"/scoring/{run.pk}")[1], Person(who).get("/scoring")[1]["results"][0]
        assert [("Mill Lane" in str(each)) for each in said] == [sees, sees], role
        assert [each["rejections"][0]["code"] for each in said] == ["wrong_type"] * 2
        client = Client()
        client.force_login(user(who))
        if role != "service":
            page = client.get(reverse("batch", args=[run.pk])).content.decode()
            assert ("Mill Lane" in page) == sees, role


def test_a_machine_follows_its_run_and_downloads_the_result(served: Version) -> None:
    machine = actor("claims-app", "service")
    run = asked(machine, csv(claims(40)))
    client = Client(headers=bearer(user(machine)))
    assert client.get(f"{API}/scoring/{run.pk}/result").json()["code"] == "no_result"
    run = executed(run)
    response = client.get(f"{API}/scoring/{run.pk}/result")
    content = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    assert content == store.read(run.result_digest)
    assert response["Content-Disposition"].startswith('attachment; filename="high_cost-1.0.0-')
    assert int(response["Content-Length"]) == len(content) == run.result_bytes
    assert AuditRecord.objects.filter(action="batch.downloaded", actor="claims-app").exists()


def test_it_can_be_stopped(author: Actor, served: Version, small_pieces: None) -> None:
    run = asked(author, csv(claims(30)))
    claimed = jobs.claim(run, worker="test")
    assert claimed is not None
    assert Person(author).post(f"/scoring/{run.pk}/cancel")[0] == 202
    with pytest.raises(jobs.LeaseLost):
        execute(claimed)
    assert not Prediction.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_child_killed_at_any_moment_scores_no_piece_twice(
    author: Actor, served: Version, small_pieces: None, processes: Callable[..., Any]
) -> None:
    """SIGKILL to real child processes, as often as they make progress; the next attempt goes on."""
    run = asked(author, csv(claims(600)))
    assert run.chunk_rows == 10
    kills = 0
    for _ in range(20):
        claimed = jobs.claim(run, worker="test")
        assert claimed is not None
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "execute_run", str(run.pk), "--attempt"]
        environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
        child = subprocess.Popen([*command, str(claimed.attempt)], cwd=settings.BASE_DIR, env=environment)
        began = BatchChunk.objects.filter(run=run).count()
        while child.poll() is None and (kills >= 2 or BatchChunk.objects.filter(run=run).count() < began + 20):
            time.sleep(0.02)
        if child.poll() is not None:
            break
        child.send_signal(signal.SIGKILL)
        child.wait()
        kills += 1
        jobs.release(claimed, error="killed")
    run.refresh_from_db()
    assert (run.state, run.rows_done, kills) == ("succeeded", 600, 2)
    assert Prediction.objects.count() == 600
    assert result(run)["row"].tolist() == list(range(600))
