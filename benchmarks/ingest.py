"""How many predictions a second are logged over HTTP, beside a bare COPY; whether folding keeps up.

`python -m benchmarks.ingest` starts a PostgreSQL that flushes each commit, a Redis and one web process, and sends it
batches of predictions of 15 features over three connections, with folding paused. In turn with it, the same rows go by
COPY alone into a table with the same keys and indexes and into one without any, and through a script that parses,
checks, copies to a staging table and merges, as somebody would write by hand. Then single predictions are logged one
after the other; and at last a worker folds while 1,000 predictions a second come for ten minutes.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2

from benchmarks import _copied, _results
from benchmarks.predict import asker, site
from tests import servers
from tests.processes import Process, exit_on_sigterm, start_process

MODEL, FEATURES, SEED = "high_cost", 15, 0
PATH = "/api/v1/monitoring/"
SENDERS = 3
WAYS = {
    "http": "this site, over HTTP",
    "copy": "COPY alone, the same keys and indexes",
    "copy_plain": "COPY alone, no index",
    "script": "a script: parse, check, COPY, merge",
}
GOAL_RATE, GOAL_SHARE, GOAL_P50_MS = 18_000, 0.20, 4.0
FOLD_RATE, GOAL_LAG_SECS, GOAL_GROWTH = 1_000, 60.0, 0.10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each way, in turn")
    parser.add_argument("--batches", type=int, default=20, help="a round, of --size rows each")
    parser.add_argument("--size", type=int, default=5_000, help="rows of a batch")
    parser.add_argument("--singles", type=int, default=2_000)
    parser.add_argument("--fold-secs", type=int, default=600, help="0 leaves folding out")
    parser.add_argument("--register", action="store_true", help="(internal) register the model, print a token")
    asked = parser.parse_args()
    if asked.register:
        print(register())
        return 0
    exit_on_sigterm()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-bench-")))
        database = stack.enter_context(servers.postgres(durable=True)).rpartition("/")[0] + "/postgres"
        env = {"DATABASE_URL": database, "REDIS_URL": stack.enter_context(servers.redis())}
        port, headers, env = stack.enter_context(site(folder, "PostgreSQL", env, "benchmarks.ingest"))
        found = throughput(asked, database, port, headers)
        found |= singles(asked.singles, port, headers)
        if asked.fold_secs:
            found |= folding(asked.fold_secs, folder, database, port, headers, env)
    return report(asked, found)


def register() -> str:
    """In the site's environment: the model with a reference of its 15 features, a machine; its token."""
    import django

    django.setup()
    from mlops_site.core import teams, tokens
    from mlops_site.core.permissions import Actor
    from registry import services
    from tests.monitoring.production import watched

    author = Actor.of(teams.create_user("author", role="ml_engineer", team="claims")[0])
    watched(services.create_model(actor=author, name=MODEL, task_type="classification"), author, columns=FEATURES)
    machine, _ = teams.create_user("claims-app", role="service", team="claims")
    return tokens.create_token(machine)[1]


def rows_of(start: int, count: int) -> list[dict[str, Any]]:
    random = np.random.default_rng([SEED, start])
    names = ["age", "visits", *(f"x{i}" for i in range(FEATURES - 2))]
    cells, scores = random.normal(50, 10, (count, FEATURES)).tolist(), random.random(count).tolist()
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [
        {
            "model_name": MODEL,
            "model_version": "1.0.0",
            "request_id": f"claim-{start + n}",
            "unit_id": f"member-{(start + n) % 50_000}",
            "features": dict(zip(names, cells[n], strict=True)),
            "prediction": int(scores[n] > 0.5),
            "score": scores[n],
            "latency_ms": 2.5,
            "predicted_at": at,
        }
        for n in range(count)
    ]


def bodies_of(start: int, batches: int, size: int) -> list[bytes]:
    return [json.dumps(rows_of(start + n * size, size)).encode() for n in range(batches)]


def throughput(asked: Any, database: str, port: int, headers: dict[str, str]) -> dict[str, Any]:
    """Rows a second by way and round. The first round of each is thrown away."""
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    with closing(psycopg2.connect(database)) as connection:
        _copied.peers(connection)
        for turn in range(asked.rounds + 1):
            count = asked.batches * asked.size
            bodies = bodies_of(turn * count, asked.batches, asked.size)
            texts = _copied.texts(bodies)
            told = {
                "http": _timed(send, port, headers, bodies, asked.size),
                "copy": _timed(_copied.copy, connection, "bare_keyed", texts),
                "copy_plain": _timed(_copied.copy, connection, "bare_plain", texts),
                "script": _timed(_copied.script, connection, bodies, MODEL),
            }
            for way, secs in told.items():
                rates[way] += [count / secs] if turn else []
            print({way: round(count / secs) for way, secs in told.items()}, flush=True)
    return {f"{way}_rows_a_second": [round(rate) for rate in found] for way, found in rates.items()}


def _timed(call: Any, *given: Any) -> float:
    started = time.perf_counter()
    call(*given)
    return time.perf_counter() - started


