"""The tests' own tools do what the other tests rely on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest
from django.conf import settings
from django.db import Error

from mlops_site.core import store
from mlops_site.core.models import AuditRecord, ChainHead, User
from registry.models import RegisteredModel
from tests.factories import Scene
from tests.kept import artifacts
from tests.network import Loopback
from tests.processes import Process, free_port, listens, start_process
from tests.run import Result, read_results, report
from tests.servers import postgres, redis


@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::7", "steward.example"])
def test_another_machine_is_refused_and_remembered(host: str, loopback: Loopback) -> None:
    with pytest.raises(OSError, match="must stay on this machine"):
        socket.create_connection((host, 80), timeout=1)
    assert loopback.refused.pop() == host


def test_this_machine_is_not_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=1).close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", [1, 2])
def test_the_flush_empties_tables_and_leaves_their_triggers(turn: int) -> None:
    assert not User.objects.exists(), "the other turn's row is still here"
    User.objects.create_user(f"turn-{turn}")
    fact = {"actor": "a", "action": "b", "subject": "c", "body": "{}"}
    AuditRecord.objects.create(seq=1, at=datetime(2026, 1, 1, tzinfo=UTC), **fact)
    with pytest.raises(Error, match="append-only"):
        AuditRecord.objects.all().delete()


@pytest.mark.parametrize("turn", [1, 2])
def test_the_shared_scene_is_as_it_was_made(turn: int, shared_scene: Scene) -> None:
    served, digests = shared_scene.served, set(store.digests())
    assert {served.artifact_id, shared_scene.staged.artifact_id} <= digests
    assert "report" in shared_scene.others
    assert shared_scene.model.description == RegisteredModel.objects.get().description != ""
    shutil.rmtree(artifacts())
    RegisteredModel.objects.update(description="")
    shared_scene.model.description = ""
    shared_scene.others.clear()


@pytest.mark.django_db
@pytest.mark.parametrize("turn", [1, 2])
def test_nobody_meets_the_shared_scene_who_does_not_ask_for_it(turn: int) -> None:
    assert not User.objects.exists()
    assert not artifacts().exists()


@pytest.mark.django_db(transaction=True)
def test_a_child_process_works_on_the_test_database() -> None:
    ChainHead.objects.update_or_create(id=1, defaults={"seq": 41})
    code = "from mlops_site.core.models import ChainHead; print(ChainHead.objects.get().seq)"
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", code],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "mlops_site.settings"},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "41"


def test_a_stopped_process_takes_its_children_with_it(processes: Callable[..., Process], tmp_path: Path) -> None:
    script = "sleep 300 & echo $! > child; trap '' TERM; echo ready; wait"
    child = tmp_path / "child"
    process = processes(["sh", "-c", script], cwd=tmp_path, ready=child.exists)
    process.stop(within_secs=0.5)
    assert not process.is_alive
    deadline = (
        time.monotonic() + 10
    )  # its parent is waited for; a killed child of that one goes when the kernel gets to it
    while _runs(int(child.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return False
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_process_that_ends_too_soon_is_reported_with_what_it_wrote(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"exit status 3 before it was ready(?s:.*)no luck"):
        start_process(["sh", "-c", "echo no luck; exit 3"], log=tmp_path / "log", ready=lambda: False)


def test_servers_start_answer_and_are_gone_afterwards() -> None:
    with postgres() as database_url, redis() as redis_url:
        ports = [int(url.rpartition(":")[2].partition("/")[0]) for url in (database_url, redis_url)]
        with closing(psycopg2.connect(database_url.removesuffix("steward") + "postgres")) as opened:
            assert opened.get_parameter_status("server_encoding") == "UTF8"
        assert all(map(listens, ports))
    assert not any(map(listens, ports))


CASE = """<testcase classname="tests.a" name="b" time="2">
<properties><property name="phase" value="{phase}"/></properties>{ended}</testcase>"""


def counted(cases: Sequence[str], counts: Path, *, status: int = 0, is_filtered: bool = False) -> list[Result]:
    counts.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    return read_results(["pure", "sqlite"], counts, status, is_filtered=is_filtered)


def test_each_phase_of_a_session_is_counted_by_itself(tmp_path: Path) -> None:
    passed, failed = CASE.format(phase="pure", ended=""), CASE.format(phase="sqlite", ended="<error/>")
    skipped = CASE.format(phase="sqlite", ended="<skipped/>")
    pure, sqlite = counted([passed, passed, failed, skipped], tmp_path / "counts.xml", status=1)
    assert pure == Result("pure", 2, 0, 0, 4.0, "", [(2.0, "tests.a::b")] * 2)
    assert sqlite[:5] == ("sqlite", 0, 1, 1, 4.0)


def test_a_phase_without_tests_fails_unless_the_caller_chose_the_tests(tmp_path: Path) -> None:
    counts, passed = tmp_path / "counts.xml", CASE.format(phase="pure", ended="")
    assert [result.problem for result in counted([], counts, status=5)] == ["no test was found"] * 2
    assert [result.problem for result in counted([passed], counts)] == ["", "no test was found"]
    assert [result.problem for result in counted([], counts, status=5, is_filtered=True)] == ["", ""]
    assert "status 3" in counted([passed], counts, status=3, is_filtered=True)[0].problem
    (lost,) = read_results(["pure"], tmp_path / "none.xml", 3, is_filtered=True)
    assert "status 3" in lost.problem


def test_what_fails_outside_a_phase_is_not_forgotten(tmp_path: Path) -> None:
    cannot = '<testcase classname="" name="tests.a" time="0"><error message="collection failure"/></testcase>'
    assert counted([cannot], tmp_path / "counts.xml", status=1, is_filtered=True)[0].failed == 1


def test_the_last_line_counts(capsys: pytest.CaptureFixture[str]) -> None:
    results = [Result("pure", 5, 1, 2, 1.0, "", []), Result("sqlite", 7, 0, 0, 1.0, "no test was found", [])]
    report(results, secs=3.0)
    assert capsys.readouterr().out.splitlines()[-1] == "12 passed, 2 failed, 2 skipped"


def test_a_free_port_is_free() -> None:
    assert not listens(free_port())
