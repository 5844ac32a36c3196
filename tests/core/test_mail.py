"""Letters, through a real mail server."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_site.core import mail
from mlops_site.core.mail import Letter, Part
from tests.core.mailboxes import html, mailbox, plain
from tests.processes import free_port

EVIL = '<script>alert("x")</script>'


@pytest.fixture(autouse=True)
def _named(settings: Any) -> None:
    settings.PUBLIC_URL, settings.MAIL_DOMAIN = "https://steward.example", "steward.example"
    settings.DEFAULT_FROM_EMAIL = "Steward <steward@steward.example>"


def letter(heading: str = "Age drifted", **changes: Any) -> Letter:
    part = Part(heading, "Look at it.", "high", [("Model", "high_cost")], "/alerts/1")
    parts = {"title": f"[high] {heading}", "parts": [part], "thread": "alert:1", "list_name": "on call.claims"}
    return Letter(**{**parts, "why": "You asked for it.", "settings_path": "/inbox/settings", **changes})


def sent(settings: Any, asked: Letter, to: tuple[str, ...] = ("ada@example.org",), **server: Any) -> tuple[Any, Any]:
    with mailbox(settings, **server) as box:
        answer = mail.send(mail.message(asked, to=to, key="k1"), timeout_secs=2)
    return answer, box.got


def test_it_arrives_as_text_and_html_with_links_and_threads(settings: Any) -> None:
    answer, ((to, got),) = sent(settings, letter())
    assert (answer.status, answer.error, answer.ok) == (250, "", True)
    assert (to, got["From"], got["Subject"]) == (["ada@example.org"], settings.DEFAULT_FROM_EMAIL, "[high] Age drifted")
    assert got["Message-ID"] == "<k1@steward.example>"
    assert got["References"] == got["In-Reply-To"] == "<alert-1@steward.example>"
    assert got["List-Id"] == "<on-call-claims.steward.example>"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got["List-Unsubscribe"] == "<https://steward.example/inbox/settings>"
    for body in (html(got), plain(got)):
        assert "Look at it." in body
        assert "https://steward.example/alerts/1" in body
        assert "You asked for it." in body
    assert "Model: high_cost" in plain(got)


def test_what_anybody_typed_is_escaped_and_stays_out_of_the_headers(settings: Any) -> None:
    evil = letter(f"{EVIL}\r\nBcc: eve@example.org", parts=[Part(EVIL, EVIL, EVIL, [(EVIL, EVIL)], '/"onclick="x')])
    _, ((to, got),) = sent(settings, evil)
    assert (to, got["Bcc"]) == (["ada@example.org"], None)
    assert "<script" not in html(got)
    assert html(got).count("&lt;script&gt;") >= 4
    assert '"onclick="x' not in html(got)
    assert EVIL in plain(got)


def test_without_a_public_url_there_are_no_links(settings: Any) -> None:
    settings.PUBLIC_URL = ""
    _, ((_, got),) = sent(settings, letter())
    assert "href" not in html(got)
    assert got["List-Unsubscribe"] is None


def test_who_is_refused_is_said_and_the_others_have_it(settings: Any) -> None:
    two = ("ada@example.org", "gone@example.org")
    answer, ((to, _),) = sent(settings, letter(), two, refuses={"gone@example.org": "550 no such user"})
    assert (to, answer.ok, answer.in_part) == (["ada@example.org"], True, True)
    assert answer.error == "gone@example.org was refused: 550 no such user"


def test_when_all_are_refused_it_has_not_arrived(settings: Any) -> None:
    answer, got = sent(settings, letter(), refuses={"ada@example.org": "550 no such user"})
    assert (got, answer.ok, answer.status) == ([], False, 550)


def test_a_server_that_hangs_is_given_up(settings: Any) -> None:
    with mailbox(settings, hangs=True):
        answer = mail.send(mail.message(letter(), to=["ada@example.org"], key="k1"), timeout_secs=0.3)
    assert (answer.status, answer.error) == (None, "the mail server did not answer within 0.3 s")


def test_a_server_that_is_not_there_is_said(settings: Any) -> None:
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    answer = mail.send(mail.message(letter(), to=["ada@example.org"], key="k1"), timeout_secs=1)
    assert answer.error == "the mail server could not be reached: Connection refused"


@pytest.mark.parametrize(
    "address", ["ada", "ada@", "@b.example", "a b@c.example", "ada@example.org\nBcc: eve@x.example"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="must be an e-mail address"):
        mail.checked(address)
