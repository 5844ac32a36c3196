"""How long monitoring takes: from the claim that tips a window to the open alert, and a sweep over 200 models.

`python -m benchmarks.checks` runs a site as supervisord.conf does on PostgreSQL and Redis: web, worker and Beat. A
model in production is asked claims whose inputs are suddenly missing, one by one; the one that makes enough new rows
is the one that tips, as the window is bad by then. The alert is waited for in the database. Then 200 models in
production, each with a day of buckets of 30 features, are reported on by one tick of the schedule.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks import _month, _results, predict
from tests import servers
from tests.processes import ROOT, exit_on_sigterm, start_process

GOAL_SECS, SWEEP_GOAL_SECS = 2.0, 60.0
AFTER = 100  # new rows
BAD = 1e6  # an age out of any range
MODULE = "benchmarks.checks"


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--alerts", type=int, default=40, help="times that a window is tipped")
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--register", action="store_true", help="(internal) one model in production; print a token")
    parser.add_argument("--fill", type=int, default=0, help="(internal) so many models with a day of buckets")
    parser.add_argument("--wait", action="store_true", help="(internal) for each line read: seconds until the alert")
    parser.add_argument("--sweep", action="store_true", help="(internal) one tick; print seconds and reports")
    asked = parser.parse_args()
    if asked.register or asked.fill or asked.wait or asked.sweep:
        inside(asked)
        return 0
    exit_on_sigterm()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-bench-")))
        database = stack.enter_context(servers.postgres(durable=True)).rpartition("/")[0] + "/postgres"
        env = {"DATABASE_URL": database, "REDIS_URL": stack.enter_context(servers.redis())}
        port, headers, full = stack.enter_context(predict.site(folder, "PostgreSQL", env, MODULE))
        for part in ("worker", "beat"):
            command = [str(ROOT / "deploy/start"), part]
            stack.enter_context(start_process(command, log=folder / f"{part}.log", env=full, ready=lambda: True))
        time.sleep(5)
        delays = tipped(port, headers, full, asked.alerts)
        run(full, "--fill", str(asked.models))
        sweep = json.loads(run(full, "--sweep"))
    return report(delays, sweep, asked.models)


def run(env: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", MODULE, *arguments]
    environ = {**os.environ, **env}
    said = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    return (said.splitlines() or [""])[-1]


def tipped(port: int, headers: dict[str, str], env: dict[str, str], alerts: int) -> list[float]:
    """Seconds from sending the claim that tips the window to the alert in the database, so many times; the alert is
    resolved each time, so that the next one is new."""
    row = predict.columns()[0].head(1).astype(float).to_dict("records")[0]
    body = json.dumps({"features": {**row, "xage": BAD}})
    ask = predict.asker(port, f"/api/v1/models/{predict.MODEL}/predict", headers, [body])
    command, delays = [sys.executable, "-m", MODULE, "--wait"], []
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, env={**os.environ, **env}, **pipes) as watcher:
        assert watcher.stdin
        assert watcher.stdout
        watcher.stdout.readline()
        for turn in range(alerts):
            for _ in range(AFTER - 1):
                ask(0)
            sent = time.time()
            ask(0)
            print(sent, file=watcher.stdin, flush=True)
            delays.append(float(watcher.stdout.readline()))
            print(f"alert {turn + 1} of {alerts}: {delays[-1]:.2f} s", flush=True)
    return delays


def inside(asked: argparse.Namespace) -> None:
    """In the site's environment."""
    import django

    django.setup()
    if asked.register:
        print(register())
    elif asked.fill:
        fill(asked.fill)
    elif asked.wait:
        wait()
    else:
        print(json.dumps(sweep()))


def register() -> str:
    """A model in production with a reference of its training data; a machine's token."""
    from mlops_site.core import teams, tokens
    from mlops_site.stats.profile import profile, reference_bins

    author, approver = predict.people()
    frame = predict.columns()[0]
    bins = reference_bins(frame, dict.fromkeys(map(str, frame.columns), "number"), salt=predict.MODEL)
    given = replace(predict.candidate(), reference=profile(frame, bins).to_bytes())
    predict.promote(predict.MODEL, given, author=author, approver=approver)
    machine, _ = teams.create_user("claims-app", role="service", team="claims")
    return tokens.create_token(machine)[1]


def wait() -> None:
    """For each line read, a moment: wait for an unresolved alert, print the seconds since, and resolve it."""
    from mlops_site.core.permissions import Actor
    from monitoring.choices import UNRESOLVED, Rule
    from monitoring.models import Alert
    from monitoring.services import resolve_alert

    actor = Actor.of(predict_author())
    print("ready", flush=True)
    for line in sys.stdin:
        found = None
        while found is None:
            found = Alert.objects.filter(rule=Rule.QUALITY, status__in=UNRESOLVED).first()
            time.sleep(0.005)
        print(time.time() - float(line), flush=True)
        for alert in Alert.objects.filter(status__in=UNRESOLVED):
            resolve_alert(alert, actor=actor, comment="benchmark")


