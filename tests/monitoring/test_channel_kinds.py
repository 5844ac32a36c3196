"""What each kind of channel sends, as the other side gets it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from mlops_site.core import entries
from mlops_site.core.models import Delivery
from mlops_site.core.permissions import Actor
from mlops_site.core.webhooks import send_due
from monitoring import channels
from monitoring.channels import slack, teams
from monitoring.channels.apprise import without
from monitoring.models import Alert
from monitoring.services import create_channel, renew_secret, resolve_alert, send_held, try_channel
from registry.models import Version
from tests.core.mailboxes import html, mailbox, plain
from tests.core.receivers import Receiver, receiver
from tests.monitoring.parts import finding, raised

pytestmark = pytest.mark.django_db
EVIL = "<script>alert(1)</script> *bold* <!channel> [here](https://evil.example) & <@U1>"


@pytest.fixture
def server(settings: Any) -> Iterator[Receiver]:
    settings.CHANNEL_HOSTS, settings.PUBLIC_URL = ["127.0.0.1"], "https://steward.example"
    with receiver(200) as found:
        yield found


def sent(server: Receiver) -> Any:
    """The body of the one message that is on its way."""
    send_due()
    assert Delivery.objects.exclude(state="delivered").count() == 0
    ((_, _, body),) = server.got
    return body


def make(author: Actor, kind: str, address: str, **fields: Any) -> Any:
    return create_channel(actor=author, kind=kind, fields={"name": kind, "address": address, **fields})


def evil(watched: Version, subject: str = "") -> Alert:
    return raised(watched, finding("drift", subject, summary=EVIL))[0]


class TestWebhook:
    def test_it_is_signed_so_that_a_receiver_can_tell(self, server: Receiver, watched: Version, author: Actor) -> None:
        made = make(author, "webhook", server.url)
        (alert,) = raised(watched)
        body = sent(server)
        ((_, headers, _),), (raw,) = server.got, server.bodies
        assert Webhook(made.secret).verify(raw, headers) == body
        key = base64.b64decode(made.secret.removeprefix("whsec_"))
        said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
        expected = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        with pytest.raises(WebhookVerificationError):
            Webhook(made.secret).verify(raw.replace(b"high", b"low"), headers)
        assert (body["type"], body["id"], body["severity"], body["model"]) == (
            "alert.raised",
            str(alert.pk),
            "high",
            "high_cost",
        )
        assert body["link"] == f"https://steward.example/alerts/{alert.pk}"

    def test_a_renewed_secret_signs_from_then_on(self, server: Receiver, author: Actor) -> None:
        made = make(author, "webhook", server.url)
        renewed = renew_secret(made.channel, actor=author)
        try_channel(made.channel, actor=author)
        sent(server)
        ((_, headers, _),), (raw,) = server.got, server.bodies
        Webhook(renewed.secret).verify(raw, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(made.secret).verify(raw, headers)


class TestSlack:
    def test_blocks_in_which_nothing_typed_is_read_as_a_mark(
        self, server: Receiver, watched: Version, author: Actor
    ) -> None:
        make(author, "slack", server.url)
        alert = evil(watched, "age")
        body = sent(server)
        assert body["text"].startswith("[high] high_cost: &lt;script&gt;")
        assert "<" not in body["text"]
        header, section, context = body["blocks"]
        assert (header["type"], header["text"]["type"]) == ("header", "plain_text")
        fields = [field["text"] for field in section["fields"]]
        assert fields == [
            "Model: high_cost",
            f"Version: {alert.version.number}",
            "About: drift",
            "Subject: age",
            "Status: open",
        ]
        assert {field["type"] for field in section["fields"]} == {"plain_text"}
        link = f"<https://steward.example/alerts/{alert.pk}|Open it in Steward>"
        assert context["elements"] == [{"type": "mrkdwn", "text": link}]

    def test_its_limits_hold_for_long_texts_and_long_digests(self, settings: Any) -> None:
        settings.PUBLIC_URL = "https://steward.example"
        one = {"type": "alert.raised", "severity": "high", "model": "m", "summary": "x" * 5000, "url": "/alerts/1"}
        body = slack.payload({"type": "alert.digest", "alerts": [one] * 200, "left_out": 30})
        assert len(body["blocks"]) <= 50
        assert len(body["blocks"][0]["text"]["text"]) <= 150
        assert all(len(block["text"]["text"]) <= 3000 for block in body["blocks"] if block["type"] == "section")
        assert "210 more" in json.dumps(body)


class TestTeams:
    def test_an_adaptive_card_in_which_nothing_typed_is_read_as_markdown(
        self, server: Receiver, watched: Version, author: Actor
    ) -> None:
        make(author, "teams", server.url)
        alert = evil(watched)
        body = sent(server)
        (attachment,) = body["attachments"]
        assert (body["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
        card = attachment["content"]
        assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
        assert card["actions"][0]["url"] == f"https://steward.example/alerts/{alert.pk}"
        (container,) = card["body"]
        assert {item["type"] for item in container["items"]} == {"RichTextBlock"}
        assert container["items"][0]["inlines"][0]["text"] == EVIL

    def test_a_long_digest_stays_under_28_kb(self) -> None:
        one = {"type": "alert.raised", "severity": "high", "model": "m", "summary": "x" * 300, "url": "/alerts/1"}
        body = teams.payload({"type": "alert.digest", "alerts": [one] * 200, "left_out": 0})
        assert len(json.dumps(body)) < 28 * 1024


class TestMail:
    def test_raised_and_resolved_are_one_thread(self, settings: Any, watched: Version, author: Actor) -> None:
        settings.PUBLIC_URL = "https://steward.example"
        with mailbox(settings) as box:
            make(author, "mail", "ada@example.org, ben@example.org", min_severity="high")
            alert = evil(watched)
            send_due()
            resolve_alert(alert, actor=author)
            send_due()
        (to, first), (_, second) = box.got
        assert to == ["ada@example.org", "ben@example.org"]
        assert first["Subject"].startswith("[high] high_cost: <script>")
        assert first["References"] == second["References"]
        assert first["Message-ID"] != second["Message-ID"]
        assert "Resolved: " in second["Subject"]
        assert first["List-Id"].startswith("<mail-claims.")
        for letter in (first, second):
            assert "<script" not in html(letter)
            assert "&lt;script&gt;alert(1)" in html(letter)
            assert f"https://steward.example/alerts/{alert.pk}" in html(letter)
            assert EVIL in plain(letter)

    def test_a_digest_names_each(self, settings: Any, watched: Version, author: Actor) -> None:
        with mailbox(settings) as box:
            make(author, "mail", "ada@example.org", digest="daily")
            raised(watched, finding("drift"), finding("volume"))
            send_held(timezone.now() + timedelta(days=1))
            send_due()
        ((_, letter),) = box.got
        assert letter["Subject"] == "2 alerts"
        for words in ("drift of the model", "volume of the model"):
            assert words in html(letter)
            assert words in plain(letter)

    def test_who_refuses_is_in_the_log(self, settings: Any, watched: Version, author: Actor) -> None:
        with mailbox(settings, refuses={"gone@example.org": "550 no such user"}):
            make(author, "mail", "ada@example.org, gone@example.org")
            raised(watched)
            send_due()
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.status_code) == ("delivered", 250)
        assert delivery.error == "gone@example.org was refused: 550 no such user"


class TestApprise:
    def places(self, settings: Any, server: Receiver, **named: str) -> None:
        text = " ".join(f"{name}={url}" for name, url in named.items())
        settings.APPRISE_URLS = [
            entries.Place(*(lambda n: (n.rpartition(":")[0], u, n.rpartition(":")[2]))(n))
            for n, u in (each.split("=", 1) for each in text.split())
        ]

    def test_a_named_place_gets_it(self, settings: Any, server: Receiver, watched: Version, author: Actor) -> None:
        self.places(settings, server, pager=f"json://user:s3cret@127.0.0.1:{server.server_port}/hook")
        make(author, "apprise", "pager")
        raised(watched)
        body = sent(server)
        assert (body["title"], body["type"]) == ("[high] high_cost: drift of the model", "warning")
        assert "Model: high_cost" in body["message"]

    def test_a_failure_is_said_without_the_address(
        self, settings: Any, server: Receiver, watched: Version, author: Actor
    ) -> None:
        server.answers = [500]
        self.places(settings, server, pager=f"json://user:s3cret@127.0.0.1:{server.server_port}/hook")
        make(author, "apprise", "pager")
        raised(watched)
        send_due()
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.attempts) == ("pending", 1)
        assert delivery.error.startswith("Apprise could not send it: ")
        assert "s3cret" not in delivery.error

    def test_another_teams_place_does_not_exist(self, settings: Any, server: Receiver, author: Actor) -> None:
        from mlops_site.core.errors import Invalid

        settings.APPRISE_URLS = [entries.Place("others", "json://127.0.0.1/", "pager")]
        with pytest.raises(Invalid, match="the operator has set no APPRISE_URLS for this team"):
            make(author, "apprise", "pager")

    def test_a_place_that_was_taken_away_or_is_not_understood_is_said(
        self, settings: Any, server: Receiver, author: Actor
    ) -> None:
        settings.APPRISE_URLS = [entries.Place("", "nonsense://x", "pager")]
        made = make(author, "apprise", "pager")
        try_channel(made.channel, actor=author)
        send_due()
        assert "does not understand the address of pager" in Delivery.objects.get().error
        settings.APPRISE_URLS = []
        try_channel(made.channel, actor=author)
        send_due()
        assert Delivery.objects.latest("created_at").error == "APPRISE_URLS names no pager for this team any more"

    def test_no_word_of_the_address_is_repeated(self) -> None:
        assert "tok-en123" not in without("tgram://tok-en123/chat", "failed at tok-en123")


def test_every_kind_has_its_module() -> None:
    from monitoring.channels.delivery import module_of
    from monitoring.choices import ChannelKind

    for kind in ChannelKind:
        assert callable(module_of(kind).checked)
        assert kind == "inbox" or callable(module_of(kind).send)


def test_each_event_reads_as_a_sentence() -> None:
    from monitoring.channels.wording import title_of

    about = {"severity": "high", "model": "claims", "summary": "Age drifted", "url": "/alerts/1"}
    assert [title_of({"type": event, **about}) for event in (channels.RAISED, channels.ESCALATED, "alert.odd")] == [
        "[high] claims: Age drifted",
        "[high] claims: Nobody looks at it yet: Age drifted",
        "[high] claims: Age drifted",
    ]
