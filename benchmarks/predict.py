"""How long one claim takes: this site's `predict` on SQLite and on PostgreSQL beside `mlflow models serve`.

`python -m benchmarks.predict` fits a random forest of 100 trees on the demo's claims, registers it through the
services, lets two people put it into production, serves it as supervisord.conf does, and serves the same file with
MLflow. All three are asked in turn, a block of requests one after the other over a kept connection, so that whatever
else the machine does falls on all of them. The site checks a token, and commits each answer before it gives it.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from mlops_site.demo import claims
from tests import servers
from tests.processes import ROOT, Process, exit_on_sigterm, free_port, start_process

MODEL, TREES, SEED = "high_cost_claim", 100, 0
RESULTS = ROOT / "benchmarks" / "results"
BLOCK = 250  # requests to one server before the next one's turn
ROUND = 1_000  # requests to each: what else the machine does comes in bursts, which a median of rounds leaves out
GOAL = 0.25  # of MLflow's time, at the median and at the 99th percentile


class Target(NamedTuple):
    """One server: how to ask it for row `i`."""

    name: str
    ask: Callable[[int], float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict", description=__doc__)
    parser.add_argument("--requests", type=int, default=5_000, help=f"to each server, in rounds of {ROUND}")
    parser.add_argument("--warm-up", type=int, default=200)
    parser.add_argument("--register", action="store_true", help="(internal) register the model, print a token")
    asked = parser.parse_args()
    if asked.register:
        print(register())
        return 0
    exit_on_sigterm()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-bench-")))
        rows = fit(folder)
        database = stack.enter_context(servers.postgres(durable=True)).rpartition("/")[0] + "/postgres"
        targets = [
            stack.enter_context(steward(folder, rows, "SQLite", {})),
            stack.enter_context(steward(folder, rows, "PostgreSQL", {"DATABASE_URL": database})),
            stack.enter_context(mlflow(folder, rows)),
        ]
        timings = measure(targets, asked.requests, asked.warm_up)
    return report(timings, asked.requests)


def columns() -> tuple[pd.DataFrame, pd.Series[int]]:
    """31 numbers of a person-year, and whether it was expensive."""
    rows = claims.person_years()
    rows["plan"] = rows["plan"].str.removeprefix("plan ").astype(float)
    frame = rows[[*claims.FEATURES, "site", "year", "time"]].fillna(0.0).astype(float)
    return frame, (rows["meddol"] > rows["meddol"].quantile(claims.QUANTILE)).astype(int)


def fitted() -> tuple[Pipeline, pd.DataFrame, pd.Series[int]]:
    """The model, the same in every process, with what it was fitted on."""
    frame, label = columns()
    passed = ColumnTransformer([("number", "passthrough", list(frame.columns))])
    forest = RandomForestClassifier(TREES, max_depth=12, min_samples_leaf=5, random_state=SEED)
    return Pipeline([("columns", passed), ("forest", forest)]).fit(frame, label), frame, label


def fit(folder: Path) -> list[dict[str, float]]:
    """The model as MLflow keeps it, under `folder`; returns the rows to ask about."""
    import mlflow

    pipeline, frame, _ = fitted()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(pipeline, str(folder / "mlflow"), serialization_format="cloudpickle")
    return [{str(name): float(value) for name, value in row.items()} for row in frame.head(500).to_dict("records")]


def register() -> str:
    """In the site's environment: people, the model in production by two of them, a machine; its token."""
    import django

    django.setup()
    from mlops_site.core import teams, tokens

    author, approver = people()
    promote(MODEL, candidate(), author=author, approver=approver)
    machine, _ = teams.create_user("claims-app", role="service", team="claims")
    return tokens.create_token(machine)[1]


def people() -> tuple[Any, Any]:
    """An author and an approver."""
    from mlops_site.core import teams
    from mlops_site.core.permissions import Actor

    roles = (("author", "ml_engineer"), ("approver", "approver"))
    author, approver = (Actor.of(teams.create_user(name, role=role, team="claims")[0]) for name, role in roles)
    return author, approver


def candidate() -> Any:
    """The forest, proven to be the same as a graph."""
    from registry import services
    from registry.artifacts import formats, graphs, signature

    pipeline, frame, label = fitted()
    kinds: dict[str, signature.Kind] = dict.fromkeys(frame.columns, "number")
    graph = graphs.to_onnx(pipeline, kinds).graph
    assert graph is not None
    assert graphs.exact(graph, pipeline, frame.head(500))
    described = signature.infer(frame, kinds, task_type="classification", target=label.tolist())
    return services.Candidate(
        artifact_bytes=formats.dump_skops(pipeline), format="skops", signature=described.to_json(), onnx_bytes=graph
    )


def promote(name: str, given: Any, *, author: Any, approver: Any) -> Any:
    """A new model whose first version is in production."""
    from registry import services

    model = services.create_model(actor=author, name=name, task_type="classification")
    version = services.register_version(model, actor=author, candidate=given)
    services.move_stage(version, actor=author, target_stage="staging", reason="benchmark")
    request = services.request_promotion(version, actor=author, reason="benchmark")
    services.review_request(request, actor=approver, decision="approve")
    return version


@contextmanager
def steward(folder: Path, rows: list[dict[str, float]], engine: str, env: dict[str, str]) -> Iterator[Target]:
    with site(folder, engine, env, "benchmarks.predict") as (port, headers, _):
        bodies = [json.dumps({"features": row}) for row in rows]
        yield Target(f"Steward, {engine}", asker(port, f"/api/v1/models/{MODEL}/predict", headers, bodies))


