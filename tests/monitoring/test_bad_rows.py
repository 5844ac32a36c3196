"""What may be wrong with rows, over HTTP: a code for each row, or one clear problem; the good ones are kept."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.test import Client

from mlops_site.core.models import AuditRecord
from monitoring.models import FoldItem, Label, Prediction
from monitoring.services import fold_all, pressure
from registry import services
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.production import folded, is_same, recomputed, watched
from tests.people import actor, bearer, person

pytestmark = pytest.mark.django_db
LINES, PARQUET = "application/x-ndjson", "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"
GOOD = (
    b'{"model_name": "high_cost", "model_version": "1.0.0", "request_id": "good", '
    b'"features": {"age": 1}, "prediction": 1}'
)


@kept_fixture
def version(db: None) -> Version:
    author = actor("author", "ml_engineer")
    return watched(services.create_model(actor=author, name="high_cost", task_type="classification"), author)


@pytest.fixture
def machine(version: Version) -> Client:
    pressure.forget()
    return Client(headers=bearer(person("claims-app", "service")))


def post(client: Client, data: bytes, kind: str, path: str = "log-predictions", **headers: str) -> Any:
    return client.post(f"/api/v1/monitoring/{path}", data, content_type=kind, headers=headers)


def with_features(text: bytes, **changes: Any) -> bytes:
    row = {**json.loads(GOOD), "request_id": "bad", **changes}
    return json.dumps(row).encode().replace(b'{"age": 1}', text)


BAD: list[tuple[bytes, str, str]] = [
    (with_features(b'{"age": NaN}'), "malformed", ""),
    (with_features(b'{"age": Infinity}'), "malformed", ""),
    (with_features(b'{"age": -Infinity}'), "malformed", ""),
    (with_features(b'{"age": 1e400}'), "malformed", ""),
    (with_features(b'{"age": 1' + b"0" * 400 + b"}"), "malformed", ""),
    (with_features(b'{"age": 1, "age": 2}'), "malformed", ""),
    (with_features(b'{"age": {"deep": 1}}'), "nested", "features.age"),
    (with_features(b'{"age": "' + b"x" * 2**20 + b'"}'), "too_long", "features.age"),
    (with_features(b'{"' + b"x" * 2**20 + b'": 1}'), "too_long", f"features.{'x' * 80}"),
    (with_features(json.dumps({f"f{n}": n for n in range(2000)}).encode()), "too_many_features", "features"),
    (with_features(b'"age"'), "wrong_type", "features"),
    (with_features(b"null"), "required", "features"),
    (with_features(b"{}", request_id="x" * 2**20), "too_long", "request_id"),
    (with_features(b"{}", request_id=7), "wrong_type", "request_id"),
    (with_features(b"{}", score="0.5"), "wrong_type", "score"),
    (with_features(b"{}", score=10**30), "out_of_range", "score"),
    (with_features(b"{}", prediction="yes"), "unfit_prediction", "prediction"),
    (with_features(b"{}", latency_ms=-1), "out_of_range", "latency_ms"),
    (with_features(b"{}", predicted_at="2026-13-01T00:00:00Z"), "bad_time", "predicted_at"),
    (with_features(b"{}", model_version="7.0.0"), "unknown_version", "model_version"),
    (with_features(b"{}", model_name="other_teams"), "unknown_model", "model_name"),
    (with_features(b"{}", extra=1), "unknown_field", "extra"),
    (b"[" * 1000 + b"]" * 1000, "too_deep", ""),
    (b'{"a":' * 1000 + b"1" + b"}" * 1000, "too_deep", ""),
    (b"\xff\xfe", "malformed", ""),
    (b"null", "wrong_type", ""),
    (b"[]", "wrong_type", ""),
    (b'"text"', "wrong_type", ""),
]


def test_each_line_has_its_verdict(machine: Client, version: Version) -> None:
    """Huge whole numbers that a double holds are good: they are kept exactly."""
    huge = with_features(b'{"age": 1' + b"0" * 200 + b"}", request_id="huge")
    sent = b"\n".join([GOOD, *(line for line, *_ in BAD), huge])
    answer = post(machine, sent, LINES)
    said = answer.json()
    assert (answer.status_code, said["accepted"], said["duplicate"]) == (200, 2, 0)
    assert [(r["index"], r["code"], r["field"]) for r in said["rejected"]] == [
        (index, code, field) for index, (_, code, field) in enumerate(BAD, start=1)
    ]
    assert all(len(each["message"]) < 1_000 for each in said["rejected"])
    assert Prediction.objects.get(request_id="huge").features == {"age": 10**200}
    fold_all()
    assert folded(version).rows == 2
    assert is_same(folded(version), recomputed(version))


@pytest.mark.parametrize("line", [line for line, *_ in BAD], ids=[f"{n} {code}" for n, (_, code, _) in enumerate(BAD)])
def test_as_the_only_prediction_it_is_one_problem(machine: Client, line: bytes) -> None:
    answer = post(machine, line, "application/json", "log-prediction")
    assert 400 <= answer.status_code < 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not Prediction.objects.exists()


def test_mixed_versions_of_one_batch(machine: Client, version: Version) -> None:
    author = actor("author", "ml_engineer")
    other = watched(version.model, author, seed=1, params={"C": 2.0})
    rows = [{**json.loads(GOOD), "request_id": f"r{n}", "model_version": f"1.{n % 3}.0"} for n in range(60)]
    said = post(machine, json.dumps(rows).encode(), "application/json").json()
    assert (said["accepted"], {r["code"] for r in said["rejected"]}) == (40, {"unknown_version"})
    fold_all()
    assert folded(version).rows == folded(other).rows == 20


def table(**columns: Any) -> pa.Table:
    count = len(next(iter(columns.values())))
    named = {"model_name": ["high_cost"] * count, "model_version": ["1.0.0"] * count}
    return pa.table({**named, "request_id": [f"r{n}" for n in range(count)], "prediction": [1] * count, **columns})


def written(found: pa.Table, kind: str) -> bytes:
    sink = io.BytesIO()
    if kind == PARQUET:
        pq.write_table(found, sink)
    else:
        with pa.ipc.new_stream(sink, found.schema) as writer:
            writer.write_table(found)
    return sink.getvalue()


@pytest.mark.parametrize("kind", [PARQUET, ARROW])
def test_columns_have_the_verdicts_of_rows(machine: Client, version: Version, kind: str) -> None:
    found = table(
        **{
            "features.age": [51.5, float("nan"), float("inf"), None, 1.0],
            "features.sex": ["m", "f", "f", "x" * 1001, "a\0"],
            "score": [0.5, 0.5, 0.5, 0.5, 0.5],
        }
    )
    said = post(machine, written(found, kind), kind).json()
    assert said["accepted"] == 1
    assert [(r["index"], r["code"], r["field"]) for r in said["rejected"]] == [
        (1, "not_finite", "features.age"),
        (2, "not_finite", "features.age"),
        (3, "too_long", "features.sex"),
        (4, "malformed", ""),
    ]
    assert Prediction.objects.get().features == {"age": 51.5, "sex": "m"}
    truth = pa.table({"model_name": ["high_cost"] * 2, "request_id": ["r0", "r9"], "label": [1, 5]})
    answer = post(machine, written(truth, kind), kind, "ground-truth").json()
    assert (answer["accepted"], Label.objects.count()) == (2, 2)  # the label that fits nothing waits
    packed = post(machine, gzip.compress(written(found, kind)), kind, **{"Content-Encoding": "gzip"})
    assert packed.json()["duplicate"] == 1


@pytest.mark.parametrize("kind", [PARQUET, ARROW])
@pytest.mark.parametrize("path", ["log-predictions", "ground-truth"])
def test_a_file_that_is_none(machine: Client, kind: str, path: str) -> None:
    answer = post(machine, b"PAR1 and no more", kind, path)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    answer = post(machine, written(table(x=[{"deep": [1]}]), kind), kind, path)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    answer = post(machine, written(table(score=[0.5] * 10_001), kind), kind, path)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_rows")
    assert post(machine, written(table(score=[0.5]).slice(0, 0), kind), kind, path).status_code == 422


def test_gzip_and_a_bomb(machine: Client) -> None:
    gzipped = {"Content-Encoding": "gzip"}
    assert post(machine, gzip.compress(b"[" + GOOD + b"]"), "application/json", **gzipped).json()["accepted"] == 1
    assert post(machine, gzip.compress(GOOD), LINES, **gzipped).json()["duplicate"] == 1
    bomb = post(machine, gzip.compress(b"[" + b" " * 2**25 + b"]"), "application/json", **gzipped)
    assert (bomb.status_code, bomb.json()["code"]) == (413, "too_large")
    assert post(machine, GOOD, LINES, **gzipped).json()["code"] == "malformed"
    assert post(machine, GOOD, LINES, **{"Content-Encoding": "br"}).status_code == 415


class TestPressure:
    def test_rows_a_minute_of_a_token(self, machine: Client, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.TOKEN_ROWS_A_MINUTE = 3
        monkeypatch.setattr("monitoring.services.pressure.time.time", lambda: 6_000_000_045.5)
        rows = json.dumps([json.loads(GOOD)] * 2).encode()
        assert post(machine, rows, "application/json").status_code == 200
        refused = post(machine, rows, "application/json")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["Retry-After"] == "15"
        assert post(machine, GOOD, "application/json", "log-prediction").status_code == 201  # a refusal spends nothing
        assert post(machine, GOOD, "application/json", "log-prediction").status_code == 429
        other = Client(headers=bearer(person("second-app", "service")))
        assert post(other, rows, "application/json").status_code == 200
        monkeypatch.setattr("monitoring.services.pressure.time.time", lambda: 6_000_000_061.0)
        assert post(machine, rows, "application/json").status_code == 200

    def test_rows_a_minute_of_a_team(self, machine: Client, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.TEAM_ROWS_A_MINUTE = 3
        monkeypatch.setattr("monitoring.services.pressure.time.time", lambda: 6_100_000_000.0)
        other = Client(headers=bearer(person("second-app", "service")))
        truth = b'[{"model_name": "high_cost", "request_id": "r", "label": 1}]'
        answers = [
            post(client, truth, "application/json", "ground-truth") for client in (machine, other, machine, other)
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert "this team may log 3 rows a minute" in answers[-1].json()["detail"]

    def test_what_may_not_be_logged_spends_nothing(
        self, machine: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither too many rows, nor what somebody sends who may not log for the team."""
        settings.TOKEN_ROWS_A_MINUTE = settings.TEAM_ROWS_A_MINUTE = 3
        monkeypatch.setattr("monitoring.services.pressure.time.time", lambda: 6_200_000_000.0)  # the team is kept
        many = post(machine, json.dumps([0] * 10_001).encode(), "application/json")
        assert (many.status_code, many.json()["code"]) == (413, "too_many_rows")
        viewer = Client(headers=bearer(person("vera", "viewer")))
        assert post(viewer, b"[1, 2, 3]", "application/json").status_code == 422
        assert post(machine, b"\n".join([GOOD] * 3), LINES).status_code == 200

    def test_a_queue_that_nobody_folds(self, machine: Client, settings: Any) -> None:
        rows = [{**json.loads(GOOD), "request_id": f"r{n}"} for n in range(5)]
        settings.FOLD_QUEUE_MAX = 4
        assert post(machine, json.dumps(rows).encode(), "application/json").status_code == 200
        pressure.forget()
        refused = post(machine, GOOD, LINES)
        assert (refused.status_code, refused.json()["code"]) == (429, "folding_behind")
        assert refused.headers["Retry-After"] == "30"
        fold_all()
        pressure.forget()
        assert post(machine, GOOD, LINES).status_code == 200
        assert not AuditRecord.objects.filter(action__contains="refused").exists()

    def test_ids_far_apart_are_no_queue(self, machine: Client, settings: Any) -> None:
        settings.FOLD_QUEUE_MAX = 10
        FoldItem.objects.create(pk=1, kind="label", label_id=1)
        FoldItem.objects.create(pk=1_000_000, kind="label", label_id=2)
        assert post(machine, GOOD, LINES).status_code == 200

    @pytest.mark.broker
    def test_without_redis_each_process_counts(self, machine: Client, settings: Any) -> None:
        settings.REDIS_URL, settings.TOKEN_ROWS_A_MINUTE = "redis://127.0.0.1:1/0", 2
        answers = [post(machine, GOOD, LINES).status_code for _ in range(3)]
        assert answers == [200, 200, 429]
