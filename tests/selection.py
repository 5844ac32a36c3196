"""Which test runs in which phase of `python -m tests.run`: a pytest plugin that adds --phase."""

from __future__ import annotations

import re
from itertools import islice
from typing import TypeVar
from zlib import crc32

import pytest
from django.test import TransactionTestCase

Test = TypeVar("Test")

COMMITTING = {"transactional_db", "live_server"}
DATABASE_FIXTURES = {"db", *COMMITTING}
EXTRAS = {"postgres", "broker", "browser", "slow"}
PHASES = ("pure", "sqlite", "postgres", "browser", "drill", "drill-sqlite")
NEEDS_SERVERS = {"postgres", "broker", "browser"}
# What stands on selectors and services that have tests of their own, on both engines: see docs/adr/0034.
ONE_ENGINE = re.compile(
    r"tests/(pages/|training/api/|architecture/test_(query_counts|url_walk)|flows/test_(drift_to_retrain|train_to_serve)"
    r"|training/pipeline/test_(pipeline|records|reproduce|resume|large|nested|fetching)"
    r"|\w+/test_(\w*pages|dashboard|api|permissions|model_registry|model_monitoring|exports)\.py"
    r"|\w+/test_(objects|object_store|mirror|uploads|bad_input|child|leader)\.py)"
)
WAITS = NEEDS_SERVERS | {"real_child"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --phase and --both."""
    parser.addoption("--both", action="store_true", help="run on both engines what runs on one or the other")
    parser.addoption("--phase", choices=PHASES, action="append", help="run only the tests of this phase, or of these")


@pytest.hookimpl(trylast=True)  # after the shuffle
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of other phases; see `dealt` for the order.

    Each test kept tells its phase, as a property that the counts of the run are made of.
    """
    if not (wanted := set(config.getoption("--phase") or ())):
        return
    kept, others = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        phase = min(wanted & phases_of(item, both=config.getoption("--both")), default=None)
        (others if phase is None else kept).append(item)
        item.user_properties.append(("phase", phase or ""))
    config.hook.pytest_deselected(items=others)
    waiting = [item for item in kept if waits(item)]
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = dealt(waiting, [item for item in kept if not waits(item)], workers=workers)


def dealt(waiting: list[Test], others: list[Test], *, workers: int) -> list[Test]:
    """What each worker begins with, one after the other: xdist gives each of them as many tests. All but the last begin
    with tests that wait, and hardly any of those is the last; the last worker uses the processor meanwhile.

    >>> dealt([1, 2, 3], [10, 20, 30, 40, 50, 60], workers=3)
    [1, 3, 10, 2, 20, 30, 40, 50, 60]
    """
    hands = max(1, workers - 1)
    found, size = list[Test](), (len(waiting) + len(others)) // workers
    rest = iter(others)
    for hand in range(hands):
        own = waiting[hand::hands]
        found += [*own, *islice(rest, max(0, size - len(own)))]
    return [*found, *rest]


def waits(item: pytest.Item) -> bool:
    """Whether the test waits for processes that it starts."""
    return bool(WAITS & {mark.name for mark in item.iter_markers()} or "processes" in getattr(item, "fixturenames", ()))


def phases_of(item: pytest.Item, *, both: bool = False) -> set[str]:
    """Each test runs once, but for those that use the database: these run on both engines, long forms too. Of some one
    engine is enough, but for the drill, or when `both` are asked for; which one follows from the name of the module.
    """
    marks = EXTRAS & {mark.name for mark in item.iter_markers()}
    if "slow" in marks:
        return {"drill"} if marks & NEEDS_SERVERS or not uses_database(item) else {"drill", "drill-sqlite"}
    if "browser" in marks:
        return {"browser"}
    if marks:
        return {"postgres"}
    if not uses_database(item):
        return {"pure"}
    module = item.nodeid.partition("::")[0]
    if both or not ONE_ENGINE.match(module):
        return {"sqlite", "postgres"}
    return {"sqlite", "drill"} if crc32(module.encode()) % 2 else {"postgres", "drill-sqlite"}


def uses_database(item: pytest.Item) -> bool:
    """Whether pytest-django gives `item` a database."""
    fixtures = DATABASE_FIXTURES & set(getattr(item, "fixturenames", ()))
    is_case = issubclass(getattr(item, "cls", None) or object, TransactionTestCase)
    return bool(fixtures or is_case or item.get_closest_marker("django_db"))


def commits(item: pytest.Item) -> bool:
    """Whether the test has no transaction of its own around it."""
    mark = item.get_closest_marker("django_db")
    asked = mark is not None and bool(mark.args[:1] == (True,) or mark.kwargs.get("transaction"))
    is_case = issubclass(getattr(item, "cls", None) or object, TransactionTestCase)
    return asked or is_case or bool(COMMITTING & set(getattr(item, "fixturenames", ())))
