"""Who answers for data, how long it is kept, and its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from mlops_site.core import holdings, store
from mlops_site.core.choices import JobState, Role
from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from registry.services import register_version
from registry.services.guards import locked
from tests.kept import kept_fixture
from tests.people import actor
from tests.registry.parts import candidate
from tests.training.claims import SMALL, claims
from tests.training.conftest import uploaded
from training import services
from training.models import DatasetVersion, Erasure, Run
from training.pipeline.data import rows_of
from training.selectors import dataset_named, keeping
from training.services import erase_dataset_version, erase_expired, set_keeping

Upload = Callable[..., DatasetVersion]


@pytest.fixture
def dataset(scientist: Actor) -> DatasetVersion:
    """Not kept: an erasure looks at how old the bytes are."""
    return uploaded(scientist)


@kept_fixture
def approver(db: None) -> Actor:
    return actor("ansel", Role.APPROVER)


def aged(version: DatasetVersion, days: float) -> None:
    """As if it had been made that long ago; the law lets no service do that."""
    moment = timezone.now() - timedelta(days=days)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
        else:
            cursor.execute("DROP TRIGGER training_datasetversion_no_update")
    DatasetVersion.objects.filter(pk=version.pk).update(created_at=moment)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = origin")


def test_owner_and_retention_are_set_and_audited(dataset: DatasetVersion, engineer: Actor) -> None:
    row = set_keeping(dataset.dataset, actor=engineer, fields={"owner": "enno", "retention_days": 30})
    assert (str(row.owner), row.retention_days, row.hold) == ("enno", 30, "")
    said = AuditRecord.objects.get(action="dataset.keeping_set")
    assert '"owner":"enno"' in said.body
    assert '"retention_days":30' in said.body
    assert set_keeping(row, actor=engineer, fields={"owner": "", "retention_days": None}).owner is None


@pytest.mark.parametrize(
    "fields", [{"owner": "otto"}, {"owner": "nobody"}, {"retention_days": 0}, {"retention_days": True}]
)
def test_what_makes_no_sense_is_refused(
    fields: dict[str, Any], dataset: DatasetVersion, engineer: Actor, outsider: Actor
) -> None:
    with pytest.raises(Invalid) as refused:
        set_keeping(dataset.dataset, actor=engineer, fields=fields)
    assert refused.value.errors[0].field == next(iter(fields))


def test_a_hold_is_an_approvers_and_the_rest_an_engineers(
    dataset: DatasetVersion, engineer: Actor, approver: Actor, scientist: Actor
) -> None:
    for who, fields in (
        (engineer, {"hold": "trial"}),
        (approver, {"retention_days": 3}),
        (scientist, {"owner": ""}),
        (scientist, {}),
    ):
        with pytest.raises(Forbidden):
            set_keeping(dataset.dataset, actor=who, fields=fields)
    with pytest.raises(Forbidden):
        erase_dataset_version(dataset, actor=scientist, reason="asked for")


def test_deleted_bytes_leave_row_lineage_and_profile(dataset: DatasetVersion, engineer: Actor) -> None:
    made = erase_dataset_version(dataset, actor=engineer, reason="a person asked for it")
    assert erase_dataset_version(dataset, actor=engineer, reason="again").reason == made.reason
    assert not store.exists(dataset.digest)
    assert list(holdings.faults()) == []
    assert Erasure.objects.get().is_done
    again = dataset_named(engineer, "hie@1")
    assert "deleted on" in keeping.gone(again)
    assert "by enno: a person asked for it" in keeping.gone(again)
    assert keeping.looks(engineer, again)
    assert AuditRecord.objects.filter(action="dataset.erased").count() == 1


def test_a_hold_stops_every_deletion_even_one_past_the_service(
    dataset: DatasetVersion, engineer: Actor, approver: Actor
) -> None:
    set_keeping(dataset.dataset, actor=engineer, fields={"retention_days": 1})
    set_keeping(dataset.dataset, actor=approver, fields={"hold": "court case 7"})
    aged(dataset, 3)
    assert erase_expired() == []
    with pytest.raises(Conflict, match="court case 7") as refused:
        erase_dataset_version(dataset, actor=engineer, reason="away with it")
    assert refused.value.code == "on_hold"
    with pytest.raises(IntegrityError, match="legal hold"), transaction.atomic():
        Erasure.objects.create(version=dataset, reason="past the service")
    assert store.exists(dataset.digest)
    set_keeping(dataset.dataset, actor=approver, fields={"hold": ""})
    assert erase_expired() == [dataset]


def test_retention_takes_what_is_old_and_nothing_else(upload: Upload, engineer: Actor) -> None:
    old, young = upload(), upload(claims(rows=310))
    other = upload(name="others")
    assert other.digest == old.digest
    set_keeping(old.dataset, actor=engineer, fields={"retention_days": 10})
    aged(old, 10.1)
    assert erase_expired() == [old]
    assert store.exists(old.digest)  # another data set has the same bytes
    assert store.exists(young.digest)
    erase_dataset_version(other, actor=engineer, reason="the other too")
    assert not store.exists(old.digest)
    row = AuditRecord.objects.filter(action="dataset.erased").order_by("seq").first()
    assert row is not None
    assert row.actor == "system:retention"
    assert "kept for the 10 days" in row.body


def test_what_a_version_in_production_was_trained_on_stays(
    dataset: DatasetVersion, model: RegisteredModel, engineer: Actor, scientist: Actor
) -> None:
    run = services.request_run(actor=scientist, model_name=model.name, dataset="hie@1", **SMALL)
    set_keeping(dataset.dataset, actor=engineer, fields={"retention_days": 1})
    aged(dataset, 2)
    assert erase_expired() == []  # a run waits for it
    version = register_version(model, actor=engineer, candidate=candidate(1))
    Run.objects.filter(pk=run.pk).update(state=JobState.SUCCEEDED, version=version)
    served(version)
    assert erase_expired() == []
    with pytest.raises(Conflict) as refused:
        erase_dataset_version(dataset, actor=engineer, reason="away with it")
    assert refused.value.code == "in_production"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_what_goes_into_production_meanwhile_stays(
    dataset: DatasetVersion, model: RegisteredModel, engineer: Actor, scientist: Actor
) -> None:
    run = services.request_run(actor=scientist, model_name=model.name, dataset="hie@1", **SMALL)
    version = register_version(model, actor=engineer, candidate=candidate(1))
    Run.objects.filter(pk=run.pk).update(state=JobState.SUCCEEDED, version=version)
    refused: list[str] = []

    def erase() -> None:
        try:
            erase_dataset_version(dataset, actor=engineer, reason="away with it")
        except Conflict as error:
            refused.append(error.code)
        finally:
            connection.close()

    eraser = threading.Thread(target=erase)
    with locked(model):  # as a promotion has it
        eraser.start()
        eraser.join(0.5)
        assert eraser.is_alive()
        served(version)
    eraser.join()
    assert refused == ["in_production"]
    assert store.exists(dataset.digest)


def served(version: Any) -> None:
    """Its stage as a promotion leaves it: the laws of stages have tests of their own."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", [TABLE])
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TRIGGER {name}")
    version.intervals.filter(ended_at=None).update(stage="production")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = origin")


