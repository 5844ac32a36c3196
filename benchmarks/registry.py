"""The registry's endpoints beside `mlflow server`, both on PostgreSQL, asked in turn over kept connections.

`python -m benchmarks.registry` fills this site with 1,000 models of 10 versions, one of each in production, and two
MLflow servers: one with 200 models of 10 versions, one with as many as the site. Then each is asked the same, a block
of requests at a time, so that whatever else the machine does falls on all of them. All three commit to disk before they
answer.

What is compared is what a person or program would do there. It is not the same work: see WORK.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import _results
from benchmarks._filled import FIRST, Filled, name_of
from benchmarks.predict import start
from tests import servers
from tests.processes import ROOT, exit_on_sigterm, free_port

MLFLOW = "/api/2.0/mlflow"
BLOCK, PAGE, SEED = 25, 100, 0
UPLOADS = 50  # each takes seconds where MLflow's takes milliseconds: see WORK
SMALL, LARGE = "MLflow, 200 models", "MLflow, as many"
GOALS = {"list": 0.25, "search": 0.25, "get model": 0.5, "get version": 0.5, "move": 1.0, "approve": 1.0}
WORK = {
    "get model": "one model by its name. Here with its stages, production version, open requests, alerts and policy",
    "get version": "one version of a model. Here with its signature, lineage and the stages it has been in",
    "list": f"the first {PAGE} models by name. Here with owner, count of versions and the newest in each stage",
    "search": "models whose name contains a text that one has",
    "list versions": "all ten versions of a model",
    "create version": "MLflow writes a row that points at a file. Here the file is uploaded, taken apart in a child"
    " process with limits, loaded, tried on a row, stored under its digest, audited",
    "move": "MLflow sets an alias. Here development -> staging: role and table of moves checked under the model's"
    " lock, interval closed and opened, audited",
    "approve": "MLflow sets an alias. Here the approval that puts a version into production: four eyes, quorum, file"
    " read, its digest checked, loaded and tried on a row, evidence compared, two versions swapped, audited",
}


class Call(NamedTuple):
    method: str
    path: str
    body: Any = None
    who: str = ""


class Server(NamedTuple):
    """One server: what it is asked for an operation and a number, and what must have been asked before."""

    name: str
    ask: Callable[[Call], Any]
    calls: Callable[[str, int], Call]
    prepare: Callable[[str, int], None]

    def wake(self) -> None:
        """A connection kept unused for some seconds is closed by MLflow; a new one is no part of an answer's time."""
        try:
            self.ask(self.calls("get model", 0))
        except (http.client.HTTPException, OSError):
            self.ask(self.calls("get model", 0))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.registry", description=__doc__)
    parser.add_argument("--requests", type=int, default=300, help="of each operation, to each server")
    parser.add_argument("--models", type=int, default=1_000)
    parser.add_argument("--only", action="append", choices=WORK, help="measure this operation (may be repeated)")
    asked = parser.parse_args()
    exit_on_sigterm()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-bench-")))
        url = stack.enter_context(servers.postgres(durable=True)).rpartition("/")[0]
        found = [
            stack.enter_context(steward(folder, url, asked.models)),
            stack.enter_context(mlflow(folder, url, SMALL, min(200, asked.models))),
            stack.enter_context(mlflow(folder, url, LARGE, asked.models)),
        ]
        timings = {name: measure(found, name, asked.requests) for name in asked.only or WORK}
    return report(timings, asked.requests, asked.models)


