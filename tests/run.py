"""All tests, phase by phase, on servers of their own: `python -m tests.run [--only PHASE] [pytest options]`.

pure: no database. sqlite: the database tests as embedded. postgres: the same on PostgreSQL and Redis, and
those that need them. browser: the pages in a real Chromium. drill (when asked for): the long forms, on PostgreSQL
and Redis; drill-sqlite: those of them that need no server, as embedded.
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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests import programs, servers
from tests.processes import ROOT, exit_on_sigterm

WORKERS = {"pure": 2, "sqlite": 2, "postgres": 2, "browser": 0, "drill": 0, "drill-sqlite": 0}
DEFAULT = ("pure", "sqlite", "postgres", "browser")
NO_TESTS = 5  # pytest's exit status
SLOWEST = 10


class Result(NamedTuple):
    """What one phase came to; `problem` says why it failed when no single test did."""

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
    known, rest = parser.parse_known_args(arguments)
    exit_on_sigterm()
    results = [run_phase(phase, rest, workers=known.workers) for phase in known.only or DEFAULT]
    report(results)
    return 1 if any(result.failed or result.problem for result in results) else 0


def run_phase(phase: str, rest: list[str], *, workers: int | None) -> Result:
    """One pytest in a fresh home, with the servers of this phase around it."""
    started = time.monotonic()
    _say(f"\n===== {phase} =====")
    try:
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-tests-")))
            counts = home / "counts.xml"
            env = {**stack.enter_context(surroundings(phase)), "STEWARD_TEST_HOME": str(home / "home")}
            count = WORKERS[phase] if workers is None else workers
            spread = [f"--numprocesses={count}", "--dist=worksteal"]
            status = _pytest([f"--phase={phase}", *spread, f"--junitxml={counts}", *rest], env)
            return read_result(phase, counts, status, secs=time.monotonic() - started, is_filtered=bool(rest))
    except programs.MissingProgram as error:
        return Result(phase, 0, 0, 0, time.monotonic() - started, str(error), [])


@contextmanager
def surroundings(phase: str) -> Iterator[Mapping[str, str]]:
    """The environment of a phase, with the servers that it needs running."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TEST_", "STEWARD_"))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would each compile every package anew
    with ExitStack() as stack:
        if phase in {"postgres", "drill"}:
            env["TEST_DATABASE_URL"] = _given("TEST_DATABASE_URL") or stack.enter_context(servers.postgres())
            env["TEST_REDIS_URL"] = _given("TEST_REDIS_URL") or stack.enter_context(servers.redis())
        if phase in {"browser", "drill"}:
            env["CHROMIUM"] = str(programs.chromium())
        yield env


def _given(name: str) -> str:
    return os.environ.get(name, "").strip()


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


def read_result(phase: str, counts: Path, status: int, *, secs: float, is_filtered: bool) -> Result:
    """The counts from pytest's junit file; a phase without tests fails unless the caller chose the tests."""
    if not counts.exists():
        return Result(phase, 0, 0, 0, secs, f"pytest ended with status {status} before it could count", [])
    suite = ElementTree.parse(counts).getroot().find("testsuite")
    assert suite is not None
    total, failures, errors, skipped = (int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped"))
    problem = ""
    if status == NO_TESTS and not is_filtered:
        problem = "no test was found"
    elif status not in {0, NO_TESTS} and not failures + errors:
        problem = f"pytest ended with status {status}"
    cases = [(float(case.get("time", 0)), _name(case)) for case in suite.iter("testcase")]
    failed = failures + errors
    return Result(phase, max(total - failed - skipped, 0), failed, skipped, secs, problem, cases)


def _name(case: ElementTree.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def report(results: list[Result]) -> None:
    """The slowest tests, a row per phase, and the line of counts that others read."""
    slowest = sorted(((*case, result.phase) for result in results for case in result.slowest), reverse=True)
    _say(f"\n{SLOWEST} slowest tests")
    for secs, name, phase in slowest[:SLOWEST]:
        _say(f"{secs:7.1f} s  {phase:<12}  {name}")
    _say(f"\n{'phase':<14}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for result in results:
        row = f"{result.phase:<14}{result.passed:>8}{result.failed:>8}{result.skipped:>9}{result.secs:>9.0f}"
        _say(f"{row}  {result.problem}".rstrip())
    passed, failed, skipped = (
        sum(column)
        for column in zip(*((r.passed, r.failed or bool(r.problem), r.skipped) for r in results), strict=True)
    )
    _say(f"{passed} passed, {failed} failed, {skipped} skipped")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
