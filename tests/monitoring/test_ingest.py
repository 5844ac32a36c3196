"""Logged predictions are kept once, and a row at fault is named and holds up no other."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring.models import FoldItem, Prediction
from monitoring.selectors.retention import misdated
from monitoring.services import log_prediction, log_predictions
from registry import services
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.monitoring.production import watched
from tests.people import actor
from tests.registry.parts import SIGNATURE

pytestmark = pytest.mark.django_db


@kept_fixture
def model(db: None) -> RegisteredModel:
    return services.create_model(actor=actor("author", "ml_engineer"), name="high_cost", task_type="classification")


@kept_fixture
def version(model: RegisteredModel) -> Version:
    return watched(model, actor("author", "ml_engineer"))


@kept_fixture
def machine(version: Version) -> Actor:
    return actor("claims-app", "service")


def row(request_id: str = "r0", **changes: Any) -> dict[str, Any]:
    said = {
        "model_name": "high_cost",
        "model_version": "1.0.0",
        "request_id": request_id,
        "features": {"age": 51.5, "visits": 3},
        "prediction": 1,
        "score": 0.75,
    }
    return {**said, **changes}


def rows(count: int) -> list[dict[str, Any]]:
    return [row(f"r{n}", score=n / count) for n in range(count)]


def test_one_is_kept_as_it_was_said(machine: Actor, version: Version) -> None:
    at = timezone.now() - timedelta(days=2)
    said = row(
        predicted_at=at.isoformat(), latency_ms=2, unit_id="claim 7", decision=1, slices={"site": "6"}, status="ok"
    )
    logged = log_prediction(said, actor=machine)
    kept = Prediction.objects.get(pk=logged.prediction_id)
    assert (kept.version, kept.request_id, kept.features) == (version, "r0", said["features"])
    assert (kept.prediction, kept.score, kept.decision, kept.latency_ms) == (1, 0.75, 1, 2.0)
    assert (kept.predicted_at, kept.unit_id, kept.slices) == (at, "claim 7", {"site": "6"})
    assert (kept.source, kept.status, logged.duplicate) == ("logged", "ok", False)
    assert FoldItem.objects.filter(prediction_id=kept.pk, waiting=False).count() == 1
    assert not AuditRecord.objects.filter(action__startswith="prediction").exists()


def test_a_failure_has_no_prediction(machine: Actor) -> None:
    said = {**row(), "status": "error", "error_code": "timeout", "prediction": None, "score": None}
    kept = Prediction.objects.get(pk=log_prediction(said, actor=machine).prediction_id)
    assert (kept.status, kept.error_code, kept.prediction, kept.score) == ("error", "timeout", None, None)


def test_a_class_is_kept_in_the_spelling_of_the_version(machine: Actor) -> None:
    kept = Prediction.objects.get(pk=log_prediction(row(prediction=True), actor=machine).prediction_id)
    assert kept.prediction == 1
    assert kept.prediction is not True


def test_what_does_not_fit_an_input_is_a_matter_of_data_quality(machine: Actor) -> None:
    odd = {"age": "fifty", "visits": None, "more": True, "": 1}
    assert log_predictions([row(features=odd), row("r1", features={})], actor=machine).accepted == 2


def test_the_same_again_is_a_duplicate_with_the_first_id(machine: Actor) -> None:
    first = log_prediction(row(), actor=machine)
    again = log_prediction(row(unit_id=None), actor=machine)
    assert (again.prediction_id, again.duplicate) == (first.prediction_id, True)
    assert Prediction.objects.count() == FoldItem.objects.count() == 1


def test_another_payload_under_the_same_request_is_a_conflict(machine: Actor) -> None:
    log_prediction(row(), actor=machine)
    with pytest.raises(Conflict) as caught:
        log_prediction(row(score=0.1), actor=machine)
    assert (caught.value.code, caught.value.errors[0].field) == ("request_id_conflict", "request_id")
    assert Prediction.objects.count() == 1


def test_a_batch_says_what_became_of_each_row(machine: Actor) -> None:
    log_prediction(row("old"), actor=machine)
    batch = [row("old"), row("a"), row("a"), row("a", score=0.2), row("b", prediction=7), row("c"), "x"]
    found = log_predictions(batch, actor=machine)
    assert (found.accepted, found.duplicate) == (2, 2)
    assert [(r.index, r.code, r.field) for r in found.rejected] == [
        (3, "request_id_conflict", "request_id"),
        (4, "unfit_prediction", "prediction"),
        (6, "wrong_type", ""),
    ]
    assert set(Prediction.objects.values_list("request_id", flat=True)) == {"old", "a", "c"}


def test_a_batch_may_mix_models_and_versions(machine: Actor, model: RegisteredModel) -> None:
    author = actor("author", "ml_engineer")
    watched(model, author, seed=1, params={"C": 2.0})
    cost = services.create_model(actor=author, name="cost", task_type="regression")
    value = {"inputs": SIGNATURE["inputs"], "task_type": "regression"}
    watched(cost, author, signature=value, metrics={})
    other = {"model_name": "cost", "prediction": 12.5, "score": None}
    batch = [row("a"), row("b", model_version="1.1.0"), row("a", **other), row("b", **{**other, "score": 0.5})]
    found = log_predictions(batch, actor=machine)
    assert (found.accepted, [(r.index, r.code) for r in found.rejected]) == (3, [(3, "not_applicable")])
    assert {str(p.version) for p in Prediction.objects.select_related("version__model")} == {
        "high_cost 1.0.0",
        "high_cost 1.1.0",
        "cost 1.0.0",
    }


NOW = timezone.now()


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"model_name": "absent"}, "unknown_model", "model_name"),
        ({"model_name": 7}, "wrong_type", "model_name"),
        ({"model_name": None}, "required", "model_name"),
        ({"model_version": "9.9.9"}, "unknown_version", "model_version"),
        ({"model_version": "01.0.0"}, "unknown_version", "model_version"),
        ({"model_version": 1.0}, "wrong_type", "model_version"),
        ({"request_id": None}, "required", "request_id"),
        ({"request_id": ""}, "wrong_type", "request_id"),
        ({"request_id": "a\nb"}, "wrong_type", "request_id"),
        ({"request_id": "x" * 129}, "too_long", "request_id"),
        ({"unit_id": 7}, "wrong_type", "unit_id"),
        ({"features": None}, "required", "features"),
        ({"features": [1]}, "wrong_type", "features"),
        ({"features": {"age": {"deep": 1}}}, "nested", "features.age"),
        ({"features": {"age": [1]}}, "nested", "features.age"),
        ({"features": {"age": float("nan")}}, "not_finite", "features.age"),
        ({"features": {"age": float("inf")}}, "not_finite", "features.age"),
        ({"features": {"age": 10**400}}, "not_finite", "features.age"),
        ({"features": {"age": "x" * 1001}}, "too_long", "features.age"),
        ({"features": {"x" * 1001: 1}}, "too_long", f"features.{'x' * 80}"),
        ({"features": {f"f{n}": 1 for n in range(2000)}}, "too_many_features", "features"),
        ({"prediction": None}, "required", "prediction"),
        ({"prediction": 7}, "unfit_prediction", "prediction"),
        ({"prediction": "1"}, "unfit_prediction", "prediction"),
        ({"prediction": [1]}, "wrong_type", "prediction"),
        ({"prediction": float("nan")}, "not_finite", "prediction"),
        ({"score": 1.5}, "out_of_range", "score"),
        ({"score": float("nan")}, "out_of_range", "score"),
        ({"score": "high"}, "wrong_type", "score"),
        ({"score": True}, "wrong_type", "score"),
        ({"decision": 0.5}, "out_of_range", "decision"),
        ({"decision": "yes"}, "wrong_type", "decision"),
        ({"predicted_at": "yesterday"}, "bad_time", "predicted_at"),
        ({"predicted_at": 1700000000}, "bad_time", "predicted_at"),
        ({"predicted_at": "2026-01-01T00:00:00"}, "bad_time", "predicted_at"),
        ({"predicted_at": "0001-01-01T00:00:00+14:00"}, "bad_time", "predicted_at"),
        ({"latency_ms": -1}, "out_of_range", "latency_ms"),
        ({"latency_ms": "fast"}, "wrong_type", "latency_ms"),
        ({"status": "done"}, "unknown_status", "status"),
        ({"status": []}, "unknown_status", "status"),
        ({"status": "error"}, "not_applicable", "prediction"),
        ({"error_code": "x"}, "not_applicable", "error_code"),
        ({"slices": []}, "wrong_type", "slices"),
        ({"slices": {"site": 6}}, "wrong_type", "slices"),
        ({"slices": {str(n): "x" for n in range(21)}}, "too_many_slices", "slices"),
        ({"slices": {"site": "x" * 129}}, "too_long", "slices"),
        ({"slices": {"site\n": "6"}}, "bad_text", "slices"),
        ({"slices": {"site": "6\x1b[2J"}}, "bad_text", "slices"),
        ({"arm": "B"}, "unknown_field", "arm"),
    ],
)
def test_a_row_at_fault_is_named_and_the_good_one_is_kept(
    machine: Actor, changes: dict[str, Any], code: str, field: str
) -> None:
    bad = {**row("bad"), **changes}
    found = log_predictions([bad, row("good")], actor=machine)
    assert (found.accepted, found.duplicate) == (1, 0)
    assert [(r.index, r.code, r.field) for r in found.rejected] == [(0, code, field)]
    with pytest.raises((Invalid, NotFound)) as caught:
        log_prediction(bad, actor=machine)
    assert (caught.value.errors[0].code, caught.value.errors[0].field) == (code, field)


@pytest.mark.parametrize("said", ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59+00:00", "2999-01-01T00:00:00.5+02:00"])
def test_a_time_that_cannot_be_right_loses_no_row(machine: Actor, version: Version, said: str) -> None:
    before = timezone.now()
    log_predictions([row("odd", predicted_at=said), row("late", predicted_at="2001-02-03T04:05:06Z")], actor=machine)
    odd, late = (Prediction.objects.get(request_id=name) for name in ("odd", "late"))
    assert before <= odd.predicted_at == odd.received_at
    assert (odd.said_at, late.said_at, late.predicted_at.year) == (said, "", 2001)
    assert log_predictions([row("odd", predicted_at=said)], actor=machine).duplicate == 1
    span = timezone.now() - timedelta(hours=1), timezone.now() + timedelta(hours=1)
    assert misdated(version.pk, *span) == 1


def test_whole_numbers_beyond_64_bits_stay_exact(machine: Actor) -> None:
    said = row(features={"id": 2**80 + 1, "low": -(2**64), "small": 1e-9, "unit": "\\ \u00e9 \u0001"})
    log_prediction(said, actor=machine)
    log_predictions([{**said, "request_id": f"r{n}"} for n in range(1, 30)], actor=machine)  # by COPY
    assert log_prediction(said, actor=machine).duplicate
    kept = Prediction.objects.values_list("features", flat=True)
    assert [*kept] == [said["features"]] * 30


def test_a_text_that_no_database_stores(machine: Actor) -> None:
    bad = [row("a", features={"x": "\0"}), row("b", features={"\0": 1}), row("c", features={"x": "\ud800"})]
    found = log_predictions([*bad, row("d", features={"x": "\\u0000"})], actor=machine)
    assert [(each.index, each.code) for each in found.rejected] == [(0, "bad_text"), (1, "bad_text"), (2, "bad_text")]


def test_a_batch_without_a_good_row_is_refused_with_every_fault(machine: Actor) -> None:
    with pytest.raises(Invalid) as caught:
        log_predictions([row(score=2), 7], actor=machine)
    assert (caught.value.code, [e.field for e in caught.value.errors]) == ("no_good_row", ["rows[0].score", "rows[1]"])


@pytest.mark.parametrize("batch", [[], {}, "x", None])
def test_what_is_no_batch(machine: Actor, batch: Any) -> None:
    with pytest.raises(Invalid, match="must be a list of 1 to 10000 rows but got"):
        log_predictions(batch, actor=machine)


def test_too_many_rows_are_refused_before_they_are_looked_at(machine: Actor) -> None:
    with pytest.raises(TooLarge) as caught:
        log_predictions([None] * 10_001, actor=machine)
    assert caught.value.code == "too_many_rows"


class TestWho:
    def test_another_teams_model_does_not_exist(self, version: Version) -> None:
        outsider = actor("zoe", "service", team="others")
        with pytest.raises(NotFound) as caught:
            log_prediction(row(), actor=outsider)
        assert caught.value.code == "unknown_model"

    def test_a_viewer_is_refused_and_that_is_recorded(self, version: Version) -> None:
        with pytest.raises(Forbidden):
            log_predictions([row()], actor=actor("vera", "viewer"))
        assert AuditRecord.objects.filter(action="prediction.log.refused", actor="vera").exists()
        assert not Prediction.objects.exists()


def statements(count: int, machine: Actor, start: int = 0) -> int:
    batch = [row(f"q{start + n}") for n in range(count)]
    with CaptureQueriesContext(connection) as queries:
        assert log_predictions(batch, actor=machine).accepted == count
    writing = ("INSERT", "CREATE TEMP", "COPY", "DELETE FROM monitoring_staged")
    return len([q for q in queries if "SAVEPOINT" not in q["sql"] and not q["sql"].startswith(writing)])


def test_more_rows_take_no_more_statements_but_those_that_write(machine: Actor) -> None:
    log_predictions(rows(1), actor=machine)
    assert statements(1000, machine) == statements(10, machine, start=5000)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_the_same_batch_from_eight_at_once_is_kept_once(model: RegisteredModel) -> None:
    """Half of them send it backwards: rows are written in one order, or they would wait for each other."""
    watched(model, actor("author", "ml_engineer"))
    machine = actor("claims-app", "service")
    start, found = threading.Barrier(8), []

    def send(turn: int) -> None:
        batch = rows(200)
        start.wait()
        try:
            found.append(log_predictions(batch[:: 1 if turn % 2 else -1], actor=machine))
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=[turn]) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.accepted for each in found) == 200 == Prediction.objects.count() == FoldItem.objects.count()
    assert sum(each.duplicate for each in found) == 7 * 200
