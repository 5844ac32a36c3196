"""How much longer a claim takes whose features are read from a feature set: `predict` with all 31 features sent, beside
`predict` with a `unit_id` and six of them left out, on SQLite and on PostgreSQL.

`python -m benchmarks.completion` serves the forest of `benchmarks.predict` twice: a version that reads no feature set,
and one that reads the six from a set with values of 2,000 units, ten of each. Both are asked in turn, a block of
requests each, over kept connections; answers are logged, and what was read with them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.predict import RESULTS, Target, asker, candidate, columns, measure, people, promote, site
from tests import servers
from tests.processes import exit_on_sigterm

PLAIN, READING = "high_cost_claim", "high_cost_claim_of_a_unit"
LEFT_OUT, UNITS, VALUES = 6, 2_000, 10
ENTITY = "person"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.completion", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000, help="to each")
    parser.add_argument("--warm-up", type=int, default=100)
    parser.add_argument("--register", action="store_true", help="(internal) register the models, print a token")
    asked = parser.parse_args()
    if asked.register:
        print(register())
        return 0
    exit_on_sigterm()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-bench-")))
        database = stack.enter_context(servers.postgres(durable=True)).rpartition("/")[0] + "/postgres"
        engines: dict[str, dict[str, str]] = {"SQLite": {}, "PostgreSQL": {"DATABASE_URL": database}}
        timings: dict[str, list[float]] = {}
        for engine, env in engines.items():
            with pair(folder, engine, env) as targets:
                timings |= measure(targets, asked.requests, asked.warm_up)
    return report(timings, list(engines), asked.requests)


def left_out() -> list[str]:
    """The last six of the 31 columns."""
    return list(columns()[0].columns[-LEFT_OUT:])


def register() -> str:
    """In the site's environment: both models in production, the feature set with its values; a machine's token."""
    import django

    django.setup()
    from mlops_site.core import teams, tokens

    author, approver = people()
    reference = known(author)
    promote(PLAIN, candidate(), author=author, approver=approver)
    promote(READING, replace(candidate(), feature_sets=(reference,)), author=author, approver=approver)
    machine, _ = teams.create_user("claims-app", role="service", team="claims")
    return tokens.create_token(machine)[1]


def known(author: Any) -> str:
    """A feature set of the columns that are left out, with values of every unit; its reference."""
    from django.utils import timezone

    from training.services import define_feature_set, load_feature_values

    names = left_out()
    found = define_feature_set(
        actor=author, name="claim_history", entity=ENTITY, columns=[{"name": name, "kind": "number"} for name in names]
    )
    frame, day, now = columns()[0][names], datetime.timedelta(days=1), timezone.now()
    for age in range(VALUES, 0, -1):
        at = (now - age * day).isoformat()
        rows = [
            {"unit_id": f"p{unit}", "event_at": at, "ingested_at": at, "values": row}
            for unit, row in enumerate(frame.head(UNITS).to_dict("records"))
        ]
        load_feature_values(found, actor=author, rows=rows)
    return str(found)


@contextmanager
def pair(folder: Path, engine: str, env: dict[str, str]) -> Iterator[list[Target]]:
    """One site: asked with all features, and with a unit instead of six of them."""
    frame, names = columns()[0].head(500), left_out()
    rows = [{str(name): float(value) for name, value in row.items()} for row in frame.to_dict("records")]
    whole = [json.dumps({"unit_id": f"p{unit}", "features": row}) for unit, row in enumerate(rows)]
    short = [
        json.dumps({"unit_id": f"p{unit}", "features": {name: row[name] for name in row if name not in names}})
        for unit, row in enumerate(rows)
    ]
    with site(folder, engine, env, "benchmarks.completion") as (port, headers, _):
        yield [
            Target(f"{engine}, all sent", asker(port, f"/api/v1/models/{PLAIN}/predict", headers, whole)),
            Target(f"{engine}, six read", asker(port, f"/api/v1/models/{READING}/predict", headers, short)),
        ]


def report(timings: dict[str, list[float]], engines: list[str], requests: int) -> int:
    """Print and write the table."""
    figures = {
        name: {f"p{p}_ms": round(float(np.percentile(spent, p)), 3) for p in (50, 90, 99)}
        for name, spent in timings.items()
    }
    for engine in engines:
        base, read = (figures[f"{engine}, {what}"] for what in ("all sent", "six read"))
        for row in (base, read):
            row["p50_ratio"] = round(row["p50_ms"] / base["p50_ms"], 3)
    lines = ["| claim | p50 ms | p90 ms | p99 ms | p50 / all sent |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | " + " | ".join(f"{value:.2f}" for value in row.values()) + " |" for name, row in figures.items()
    ]
    about: dict[str, Any] = {
        "command": "python -m benchmarks.completion",
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "load": f"{os.getloadavg()[1]:.0f} processes wanted them: beyond their number times are long and ratios rough",
        "requests": requests,
        "kept": "each commit flushed to disk: PostgreSQL with fsync and synchronous_commit on, SQLite synchronous=FULL",
        "model": f"random forest of 100 trees, {len(columns()[0].columns)} features, of which {LEFT_OUT} are left out",
        "feature set": f"{UNITS:,} units, {VALUES} values each",
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "completion.json").write_text(json.dumps({**about, "claims": figures}, indent=1) + "\n")
    notes = [f"- {name}: {value}" for name, value in about.items()]
    (RESULTS / "completion.md").write_text("\n".join(["# A claim that is completed", "", *lines, "", *notes]) + "\n")
    print("\n".join([*lines, *notes]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
