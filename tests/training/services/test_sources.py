"""Setting sources, asking for looks, and what Beat reads of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django_celery_beat.models import PeriodicTask

from mlops_site.core.beats import length_of
from mlops_site.core.choices import JobState, Role
from mlops_site.core.entries import Place
from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor, person
from monitoring.selectors.policies import schedules
from monitoring.services import set_schedule
from registry.models import RegisteredModel
from tests.people import actor
from training.models import DataSource, Fetch
from training.selectors.sources import source_named, sources
from training.services import cancel_fetch, create_source, fetch_on_schedule, request_fetch, set_source

BASE: dict[str, Any] = {"name": "exports", "kind": "folder", "dataset_name": "hie", "target": "high_cost"}


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.DATA_FOLDERS = [Place("claims", str(tmp_path))]
    settings.SOURCE_DATABASES = [Place("", "sqlite:////nowhere.sqlite3", "warehouse")]
    return tmp_path


@pytest.fixture
def source(engineer: Actor, folder: Path) -> DataSource:
    return create_source(actor=engineer, location=str(folder), every="1d", **BASE)


def test_a_source_is_its_teams_and_its_schedule_is_beats(
    source: DataSource, engineer: Actor, scientist: Actor, outsider: Actor
) -> None:
    task = PeriodicTask.objects.get(name="source: exports")
    assert (task.task, task.args, length_of(task)) == ("training.fetch_on_schedule", '["exports"]', timedelta(days=1))
    assert (list(sources(scientist)), list(sources(outsider))) == ([source], [])
    with pytest.raises(NotFound):
        source_named(outsider, "exports")
    assert "source: exports" in schedules(scientist).values_list("name", flat=True)
    assert "source: exports" not in schedules(outsider).values_list("name", flat=True)
    assert AuditRecord.objects.filter(action="source.created", subject="source:exports").exists()
    set_source(source, actor=engineer, fields={"every": None})
    task.refresh_from_db()
    assert not task.enabled


def test_the_schedule_is_changed_where_all_schedules_are(source: DataSource, engineer: Actor, scientist: Actor) -> None:
    task = PeriodicTask.objects.get(name="source: exports")
    set_schedule(task, actor=engineer, every="6h", enabled=False)
    source.refresh_from_db()
    task.refresh_from_db()
    assert (source.every, source.enabled, task.enabled, length_of(task)) == (
        timedelta(hours=6), False, False, timedelta(hours=6),
    )  # fmt: skip
    with pytest.raises(Forbidden):
        set_schedule(task, actor=scientist, enabled=True)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"location": "/etc"}, "location"),
        ({"kind": "ftp"}, "kind"),
        ({"kind": "s3", "location": "s3://bucket/prefix"}, "location"),
        ({"kind": "sql", "location": "other", "query": "SELECT 1"}, "location"),
        ({"kind": "sql", "location": "warehouse", "query": "SELECT 1; SELECT 2"}, "query"),
        ({"query": "SELECT 1"}, "query"),
        ({"name": "Bad Name"}, "name"),
        ({"dataset_name": "Bad Name"}, "dataset_name"),
        ({"every": "1m"}, "every"),
        ({"takes": "some"}, "takes"),
        ({"pii": "email"}, "pii"),
        ({"run_config": {"model_name": "absent"}}, "run_config"),
        ({"run_config": {"n_trials": 3}}, "run_config"),
        ({"run_config": {"model_name": "high_cost_claim", "unknown": 1}}, "run_config"),
        ({"owner": "otto"}, "owner"),
        ({"seen": []}, "seen"),
    ],
)
def test_what_makes_no_sense_is_refused(
    changes: dict[str, Any], field: str, engineer: Actor, outsider: Actor, folder: Path, model: RegisteredModel
) -> None:
    with pytest.raises(Invalid) as refused:
        create_source(actor=engineer, **{**BASE, "location": str(folder), **changes})
    assert field in [error.field for error in refused.value.errors]
    assert not DataSource.objects.exists()


def test_a_name_is_taken_once_over_all_teams(source: DataSource, outsider: Actor, scientist: Actor) -> None:
    with pytest.raises(Conflict) as refused:
        create_source(actor=outsider, **{**BASE, "kind": "sql", "location": "warehouse", "query": "SELECT 1"})
    assert refused.value.code == "source_exists"
    with pytest.raises(Forbidden):
        create_source(actor=scientist, **{**BASE, "name": "other", "location": source.location})


def test_two_who_ask_at_once_get_one_look(source: DataSource, engineer: Actor, scientist: Actor) -> None:
    first = request_fetch(source, actor=scientist)
    assert request_fetch(source, actor=engineer) == first
    assert fetch_on_schedule("exports") == first
    with pytest.raises(IntegrityError), transaction.atomic():
        Fetch.objects.create(source=source, requested_by=source.owner)
    assert cancel_fetch(first, actor=scientist).state == JobState.CANCELLED
    second = fetch_on_schedule("exports")
    assert second is not None
    assert (second.scheduled, second.requested_by) == (True, source.owner)


def test_a_source_that_is_off_looks_at_nothing(source: DataSource, engineer: Actor) -> None:
    set_source(source, actor=engineer, fields={"enabled": False})
    source.refresh_from_db()
    assert fetch_on_schedule("exports") is None
    assert fetch_on_schedule("absent") is None
    with pytest.raises(Conflict) as refused:
        request_fetch(source, actor=engineer)
    assert refused.value.code == "source_off"


def test_looks_act_in_the_name_of_who_said_what_they_do(
    source: DataSource, engineer: Actor, scientist: Actor, folder: Path
) -> None:
    enno, eva = person(engineer), actor("eva", Role.ML_ENGINEER)
    for other in ("eva", person(scientist).username):
        with pytest.raises(Invalid) as refused:
            set_source(source, actor=engineer, fields={"owner": other})
        assert "must be yourself" in refused.value.detail
    set_source(source, actor=eva, fields={"enabled": False, "every": "2d"})
    source.refresh_from_db()
    assert source.owner == enno, "when it looks is not what it does"
    set_source(source, actor=eva, fields={"enabled": True, "group_column": "person"})
    source.refresh_from_db()
    assert source.owner == person(eva)
    set_source(source, actor=engineer, fields={"owner": "enno"})
    look = fetch_on_schedule("exports")
    assert look is not None
    assert look.requested_by == enno


def test_another_place_is_all_new(source: DataSource, engineer: Actor) -> None:
    DataSource.objects.filter(pk=source.pk).update(seen=[["a.csv", 1, "x"]])
    set_source(source, actor=engineer, fields={"target": "other"})
    source.refresh_from_db()
    assert source.seen
    set_source(source, actor=engineer, fields={"pattern": "*.parquet"})
    source.refresh_from_db()
    assert source.seen == []