TABLE = "registry_stageinterval"


def test_a_run_that_waits_for_deleted_bytes_says_so(
    dataset: DatasetVersion, model: RegisteredModel, engineer: Actor, scientist: Actor
) -> None:
    run = services.request_run(actor=scientist, model_name=model.name, dataset="hie@1", **SMALL)
    erase_dataset_version(dataset, actor=engineer, reason="a person asked for it")
    Run.objects.filter(pk=run.pk).update(state=JobState.RUNNING, attempt=1)
    with pytest.raises(Conflict, match="hie@1 cannot be read: its bytes were deleted on") as failed:
        rows_of(Run.objects.get(pk=run.pk))
    assert failed.value.code == "data_gone"
    with pytest.raises(Conflict, match="cannot be trained on") as refused:
        services.request_run(actor=scientist, model_name=model.name, dataset="hie", **SMALL)
    assert refused.value.errors[0].field == "dataset"


def test_deleted_bytes_do_not_come_back_unasked(upload: Upload, dataset: DatasetVersion, engineer: Actor) -> None:
    erase_dataset_version(dataset, actor=engineer, reason="a person asked for it")
    with pytest.raises(Conflict, match="a person asked for it") as refused:
        upload()
    assert refused.value.code == "data_gone"
    assert upload(name="again").version == 1


def test_the_file_is_left_to_a_later_sweep_while_the_same_bytes_were_just_stored(
    dataset: DatasetVersion, engineer: Actor
) -> None:
    store.put(store.read(dataset.digest), max_bytes=10_000_000)  # somebody's upload, whose row is to come
    erase_dataset_version(dataset, actor=engineer, reason="a person asked for it")
    assert store.exists(dataset.digest)
    assert not Erasure.objects.get().is_done


def test_values_of_personal_columns_are_hidden_from_who_may_not_see_inputs(upload: Upload, db: None) -> None:
    version = upload(claims().assign(email="ada@example.org"), pii=["plan"], name="people")
    viewer, scientist = actor("vera", Role.VIEWER), actor("dana", Role.DATA_SCIENTIST)
    hidden, shown = ({look.name: look for look in keeping.looks(who, version)} for who in (viewer, scientist))
    assert (hidden["plan"].top, hidden["age"].mean) == ((), shown["age"].mean)
    assert [level for level, _ in shown["plan"].top]
    schema = {column["name"]: column for column in keeping.schema_shown(viewer, version)["columns"]}
    assert (schema["plan"]["labels"], schema["plan"]["levels"]) == (None, None)
    assert schema["high_cost"]["labels"]
    assert keeping.suggestions(version) == [
        {"column": "email", "kind": "e-mail address", "why": "300 of 300 values look like one"}
    ]
