"""All tests, phase by phase, on servers of their own: `python -m tests.run [--only PHASE] [pytest options]`.

pure: no database. sqlite: the database tests as embedded. postgres: the same on PostgreSQL and Redis, and
those that need them. browser: the pages in a real Chromium. drill (when asked for): the long forms, on PostgreSQL
and Redis; drill-sqlite: those of them that need no server, as embedded. Of some tests one engine is enough (ADR 34):
the drill has them on the other one, and --both runs them on both.
Phases with the same surroundings share a session of pytest, which collects once and lets none wait for another's end.
The last line counts: N passed, N failed, N skipped.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests import programs, servers
from tests.processes import ROOT, exit_on_sigterm

EMBEDDED = ("pure", "sqlite", "browser")
WORKERS = {"pure": 3, "sqlite": 3, "browser": 3, "postgres": 3, "drill": 0, "drill-sqlite": 0}  # many only wait
DEFAULT = ("pure", "sqlite", "postgres", "browser")
NO_TESTS = 5  # pytest's exit status
SLOWEST = 10


class Result(NamedTuple):
    """What one phase came to; `secs` is that of its tests, `problem` says why it failed when no single test did."""

    phase: str
    passed: int
    failed: int
    skipped: int
    secs: float
    problem: str
    slowest: list[tuple[float, str]]


def main(arguments: list[str]) -> int:
    """Run the phases, print the table, return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.run", description=__doc__)
    parser.add_argument("--only", choices=WORKERS, action="append", help="run this phase (may be repeated)")
    parser.add_argument("--workers", type=int, help="pytest processes per phase")
    parser.add_argument("--both", action="store_true", help="on both engines what else runs on one or the other")
    known, rest = parser.parse_known_args(arguments)
    exit_on_sigterm()
    started = time.monotonic()
    results = [
        result
        for phases in sessions(known.only or DEFAULT)
        for result in run_session(phases, rest, workers=known.workers, both=known.both)
    ]
    report(results, secs=time.monotonic() - started)
    return 1 if any(result.failed or result.problem for result in results) else 0


def sessions(phases: Iterable[str]) -> list[tuple[str, ...]]:
    """Which phases run together, each once.

    >>> sessions(["sqlite", "postgres", "pure"])
    [('sqlite', 'pure'), ('postgres',)]
    """
    together: dict[str, list[str]] = {}
    for phase in dict.fromkeys(phases):
        together.setdefault("embedded" if phase in EMBEDDED else phase, []).append(phase)
    return [tuple(found) for found in together.values()]


def run_session(phases: Sequence[str], rest: list[str], *, workers: int | None, both: bool) -> list[Result]:
    """One pytest in a fresh home, with the servers of its phases around it."""
    _say(f"\n===== {', '.join(phases)} =====")
    try:
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-tests-")))
            counts = home / "counts.xml"
            env = {**stack.enter_context(surroundings(phases)), "STEWARD_TEST_HOME": str(home / "home")}
            count = max(WORKERS[phase] for phase in phases) if workers is None else workers
            spread = [f"--numprocesses={count}", "--dist=worksteal"]
            chosen = [*(f"--phase={phase}" for phase in phases), *(["--both"] if both else [])]
            if set(phases) != {"pure"}:
                stack.enter_context(_template_in_the_making(env))
            status = _pytest([*chosen, *spread, f"--junitxml={counts}", *rest], env)
            return read_results(phases, counts, status, is_filtered=bool(rest))
    except programs.MissingProgram as error:
        return [Result(phase, 0, 0, 0, 0, str(error), []) for phase in phases]


@contextmanager
def surroundings(phases: Collection[str]) -> Iterator[Mapping[str, str]]:
    """The environment of phases that go together, with the servers that they need running."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TEST_", "STEWARD_"))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would each compile every package anew
    env |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # more would wait for each other, spinning
    with ExitStack() as stack:
        if {"postgres", "drill"} & set(phases):
            env["TEST_DATABASE_URL"] = _given("TEST_DATABASE_URL") or stack.enter_context(servers.postgres())
            env["TEST_REDIS_URL"] = _given("TEST_REDIS_URL") or stack.enter_context(servers.redis())
        if {"browser", "drill"} & set(phases):
            env["CHROMIUM"] = str(programs.chromium())
        yield env


def _given(name: str) -> str:
    return os.environ.get(name, "").strip()


@contextmanager
def _template_in_the_making(env: Mapping[str, str]) -> Iterator[None]:
    """The migrated database is made while pytest collects. If that fails, the first test to need one says so."""
    command = [sys.executable, "-m", "tests.template"]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, env=env, stdin=nowhere, stdout=nowhere, stderr=nowhere):
        yield


def _pytest(options: list[str], env: Mapping[str, str]) -> int:
    """pytest's exit status; interrupted, it gets the time to tear its fixtures down."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.selection", *options]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, start_new_session=True) as pytest:
        try:
            return pytest.wait()
        except BaseException:
            pytest.send_signal(signal.SIGINT)
            try:
                pytest.wait(30)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(pytest.pid, signal.SIGKILL)
            raise


def read_results(phases: Sequence[str], counts: Path, status: int, *, is_filtered: bool) -> list[Result]:
    """The counts from pytest's junit file; a phase without tests fails unless the caller chose the tests.

    What failed outside any phase, a module that cannot be imported or a worker that fell, counts for the first.
    """
    if not counts.exists():
        problem = f"pytest ended with status {status} before it could count"
        return [Result(phase, 0, 0, 0, 0, problem, []) for phase in phases]
    cases: dict[str, list[ElementTree.Element]] = {phase: [] for phase in phases}
    for case in ElementTree.parse(counts).getroot().iter("testcase"):
        told = case.find("properties/property[@name='phase']")
        cases[phases[0] if told is None else told.get("value", "")].append(case)
    results = [_counted(phase, found, is_filtered=is_filtered) for phase, found in cases.items()]
    if status not in {0, NO_TESTS} and not any(result.failed for result in results):
        results[0] = results[0]._replace(problem=f"pytest ended with status {status}")
    return results


def _counted(phase: str, cases: list[ElementTree.Element], *, is_filtered: bool) -> Result:
    outcomes = Counter(_outcome(case) for case in cases)
    timed = [(float(case.get("time", 0)), _name(case)) for case in cases]
    problem = "" if cases or is_filtered else "no test was found"
    secs = sum(secs for secs, _ in timed)
    return Result(phase, outcomes["passed"], outcomes["failed"], outcomes["skipped"], secs, problem, timed)


def _outcome(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"


def _name(case: ElementTree.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def report(results: list[Result], *, secs: float) -> None:
    """The slowest tests, a row per phase, what all took, and the line of counts that others read."""
    slowest = sorted(((*case, result.phase) for result in results for case in result.slowest), reverse=True)
    _say(f"\n{SLOWEST} slowest tests")
    for took, name, phase in slowest[:SLOWEST]:
        _say(f"{took:7.1f} s  {phase:<12}  {name}")
    _say(f"\n{'phase':<14}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for result in results:
        row = f"{result.phase:<14}{result.passed:>8}{result.failed:>8}{result.skipped:>9}{result.secs:>9.0f}"
        _say(f"{row}  {result.problem}".rstrip())
    _say(f"{secs:.0f} s in all")
    passed, failed, skipped = (
        sum(column)
        for column in zip(*((r.passed, r.failed or bool(r.problem), r.skipped) for r in results), strict=True)
    )
    _say(f"{passed} passed, {failed} failed, {skipped} skipped")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
