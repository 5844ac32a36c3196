"""Data set versions: the same bytes are the same version, numbers have no gaps, bad files leave nothing."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings

from mlops_site.core import store
from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound, StewardError, TooLarge
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from tests.people import actor
from tests.training.bad_files import BAD_FILES, BadFile
from tests.training.claims import claims, csv_of
from training.models import Dataset, DatasetVersion
from training.services import create_dataset_version
from training.services.datasets import parquet_of

Upload = Callable[..., DatasetVersion]


def test_a_version_keeps_the_canonical_table_its_schema_and_its_quality(upload: Upload) -> None:
    version = upload()
    kept = pd.read_parquet(io.BytesIO(store.read(version.digest)))
    pd.testing.assert_frame_equal(kept, claims(), check_dtype=False)
    assert version.rows == len(claims())
    assert version.quality["passed"]
    columns = {column["name"]: column for column in version.schema["columns"]}
    assert columns["plan"]["kind"] == "category"
    assert columns["visits"]["missing"] == int(claims()["visits"].isna().sum())
    assert dict(columns["high_cost"]["labels"]) == claims()["high_cost"].value_counts().to_dict()
    assert AuditRecord.objects.filter(action="dataset.version_created", subject="dataset:hie").count() == 1


def test_the_same_bytes_declared_the_same_way_are_the_same_version(upload: Upload) -> None:
    assert upload() == upload()
    assert upload(time_column="").version == 2
    assert DatasetVersion.objects.count() == 2


def test_the_same_bytes_bring_back_a_file_that_the_store_lost(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    version = upload()
    store.delete(version.digest)
    assert upload() == version
    assert store.exists(version.digest)
    store.delete(version.digest)
    monkeypatch.setattr("training.ml.tables.to_parquet", lambda frame: b"another version of the library")
    with pytest.raises(Conflict, match="libraries of today make another one") as refused:
        upload()
    assert refused.value.code == "data_gone"


def test_csv_and_parquet_of_the_same_table_hold_the_same_bytes(upload: Upload, scientist: Actor) -> None:
    source = parquet_of(claims())
    other = create_dataset_version(
        actor=scientist, name="hie", source=source, filename="hie.parquet", target="high_cost", time_column="year"
    )
    assert other.digest == upload().digest


def test_names_belong_to_one_team(upload: Upload, outsider: Actor) -> None:
    upload()
    with pytest.raises(NotFound) as caught:
        upload(actor=outsider)
    assert caught.value.errors[0].field == "name"
    assert Dataset.objects.count() == 1


def test_a_viewer_may_not_upload_and_the_refusal_is_recorded(upload: Upload) -> None:
    with pytest.raises(Forbidden):
        upload(actor=actor("vera", "viewer"))
    assert AuditRecord.objects.filter(action="dataset.create.refused", actor="vera").exists()
    assert not Dataset.objects.exists()


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_a_bad_file_is_refused_by_name_and_nothing_is_written(upload: Upload, bad: BadFile) -> None:
    with pytest.raises(Invalid) as caught:
        upload(source=io.BytesIO(bad.content), filename=bad.filename, group_column="", time_column="")
    error = caught.value.errors[0]
    assert (error.field.split(".")[0], error.code) == (bad.field, bad.code)
    assert_nothing_written()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../hie"),
        ("name", "Hie"),
        ("name", ""),
        ("target", "nothing"),
        ("time_column", "nothing"),
        ("time_column", "plan"),
        ("group_column", "nothing"),
        ("group_column", "visits"),
        ("pii", ["nothing"]),
    ],
)
def test_a_wrong_declaration_is_named_and_nothing_is_written(upload: Upload, field: str, value: object) -> None:
    with pytest.raises(Invalid) as caught:
        upload(**{field: value})
    assert [error.field for error in caught.value.errors] == [field]
    assert_nothing_written()


def test_a_file_beyond_the_limit_is_too_large(upload: Upload) -> None:
    with override_settings(MAX_UPLOAD_BYTES=1000), pytest.raises(TooLarge):
        upload()
    assert_nothing_written()


def test_a_frame_is_refused_for_the_same_reason_as_a_file(upload: Upload) -> None:
    def reason(act: Callable[[], object]) -> str:
        with pytest.raises(StewardError) as caught:
            act()
        assert type(caught.value) is Invalid
        return caught.value.detail

    repeated = pd.DataFrame([[1, 2, 0]] * 60, columns=["age", "age", "high_cost"])
    assert reason(lambda: parquet_of(repeated)) == reason(lambda: upload(repeated))
    single = claims().assign(high_cost=1)
    from_frame = reason(lambda: upload(source=parquet_of(single), filename="frame.parquet"))
    assert from_frame == reason(lambda: upload(single))


def test_a_version_without_a_column_of_the_last_is_kept_and_blocked(upload: Upload) -> None:
    upload()
    blocked = upload(claims().drop(columns="age"))
    assert (blocked.version, blocked.quality["passed"], blocked.quality["expectations"]) == (2, False, None)
    (failed,) = [check for check in blocked.quality["checks"] if not check["passed"] and check["severity"] == "block"]
    assert (failed["name"], failed["column"]) == ("schema_missing", "age")
    assert upload(claims(seed=1)).quality["passed"]  # it is held against the last that passed


@pytest.mark.django_db(transaction=True)
def test_versions_of_many_uploads_at_once_have_no_gap(upload: Upload) -> None:
    upload()
    sources = [csv_of(claims(seed=seed)) for seed in (1, 2, 2, 3, 3, 3)]
    made: list[int] = []

    def run(source: io.BytesIO) -> None:
        try:
            made.append(upload(source=source).version)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(made)) == [2, 3, 4]
    assert len(made) == 6
    assert sorted(DatasetVersion.objects.values_list("version", flat=True)) == [1, 2, 3, 4]


def assert_nothing_written() -> None:
    kept = Path(settings.STORAGES["artifacts"]["OPTIONS"]["location"])
    assert not [path for path in kept.rglob("*") if path.is_file()]
    assert not Dataset.objects.exists()
    assert not DatasetVersion.objects.exists()
    assert not AuditRecord.objects.filter(action__startswith="dataset").exists()
