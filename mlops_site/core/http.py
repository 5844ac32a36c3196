"""The guarded client for addresses that the operator has set: they are trusted, so they may be private and plain HTTP.
An address that a user types must not come here: nothing checks where it leads.

It stands on the standard library's http.client: what `requests` adds (redirects, proxies and passwords from the
environment) is what must not happen here, and its time limits count from byte to byte.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

CONNECT_SECS = 3.0
MAX_ANSWER = 64 * 2**10  # bytes read of an answer
MAX_ERROR = 300  # characters kept of it
SECRET_LENGTH = 4  # a shorter value would blot out innocent words


class Answer(NamedTuple):
    """What came of a request: the status if there was one, and why it failed, or nothing."""

    status: int | None
    error: str

    @property
    def ok(self) -> bool:
        return not self.error


def post_json(url: str, body: Any, *, timeout_secs: float, headers: Mapping[str, str] | None = None) -> Answer:
    """POST `body` to a trusted address and answer within `timeout_secs` in all, however slowly the server talks.

    Taken is 2xx. Redirects are not followed. Nothing is raised for what the network or the server does, and no
    error repeats the address beyond its host: path, query and password may be secret.
    """
    try:
        parts = urlsplit(url)
        connection = _connection(parts, timeout_secs)
    except ValueError as error:
        why = str(error) if isinstance(error, Unusable) else "it is not well-formed"
        return Answer(None, _short(f"the address cannot be used: {why}"))
    sent = {"Content-Type": "application/json", "User-Agent": "Steward", **_login(parts), **(headers or {})}
    try:
        with _cut_after(connection, timeout_secs):
            connection.request("POST", _target(parts), body=json.dumps(body).encode(), headers=sent)
            with connection.getresponse() as response:
                return _judged(response, parts)
    except TimeoutError:
        return Answer(None, f"{parts.hostname} did not answer within {timeout_secs:g} s")
    except (OSError, HTTPException, ValueError) as error:
        return Answer(None, _short(f"{parts.hostname} could not be reached: {_reason(error)}"))
    finally:
        connection.close()


def _connection(parts: SplitResult, timeout_secs: float) -> HTTPConnection:
    """Raises ValueError for what is no http address; the text names no part that could be secret."""
    if parts.scheme not in ("http", "https"):
        raise Unusable(f"it must start with http:// or https:// but starts with {parts.scheme[:10]!r}")
    if not parts.hostname:
        raise Unusable("it names no host")
    limit = min(CONNECT_SECS, timeout_secs)
    if parts.scheme == "http":
        return HTTPConnection(parts.hostname, parts.port, timeout=limit)
    return HTTPSConnection(parts.hostname, parts.port, timeout=limit, context=ssl.create_default_context())


class Unusable(ValueError):
    """An address whose fault can be told without repeating it."""


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _login(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


@contextmanager
def _cut_after(connection: HTTPConnection, secs: float) -> Iterator[None]:
    """Connect, then end the conversation when its time is up: a server that sends a byte now and then never runs into
    the socket's own limit. Raises TimeoutError in place of the broken connection that this leaves."""
    is_late = threading.Event()
    end = time.monotonic() + secs
    connection.connect()
    connection.sock.settimeout(secs)

    def cut(line: socket.socket = connection.sock) -> None:
        is_late.set()
        with suppress(OSError):
            socket.socket.shutdown(line, socket.SHUT_RDWR)  # past TLS, whose own state belongs to the reading thread

    clock = threading.Timer(max(end - time.monotonic(), 0), cut)
    clock.daemon = True
    clock.start()
    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        if is_late.is_set():
            raise TimeoutError from error
        raise
    finally:
        clock.cancel()
        clock.join()
    if is_late.is_set():  # http.client takes headers that break off for headers that end
        raise TimeoutError


def _judged(response: HTTPResponse, parts: SplitResult) -> Answer:
    status = response.status
    if 200 <= status < 300:
        return Answer(status, "")
    if 300 <= status < 400:
        return Answer(status, f"{parts.hostname} answered {status}, a redirect, which is not followed")
    try:
        said = response.read(MAX_ANSWER).decode(errors="replace")
    except (OSError, HTTPException, ValueError):  # the status is known, whatever became of the rest
        said = ""
    return Answer(status, _short(f"{parts.hostname} answered {status}: {_without_secrets(said, parts)}"))


def _without_secrets(text: str, parts: SplitResult) -> str:
    """Servers like to repeat what they were asked for."""
    values = [value for pair in parse_qsl(parts.query) for value in pair]
    known = [_target(parts), parts.path, parts.query, unquote(parts.query), *values, parts.username, parts.password]
    known += [unquote(parts.username or ""), unquote(parts.password or ""), *_login(parts).values()]
    for secret in sorted({word for word in known if word and len(word) >= SECRET_LENGTH}, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def _reason(error: Exception) -> str:
    """What the system calls the error. Texts of other errors may quote the address."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _short(text: str) -> str:
    """One printable line: databases refuse NUL, pages do not want the rest."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split()).rstrip(": ")
    return line[:MAX_ERROR]
