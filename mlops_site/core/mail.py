"""Letters: HTML and text, to the operator's mail server (EMAIL_HOST). What is said in them is escaped by the
template; what stands in headers is one printable line."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from email.utils import formatdate, parseaddr
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend
from django.core.validators import validate_email
from django.template.loader import render_to_string

from mlops_site.core.http import Answer, short
from mlops_site.core.models import Delivery, User

CHANNEL = "mail"  # "mail:<user id>": a person's own
MAX_SUBJECT, MAX_ADDRESS = 180, 254


class Part(NamedTuple):
    """One thing that a letter tells."""

    heading: str
    text: str = ""
    severity: str = ""
    facts: Sequence[tuple[str, str]] = ()
    path: str = ""  # its page on this site


class Letter(NamedTuple):
    """`thread` is what all letters on one subject share; `why` says why one gets it."""

    title: str
    parts: Sequence[Part]
    thread: str
    list_name: str
    why: str
    settings_path: str = ""  # where one changes that


def link(path: str) -> str:
    """The address of a page as somebody outside can open it; empty where the operator has not said what this site is
    called (PUBLIC_URL)."""
    return f"{settings.PUBLIC_URL.rstrip('/')}{path}" if settings.PUBLIC_URL and path else ""


def checked(address: str) -> str:
    """The address; ValueError with a sentence if it is none."""
    try:
        if len(address) > MAX_ADDRESS:
            raise ValidationError("too long")
        validate_email(address)
    except ValidationError:
        raise ValueError(f"must be an e-mail address but got {address[:80]!r}") from None
    return address


def message(letter: Letter, *, to: Sequence[str], key: str) -> EmailMultiAlternatives:
    """The letter as it is sent. Each try of one delivery has the same Message-ID."""
    host = settings.MAIL_DOMAIN
    first = f"<{_word(letter.thread)}@{host}>"  # nobody ever got it: mail programs thread by the name alone
    headers = {
        "Message-ID": f"<{key}@{host}>",
        "References": first,
        "In-Reply-To": first,
        "List-Id": f"<{_word(letter.list_name)}.{host}>",
        "Auto-Submitted": "auto-generated",
        "Date": formatdate(),
    }
    if stop := link(letter.settings_path):
        headers["List-Unsubscribe"] = f"<{stop}>"
    facts = {"letter": letter, "parts": [(part, link(part.path)) for part in letter.parts], "site": settings.PUBLIC_URL}
    facts["settings_link"] = link(letter.settings_path)
    made = EmailMultiAlternatives(short(letter.title)[:MAX_SUBJECT], as_text(letter), to=list(to), headers=headers)
    made.attach_alternative(render_to_string("core/mail.html", facts), "text/html")
    return made


def as_text(letter: Letter) -> str:
    """The same for who reads no HTML."""
    blocks = [
        [part.heading, part.text, *(f"{name}: {said}" for name, said in part.facts), link(part.path)]
        for part in letter.parts
    ]
    blocks.append(["-- ", letter.why, link(letter.settings_path)])
    return "\n\n".join("\n".join(line for line in block if line) for block in blocks) + "\n"


def send(made: EmailMultiAlternatives, *, timeout_secs: float) -> Answer:
    """Hand it to the mail server. Taken is what at least one of its addresses takes; who did not is said."""
    if not settings.EMAIL_HOST:
        return Answer(None, "EMAIL_HOST is not set")
    server: Any = EmailBackend(timeout=timeout_secs)
    content: Any = made.message()
    try:
        server.open()
        line: smtplib.SMTP = server.connection
        refused = line.sendmail(parseaddr(made.from_email)[1], made.to, content.as_bytes(linesep="\r\n"))
        return Answer(250, _refusals(refused), in_part=bool(refused))
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        return Answer(code, _refusals(error.recipients))
    except smtplib.SMTPResponseException as error:
        return Answer(error.smtp_code, short(f"the mail server answered {error.smtp_code}: {_said(error.smtp_error)}"))
    except (smtplib.SMTPException, OSError) as error:
        if TimeoutError in (type(error), type(error.__context__)):  # smtplib takes one for a line that broke
            return Answer(None, f"the mail server did not answer within {timeout_secs:g} s")
        why = getattr(error, "strerror", None) or type(error).__name__
        return Answer(None, short(f"the mail server could not be reached: {why}"))
    finally:
        _closed(server)


def _closed(server: Any) -> None:
    try:
        server.close()
    except (smtplib.SMTPException, OSError):
        server.connection = None


def _refusals(refused: Any) -> str:
    said = [f"{address} was refused: {code} {_said(why)}" for address, (code, why) in refused.items()]
    return short("; ".join(said))


def _said(answer: Any) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)


def _word(text: str) -> str:
    """What a header may hold as a name.

    >>> _word("alert:5 of Ada's")
    'alert-5-of-Ada-s'
    """
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in text)[:120]


def deliver(delivery: Delivery, *, timeout_secs: float = 5.0) -> Answer:
    """A person's own letter, to the address that they have now."""
    user = User.objects.filter(pk=delivery.channel.partition(":")[2], is_active=True).first()
    if user is None or not user.email:
        return Answer(None, "the person has no e-mail address any more")
    said = delivery.body
    part = Part(said["title"], said["text"], said["severity"], (), said["path"])
    why = f"You get this as {user.get_username()} of team {delivery.team}, because it is in your inbox."
    letter = Letter(said["title"], [part], delivery.subject, f"inbox.{delivery.team}", why, said["settings"])
    return send(message(letter, to=[user.email], key=str(delivery.pk)), timeout_secs=timeout_secs)