@contextmanager
def steward(folder: Path, url: str, models: int) -> Iterator[Server]:
    port, key = free_port(), "k" * 40
    create_database(url, "site")
    env = {
        "DATABASE_URL": f"{url}/site", "STEWARD_HOME": str(folder / "site"), "PORT": str(port),
        "DJANGO_SETTINGS_MODULE": "mlops_site.settings", "SECRET_KEY": key, "AUDIT_KEY": key,
    }  # fmt: skip
    (folder / "site").mkdir()
    subprocess.run([ROOT / "deploy/start", "prepare"], env={**os.environ, **env}, check=True)
    command = [sys.executable, "-m", "benchmarks._filled", "site", str(models)]
    said = subprocess.run(command, env={**os.environ, **env}, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    filled = Filled(**json.loads(said.stdout.splitlines()[-1]))
    analyze(f"{url}/site")
    tokens = {"": filled.engineer, "approver": filled.approver}
    with start(["deploy/start", "web"], folder / "site.log", port, "/livez", env):
        ask = asker(port, {who: {"Authorization": f"Bearer {token}"} for who, token in tokens.items()})
        yield Server("Steward", ask, lambda name, i: of_steward(filled, name, i % models), waiting(ask, models))


def of_steward(filled: Filled, name: str, i: int) -> Call:
    model = f"/api/v1/models/{name_of(i)}"
    calls = {
        "get model": Call("GET", model),
        "get version": Call("GET", f"{model}/{FIRST}"),
        "list": Call("GET", f"/api/v1/models?page_size={PAGE}"),
        "search": Call("GET", f"/api/v1/models?search={name_of(i)}"),
        "list versions": Call("GET", f"{model}/versions"),
        "create version": Call("POST", f"{model}/versions", (Path(filled.artifact).read_bytes(), {"params": {"C": i}})),
        "move": Call("POST", f"{model}/1.8.0/promote", {"target_stage": "staging", "reason": "it is ready"}),
        "approve": Call("POST", "", {"comment": "the evidence holds"}, "approver"),
    }
    return calls[name]


def waiting(ask: Callable[[Call], Any], models: int) -> Callable[[str, int], None]:
    """Brings a version as far as it must be before it can be approved."""

    def prepare(name: str, i: int) -> None:
        if name == "approve":
            path = f"/api/v1/models/{name_of(i % models)}/1.9.0/promote"
            for stage in ("staging", "production"):
                said = ask(Call("POST", path, {"target_stage": stage, "reason": "better on the same holdout"}))
            requested[i] = said["request"]["id"]

    return prepare


requested: dict[int, int] = {}  # number -> the approval that waits


@contextmanager
def mlflow(folder: Path, url: str, name: str, models: int) -> Iterator[Server]:
    port, database = free_port(), f"mlflow_{len(name)}_{models}"
    create_database(url, database)
    store = f"postgresql+psycopg2{url.removeprefix('postgresql')}/{database}"
    env = {
        "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    fill = [sys.executable, "-m", "benchmarks._filled", "mlflow", str(models), store]
    subprocess.run(fill, env={**os.environ, **env}, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    analyze(f"{url}/{database}")
    options = ["--backend-store-uri", store, "--artifacts-destination", str(folder / database), "--workers", "1"]
    command = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *options]
    with start(command, folder / f"{database}.log", port, "/health", env):
        yield Server(name, asker(port, {"": {}}), lambda what, i: of_mlflow(what, i % models), lambda what, i: None)


def of_mlflow(name: str, i: int) -> Call:
    model = name_of(i)
    text = f"filter=name%20ILIKE%20%27%25{model}%25%27"
    row = {"name": model, "source": "s3://models/m"}
    alias = {"name": model, "alias": "production", "version": str(1 + i % 10)}
    calls = {
        "get model": Call("GET", f"{MLFLOW}/registered-models/get?name={model}"),
        "get version": Call("GET", f"{MLFLOW}/model-versions/get?name={model}&version=1"),
        "list": Call("GET", f"{MLFLOW}/registered-models/search?max_results={PAGE}"),
        "search": Call("GET", f"{MLFLOW}/registered-models/search?{text}"),
        "list versions": Call("GET", f"{MLFLOW}/model-versions/search?filter=name%3D%27{model}%27"),
        "create version": Call("POST", f"{MLFLOW}/model-versions/create", row),
        "move": Call("POST", f"{MLFLOW}/registered-models/alias", alias),
        "approve": Call("POST", f"{MLFLOW}/registered-models/alias", alias),
    }
    return calls[name]


def create_database(url: str, name: str) -> None:
    run(f"{url}/postgres", f"CREATE DATABASE {name}")


def analyze(url: str) -> None:
    """Count the rows for the planner at once, as autovacuum does within a minute of a site's life: a plan that is made
    before takes a table of 10,000 rows for empty, and a prepared statement keeps it."""
    run(url, "ANALYZE")


def run(url: str, statement: str) -> None:
    import psycopg2

    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()


def asker(port: int, headers: dict[str, dict[str, str]]) -> Callable[[Call], Any]:
    """The JSON of one answer over a kept connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(call: Call) -> Any:
        body, kind = encoded(call.body)
        connection.request(call.method, call.path, body, {**headers[call.who], **kind})
        try:
            response = connection.getresponse()
        except http.client.HTTPException:
            connection.close()  # the next request opens it again
            raise
        content = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{call.method} {call.path} answered {response.status}: {content[:500]!r}")
        return json.loads(content)

    return ask


def encoded(body: Any) -> tuple[bytes | None, dict[str, str]]:
    """JSON; or, of a file and its metadata, a form."""
    if body is None:
        return None, {}
    if not isinstance(body, tuple):
        return json.dumps(body).encode(), {"Content-Type": "application/json"}
    file, metadata = body
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n' + json.dumps(metadata).encode(),
        b'\r\n--edge\r\nContent-Disposition: form-data; name="artifact"; filename="m.skops"\r\n\r\n' + file,
        b"\r\n--edge--\r\n",
    ]
    return b"".join(parts), {"Content-Type": "multipart/form-data; boundary=edge"}


def measure(found: list[Server], name: str, requests: int) -> dict[str, list[float]]:
    """Milliseconds by server, from sending a request to having read its answer."""
    if name == "create version":
        requests = min(requests, UPLOADS)
    spent: dict[str, list[float]] = {server.name: [] for server in found}
    for server in found:
        if GOALS.get(name, 0) < 1 and name != "create version":  # what reads can be asked twice
            server.wake()
            for i in range(BLOCK):
                server.ask(server.calls(name, i))
    for first in range(0, requests, BLOCK):
        for server in found:
            numbers = range(first, min(first + BLOCK, requests))
            server.wake()
            for i in numbers:
                server.prepare(name, i)
            spent[server.name] += [timed(server, name, i) for i in numbers]
    return spent


def timed(server: Server, name: str, i: int) -> float:
    call = server.calls(name, i)
    if call.path == "":
        call = call._replace(path=f"/api/v1/approvals/{requested[i]}/approve")
    started = time.perf_counter()
    server.ask(call)
    return (time.perf_counter() - started) * 1000


def report(timings: dict[str, dict[str, list[float]]], requests: int, models: int) -> int:
    """Print and keep the table; status 1 when a goal is missed."""
    figures: dict[str, Any] = {}
    servers_ = [f"{name} {p}" for name in ("Steward", SMALL, LARGE) for p in ("p50 ms", "p99 ms")]
    rows = [["operation", *servers_, "p50 ratio to 200", "to as many", "goal"]]
    missed = []
    for name, spent in timings.items():
        at = {who: {p: float(np.percentile(each, p)) for p in (50, 99)} for who, each in spent.items()}
        ratios = [at["Steward"][50] / at[who][50] for who in (SMALL, LARGE)]
        goal, said = GOALS.get(name), "none"
        if goal is not None:
            said = f"<= {goal}: {'met' if ratios[0] <= goal else 'missed'}"
            missed += [name] if ratios[0] > goal else []
        rows.append([name, *(f"{at[who][p]:.2f}" for who in at for p in (50, 99)), *(f"{r:.2f}" for r in ratios), said])
        figures[name] = {"ms": at, "p50_ratio": dict(zip((SMALL, LARGE), ratios, strict=True)), "goal": goal}
    notes = {
        **_results.about("registry"),
        "filled with": f"{models:,} models and {models * 10:,} versions; {SMALL} with 200 and 2,000",
        "requests": f"{requests} of each operation, {min(requests, UPLOADS)} uploads, to each server",
        "kept": "each commit flushed to disk, on one PostgreSQL server",
        "goals": "all reached" if not missed else f"missed: {', '.join(missed)}",
        **{f"what {name} is": text for name, text in WORK.items() if name in timings},
    }
    _results.keep("registry", "The registry", [rows], notes, figures)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
