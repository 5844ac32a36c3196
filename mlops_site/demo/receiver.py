"""Somebody else's webhook receiver, as a notification service would have one: it is down when the first call comes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from mlops_site.demo.client import StepFailed

FAILURES = 1  # how many calls are answered 500 before the first good answer
LARGEST = 2**20


class Call(NamedTuple):
    """A call as it came, the answer that it got, and when (seconds of the monotonic clock). Tries of one message have
    the same key."""

    key: str
    body: dict[str, Any]
    answered: int
    at: float


class Receiver(ThreadingHTTPServer):
    """Keeps its calls. Its address is for MONITORING_WEBHOOK_URL."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.calls: list[Call] = []
        self.came = threading.Condition()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/alerts"

    def keep(self, key: str, body: dict[str, Any]) -> int:
        """Note a call and return the status of its answer."""
        with self.came:
            status = 500 if len(self.calls) < FAILURES else 204
            self.calls.append(Call(key, body, status, time.monotonic()))
            self.came.notify_all()
        return status

    def wait_for(self, alert: str, *, secs: float) -> list[Call]:
        """All calls so far, once that alert was taken; StepFailed after `secs`."""

        def taken() -> bool:
            return any(call.answered == 204 and call.body["id"] == alert for call in self.calls)

        with self.came:
            if not self.came.wait_for(taken, timeout=secs):
                raise StepFailed(f"in {secs:.0f} s the webhook was called {len(self.calls)} times, never with {alert}")
            return list(self.calls)


class _Answer(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length", 0)), LARGEST)
        key, body = self.headers.get("webhook-id", ""), json.loads(self.rfile.read(length))
        self.send_response(self.server.keep(key, body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it)
        """Nothing: the demo prints what came."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that answers as long as the block lasts."""
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, name="webhook receiver", daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()
