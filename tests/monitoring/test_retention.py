"""Predictions, labels and features go after their time: charts stay, a hold keeps everything, each run is on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mlops_site.core import laws
from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring.models import LAWS, Completion, Explanation, FoldItem, Label, Prediction, Retention
from monitoring.selectors.dashboard import dashboard
from monitoring.selectors.periods import period
from monitoring.selectors.policies import labelled
from monitoring.selectors.retention import terms_of, waiting_labels
from monitoring.services import (
    end_expired,
    explain_prediction,
    fold_all,
    log_labels,
    log_predictions,
    set_retention,
)
from monitoring.services import retention as ending
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.production import folded, is_same, recomputed
from tests.people import actor, bearer, person

pytestmark = pytest.mark.django_db
NOW = timezone.now()
OLD = NOW - timedelta(days=40)


@kept_fixture
def machine(watched: Version) -> Actor:
    return actor("claims-app", "service")


@kept_fixture
def approver(db: None) -> Actor:
    return actor("petra", "approver")


def row(n: int, **changes: Any) -> dict[str, Any]:
    said = {"model_name": "high_cost", "model_version": "1.0.0", "request_id": f"r{n}", "features": {"age": n}}
    return {**said, "prediction": n % 2, "score": n / 10, "latency_ms": 2.0, **changes}


def label(n: int, value: Any = 1) -> dict[str, Any]:
    return {"model_name": "high_cost", "request_id": f"r{n}", "label": value}


def aged(*numbers: int) -> None:
    """As if these requests and their labels had come 40 days ago; labels do not change, but for this once."""
    names = [f"r{n}" for n in numbers]
    Prediction.objects.filter(request_id__in=names).update(received_at=OLD)
    law = next(law for law in LAWS if law.name == "monitoring_label_no_update")
    with connection.cursor() as cursor:
        on = "" if connection.vendor == "sqlite" else " ON monitoring_label"
        cursor.execute(f"DROP TRIGGER {law.name}{on}")
        Label.objects.filter(request_id__in=names).update(received_at=OLD)
        for statement in laws.sql(law, connection.vendor):
            cursor.execute(statement)


def logged(machine: Actor, *numbers: int, **changes: Any) -> None:
    said = {"predicted_at": OLD.isoformat(), **changes}
    log_predictions([row(n, **said) for n in numbers], actor=machine)


def charts(version: Version) -> Any:
    """Everything the dashboard says, of the whole time."""
    found = dashboard(version, period(start=OLD - timedelta(days=1), end=NOW + timedelta(hours=2), now=NOW))
    return found.metrics, found.operations, found.now.rows, repr(found.series), found.quality, repr(found.ranked)


def test_predictions_and_labels_go_and_every_chart_stays(machine: Actor, author: Actor, watched: Version) -> None:
    logged(machine, *range(8))
    logged(machine, 8, 9, predicted_at=None)
    log_labels([label(n, n % 2) for n in range(4)] + [label(0, 1), label(8)], actor=machine)
    fold_all()
    aged(0, 1, 2, 4, 5, 6, 7)  # r3 came late
    before, total = charts(watched), folded(watched)
    set_retention(watched.model, actor=author, fields={"retention_days": 30})
    assert end_expired() == {"high_cost": ending.Ended(predictions=7, labels=4)}
    assert sorted(Prediction.objects.values_list("request_id", flat=True)) == ["r3", "r8", "r9"]
    assert sorted(Label.objects.values_list("request_id", flat=True)) == ["r3", "r8"]
    assert charts(watched) == before
    assert is_same(folded(watched), total)
    (said,) = AuditRecord.objects.filter(action="retention.ended")
    assert (said.actor, said.subject) == ("system:retention", watched.model.subject)
    assert (said.data["predictions"], said.data["labels"]) == (7, 4)
    assert end_expired() == {}
    assert AuditRecord.objects.filter(action="retention.ended").count() == 1


def test_features_are_erased_and_every_chart_stays(machine: Actor, author: Actor, watched: Version) -> None:
    logged(machine, *range(6))
    logged(machine, 6, predicted_at=None)
    log_labels([label(n) for n in range(3)], actor=machine)
    fold_all()
    aged(*range(6))
    old = Prediction.objects.get(request_id="r0")
    Explanation.objects.create(prediction=old, content={})
    before = charts(watched)
    set_retention(watched.model, actor=author, fields={"feature_days": 30})
    assert end_expired() == {"high_cost": ending.Ended(features=6)}
    assert charts(watched) == before
    erased = Prediction.objects.exclude(erased_at=None).values_list("features", flat=True)
    assert [*erased] == [{}] * 6
    assert not Explanation.objects.exists()
    old.refresh_from_db()
    with pytest.raises(Conflict) as caught:
        explain_prediction(old, actor=author)
    assert caught.value.code == "features_erased"
    assert list(labelled(watched.model, since=None, until=timezone.now())) == []  # nothing to learn from
    assert log_predictions([row(0, predicted_at=OLD.isoformat())], actor=machine).duplicate == 1
    log_labels([label(4), label(0, 0)], actor=machine)  # what comes later is counted all the same
    fold_all()
    assert folded(watched).tally.labelled == 4
    assert end_expired() == {}


def test_what_is_not_folded_stays(machine: Actor, author: Actor, watched: Version) -> None:
    logged(machine, 0, 1)
    fold_all()
    log_labels([label(1)], actor=machine)
    logged(machine, 2)
    aged(0, 1, 2)
    set_retention(watched.model, actor=author, fields={"retention_days": 30, "feature_days": 30})
    end_expired()
    assert sorted(Prediction.objects.values_list("request_id", flat=True)) == ["r1", "r2"]
    fold_all()
    end_expired()
    assert not Prediction.objects.exists()
    assert folded(watched).rows == 3


def test_a_hold_keeps_everything(machine: Actor, author: Actor, approver: Actor, watched: Version) -> None:
    logged(machine, 0, 1)
    log_labels([label(0)], actor=machine)
    fold_all()
    aged(0, 1)
    set_retention(watched.model, actor=author, fields={"retention_days": 1, "feature_days": 1})
    set_retention(watched.model, actor=approver, fields={"hold": "case 17"})
    assert end_expired() == {}
    Retention.objects.update(ends_before=timezone.now())
    for delete in (
        lambda: Prediction.objects.all().delete(),
        lambda: Prediction.objects.update(features={}, erased_at=timezone.now()),
        lambda: Label.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError, match=r"hold keeps|kept for its time"), transaction.atomic():
            delete()
    set_retention(watched.model, actor=approver, fields={"hold": ""})
    assert end_expired() == {"high_cost": ending.Ended(predictions=2, labels=1)}


def test_a_label_outside_retention_cannot_be_deleted(machine: Actor, watched: Version) -> None:
    log_labels([label(0)], actor=machine)
    with pytest.raises(DatabaseError, match="a label is kept for its time"), transaction.atomic():
        Label.objects.all().delete()


def test_labels_without_a_prediction_are_given_up_after_a_time(machine: Actor, watched: Version, settings: Any) -> None:
    log_labels([label(0), label(1), label(2), label(2, 0)], actor=machine)
    logged(machine, 1)
    fold_all()
    aged(0, 1)
    assert waiting_labels(watched.model.pk) == 3
    settings.LABEL_WAIT_DAYS = 30
    assert end_expired() == {"high_cost": ending.Ended(unmatched=1)}
    assert sorted(Label.objects.values_list("request_id", flat=True)) == ["r1", "r2", "r2"]
    assert FoldItem.objects.filter(waiting=True).count() == 2
    logged(machine, 0, 2)  # r0's label is gone, r2's are matched
    fold_all()
    assert folded(watched).tally == recomputed(watched).tally  # the lag of r1's label is that before it was aged
    assert folded(watched).tally.labelled == 2


def test_labels_that_wait_are_no_more_than_so_many(machine: Actor, watched: Version, settings: Any) -> None:
    settings.LABELS_WAITING_MAX = 2
    logged(machine, 9)
    log_labels([label(0), label(1)], actor=machine)
    fold_all()
    found = log_labels([label(2), label(9)], actor=machine)
    assert (found.accepted, [(r.index, r.code, r.field) for r in found.rejected]) == (
        1,
        [(0, "too_many_waiting", "request_id")],
    )
    assert "log the predictions first" in found.rejected[0].message


def test_a_label_after_the_end_of_its_prediction_gets_the_next_number(
    machine: Actor, author: Actor, watched: Version
) -> None:
    logged(machine, 0)
    log_labels([label(0), label(0, 0)], actor=machine)
    fold_all()
    aged(0)
    set_retention(watched.model, actor=author, fields={"retention_days": 30})
    end_expired()
    assert log_labels([label(0), label(0, 0)], actor=machine).accepted == 2
    assert list(Label.objects.order_by("revision").values_list("revision", flat=True)) == [1, 2]


def test_in_batches_each_with_its_record(
    machine: Actor, author: Actor, watched: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "BATCH", 3)
    logged(machine, *range(7))
    fold_all()
    aged(*range(7))
    assert not Completion.objects.exists()
    set_retention(watched.model, actor=author, fields={"retention_days": 30})
    assert end_expired()["high_cost"].predictions == 7
    told = AuditRecord.objects.filter(action="retention.ended").order_by("pk")
    assert [each.data["predictions"] for each in told] == [3, 3, 1]


def test_the_site_says_what_holds_where_a_model_does_not(author: Actor, watched: Version, settings: Any) -> None:
    settings.PREDICTION_RETENTION_DAYS, settings.FEATURE_RETENTION_DAYS = 90, 7
    assert terms_of(watched.model)[1:4] == (90, 7, "")
    set_retention(watched.model, actor=author, fields={"feature_days": 0})
    assert terms_of(watched.model)[1:4] == (90, 0, "")
    set_retention(watched.model, actor=author, fields={"feature_days": None, "retention_days": 5})
    assert terms_of(watched.model)[1:4] == (5, 7, "")


@pytest.mark.parametrize("fields", [{"retention_days": -1}, {"feature_days": 99_999}, {"retention_days": True}])
def test_odd_days(author: Actor, watched: Version, fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="must be a whole number from 0"):
        set_retention(watched.model, actor=author, fields=fields)


def test_who_may(author: Actor, approver: Actor, machine: Actor, watched: Version) -> None:
    refused: list[tuple[Actor, dict[str, Any]]] = [(author, {"hold": "x"}), (approver, {"retention_days": 1})]
    for by, fields in [*refused, (machine, {"hold": "x"}), (approver, {})]:
        with pytest.raises(Forbidden):
            set_retention(watched.model, actor=by, fields=fields)
    with pytest.raises(Invalid, match="hold must be up to 200"):
        set_retention(watched.model, actor=approver, fields={"hold": "a\nb"})


def test_over_http(author: Actor, approver: Actor, watched: Version) -> None:
    path = "/api/v1/models/high_cost/retention"
    engineer, decider = (Client(headers=bearer(each.user)) for each in (author, approver) if each.user)
    set_to = engineer.put(path, {"retention_days": 400}, content_type="application/json")
    assert (set_to.status_code, set_to.json()["retention_days"], set_to.json()["own_feature_days"]) == (200, 400, None)
    held = decider.put(path, {"hold": "case 17"}, content_type="application/json").json()
    assert (held["hold"], held["retention_days"], held["waiting_labels"]) == ("case 17", 400, 0)
    assert engineer.get(path).json() == held
    assert engineer.put(path, {"hold": ""}, content_type="application/json").status_code == 403
    assert engineer.put(path, {"days": 1}, content_type="application/json").status_code == 422
    other = Client(headers=bearer(person("zoe", "ml_engineer", team="others")))
    assert other.get(path).status_code == 404


def test_the_page(author: Actor, approver: Actor, watched: Version, client: Client) -> None:
    path = reverse("retention", args=["high_cost"])
    assert author.user
    client.force_login(author.user)
    page = client.get(path).content.decode()
    assert "How long are predictions of high_cost kept?" in page
    assert "Legal hold" not in page
    assert client.post(path, {"retention_days": "30", "feature_days": ""}).status_code == 302
    assert terms_of(watched.model).retention_days == 30
    assert approver.user
    client.force_login(approver.user)
    assert client.post(path, {"hold": "case 17"}).status_code == 302
    assert "Nothing may be deleted: case 17." in client.get(path).content.decode()
    viewer = actor("vera", "viewer").user
    assert viewer
    client.force_login(viewer)
    assert client.get(path).status_code == 403
