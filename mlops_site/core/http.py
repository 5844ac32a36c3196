"""The guarded client for addresses that the operator has set: they are trusted, so they may be private and plain HTTP.
An address that a user types comes here by core.outside only, which checks where it leads.

It stands on the standard library's http.client: what `requests` adds (redirects, proxies and passwords from the
environment) is what must not happen here, and its time limits count from byte to byte.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

CONNECT_SECS = 3.0
MAX_ANSWER = 64 * 2**10  # bytes read of an answer
MAX_ERROR = 300  # characters kept of it
SECRET_LENGTH = 4  # a shorter value would blot out innocent words


class Answer(NamedTuple):
    """What came of a request: the status if there was one, and why it failed, or nothing. Where it was taken in spite
    of an error, as a mail that one of its addresses refuses, it is not sent again."""

    status: int | None
    error: str
    in_part: bool = False

    @property
    def ok(self) -> bool:
        return self.in_part or not self.error


def plain(parts: SplitResult, timeout_secs: float) -> HTTPConnection:
    """A connection to wherever the address leads."""
    limit = min(CONNECT_SECS, timeout_secs)
    if parts.scheme == "http":
        return HTTPConnection(str(parts.hostname), parts.port, timeout=limit)
    return HTTPSConnection(str(parts.hostname), parts.port, timeout=limit, context=ssl.create_default_context())


def post_json(url: str, body: Any, *, timeout_secs: float, headers: Mapping[str, str] | None = None) -> Answer:
    """POST `body` to a trusted address; see `post`."""
    return post(url, as_json(body), timeout_secs=timeout_secs, headers=headers)


def as_json(body: Any) -> bytes:
    return json.dumps(body).encode()


def post(
    url: str,
    body: bytes,
    *,
    timeout_secs: float,
    headers: Mapping[str, str] | None = None,
    connect: Callable[[SplitResult, float], HTTPConnection] = plain,
) -> Answer:
    """POST JSON text and answer within `timeout_secs` in all, however slowly the server talks.

    Taken is 2xx. Redirects are not followed. Nothing is raised for what the network or the server does, and no
    error repeats the address beyond its host: path, query and password may be secret.
    """
    try:
        parts = _parts(url)
        connection = connect(parts, timeout_secs)
    except ValueError as error:
        why = str(error) if isinstance(error, Unusable) else "it is not well-formed"
        return Answer(None, short(f"the address cannot be used: {why}"))
    sent = {"Content-Type": "application/json", "User-Agent": "Steward", **_login(parts), **(headers or {})}
    try:
        with _cut_after(connection, timeout_secs):
            connection.request("POST", _target(parts), body=body, headers=sent)
            with connection.getresponse() as response:
                return _judged(response, parts)
    except TimeoutError:
        return Answer(None, f"{parts.hostname} did not answer within {timeout_secs:g} s")
    except (OSError, HTTPException, ValueError) as error:
        return Answer(None, short(f"{parts.hostname} could not be reached: {_reason(error)}"))
    finally:
        connection.close()


def _parts(url: str) -> SplitResult:
    """Raises ValueError for what is no http address; the text names no part that could be secret."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise Unusable(f"it must start with http:// or https:// but starts with {parts.scheme[:10]!r}")
    if not parts.hostname:
        raise Unusable("it names no host")
    return parts


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
    line: socket.socket | None = None  # kept: http.client lets go of it before an answer is read to its end

    def cut() -> None:
        is_late.set()
        open_line = line or connection.sock
        if open_line is not None:
            with suppress(OSError):  # past TLS, whose own state belongs to the reading thread
                socket.socket.shutdown(open_line, socket.SHUT_RDWR)

    clock = threading.Timer(secs, cut)
    clock.daemon = True
    clock.start()
    try:
        connection.connect()
        line = connection.sock
        line.settimeout(secs)
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
    return Answer(status, short(f"{parts.hostname} answered {status}: {_without_secrets(said, parts)}"))


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


def short(text: str) -> str:
    """One printable line: databases refuse NUL, pages do not want the rest."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split()).rstrip(": ")
    return line[:MAX_ERROR]