def predict_author() -> Any:
    from mlops_site.core.models import User

    return User.objects.get(username="author")


def fill(models: int) -> None:
    """Models in production with a day of hourly buckets each, the same ones under every name."""
    from mlops_site.core.models import User
    from mlops_site.core.permissions import Actor
    from mlops_site.stats.profile import profile, reference_bins
    from registry import services
    from registry.artifacts import formats, signature
    from tests import factories

    random = np.random.default_rng(0)
    reference = _month.frame(_month.REFERENCE_ROWS, random)
    kinds: dict[str, Any] = {str(column): str(column).split("_")[0] for column in reference}
    bins = reference_bins(reference, kinds, salt="sweep")
    label = random.integers(0, 2, len(reference))
    described = signature.infer(reference, kinds, task_type="classification", target=label.tolist()).to_json()
    artifact = formats.dump_skops(fitted(reference, label))
    given = services.Candidate(
        artifact_bytes=artifact, format="skops", signature=described, reference=profile(reference, bins).to_bytes()
    )
    author, approver = (Actor.of(User.objects.get(username=name)) for name in ("author", "approver"))
    contents = [hour(bins, described, random) for _ in range(24)]
    for number in range(models):
        model = services.create_model(actor=author, name=f"swept_{number}", task_type="classification")
        version = services.register_version(model, actor=author, candidate=given)
        factories.into_production(version, author, approver)
        keep_hours(version, contents)


def fitted(frame: pd.DataFrame, label: Any) -> Pipeline:
    numbers, words = ([name for name in frame if str(name).startswith(kind)] for kind in ("number", "category"))
    coded = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer([("numbers", StandardScaler(), numbers), ("words", coded, words)])
    return Pipeline([("columns", columns), ("model", LogisticRegression(max_iter=50))]).fit(frame, label)


def hour(bins: Any, described: Any, random: np.random.Generator) -> dict[str, Any]:
    from mlops_site.stats.profile import profile
    from monitoring.stats.tally import Tally, shape_of

    rows = _month.ROWS_A_DAY // 24
    tally = Tally.of(_month.answers(rows, random), shape_of(described)).to_bytes()
    kept = profile(_month.frame(rows, random), bins).to_bytes(with_bins=False)
    return {"rows": rows, "profile": kept, "tally": tally}


def keep_hours(version: Any, contents: list[dict[str, Any]]) -> None:
    from django.utils import timezone

    from monitoring.choices import Span
    from monitoring.models import Bucket
    from monitoring.selectors.spans import start_of

    last = start_of(timezone.now(), Span.HOUR)
    Bucket.objects.bulk_create(
        Bucket(version=version, span_secs=Span.HOUR, started_at=last - timedelta(hours=ago), **content)
        for ago, content in enumerate(contents, start=1)
    )


def sweep() -> dict[str, float]:
    """One tick of the schedule: seconds until every model has its report."""
    from django.utils import timezone

    from monitoring import tasks
    from monitoring.models import MonitoringRun, Report

    began, started = timezone.now(), time.perf_counter()
    tasks.run_all()
    asked = MonitoringRun.objects.filter(created_at__gte=began).count()
    while (done := Report.objects.filter(created_at__gte=began).count()) < asked:
        time.sleep(0.1)
    return {"seconds": time.perf_counter() - started, "reports": done}


def report(delays: list[float], swept: dict[str, float], models: int) -> int:
    p50, p95, longest = np.percentile(delays, (50, 95, 100))
    is_met = p95 < GOAL_SECS and swept["seconds"] < SWEEP_GOAL_SECS and swept["reports"] >= models
    notes = {
        **_results.about("checks"),
        "alerts": f"{len(delays)}, each tipped by one claim of `predict` that made {AFTER} new rows",
        "sweep": f"{swept['reports']:.0f} models of 30 features, a day of hourly buckets each, one worker",
        "goal": f"alert within {GOAL_SECS:.0f} s at p95, sweep of {models} models under {SWEEP_GOAL_SECS:.0f} s: "
        f"{'met' if is_met else 'missed'}",
    }
    heads = ["from the claim to the alert, p50 s", "p95 s", "longest s", "sweep s"]
    rows = [[f"{p50:.2f}", f"{p95:.2f}", f"{longest:.2f}", f"{swept['seconds']:.1f}"]]
    _results.keep("checks", "From a claim to an alert", [[heads, *rows]], notes, {"delays": delays, **swept})
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
