"""Inboxes: written with what they tell, seen by their owner alone, mailed to who takes mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from mlops_site.core import inbox, teams, webhooks
from mlops_site.core.errors import Invalid, NotFound
from mlops_site.core.inbox import Note
from mlops_site.core.models import AuditRecord, Delivery, Notification, Team, User
from mlops_site.core.permissions import Actor
from tests.core.mailboxes import html, mailbox
from tests.kept import kept_fixture
from tests.people import actor, bearer, person

pytestmark = pytest.mark.django_db
NOTE = Note("alert.raised", "alert:1", "[high] high_cost: Age drifted", "Look.", "high", "/alerts")


@kept_fixture
def ada(db: None) -> Actor:
    return actor("ada", "ml_engineer")


@kept_fixture
def ben(db: None) -> Actor:
    return actor("ben", "approver")


def tell(*people: Actor, note: Note = NOTE, **options: Any) -> None:
    users = [each.user for each in people if each.user]
    with transaction.atomic():
        inbox.tell(users, note, team=Team.objects.get(name="claims"), **options)


def test_each_has_a_line_of_their_own(ada: Actor, ben: Actor) -> None:
    tell(ada, ben, ada)
    assert (inbox.unread_count(ada), inbox.unread_count(ben)) == (1, 1)
    (line,) = inbox.lines(ada)
    assert (line.title, line.severity, line.path, line.read_at) == (NOTE.title, "high", "/alerts", None)
    assert inbox.mark_read(ada, [line.pk]) == 1
    assert inbox.mark_read(ada, [line.pk]) == 0
    assert (inbox.unread_count(ada), inbox.unread_count(ben)) == (0, 1)


def test_nobody_marks_the_line_of_another(ada: Actor, ben: Actor) -> None:
    tell(ada)
    line = Notification.objects.get()
    with pytest.raises(NotFound, match="no line"):
        inbox.mark_read(ben, [line.pk])
    assert inbox.mark_read(ben) == 0
    assert inbox.unread_count(ada) == 1


def test_whoever_leaves_the_team_or_is_deactivated_is_told_and_sees_nothing(ada: Actor, ben: Actor) -> None:
    tell(ada)
    assert ada.user is not None
    teams.remove_member(ada.user, team=Team.objects.get(), actor=actor("tom", "admin"))
    assert not inbox.lines(Actor.of(ada.user))
    User.objects.filter(username="ben").update(is_active=False)
    tell(Actor.of(User.objects.get(username="ben")))
    assert not Notification.objects.filter(recipient__username="ben").exists()


def test_it_comes_by_mail_to_who_takes_mail(ada: Actor, ben: Actor, settings: Any) -> None:
    inbox.set_mail(ada, email="ada@example.org", takes_mail=True)
    inbox.set_mail(ben, email="ben@example.org", takes_mail=False)
    settings.PUBLIC_URL = "https://steward.example"
    with mailbox(settings) as box:
        tell(ada, ben)
        tell(ada, by_mail=False)
        assert webhooks.send_due() == 1
    ((to, letter),) = box.got
    assert (to, letter["Subject"]) == (["ada@example.org"], NOTE.title)
    assert "https://steward.example/alerts" in html(letter)
    assert "https://steward.example/inbox/settings" in html(letter)
    delivery = Delivery.objects.get()
    assert "example.org" not in str(delivery.body)  # the address is read when it is sent
    assert (delivery.state, delivery.status_code) == ("delivered", 250)


def test_without_a_mail_server_nothing_waits_to_be_mailed(ada: Actor) -> None:
    inbox.set_mail(ada, email="ada@example.org", takes_mail=True)
    tell(ada)
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("address", ["ada", "ada@example.org\nBcc: x@y.example", "x" * 300 + "@example.org"])
def test_a_bad_address_is_refused(ada: Actor, address: str) -> None:
    with pytest.raises(Invalid, match="email must be an e-mail address"):
        inbox.set_mail(ada, email=address, takes_mail=True)


def test_setting_it_is_recorded_without_the_address(ada: Actor) -> None:
    inbox.set_mail(ada, email="ada@example.org", takes_mail=True)
    record = AuditRecord.objects.get(action="user.mail_set")
    assert "example.org" not in record.body


def test_what_was_read_is_forgotten_and_what_was_not_stays(ada: Actor) -> None:
    tell(ada)
    tell(ada)
    inbox.mark_read(ada, [Notification.objects.earliest("pk").pk])
    Notification.objects.update(created_at=timezone.now() - timedelta(days=91))
    assert inbox.forget_old(timezone.now() - timedelta(days=inbox.KEPT_DAYS)) == 1
    assert inbox.unread_count(ada) == 1


class TestOverTheApi:
    def test_one_reads_ones_own(self, ada: Actor, ben: Actor) -> None:
        tell(ada)
        tell(ben, note=NOTE._replace(title="for ben"))
        client = Client(headers=bearer(User.objects.get(username="ada")))
        (line,) = client.get("/api/v1/inbox?unread=true").json()["results"]
        assert (line["title"], line["url"], line["team"], line["read_at"]) == (NOTE.title, "/alerts", "claims", None)
        answer = client.post("/api/v1/inbox/read", {"ids": [line["id"]]}, content_type="application/json")
        assert answer.json() == {"marked": 1, "unread": 0}
        assert client.get("/api/v1/inbox?unread=true").json()["count"] == 0
        assert client.get("/api/v1/inbox").json()["count"] == 1

    @pytest.mark.parametrize("ids", [[], ["x"], [0], [2**63], [10**30], None, [1, 2, {}], list(range(1, 2000))])
    def test_bad_ids(self, ada: Actor, ids: Any) -> None:
        client = Client(headers=bearer(User.objects.get(username="ada")))
        answer = client.post("/api/v1/inbox/read", {"ids": ids}, content_type="application/json")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"].startswith("ids")

    def test_a_line_that_is_not_ones_own_is_404(self, ada: Actor) -> None:
        client = Client(headers=bearer(User.objects.get(username="ada")))
        answer = client.post("/api/v1/inbox/read", {"ids": [4711]}, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_line")

    def test_where_letters_go(self, ada: Actor) -> None:
        client = Client(headers=bearer(User.objects.get(username="ada")))
        at = "/api/v1/inbox/settings"
        assert client.get(at).json() == {"email": "", "takes_mail": True}
        said = client.patch(at, {"email": "ada@example.org"}, content_type="application/json")
        assert said.json() == {"email": "ada@example.org", "takes_mail": True}
        assert client.patch(at, {"email": "no"}, content_type="application/json").status_code == 422


class TestPages:
    @pytest.fixture
    def browser(self, ada: Actor) -> Client:
        client = Client()
        client.force_login(User.objects.get(username="ada"), backend="django.contrib.auth.backends.ModelBackend")
        return client

    def test_the_bell_counts_and_a_line_is_opened_and_read(self, browser: Client, ada: Actor) -> None:
        tell(ada, note=NOTE._replace(title="<script>alert(1)</script>"))
        page = browser.get("/inbox").content.decode()
        assert 'aria-label="Inbox, 1 unread"' in page
        assert "<script>alert(1)" not in page
        answer = browser.post("/inbox", {"line": str(Notification.objects.get().pk)})
        assert (answer.status_code, answer["Location"]) == (302, "/alerts")
        assert 'aria-label="Inbox"' in browser.get("/").content.decode()

    def test_all_are_read_at_once(self, browser: Client, ada: Actor) -> None:
        tell(ada)
        tell(ada)
        assert "2 things you have not read" in browser.get("/inbox").content.decode()
        browser.post("/inbox")
        assert "You have read everything" in browser.get("/inbox?show=unread").content.decode()

    @pytest.mark.parametrize("line", ["x", "-1", "9" * 40, "٣"])
    def test_what_is_no_line_changes_nothing(self, browser: Client, ada: Actor, line: str) -> None:
        tell(ada)
        assert browser.post("/inbox", {"line": line}).status_code == 302
        assert inbox.unread_count(ada) == 1

    def test_settings(self, browser: Client) -> None:
        assert "sends no mail" in browser.get("/inbox/settings").content.decode()
        assert browser.post("/inbox/settings", {"email": "no", "takes_mail": "on"}).status_code == 422
        browser.post("/inbox/settings", {"email": "ada@example.org"})
        ada = User.objects.get(username="ada")
        assert (ada.email, ada.takes_mail) == ("ada@example.org", False)


def test_a_machine_has_an_empty_inbox() -> None:
    client = Client(headers=bearer(person("claims-app", "service")))
    assert client.get("/api/v1/inbox").json()["count"] == 0
