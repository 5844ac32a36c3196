"""Ground truth comes late, first, twice and corrected."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from mlops_site.core.errors import Forbidden, Invalid
from mlops_site.core.permissions import Actor
from monitoring.models import FoldItem, Label
from monitoring.services import fold_all, log_labels, log_prediction
from registry import services
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.monitoring.production import folded, is_same, recomputed, watched
from tests.people import actor
from tests.registry.parts import SIGNATURE

pytestmark = pytest.mark.django_db


@kept_fixture
def version(db: None) -> Version:
    author = actor("author", "ml_engineer")
    model = services.create_model(actor=author, name="high_cost", task_type="classification")
    return watched(model, author)


@kept_fixture
def machine(version: Version) -> Actor:
    return actor("claims-app", "service")


def predict(machine: Actor, request_id: Any = "r0", **changes: Any) -> str:
    said = {"model_name": "high_cost", "model_version": "1.0.0", "request_id": request_id, "features": {"age": 50}}
    return str(log_prediction({**said, "prediction": 1, "score": 0.8, **changes}, actor=machine).prediction_id)


def label(value: Any = 1, request_id: Any = "r0", **changes: Any) -> dict[str, Any]:
    return {"model_name": "high_cost", "request_id": request_id, "label": value, **changes}


def said(request_id: str = "r0") -> list[Any]:
    rows = Label.objects.filter(request_id=request_id).order_by("revision")
    return [(row.revision, row.label) for row in rows]


def test_by_id_or_by_name(machine: Actor) -> None:
    first = predict(machine)
    predict(machine, "r1")
    found = log_labels([{"prediction_id": first, "label": 0}, label(1, "r1")], actor=machine)
    assert (found.accepted, found.duplicate, found.rejected) == (2, 0, [])
    assert (said(), said("r1")) == ([(1, 0)], [(1, 1)])
    row = Label.objects.get(request_id="r1")
    assert (row.created_by, FoldItem.objects.filter(label_id=row.pk).count()) == (machine.user, 1)


def test_said_again_it_is_a_duplicate(machine: Actor) -> None:
    predict(machine)
    log_labels([label(1, human_decision="pay")], actor=machine)
    found = log_labels([label(1), label(True), label(1, human_decision="pay")], actor=machine)
    assert (found.accepted, found.duplicate) == (0, 3)
    assert said() == [(1, 1)]


def test_corrected_it_is_the_next_revision(machine: Actor) -> None:
    predict(machine)
    found = log_labels([label(1), label(0), label(0), label(1)], actor=machine)
    assert (found.accepted, found.duplicate) == (3, 1)
    assert said() == [(1, 1), (2, 0), (3, 1)]
    assert log_labels([label(1, human_decision="deny")], actor=machine).accepted == 1


def test_an_old_message_sent_again_takes_no_correction_back(machine: Actor) -> None:
    predict(machine)
    early = (timezone.now() - timedelta(days=1)).isoformat()
    log_labels([label(1, observed_at=early), label(0)], actor=machine)
    assert log_labels([label(1, observed_at=early)], actor=machine).duplicate == 1
    assert said() == [(1, 1), (2, 0)]


def test_first_it_waits_for_its_prediction(machine: Actor, version: Version) -> None:
    log_labels([label(1), label(0, "never")], actor=machine)
    fold_all()
    assert FoldItem.objects.filter(waiting=True).count() == 2
    predict(machine)
    fold_all()
    assert FoldItem.objects.filter(waiting=True).count() == FoldItem.objects.count() == 1
    assert (folded(version).tally.labelled, folded(version).tally.hits) == (1, 1)
    assert is_same(folded(version), recomputed(version))


def test_one_that_came_first_and_does_not_fit_is_left_out_and_shows_as_missing(
    machine: Actor, version: Version
) -> None:
    log_labels([label("paid")], actor=machine)
    predict(machine)
    fold_all()
    tally = folded(version).tally
    assert (tally.rows, tally.labelled, tally.coverage) == (1, 0, 0.0)
    assert log_labels([label(1)], actor=machine).accepted == 1
    fold_all()
    assert folded(version).tally.labelled == 1


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"prediction_id": str(uuid4()), "label": 1}, "unknown_prediction", "prediction_id"),
        ({"prediction_id": "x", "label": 1}, "unknown_prediction", "prediction_id"),
        ({"prediction_id": 7, "label": 1}, "wrong_type", "prediction_id"),
        ({"prediction_id": str(uuid4()), "request_id": "r0", "label": 1}, "not_applicable", "request_id"),
        (label(model_name="absent"), "unknown_model", "model_name"),
        (label(model_name=None), "required", "model_name"),
        (label(request_id=None), "required", "request_id"),
        (label(request_id=7), "wrong_type", "request_id"),
        (label(None), "required", "label"),
        (label(7), "unfit_label", "label"),
        (label("1"), "unfit_label", "label"),
        (label([1]), "wrong_type", "label"),
        (label({}), "wrong_type", "label"),
        (label(float("nan")), "not_finite", "label"),
        (label("x" * 1001), "too_long", "label"),
        (label(human_decision=[]), "wrong_type", "human_decision"),
        (label(observed_at="soon"), "bad_time", "observed_at"),
        (label(observed_at=(timezone.now() + timedelta(days=1)).isoformat()), "in_future", "observed_at"),
        (label(truth=1), "unknown_field", "truth"),
        ([], "wrong_type", ""),
    ],
)
def test_a_row_at_fault_is_named_and_the_good_one_is_kept(machine: Actor, row: Any, code: str, field: str) -> None:
    predict(machine)
    found = log_labels([row, label(1, "later")], actor=machine)
    assert (found.accepted, [(r.index, r.code, r.field) for r in found.rejected]) == (1, [(0, code, field)])
    assert (said(), said("later")) == ([], [(1, 1)])


def test_an_unknown_prediction_says_how_a_label_may_come_first(machine: Actor) -> None:
    with pytest.raises(Invalid) as caught:
        log_labels([{"prediction_id": str(uuid4()), "label": 1}], actor=machine)
    assert "the label waits for it" in caught.value.errors[0].message


def test_a_label_of_a_regression_is_a_number_even_before_its_prediction(machine: Actor) -> None:
    author = actor("author", "ml_engineer")
    cost = services.create_model(actor=author, name="cost", task_type="regression")
    watched(cost, author, signature={"inputs": SIGNATURE["inputs"], "task_type": "regression"}, metrics={})
    found = log_labels([label(12.5, model_name="cost"), label("much", "r1", model_name="cost")], actor=machine)
    assert (found.accepted, found.rejected[0].code) == (1, "unfit_label")


class TestWho:
    def test_another_teams_prediction_does_not_exist(self, machine: Actor) -> None:
        pk, outsider = predict(machine), actor("zoe", "service", team="others")
        with pytest.raises(Invalid) as caught:
            log_labels([{"prediction_id": pk, "label": 1}, label()], actor=outsider)
        assert [e.code for e in caught.value.errors] == ["unknown_prediction", "unknown_model"]

    def test_a_viewer_is_refused(self, machine: Actor) -> None:
        pk, viewer = predict(machine), actor("vera", "viewer")
        for row in ({"prediction_id": pk, "label": 1}, label()):
            with pytest.raises(Forbidden):
                log_labels([row], actor=viewer)
        assert not Label.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_eight_correct_the_same_requests_at_once_and_no_revision_is_lost() -> None:
    """Whoever comes second to a revision looks again and takes the next."""
    author = actor("author", "ml_engineer")
    model: RegisteredModel = services.create_model(actor=author, name="high_cost", task_type="classification")
    version = watched(model, author)
    machine = actor("claims-app", "service")
    for n in range(20):
        predict(machine, f"r{n}")
    start, found = threading.Barrier(8), []

    def correct(turn: int) -> None:
        start.wait()
        try:
            batch = [label(turn % 2, f"r{n}", human_decision=str(turn)) for n in range(20)]
            found.append(log_labels(batch[:: 1 if turn % 3 else -1], actor=machine))
        finally:
            connection.close()

    threads = [threading.Thread(target=correct, args=[turn]) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.accepted for each in found) == 160
    assert all([revision for revision, _ in said(f"r{n}")] == [*range(1, 9)] for n in range(20))
    fold_all()
    assert is_same(folded(version), recomputed(version))
