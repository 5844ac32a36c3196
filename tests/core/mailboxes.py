"""Somebody else's mail server: real, local, and as friendly as told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.processes import free_port


class Mailbox:
    """Keeps every letter; `refuses` maps an address to the answer that it gets, `hangs` takes it and is silent."""

    def __init__(self, refuses: dict[str, str], *, hangs: bool = False) -> None:
        self.refuses, self.hangs = refuses, hangs
        self.got: list[tuple[list[str], EmailMessage]] = []  # to whom, what
        self.host, self.port = "127.0.0.1", free_port()

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self.refuses.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.hangs:
            await asyncio.sleep(30)
        content: Any = envelope.content
        self.got.append((list(envelope.rcpt_tos), message_from_bytes(content, policy=policy.default)))
        return "250 OK"


@contextmanager
def mailbox(settings: Any, *, refuses: dict[str, str] | None = None, hangs: bool = False) -> Iterator[Mailbox]:
    """The site's mail server, for as long as the block lasts."""
    box = Mailbox(refuses or {}, hangs=hangs)
    control = Controller(box, hostname=box.host, port=box.port, ready_timeout=10)
    control.start()
    settings.EMAIL_HOST, settings.EMAIL_PORT = box.host, box.port
    try:
        yield box
    finally:
        control.stop(no_assert=True)
        settings.EMAIL_HOST = ""


def html(letter: EmailMessage) -> str:
    part: Any = letter.get_body(("html",))
    return str(part.get_content())


def plain(letter: EmailMessage) -> str:
    part: Any = letter.get_body(("plain",))
    return str(part.get_content())
