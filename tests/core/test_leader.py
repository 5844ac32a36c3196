"""Two real Beat processes: one fires each tick once, the other takes over, and system jobs fire too."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from queue import Empty

import pytest
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from mlops_site.celery import app
from mlops_site.core import leases
from mlops_site.core.models import Lease
from mlops_site.core.scheduler import LEASE, LeaderScheduler
from tests.processes import ROOT, Process

pytestmark = pytest.mark.django_db(transaction=True)
QUEUE, SWEEPS = "ticks of a test", "default"
ENV = {
    "FOLD_SECS": "600",
    "DJANGO_SETTINGS_MODULE": "tests.settings",
    "LOG_LEVEL": "INFO",
    "PYTHONWARNINGS": "ignore",
    "BEAT_LEASE_SECS": "3",
    "JOB_SWEEP_SECS": "1",
}


@pytest.fixture
def ticking() -> PeriodicTask:
    every_second, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    return PeriodicTask.objects.create(name="tick", task="tests.tick", interval=every_second, queue=QUEUE)


@pytest.fixture
def beat(processes: Callable[..., Process], tmp_path: Path) -> Callable[[], Process]:
    """Starts one as supervisord.conf does; ready when it has read the schedule."""
    numbers = count()

    def start() -> Process:
        log = tmp_path / f"beat-{next(numbers)}.log"
        return processes(
            [ROOT / "deploy" / "start", "beat"], env=ENV, log=log, ready=lambda: "beat: Starting" in log.read_text()
        )

    return start


@pytest.fixture(autouse=True)
def _empty_queues() -> Iterator[None]:
    for name in (QUEUE, SWEEPS):
        sent(name)
    yield
    for name in (QUEUE, SWEEPS):
        sent(name)


def sent(queue: str) -> Counter[str]:
    """How many messages wait in the queue, by the process that sent them; they are taken out."""
    origins: Counter[str] = Counter()
    with app.connection_for_read() as connection, connection.SimpleQueue(queue) as waiting:
        while True:
            try:
                message = waiting.get_nowait()
            except Empty:
                return origins
            origins[message.headers["origin"]] += 1
            message.ack()


def eventually(what: Callable[[], object], within_secs: float = 20.0) -> None:
    deadline = time.monotonic() + within_secs
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_of_two_one_fires_each_tick_once_and_the_other_takes_over(
    beat: Callable[[], Process], ticking: PeriodicTask
) -> None:
    started = time.monotonic()
    both = {process.pid: process for process in (beat(), beat())}
    eventually(lambda: sent(QUEUE))
    began = time.monotonic()
    time.sleep(4)
    ticks, sweeps, secs = sent(QUEUE), sent(SWEEPS), time.monotonic() - began
    assert len(ticks) == 1, "one process sends"
    assert secs / 2 - 1 <= ticks.total() <= secs + 1  # a crowded machine wakes Beat late, never early
    assert 2 <= sweeps.total() <= time.monotonic() - started + 1  # the system's job, since the start
    (first,) = ticks
    leader = int(Lease.objects.get(name=LEASE).holder.split(":")[1])
    both[leader].kill()
    eventually(lambda: set(sent(QUEUE)) - {first})
    began = time.monotonic()
    time.sleep(3)
    secs = time.monotonic() - began
    assert secs / 2 - 1 <= sent(QUEUE).total() <= secs + 1, "it goes on, and none is fired again"


def test_a_leader_that_stops_cleanly_hands_over_at_once(beat: Callable[[], Process], ticking: PeriodicTask) -> None:
    one = beat()
    eventually(lambda: sent(QUEUE))
    one.stop()
    assert leases.hold(LEASE, holder="the next", secs=30)


class TestLease:
    def test_one_holds_it_until_it_runs_out(self) -> None:
        assert leases.hold("x", holder="a", secs=30)
        assert not leases.hold("x", holder="b", secs=30)
        assert leases.hold("x", holder="a", secs=0.05)
        time.sleep(0.1)
        assert leases.hold("x", holder="b", secs=30)
        assert not leases.hold("x", holder="a", secs=30)

    def test_only_its_holder_lets_it_go(self) -> None:
        leases.hold("x", holder="a", secs=30)
        leases.let_go("x", holder="b")
        assert not leases.hold("x", holder="b", secs=30)
        leases.let_go("x", holder="a")
        assert leases.hold("x", holder="b", secs=30)


class TestFence:
    def test_a_leader_that_overslept_its_lease_fires_nothing_twice(self, ticking: PeriodicTask) -> None:
        PeriodicTask.objects.exclude(pk=ticking.pk).delete()
        PeriodicTask.objects.filter(pk=ticking.pk).update(last_run_at=timezone.now() - timedelta(minutes=1))
        sleeper, other = (LeaderScheduler(app=app, lazy=True) for _ in range(2))
        before = sleeper.all_as_schedule()["tick"]
        again = other.all_as_schedule()["tick"]
        for scheduler, entry in ((other, again), (sleeper, before)):
            scheduler.reserve(entry)
            scheduler.apply_entry(entry, producer=None)
        assert sent(QUEUE).total() == 1
        assert PeriodicTask.objects.get(pk=ticking.pk).total_run_count == 1
