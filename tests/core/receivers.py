"""Somebody else's server: real, local, and as friendly as told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver(ThreadingHTTPServer):
    """Notes every request; answers the next of `answers` (the last for ever): a status, or the name of a vice."""

    daemon_threads = True
    block_on_close = False  # a thread that hangs is not waited for

    def __init__(self, *answers: int | str) -> None:
        super().__init__(("127.0.0.1", 0), Post)
        self.answers = list(answers)
        self.got: list[tuple[str, dict[str, str], Any]] = []  # path, headers, body
        self.bodies: list[bytes] = []  # as they came
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append((self.path, dict(self.headers), json.loads(self.server.bodies[-1])))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            self._vice(answer) if isinstance(answer, str) else self._say(answer)
        except OSError:  # the sender has hung up
            self.close_connection = True

    def _say(self, status: int, text: str = "") -> None:
        said = (text or f"no good: {self.path}").encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _vice(self, name: str) -> None:
        if name == "redirect":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
        elif name == "hang":
            self.server.ended.wait(30)
        elif name == "hang up":
            self.close_connection = True
        elif name == "endless":
            self.send_response(500)
            self.end_headers()
            while not self.server.ended.is_set():
                self.wfile.write(b"\0\n" * 50_000)
        else:  # drip
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drop: ")
            while not self.server.ended.is_set():
                self.wfile.write(b"x")
                time.sleep(0.05)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextmanager
def receiver(*answers: int | str) -> Iterator[Receiver]:
    server = Receiver(*answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
