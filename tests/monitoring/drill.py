"""Logging under faults on a whole site: `python -m tests.monitoring.drill [--rows 200000]`.

A PostgreSQL that flushes each commit, a Redis, a web process, a worker and Beat, all its own. While four senders log
predictions in batches, each until it is acknowledged, web, worker and Beat get SIGKILL, Redis is emptied, and
PostgreSQL is shut down immediately and recovers, each several times, in turn. At the end every acknowledged prediction
must be there, once, and the profiles must equal a recomputation. It says a line for each fault, and ends with 1
otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import django
import psycopg2
import redis as redis_client
import requests
from django.db import connections

from tests import servers
from tests.processes import ROOT, Process, exit_on_sigterm, free_port, start_process

SENDERS, BATCH = 4, 200
FAULTS = ("web", "worker", "beat", "redis", "postgres")
FOLDED_WITHIN_SECS = 600.0


class Site(NamedTuple):
    """What can be broken: processes by name and how to start them, the broker, the database."""

    port: int
    running: dict[str, Process]
    start: Callable[[str], Process]
    broker: str
    database: servers.Database

    def hit(self, fault: str, chance: random.Random) -> str:
        if fault == "redis":
            client = redis_client.Redis.from_url(self.broker)
            client.flushall()
            client.close()
            return "Redis emptied"
        if fault == "postgres":
            self.database.crash(chance.uniform(0, 2))
            return "PostgreSQL crashed"
        self.running[fault].kill()
        self.running[fault] = self.start(fault)
        return f"{fault} killed"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.monitoring.drill", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3, help="of all faults")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    exit_on_sigterm()
    with ExitStack() as stack:
        site = _site(stack)
        django.setup()
        return _drill(site, asked.rows, asked.rounds, random.Random(asked.seed))


def _site(stack: ExitStack) -> Site:
    database = stack.enter_context(servers.restartable_postgres(durable=True))
    broker = stack.enter_context(servers.redis())
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-drill-")))
    port = free_port()
    os.environ |= {
        "STEWARD_HOME": str(home),
        "DATABASE_URL": database.url,
        "REDIS_URL": broker,
        "PORT": str(port),
        "WEB_PROCESSES": "1",
        "WORKER_CONCURRENCY": "1",
        "SECRET_KEY": secrets.token_hex(32),
        "AUDIT_KEY": secrets.token_hex(32),
        "DJANGO_SETTINGS_MODULE": "mlops_site.settings",
        "PYTHONWARNINGS": "ignore",
        "LOG_LEVEL": "ERROR",
        "BEAT_LEASE_SECS": "5",
    }
    connection = psycopg2.connect(database.url.rpartition("/")[0] + "/postgres")
    connection.autocommit = True
    connection.cursor().execute("CREATE DATABASE steward")
    connection.close()
    subprocess.run([sys.executable, ROOT / "manage.py", "migrate", "--verbosity", "0"], check=True)
    started: list[Process] = []
    stack.callback(lambda: _stop_all(started))

    def start(name: str) -> Process:
        started.append(start_process([ROOT / "deploy/start", name], log=home / f"{name}.log"))
        return started[-1]

    running = {name: start(name) for name in ("web", "worker", "beat")}
    return Site(port, running, start, broker, database)


def _stop_all(started: list[Process]) -> None:
    for process in reversed(started):
        process.stop()


def _drill(site: Site, rows: int, rounds: int, chance: random.Random) -> int:
    version, headers = _scene()
    senders = [_Sender(site.port, headers, range(turn * BATCH, rows, SENDERS * BATCH), rows) for turn in range(SENDERS)]
    for sender in senders:
        sender.start()
    faults = [fault for _ in range(rounds) for fault in chance.sample(FAULTS, len(FAULTS))]
    for turn, fault in enumerate(faults, start=1):
        due = 0.9 * rows * turn / len(faults)
        while (known := sum(sender.acknowledged for sender in senders)) < due and any(s.is_alive() for s in senders):
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.2))
        _say(f"  {site.hit(fault, chance)} after {known:,} rows")
    for sender in senders:
        sender.join()
    tries = sum(sender.tries for sender in senders)
    connections.close_all()  # those of before the crashes are no more
    problems = _problems(version, rows)
    _say(
        f"{rows:,} rows, {dict(Counter(faults))}: {tries - rows // BATCH} batches sent again, {len(problems)} problems"
    )
    for problem in problems:
        _say(problem)
    return 1 if problems else 0


def _scene() -> tuple[Any, dict[str, str]]:
    """A version with a reference, and a machine's token."""
    from mlops_site.core import teams, tokens
    from mlops_site.core.permissions import Actor
    from registry import services
    from tests.monitoring.production import watched

    author = Actor.of(teams.create_user("author", role="ml_engineer", team="claims")[0])
    model = services.create_model(actor=author, name="high_cost", task_type="classification")
    machine, _ = teams.create_user("claims-app", role="service", team="claims")
    return watched(model, author), {"Authorization": f"Bearer {tokens.create_token(machine)[1]}"}


class _Sender(threading.Thread):
    """Sends its batches one after the other, each until it is acknowledged, as a claims system does."""

    def __init__(self, port: int, headers: dict[str, str], starts: Sequence[int], rows: int) -> None:
        super().__init__(daemon=True)
        self.url = f"http://127.0.0.1:{port}/api/v1/monitoring/log-predictions"
        self.headers, self.starts, self.rows = headers, starts, rows
        self.acknowledged = self.tries = 0

    def run(self) -> None:
        for start in self.starts:
            batch = [_row(n) for n in range(start, min(start + BATCH, self.rows))]
            while not self._send(batch):
                time.sleep(0.1)
            self.acknowledged += len(batch)

    def _send(self, batch: list[dict[str, Any]]) -> bool:
        self.tries += 1
        try:
            answer = requests.post(self.url, json=batch, headers=self.headers, timeout=30)
        except requests.RequestException:
            return False
        if answer.status_code != 200:
            return False
        said = answer.json()
        return bool(said["accepted"] + said["duplicate"] == len(batch))


def _row(n: int) -> dict[str, Any]:
    return {
        "model_name": "high_cost",
        "model_version": "1.0.0",
        "request_id": f"claim-{n}",
        "features": {"age": 20 + n % 60, "visits": n % 7},
        "prediction": n % 2,
        "score": n % 100 / 100,
        "latency_ms": 1.5,
    }


def _problems(version: Any, rows: int) -> list[str]:
    """What should not be, once everything is folded; all batches were acknowledged."""
    from monitoring.models import FoldItem, Prediction
    from tests.monitoring.production import folded, is_same, recomputed

    deadline = time.monotonic() + FOLDED_WITHIN_SECS
    while left := FoldItem.objects.count():
        if time.monotonic() > deadline:
            return [f"{left:,} items are not folded after {FOLDED_WITHIN_SECS:.0f} s"]
        time.sleep(0.5)
    kept = Counter(Prediction.objects.values_list("request_id", flat=True))
    missing = sum(f"claim-{n}" not in kept for n in range(rows))
    twice = sum(count > 1 for count in kept.values())
    found = {"acknowledged and missing": missing, "stored twice": twice, "never sent": len(kept) + missing - rows}
    problems = [f"{what}: {count:,}" for what, count in found.items() if count]
    if not is_same(folded(version), recomputed(version)):
        problems.append("the profiles are another than a recomputation")
    return problems


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
