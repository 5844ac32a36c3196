"""A look at a source, from what lies there to the run that trains on it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops_site.core import child, jobs
from mlops_site.core.choices import JobState
from mlops_site.core.entries import Place
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from tests.buckets import Bucket
from tests.training.claims import SMALL, claims
from training.models import DatasetVersion, DataSource, Fetch, Run
from training.pipeline import fetching
from training.selectors.sources import way_of
from training.services import create_source, request_fetch, set_source

DECLARED: dict[str, Any] = {
    "dataset_name": "hie", "target": "high_cost", "group_column": "person", "time_column": "year",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    found = tmp_path / "exports"
    found.mkdir()
    settings.DATA_FOLDERS = [Place("claims", str(found))]
    return found


@pytest.fixture
def source(engineer: Actor, folder: Path, model: RegisteredModel) -> DataSource:
    config = {"model_name": model.name, **SMALL}
    return create_source(
        actor=engineer,
        name="exports",
        kind="folder",
        location=str(folder),
        pattern="*.csv",
        run_config=config,
        **DECLARED,
    )


def looked(source: DataSource, actor: Actor) -> Fetch:
    """A look as a worker does it, in this process."""
    source.refresh_from_db()
    job = jobs.claim(request_fetch(source, actor=actor), worker="test")
    assert job is not None
    jobs.run_here(job)
    return Fetch.objects.get(pk=job.pk)


def states(fetch: Fetch) -> list[str]:
    return [step.state for step in way_of(Fetch.objects.get(pk=fetch.pk))]


def put(folder: Path, name: str, frame: pd.DataFrame) -> None:
    frame.to_csv(folder / name, index=False)


def test_what_is_new_becomes_a_version_and_a_run(source: DataSource, folder: Path, engineer: Actor) -> None:
    put(folder, "2026-01.csv", claims())
    first = looked(source, engineer)
    version = DatasetVersion.objects.get()
    assert (first.state, first.version, first.run) == (JobState.SUCCEEDED, version, Run.objects.get())
    assert version.lineage == {
        "source": "exports", "kind": "folder", "fetch": str(first.pk), "location": f"{folder}/2026-01.csv",
    }  # fmt: skip
    assert Run.objects.get().trigger == {"source": "exports", "fetch": str(first.pk)}
    assert states(first) == ["done", "done", "done", "done", "waiting", "waiting", "none", "none"]
    again = looked(source, engineer)
    assert (again.state, again.version, again.note[:11]) == (JobState.SUCCEEDED, None, "nothing new")
    put(folder, "2026-02.csv", claims(seed=1))
    second = looked(source, engineer)
    assert (str(second.version), Run.objects.count()) == ("hie@2", 2)


def test_the_same_bytes_under_another_name_are_nothing_new(source: DataSource, folder: Path, engineer: Actor) -> None:
    put(folder, "a.csv", claims())
    looked(source, engineer)
    put(folder, "b.csv", claims())
    fetch = looked(source, engineer)
    assert (str(fetch.version), fetch.note) == ("hie@1", "nothing new: the same as hie@1")
    assert (DatasetVersion.objects.count(), Run.objects.count()) == (1, 1)


def test_a_file_that_is_older_by_name_but_new_is_taken(source: DataSource, folder: Path, engineer: Actor) -> None:
    put(folder, "b.csv", claims())
    looked(source, engineer)
    put(folder, "a.csv", claims(seed=1))
    version = looked(source, engineer).version
    assert version is not None
    assert version.lineage["location"].endswith("/a.csv")


def test_all_files_together(source: DataSource, folder: Path, engineer: Actor) -> None:
    set_source(source, actor=engineer, fields={"takes": "all", "run_config": {}})
    frame = claims()
    put(folder, "a.csv", frame.iloc[:100])
    put(folder, "b.csv", frame.iloc[100:])
    fetch = looked(source, engineer)
    assert fetch.version is not None
    assert (fetch.version.rows, fetch.version.lineage["files"], fetch.run) == (300, ["a.csv", "b.csv"], None)
    assert states(fetch) == ["done", "done", "done", "none", "none", "none", "none", "none"]
    put(folder, "c.csv", frame.rename(columns={"age": "years"}))
    fetch = looked(source, engineer)
    assert (fetch.state, states(fetch)[0]) == (JobState.FAILED, "failed")
    assert "c.csv must have the columns of a.csv but they differ in age, years" in fetch.error


def test_a_version_that_its_gate_holds_back_is_not_said_to_have_passed(
    source: DataSource, folder: Path, engineer: Actor
) -> None:
    put(folder, "a.csv", claims())
    looked(source, engineer)
    put(folder, "b.csv", claims(seed=1).drop(columns="age"))
    fetch = looked(source, engineer)
    assert (fetch.state, fetch.step, str(fetch.version)) == (JobState.FAILED, "start a run", "hie@2")
    assert states(fetch) == ["done", "blocked", "done", "failed", "none", "none", "none", "none"]
    assert "'age'" in way_of(fetch)[1].said


def test_data_that_fails_its_checks_is_not_kept(source: DataSource, folder: Path, engineer: Actor) -> None:
    put(folder, "a.csv", claims().assign(high_cost=1))
    fetch = looked(source, engineer)
    assert (fetch.state, fetch.step) == (JobState.FAILED, "check")
    assert "high_cost" in fetch.error
    assert states(fetch) == ["done", "blocked", "none", "none", "none", "none", "none", "none"]
    assert not DatasetVersion.objects.exists()
    source.refresh_from_db()
    assert source.seen == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"x", "no file in"),
        ("a.csv", b"", "it is empty"),
        ("a.csv", b"high_cost\n", "only a header"),
        ("a.csv", b"a,b\n1,2\n3,4\n", "high_cost"),
    ],
)
def test_a_bad_file_is_said_with_its_reason(
    name: str, content: bytes, said: str, source: DataSource, folder: Path, engineer: Actor
) -> None:
    (folder / name).write_bytes(content)
    fetch = looked(source, engineer)
    assert fetch.state == JobState.FAILED
    assert said in fetch.error


def test_a_huge_file_is_refused(source: DataSource, folder: Path, engineer: Actor, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 100
    put(folder, "a.csv", claims())
    fetch = looked(source, engineer)
    assert (fetch.state, fetch.error) == (JobState.FAILED, "the file must be at most 100 bytes but has more")


def test_a_run_that_cannot_be_asked_for_is_said_and_asked_for_again(
    source: DataSource, folder: Path, engineer: Actor
) -> None:
    set_source(source, actor=engineer, fields={"run_config": {**source.run_config, "features": ["nothing"]}})
    put(folder, "a.csv", claims())
    failed = looked(source, engineer)
    assert (failed.state, str(failed.version), failed.run) == (JobState.FAILED, "hie@1", None)
    assert states(failed)[:4] == ["done", "done", "done", "failed"]
    set_source(source, actor=engineer, fields={"run_config": {**source.run_config, "features": ["age"]}})
    again = looked(source, engineer)
    assert (again.state, str(again.version)) == (JobState.SUCCEEDED, "hie@1")
    assert again.run is not None


def test_an_attempt_that_died_after_keeping_goes_on_with_the_run(
    source: DataSource, folder: Path, engineer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.csv", claims())
    with monkeypatch.context() as patch:
        patch.setattr(fetching, "_started", lambda fetch: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            looked(source, engineer)
    row = Fetch.objects.get()
    jobs.release(row, error="it was killed")
    claimed = jobs.claim(row, worker="test")
    assert claimed is not None
    jobs.run_here(claimed)
    row.refresh_from_db()
    assert (row.state, row.attempt, row.run) == (JobState.SUCCEEDED, 2, Run.objects.get())


def test_a_file_still_being_written_is_looked_at_again(
    source: DataSource, folder: Path, engineer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.csv", claims())
    monkeypatch.setattr("mlops_site.core.places._is_still", lambda path, before: False)
    fetch = looked(source, engineer)
    assert (fetch.state, fetch.attempt) == (JobState.QUEUED, 1)
    assert "changed while it was read" in fetch.error
    monkeypatch.undo()
    claimed = jobs.claim(fetch, worker="test")
    assert claimed is not None
    jobs.run_here(claimed)
    assert Fetch.objects.get().state == JobState.SUCCEEDED


def test_an_owner_without_the_right_is_said(source: DataSource, folder: Path, engineer: Actor) -> None:
    put(folder, "a.csv", claims())
    job = jobs.claim(request_fetch(source, actor=engineer), worker="test")
    assert job is not None
    source.owner.memberships.update(role="viewer")
    jobs.run_here(job)
    row = Fetch.objects.get()
    assert row.state == JobState.FAILED
    assert "not allowed" in row.error


def test_a_query_is_read_and_its_answer_compared(engineer: Actor, tmp_path: Path, settings: Any) -> None:
    path = tmp_path / "claims.sqlite3"
    settings.SOURCE_DATABASES = [Place("claims", f"sqlite:///{path}", "warehouse")]
    with sqlite3.connect(path) as made:
        claims().to_sql("claims", made, index=False)
    source = create_source(
        actor=engineer, name="warehouse", kind="sql", location="warehouse", query="SELECT * FROM claims", **DECLARED
    )
    first = looked(source, engineer)
    assert (str(first.version), first.note) == ("hie@1", "hie@1 is kept")
    assert looked(source, engineer).note == "nothing new: the same as hie@1"
    with made:
        made.execute("DELETE FROM claims WHERE person = 3")
    version = looked(source, engineer).version
    assert version is not None
    assert (version.version, version.rows, version.lineage["database"]) == (2, 298, "warehouse")
    made.close()
    set_source(source, actor=engineer, fields={"query": "DELETE FROM claims RETURNING *"})
    refused = looked(source, engineer)
    assert (refused.state, refused.error[:21]) == (JobState.FAILED, "the query was refused")


def test_objects_of_a_bucket(engineer: Actor, bucket: Bucket, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlops_site.core import env

    monkeypatch.setenv("DATA_BUCKETS", bucket.name)
    settings.DATA_BUCKETS, settings.DATA_STORE = [Place("", f"{bucket.name}/exports")], env.data_store()
    location = f"s3://{bucket.name}/exports"
    source = create_source(actor=engineer, name="objects", kind="s3", location=location, **DECLARED)
    bucket.client.put_object(Bucket=bucket.name, Key="exports/a.csv", Body=claims().to_csv(index=False).encode())
    assert str(looked(source, engineer).version) == "hie@1"
    assert looked(source, engineer).version is None
    bucket.client.put_object(Bucket=bucket.name, Key="exports/a.csv", Body=claims(seed=1).to_csv(index=False).encode())
    assert str(looked(source, engineer).version) == "hie@2"


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_look_in_the_process_that_a_worker_watches(
    source: DataSource, folder: Path, engineer: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATA_FOLDERS", f"claims:{folder}")  # read by the settings of the child
    put(folder, "a.csv", claims())
    job = jobs.claim(request_fetch(source, actor=engineer), worker="test")
    assert job is not None
    child.watch(job)
    row = Fetch.objects.get()
    assert (row.state, row.error) == (JobState.SUCCEEDED, "")
    assert row.run == Run.objects.get()