@contextmanager
def site(
    folder: Path, engine: str, env: dict[str, str], module: str
) -> Iterator[tuple[int, dict[str, str], dict[str, str]]]:
    """A site that serves as supervisord.conf says, with what `python -m module --register` puts into it: its port, the
    headers of the token that is printed last, and its environment."""
    home = folder / engine
    home.mkdir()
    port = free_port()
    key = "k" * 40
    env = {
        **env,
        "STEWARD_HOME": str(home),
        "PORT": str(port),
        "DJANGO_SETTINGS_MODULE": "mlops_site.settings",
        "SECRET_KEY": key,
        "AUDIT_KEY": key,
    }
    subprocess.run([ROOT / "deploy/start", "prepare"], env={**os.environ, **env}, check=True)
    command = [sys.executable, "-m", module, "--register"]
    said = subprocess.run(command, env={**os.environ, **env}, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    headers = {"Authorization": f"Bearer {said.stdout.split()[-1]}", "Content-Type": "application/json"}
    with start(["deploy/start", "web"], home / "web.log", port, "/livez", env):
        yield port, headers, env


@contextmanager
def mlflow(folder: Path, rows: list[dict[str, float]]) -> Iterator[Target]:
    port = free_port()
    command = ["mlflow", "models", "serve", "-m", folder / "mlflow", "-p", str(port), "--env-manager", "local"]
    env = {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with start([str(part) for part in command], folder / "mlflow.log", port, "/ping", env):
        split = [{"dataframe_split": {"columns": list(row), "data": [list(row.values())]}} for row in rows]
        bodies = [json.dumps(body) for body in split]
        yield Target("mlflow models serve", asker(port, "/invocations", {"Content-Type": "application/json"}, bodies))


def start(command: list[str], log: Path, port: int, probe: str, env: dict[str, str]) -> Process:
    def ready() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", probe)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    return start_process(command, log=log, env=env, ready=ready, within_secs=120)


def asker(
    port: int, path: str, headers: dict[str, str], bodies: list[str], *, status: int = 200
) -> Callable[[int], float]:
    """Milliseconds of one request over a kept connection, from sending it to having read the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(index: int) -> float:
        started = time.perf_counter()
        connection.request("POST", path, bodies[index % len(bodies)], headers)
        response = connection.getresponse()
        content = response.read()
        spent = (time.perf_counter() - started) * 1000
        if response.status != status:
            raise RuntimeError(f"{path} answered {response.status}: {content[:500]!r}")
        return spent

    return ask


def measure(targets: list[Target], requests: int, warm_up: int) -> dict[str, list[float]]:
    """Milliseconds by target, each asked the same rows one after the other, the targets in turn a block each. The
    first request of a turn is not counted: while the others had theirs, the processor's caches became theirs, which on
    a server by itself happens to none."""
    for target in targets:
        for index in range(warm_up):
            target.ask(index)
    spent: dict[str, list[float]] = {target.name: [] for target in targets}
    for start in range(0, requests, BLOCK):
        for target in targets:
            target.ask(start)
            spent[target.name] += [target.ask(index) for index in range(start, min(start + BLOCK, requests))]
    return spent


def by_round(spent: list[float], percentile: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A percentile of each round's requests."""
    rounds = [spent[start : start + ROUND] for start in range(0, len(spent), ROUND)]
    return np.array([np.percentile(each, percentile) for each in rounds])


def report(timings: dict[str, list[float]], requests: int) -> int:
    """Print and write the table; status 1 when the goal is missed."""
    figures = {
        name: {f"p{p}_ms": round(float(np.percentile(spent, p)), 3) for p in (50, 90, 99)}
        for name, spent in timings.items()
    }
    base = figures["mlflow models serve"]
    for row in figures.values():
        row |= {f"p{p}_ratio": round(row[f"p{p}_ms"] / base[f"p{p}_ms"], 3) for p in (50, 99)}
    for name, row in figures.items():
        rounds = by_round(timings[name], 99) / by_round(timings["mlflow models serve"], 99)
        row |= {"p99_ratio_of_rounds": round(float(np.median(rounds)), 3), "most": round(float(rounds.max()), 3)}
    reached = all(row[f"p{p}_ratio"] <= GOAL for name, row in figures.items() if row is not base for p in (50, 99))
    head = "| server | p50 ms | p90 ms | p99 ms | p50 / MLflow | p99 / MLflow | the same, median of rounds | at most |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | " + " | ".join(f"{value:.2f}" for value in row.values()) + " |" for name, row in figures.items()
    ]
    about: dict[str, Any] = {
        "command": "python -m benchmarks.predict",
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "requests": requests,
        "kept": "each commit flushed to disk: PostgreSQL with fsync and synchronous_commit on, SQLite synchronous=FULL",
        "model": f"random forest, {TREES} trees, {len(columns()[0].columns)} features",
        "rounds": f"of {ROUND} requests each; all other figures, and the goal, are of all requests",
        "goal": f"p50 and p99 at most {GOAL} of MLflow's: {'reached' if reached else 'missed'}",
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "predict.json").write_text(json.dumps({**about, "servers": figures}, indent=1) + "\n")
    notes = [f"- {name}: {value}" for name, value in about.items()]
    (RESULTS / "predict.md").write_text("\n".join(["# One claim", "", *lines, "", *notes]) + "\n")
    print("\n".join([*lines, *notes]))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
