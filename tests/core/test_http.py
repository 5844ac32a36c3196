"""The guarded client against real local servers."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from mlops_site.core.http import MAX_ERROR, Answer, post_json
from tests.core.receivers import receiver
from tests.processes import free_port


def post(url: str, secs: float = 5.0) -> Answer:
    return post_json(url, {"type": "alert.raised", "é": 1}, timeout_secs=secs, headers={"webhook-id": "one"})


@pytest.mark.parametrize("status", [200, 202, 204])
def test_what_is_taken_is_taken(status: int) -> None:
    with receiver(status) as server:
        assert post(server.url) == Answer(status, "")
    ((path, headers, body),) = server.got
    assert (path, body) == ("/hook", {"type": "alert.raised", "é": 1})
    assert (headers["webhook-id"], headers["Content-Type"]) == ("one", "application/json")


def test_a_refusal_says_what_the_server_said() -> None:
    with receiver(500) as server:
        answer = post(server.url + "/path")
    assert answer == Answer(500, "127.0.0.1 answered 500: no good: …")


def test_a_redirect_is_a_failure_and_not_followed() -> None:
    with receiver("redirect") as server:
        answer = post(server.url)
    assert answer == Answer(302, "127.0.0.1 answered 302, a redirect, which is not followed")
    assert len(server.got) == 1


@pytest.mark.parametrize("vice", ["hang", "drip"])
def test_a_server_that_hangs_or_drips_is_cut(vice: str) -> None:
    """Dripping resets a socket's own limit with every byte."""
    with receiver(vice) as server:
        started = time.monotonic()
        assert post(server.url, secs=0.5) == Answer(None, "127.0.0.1 did not answer within 0.5 s")
        assert 0.4 < time.monotonic() - started < 2


def test_a_server_that_takes_no_byte_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # connected by the system, accepted by nobody
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        answer = post_json(url, {"x": "y" * 30_000_000}, timeout_secs=0.5)
    assert answer.error == "127.0.0.1 did not answer within 0.5 s"


def test_an_endless_answer_is_neither_read_nor_kept() -> None:
    with receiver("endless") as server:
        answer = post(server.url, secs=2)
    assert answer.status == 500
    assert len(answer.error) <= MAX_ERROR
    assert "\0" not in answer.error


def test_a_server_that_hangs_up_or_is_not_there_is_said() -> None:
    with receiver("hang up") as server:
        assert post(server.url) == Answer(None, "127.0.0.1 could not be reached: RemoteDisconnected")
    assert post(f"http://127.0.0.1:{free_port()}/").error == "127.0.0.1 could not be reached: Connection refused"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://127.0.0.1/s3cret", "it must start with http:// or https:// but starts with 'ftp'"),
        ("http:///s3cret", "it names no host"),
        ("http://[s3cret/", "it is not well-formed"),
        ("http://127.0.0.1:s3cret/", "it is not well-formed"),
    ],
)
def test_a_bad_address_is_told_without_repeating_it(url: str, said: str) -> None:
    assert post(url) == Answer(None, f"the address cannot be used: {said}")


@pytest.mark.parametrize("answer", [500, "redirect", "hang up"])
def test_no_error_repeats_a_secret(answer: int | str) -> None:
    with receiver(answer) as server:
        url = server.url.replace("http://", "http://ops:p4ssword@") + "?token=t0ken"
        error = post(url).error
    assert "127.0.0.1" in error
    assert not any(secret in error for secret in ("p4ssword", "t0ken", "hook"))
    ((path, headers, _),) = server.got
    assert (path, headers["Authorization"]) == ("/hook?token=t0ken", "Basic b3BzOnA0c3N3b3Jk")


def test_a_target_that_would_split_the_request_is_not_sent() -> None:
    with receiver(200) as server:
        assert post(server.url + " HTTP/1.1 x").error.startswith("127.0.0.1 could not be reached")
    assert server.got == []


def test_no_clock_is_left_ticking() -> None:
    before = threading.active_count()
    with receiver(200) as server:
        for _ in range(3):
            post(server.url, secs=30)
        assert sum(isinstance(thread, threading.Timer) for thread in threading.enumerate()) == 0
    assert threading.active_count() <= before + 3
