"""How gunicorn's threads wait for the next request of a connection."""

from __future__ import annotations

import select
import socket
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

WITHIN_MS = 5  # a program that asks one claim after the other asks again long before


class WebWorker(ThreadWorker):
    """gunicorn's worker with threads, whose thread waits a moment for the next request of the connection it has just
    answered. gunicorn gives a connection back to its main thread after every answer, which waits for all of them and
    hands each to a thread again: for a short answer that takes as long as scoring. Who asks again later, or meets
    more connections than there are threads, finds it as it is there."""

    def handle(self, conn: Any) -> Any:
        """In a thread: answer what is asked on the connection. True where it may be kept open."""
        kept = super().handle(conn)
        while kept is True and self.alive and self.nr_conns < self.cfg.threads and _is_asked(conn.sock):
            kept = super().handle(conn)
        return kept


def _is_asked(connection: socket.socket) -> bool:
    """Whether a request begins, or the other side hangs up, within WITHIN_MS."""
    watched = select.poll()
    watched.register(connection, select.POLLIN)
    return bool(watched.poll(WITHIN_MS))
