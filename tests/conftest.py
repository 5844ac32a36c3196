"""What every test has: a database that child processes share, an empty artifact store, a network guard."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import settings as hypothesis_settings

from abtesting.selectors.routing import routing
from mlops_site.core import env
from mlops_site.serving import arms
from monitoring.selectors.bases import forget as forget_bases
from registry.artifacts import inspection
from tests import forked, programs, template
from tests.buckets import Bucket
from tests.flush import Flush
from tests.kept import Keeper, artifacts, kept_fixture, layers
from tests.network import Loopback
from tests.processes import Process, start_process
from tests.selection import commits, uses_database
from tests.servers import ObjectStore, s3
from training.ml import boosters
from training.selectors.features import plan_of

if TYPE_CHECKING:
    from tests.factories import Scene

hypothesis_settings.register_profile("steward", deadline=None, print_blob=True)
hypothesis_settings.load_profile("steward")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a graphics card where there is none. Outside `python -m tests.run`, skip what this set-up
    cannot run, and say why."""
    if any(item.get_closest_marker("gpu") for item in items) and not boosters.has_cuda():
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("gpu")])
        items[:] = [item for item in items if not item.get_closest_marker("gpu")]
    if config.getoption("--phase", None):
        return
    for item in items:
        if reason := _obstacle(item, slow_asked="slow" in config.getoption("-m")):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: no collection of garbage need walk over it again."""
    gc.collect()
    gc.freeze()


def _obstacle(item: pytest.Item, *, slow_asked: bool) -> str:
    if item.get_closest_marker("postgres") and connection.vendor != "postgresql":
        return "needs PostgreSQL: python -m tests.run --only postgres, or set TEST_DATABASE_URL"
    if item.get_closest_marker("broker") and not settings.REDIS_URL:
        return "needs Redis: python -m tests.run --only postgres, or set TEST_REDIS_URL"
    if item.get_closest_marker("slow") and not slow_asked:
        return "long form: make drill"
    return ""


@pytest.fixture(scope="session", autouse=True)
def quick_files() -> Iterator[None]:
    """Nothing that a test writes need outlive the power; that it would is shown by the order of calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Puts a migrated database in place; tests.settings has already named one for this worker alone."""
    if connection.vendor == "postgresql":
        template.put_on_server(os.environ["DATABASE_URL"])
    else:
        template.put_into(settings.STEWARD_HOME)


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """So that pytest-django takes the database that is in place."""
    return True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database, with a flush of our own."""
    with django_db_blocker.unblock():
        flush = Flush()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: flush())
        yield
    with django_db_blocker.unblock():
        connection.close()
    if connection.vendor == "postgresql":
        template.drop_from_server(os.environ["DATABASE_URL"])


@pytest.fixture(autouse=True)
def clean_artifacts(request: pytest.FixtureRequest) -> None:
    """An empty artifact store beside a fresh database; in its usual place, where child processes look."""
    if uses_database(request.node):
        shutil.rmtree(artifacts(), ignore_errors=True)


@pytest.fixture(scope="session")
def keeper(django_db_setup: None, django_db_blocker: Any) -> Iterator[Keeper]:
    """Of the fixtures that are kept between tests: see tests/kept.py."""
    found = Keeper()
    yield found
    with django_db_blocker.unblock():
        found.end()


@pytest.fixture
def _kept_or_ended(request: pytest.FixtureRequest, keeper: Keeper, django_db_blocker: Any) -> None:
    """Before the test's own transaction begins: what is kept is there for those that ask for it, and for no other."""
    with django_db_blocker.unblock():
        if makes := [] if commits(request.node) else layers(request.node):
            keeper.begin(request.node.nodeid.partition("::")[0], makes)
        else:
            keeper.end()


@pytest.fixture
def _django_db_helper(_kept_or_ended: None, _django_db_helper: None) -> None:
    """pytest-django's, behind `db` and all its like, where a test's own transaction begins."""


@kept_fixture
def shared_scene(db: None) -> Scene:
    """`tests.factories.scene()`, for tests of which several need it."""
    from tests.factories import scene

    return scene()


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """What a process keeps of epochs for good goes with the database that had them: the next one uses their keys.
    What it keeps of versions goes too, or it would be full, and emptied, in the middle of some test that counts."""
    routing.cache_clear()
    plan_of.cache_clear()
    arms.forget()
    forget_bases()


@pytest.fixture(autouse=True)
def quick_inspections(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads are inspected in forks of this process, but where the test has the mark `real_child`."""
    if not request.node.get_closest_marker("real_child"):
        monkeypatch.setattr(inspection, "_run", forked.run)


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Fail a test that reaches for another machine, even where the code under test swallows the refusal."""
    guard = Loopback(allowed=[settings.REDIS_URL] if settings.REDIS_URL else [])
    guard.install(monkeypatch)
    yield guard
    assert not guard.refused, f"a test must stay on this machine but it reached for {guard.refused}"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """`start_process` with a log file per process; what it started is stopped after the test, last first."""
    started: list[Process] = []

    def start(command: Sequence[str | Path], **options: Any) -> Process:
        log = options.pop("log", tmp_path / f"process-{len(started)}.log")
        started.append(start_process(command, log=log, **options))
        return started[-1]

    yield start
    for process in reversed(started):
        process.stop()


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """One S3-speaking server for all tests of this process; each takes a bucket of its own."""
    with s3() as server:
        yield server


@pytest.fixture
def bucket(object_store: ObjectStore, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """The artifacts in a fresh bucket, for this process and for those that a test starts."""
    found = Bucket(object_store)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    settings.STORAGES = {**settings.STORAGES, "artifacts": env.artifacts(Path("/nonexistent"))}
    yield found
    object_store.wake()


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The Chromium to drive, with `tests.programs.CHROMIUM_FLAGS`."""
    return programs.chromium()