def send(port: int, headers: dict[str, str], bodies: Sequence[bytes], size: int) -> None:
    """All bodies over SENDERS kept connections, each until it is acknowledged in full."""

    def run(mine: Sequence[bytes]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for body in mine:
            connection.request("POST", f"{PATH}log-predictions", body, headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status != 200 or said["accepted"] != size:
                failed.append(f"{answer.status} {str(said)[:500]}")
                return

    failed: list[str] = []
    threads = [threading.Thread(target=run, args=(bodies[turn::SENDERS],)) for turn in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError(failed[0])


def singles(count: int, port: int, headers: dict[str, str]) -> dict[str, Any]:
    """Milliseconds of one logged prediction after the other."""
    bodies = [json.dumps(row) for row in rows_of(50_000_000, count + 200)]
    ask = asker(port, f"{PATH}log-prediction", headers, bodies, status=201)
    spent = [ask(index) for index in range(count + 200)][200:]
    return {"single_ms": {f"p{p}": round(float(np.percentile(spent, p)), 2) for p in (50, 95, 99)}}


def folding(
    secs: int, folder: Path, database: str, port: int, headers: dict[str, str], env: dict[str, str]
) -> dict[str, Any]:
    """A worker folds while FOLD_RATE predictions a second come: the age of the oldest that no profile holds yet, what
    is queued, and the memory of the worker's processes, once a second."""
    connection = psycopg2.connect(database)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE monitoring_folditem")  # what was logged while folding was paused
    parts = [start_process(["deploy/start", name], log=folder / name, env=env) for name in ("worker", "beat")]
    try:
        seen = list(_watched(connection, parts, port, headers, secs))
    finally:
        for part in reversed(parts):
            part.stop()
        connection.close()
    lags, queued, memory = zip(*seen, strict=True)
    early, late = (statistics.fmean(memory[int(len(memory) * at) :][: max(1, secs // 10)]) for at in (0.2, 0.9))
    return {
        "fold_secs": secs,
        "lag_secs": {"mean": round(statistics.fmean(lags), 2), "max": round(max(lags), 2)},
        "queued_max": max(queued),
        "worker_mb": {"early": round(early), "late": round(late), "growth": round(late / early - 1, 3)},
    }


def _watched(
    connection: Any, parts: Sequence[Process], port: int, headers: dict[str, str], secs: int
) -> Iterator[tuple[float, int, float]]:
    oldest = """SELECT COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - p.received_at), 0), count FROM
        (SELECT COUNT(*) AS count, MIN(id) AS first FROM monitoring_folditem) q
        LEFT JOIN monitoring_folditem f ON f.id = q.first
        LEFT JOIN monitoring_prediction p ON p.id = f.prediction_id"""
    began = time.monotonic()
    for second in range(secs):
        body = json.dumps(rows_of(60_000_000 + second * FOLD_RATE, FOLD_RATE)).encode()
        send(port, headers, [body], FOLD_RATE)
        with connection.cursor() as cursor:
            cursor.execute(oldest)
            lag, count = cursor.fetchone()
        yield float(lag), int(count), sum(map(_resident_mb, parts))
        time.sleep(max(0.0, began + second + 1 - time.monotonic()))


def _resident_mb(process: Process) -> float:
    """Of a process and those that it started."""
    listed = subprocess.run(["ps", "-o", "rss=", "-g", str(process.pid)], capture_output=True, text=True, check=False)
    return sum(map(int, listed.stdout.split())) / 1024


def report(asked: Any, found: dict[str, Any]) -> int:
    """Print and write the table; status 1 when a goal is missed."""
    rates = {way: statistics.median(found[f"{way}_rows_a_second"]) for way in WAYS}
    share, p50 = rates["http"] / rates["copy"], found["single_ms"]["p50"]
    goals = {
        f"at least {GOAL_RATE:,} predictions a second": rates["http"] >= GOAL_RATE,
        f"at least {GOAL_SHARE:.0%} of COPY alone": share >= GOAL_SHARE,
        f"single predictions under {GOAL_P50_MS:g} ms at the median": p50 < GOAL_P50_MS,
    }
    table = [["way", "predictions a second", "share of COPY"]]
    table += [[WAYS[way], f"{rate:,.0f}", f"{rate / rates['copy']:.0%}"] for way, rate in rates.items()]
    tables = [table, [["one prediction", *found["single_ms"]], ["ms", *map(str, found["single_ms"].values())]]]
    if "fold_secs" in found:
        lag, memory = found["lag_secs"], found["worker_mb"]
        tables.append([["folding", "lag s, mean", "lag s, max", "queued, most", "worker MB, early", "late"]])
        figures = (lag["mean"], lag["max"], found["queued_max"], memory["early"], memory["late"])
        tables[-1].append([f"{found['fold_secs']} s at {FOLD_RATE:,}/s", *map(str, figures)])
        goals[f"profiles at most {GOAL_LAG_SECS:g} s behind"] = lag["max"] < GOAL_LAG_SECS
        goals[f"the worker grows by less than {GOAL_GROWTH:.0%}"] = memory["growth"] < GOAL_GROWTH
    notes: dict[str, Any] = {
        **_results.about("ingest"),
        "rows": f"{asked.rounds} rounds of {asked.batches} batches of {asked.size:,} rows of {FEATURES} features",
        "kept": "each commit flushed to disk: fsync and synchronous_commit on; medians of the rounds",
        **{f"goal, {goal}": "reached" if is_reached else "missed" for goal, is_reached in goals.items()},
    }
    _results.keep("ingest", "Logging predictions", tables, notes, found)
    return 0 if all(goals.values()) else 1


if __name__ == "__main__":
    os.environ.setdefault("WEB_PROCESSES", "1")
    sys.exit(main())
