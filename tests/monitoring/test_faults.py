"""Web, worker and folder are killed and Redis is flushed while predictions are logged: what was acknowledged is there,
once, and is counted once.

A kill is SIGKILL of the whole process group. The long form (`make drill`) logs 50,000 predictions, `make test` 2,000.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
import requests
from django.conf import settings
from django.db.models import Sum

from monitoring.models import Bucket, FoldItem, Prediction
from registry import services
from registry.models import Version
from tests.monitoring.production import folded, is_same, recomputed, watched
from tests.people import actor, bearer, person
from tests.processes import Process, free_port, listens
from tests.training.workers import CELERY, ENV, until

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

SENDERS = 4
PARTS = ["web", "worker", "folder", "redis"]
FOLDER = """
import time, django
django.setup()
from monitoring.services import fold
while True:
    if not fold(100):
        time.sleep(0.02)
"""


class Site:
    """A web process, a worker with its Beat and a folder that never rests, each replaced when it is killed, as a
    supervisor does."""

    def __init__(self, processes: Callable[..., Process]) -> None:
        self.processes, self.port = processes, free_port()
        self.running = {part: self.start(part) for part in ("web", "worker", "folder")}
        until(lambda: listens(self.port))

    def start(self, part: str) -> Process:
        if part == "worker":
            options = ["--pool", "prefork", "--concurrency", "1", "--without-gossip", "--without-mingle", "--beat"]
            return self.processes([*CELERY, "worker", *options], env=ENV)
        if part == "folder":
            return self.processes([sys.executable, "-c", FOLDER], env=ENV)
        where = ["--bind", f"127.0.0.1:{self.port}", "--worker-class", "mlops_site.web.WebWorker", "--threads", "8"]
        command = [sys.executable, "-m", "gunicorn", "mlops_site.wsgi:application", *where, "--no-control-socket"]
        return self.processes(command, env=ENV)

    def kill(self, part: str) -> None:
        if part == "redis":
            redis.Redis.from_url(settings.REDIS_URL).flushdb()
            return
        self.running[part].kill()
        self.running[part] = self.start(part)


class Sender(threading.Thread):
    """Sends batches one after the other, each until it is acknowledged, as a claims system does."""

    def __init__(self, url: str, headers: dict[str, str], batches: list[list[dict[str, Any]]]) -> None:
        super().__init__()
        self.url, self.headers, self.batches = url, headers, batches
        self.acknowledged: set[str] = set()
        self.tries = 0

    def run(self) -> None:
        for batch in self.batches:
            while not self.send(batch):
                time.sleep(0.1)
            self.acknowledged |= {row["request_id"] for row in batch}

    def send(self, batch: list[dict[str, Any]]) -> bool:
        self.tries += 1
        try:
            answer = requests.post(self.url, json=batch, headers=self.headers, timeout=30)
        except requests.RequestException:
            return False
        if answer.status_code != 200:
            return False
        said = answer.json()
        assert said["accepted"] + said["duplicate"] == len(batch), said
        return True


@pytest.fixture
def version(transactional_db: None) -> Version:
    author = actor("author", "ml_engineer")
    model = services.create_model(actor=author, name="high_cost", task_type="classification")
    return watched(model, author)


@pytest.fixture
def site(version: Version, processes: Callable[..., Process]) -> Site:
    return Site(processes)


def row(n: int) -> dict[str, Any]:
    return {
        "model_name": "high_cost",
        "model_version": "1.0.0",
        "request_id": f"claim-{n}",
        "features": {"age": 20 + n % 60, "visits": n % 7},
        "prediction": n % 2,
        "score": n % 100 / 100,
        "latency_ms": 1.5,
    }


def send_all(site: Site, count: int, batch_size: int) -> list[Sender]:
    headers = bearer(person("claims-app", "service"))
    batches = [[row(n) for n in range(at, min(at + batch_size, count))] for at in range(0, count, batch_size)]
    url = f"http://127.0.0.1:{site.port}/api/v1/monitoring/log-predictions"
    senders = [Sender(url, headers, batches[turn::SENDERS]) for turn in range(SENDERS)]
    for sender in senders:
        sender.start()
    return senders


def reached(senders: list[Sender], count: float) -> Callable[[], bool]:
    return lambda: sum(len(sender.acknowledged) for sender in senders) > count


@pytest.mark.parametrize(
    ("count", "batch_size", "rounds"), [(2_000, 10, 1), pytest.param(50_000, 50, 6, marks=pytest.mark.slow)]
)
def test_what_is_acknowledged_is_kept_once_and_folded_once_whatever_is_killed(
    site: Site, version: Version, count: int, batch_size: int, rounds: int
) -> None:
    chance = random.Random(count)
    victims = [part for _ in range(rounds) for part in chance.sample(PARTS, len(PARTS))]
    senders = send_all(site, count, batch_size)
    for turn, victim in enumerate(victims, start=1):  # all of them before the last batch
        due = 0.9 * count * turn / len(victims)
        until(reached(senders, due))
        time.sleep(chance.uniform(0, 0.05))
        site.kill(victim)
    for sender in senders:
        sender.join()
    until(lambda: not FoldItem.objects.exists())
    acknowledged = set().union(*(sender.acknowledged for sender in senders))
    kept = list(Prediction.objects.values_list("request_id", flat=True))
    assert len(acknowledged) == count
    assert acknowledged - set(kept) == set()
    assert len(kept) == len(set(kept)) == count
    assert Bucket.objects.aggregate(rows=Sum("rows"))["rows"] == count
    assert is_same(folded(version), recomputed(version))
    assert sum(sender.tries for sender in senders) > count // batch_size, "nothing was in flight when the web died"
