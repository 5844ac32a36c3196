"""Each person's inbox: lines written in the transaction of what they tell, and sent by e-mail too to who takes mail."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.urls import reverse

from mlops_site.core import events, mail, webhooks
from mlops_site.core.errors import Invalid, NotFound
from mlops_site.core.models import Notification, Team, User
from mlops_site.core.permissions import Action, Actor, person

KEPT_DAYS = 90  # of what was read


class Note(NamedTuple):
    """What is told. `subject` is what it is about, as the audit chain names it; `path` its page on this site."""

    event: str
    subject: str
    title: str
    text: str = ""
    severity: str = ""
    path: str = ""


def tell(people: Iterable[User], note: Note, *, team: Team, by_mail: bool = True) -> None:
    """A line in the inbox of each, once each, in the caller's transaction; and a letter to who takes them, where the
    site has a mail server. `by_mail` False: the line alone, whatever they have set."""
    told = {user.pk: user for user in people if user.is_active}
    lines = [_line(user, note, team) for user in told.values()]
    Notification.objects.bulk_create(lines)
    if not (by_mail and settings.EMAIL_HOST):
        return
    body = {"title": note.title, "text": note.text, "severity": note.severity, "path": note.path}
    body["settings"] = reverse("inbox_settings")
    for user in told.values():
        if user.takes_mail and user.email:
            channel = f"{mail.CHANNEL}:{user.pk}"
            webhooks.enqueue(channel=channel, subject=note.subject, team=team, event=note.event, body=body)


def _line(user: User, note: Note, team: Team) -> Notification:
    shown = note._replace(title=note.title[:300], text=note.text[:1000], subject=note.subject[:200])
    return Notification(recipient=user, team=team, **shown._asdict())


def lines(actor: Actor, *, unread: bool = False) -> QuerySet[Notification]:
    """The actor's own, newest first; of a team that they have left, none."""
    rows = Notification.objects.filter(recipient=actor.user, team__in=actor.teams(Action.VIEW))
    rows = rows.filter(read_at=None) if unread else rows
    return rows.select_related("team").order_by("-created_at", "-pk")


def unread_count(actor: Actor) -> int:
    return lines(actor, unread=True).order_by().count() if actor.user else 0


def mark_read(actor: Actor, ids: Collection[int] | None = None) -> int:
    """Mark the lines, or all of them, as read; how many were not before. NotFound for one that is not the actor's."""
    rows = lines(actor).select_related(None).order_by()
    if ids is not None:
        missing = set(ids) - set(rows.filter(pk__in=ids).values_list("pk", flat=True))
        if missing:
            raise NotFound(f"no line {min(missing)} in your inbox", code="unknown_line")
        rows = rows.filter(pk__in=ids)
    return rows.filter(read_at=None).update(read_at=Now())


def set_mail(actor: Actor, *, email: str, takes_mail: bool) -> User:
    """Where the actor's letters go, and whether any do. Invalid `bad_address`."""
    user, email = person(actor), email.strip()
    if email:
        try:
            mail.checked(email)
        except ValueError as error:
            raise Invalid.on("email", f"email {error}", code="bad_address") from None
    with events.atomic():
        User.objects.filter(pk=user.pk).update(email=email, takes_mail=takes_mail)
        data = {"takes_mail": takes_mail, "has_address": bool(email)}
        events.record("user.mail_set", actor=actor, subject=f"user:{user.username}", data=data)
    user.email, user.takes_mail = email, takes_mail
    return user


def forget_old(before: object) -> int:
    """Delete what was read and is older."""
    with transaction.atomic():
        return Notification.objects.filter(created_at__lt=before).exclude(read_at=None).delete()[0]
