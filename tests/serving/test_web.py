"""The web worker: which thread answers, and that no connection waits for another's next request."""

from __future__ import annotations

import http.client
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.processes import Process, free_port, listens, start_process

THREADS = 3


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Says which thread answers, after as many milliseconds as the query says."""
    time.sleep(int(environ["QUERY_STRING"] or 0) / 1000)
    body = str(threading.get_ident()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def command(port: int) -> list[str]:
    where = ["--bind", f"127.0.0.1:{port}", "--worker-class", "mlops_site.web.WebWorker", "--threads", str(THREADS)]
    app = "tests.serving.test_web:application"
    return [sys.executable, "-m", "gunicorn", app, *where, "--graceful-timeout", "1", "--no-control-socket"]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    found = free_port()
    log = tmp_path_factory.mktemp("web") / "log"
    with start_process(command(found), log=log, ready=lambda: listens(found)):
        yield found


class Caller:
    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(self, *, ms: int = 0) -> str:
        self.connection.request("GET", f"/?{ms}")
        answer = self.connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()


@pytest.fixture
def callers(port: int) -> Iterator[list[Caller]]:
    """Four to each thread, none of which has asked."""
    with ExitStack() as stack:
        found = [Caller(port) for _ in range(4 * THREADS)]
        for caller in found:
            stack.callback(caller.connection.close)
        yield found


def test_the_thread_that_answered_answers_what_follows_at_once(callers: list[Caller]) -> None:
    by = {callers[0].ask() for _ in range(50)}
    assert len(by) == 1


def test_who_asks_again_later_is_answered(callers: list[Caller]) -> None:
    for pause in (0.0, 0.02, 0.2):
        time.sleep(pause)
        assert callers[0].ask()


def test_more_connections_than_threads_take_turns(callers: list[Caller]) -> None:
    for _ in range(5):
        started = time.monotonic()
        assert all(caller.ask() for caller in callers)
        assert time.monotonic() - started < 1


def test_a_slow_answer_holds_no_other_up(callers: list[Caller]) -> None:
    slow, quick, *_ = callers
    assert quick.ask()
    asking = threading.Thread(target=slow.ask, kwargs={"ms": 1500})
    asking.start()
    time.sleep(0.1)
    started = time.monotonic()
    assert all(quick.ask() for _ in range(10))
    assert time.monotonic() - started < 1
    asking.join()


def test_who_hangs_up_frees_the_thread(port: int, callers: list[Caller]) -> None:
    for gone in callers:
        assert gone.ask()
        gone.connection.close()
    for _ in range(5 * THREADS):  # and who hangs up with a reset
        raw = socket.create_connection(("127.0.0.1", port), timeout=5)
        raw.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        raw.close()
    assert callers[0].ask()


def test_it_stops_while_connections_are_kept(processes: Callable[..., Process]) -> None:
    """Asked until the moment it is told to end."""
    found = free_port()
    server = processes(command(found), ready=lambda: listens(found))
    caller = Caller(found)
    assert caller.ask()
    started = time.monotonic()
    server.stop()
    caller.connection.close()
    assert time.monotonic() - started < 5
    assert server.popen.returncode == 0, server.output()[-500:]
