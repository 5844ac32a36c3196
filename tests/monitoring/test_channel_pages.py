"""Channels over the API and on their pages, as people of different roles use them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mlops_site.core.models import Delivery, IdempotencyKey
from mlops_site.core.permissions import Actor
from mlops_site.core.webhooks import send_due
from monitoring.models import Channel
from monitoring.services import create_channel
from registry.models import Version
from tests.core.receivers import Receiver, receiver
from tests.monitoring.parts import raised
from tests.people import actor, bearer
from tests.registry.parts import user

pytestmark = pytest.mark.django_db
ADDRESS = "https://hooks.example.com/services/s3cret"
AT = "/api/v1/monitoring/channels"
NEW = {"name": "on call", "kind": "webhook", "address": ADDRESS}


@pytest.fixture
def engineer(author: Actor) -> Client:
    return Client(headers=bearer(user(author)))


@pytest.fixture
def server(settings: Any) -> Iterator[Receiver]:
    settings.CHANNEL_HOSTS = ["127.0.0.1"]
    with receiver(200) as found:
        yield found


def of(who: Actor) -> Client:
    client = Client()
    client.force_login(user(who), backend="django.contrib.auth.backends.ModelBackend")
    return client


def sent(client: Client, method: str, path: str, body: Any = None, **options: Any) -> Any:
    return getattr(client, method)(path, body, content_type="application/json", **options)


class TestApi:
    def test_one_is_made_changed_tried_and_deleted(self, engineer: Client, server: Receiver, watched: Version) -> None:
        made = sent(engineer, "post", AT, {**NEW, "address": server.url, "quiet_from": "22:00", "quiet_until": "07:00"})
        assert made.status_code == 201
        said = made.json()
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{32}", said["secret"])
        assert (said["place"], said["quiet_from"], said["events"]) == (
            f"127.0.0.1:{server.server_port}",
            "22:00:00",
            ["raised", "assigned", "escalated", "resolved"],
        )
        one = f"{AT}/{said['id']}"
        changed = sent(engineer, "patch", one, {"models": ["high_cost"], "min_severity": "high", "quiet_from": None,
                                                "quiet_until": None}).json()  # fmt: skip
        assert (changed["models"], changed["min_severity"], changed["quiet_from"]) == (["high_cost"], "high", None)
        tried = sent(engineer, "post", f"{one}/test")
        assert (tried.status_code, tried.json()["state"], tried.json()["most_attempts"]) == (202, "pending", 1)
        send_due()
        seen = engineer.get(f"/api/v1/monitoring/deliveries/{tried.json()['id']}").json()
        assert (seen["state"], seen["status_code"], seen["attempts"]) == ("delivered", 200, 1)
        assert sent(engineer, "post", f"{one}/secret").json()["secret"] != said["secret"]
        assert sent(engineer, "delete", one).status_code == 204
        assert engineer.get(one).status_code == 404
        assert engineer.get("/api/v1/monitoring/deliveries").json()["count"] == 1  # the log stays

    def test_it_is_tried_five_times_a_minute_at_most(self, engineer: Client) -> None:
        """Of one channel: whoever stands behind the address did not ask for it."""
        one, other = (sent(engineer, "post", AT, {**NEW, "name": name}).json()["id"] for name in ("one", "other"))
        tries = [sent(engineer, "post", f"{AT}/{one}/test") for _ in range(6)]
        assert [answer.status_code for answer in tries] == [202] * 5 + [429]
        assert (tries[-1].json()["code"], tries[-1].headers["Retry-After"]) == ("rate_limited", "60")
        assert sent(engineer, "post", f"{AT}/{other}/test").status_code == 202
        minute_ago = timezone.now() - timedelta(seconds=61)
        Delivery.objects.filter(channel=f"channel:{one}").update(created_at=minute_ago)
        assert sent(engineer, "post", f"{AT}/{one}/test").status_code == 202

    def test_no_address_and_no_secret_is_answered_again(self, engineer: Client) -> None:
        made = sent(engineer, "post", AT, NEW, headers={"Idempotency-Key": "k"})
        secret = made.json()["secret"]
        one = f"{AT}/{made.json()['id']}"
        sent(engineer, "post", f"{one}/test")
        for path in (AT, one, f"{one}/deliveries", "/api/v1/monitoring/deliveries"):
            text = engineer.get(path).content.decode()
            assert "s3cret" not in text
            assert "whsec" not in text
            assert Channel.objects.get().address not in text
        assert secret not in str(list(IdempotencyKey.objects.values()))
        assert sent(engineer, "post", AT, NEW, headers={"Idempotency-Key": "k"}).json()["code"] == "name_taken"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"kind": "pigeon"}, "kind"),
            ({"address": "http://hooks.example.com/x"}, "address"),
            ({"address": "https://192.168.1.1/x"}, "address"),
            ({"address": "x" * 10_000_000}, "address"),
            ({"address": ["a"]}, "address"),
            ({"address": "https://hooks.example.com/\u202e"}, "address"),
            ({"name": None}, "name"),
            ({"min_severity": "urgent"}, "min_severity"),
            ({"events": "raised"}, "events"),
            ({"events": ["born"]}, "events"),
            ({"quiet_from": "25:00", "quiet_until": "07:00"}, "quiet_from"),
            ({"quiet_from": "22:00"}, "quiet_until"),
            ({"time_zone": "Mars"}, "time_zone"),
            ({"enabled": "yes"}, "enabled"),
            ({"models": ["none_such"]}, "models"),
            ({"team": "others"}, "team"),
            ({"template": "x"}, "template"),
        ],
    )
    def test_bad_input_names_its_field(self, engineer: Client, changes: dict[str, Any], field: str) -> None:
        answer = sent(engineer, "post", AT, {**NEW, **changes})
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["field"].split(".")[0].split("[")[0] == field
        assert not Channel.objects.exists()

    def test_others_read_and_another_teams_is_not_there(self, engineer: Client, author: Actor) -> None:
        sent(engineer, "post", AT, NEW)
        pk = Channel.objects.get().pk
        viewer = Client(headers=bearer(user(actor("vic", "viewer"))))
        assert viewer.get(f"{AT}/{pk}").status_code == 200
        assert sent(viewer, "patch", f"{AT}/{pk}", {"enabled": False}).status_code == 403
        assert sent(viewer, "post", f"{AT}/{pk}/test").status_code == 403
        stranger = Client(headers=bearer(user(actor("zoe", "ml_engineer", team="others"))))
        assert stranger.get(AT).json()["count"] == 0
        for method, path in (("get", ""), ("patch", ""), ("delete", ""), ("post", "/test"), ("post", "/secret")):
            assert sent(stranger, method, f"{AT}/{pk}{path}").status_code == 404, (method, path)
        assert stranger.get(f"{AT}/{pk}/deliveries").status_code == 404

    def test_what_was_given_up_is_sent_again(self, engineer: Client, server: Receiver) -> None:
        server.answers = [500, 200]
        made = sent(engineer, "post", AT, {**NEW, "address": server.url}).json()
        tried = sent(engineer, "post", f"{AT}/{made['id']}/test").json()
        send_due()
        (failed,) = engineer.get(f"{AT}/{made['id']}/deliveries?state=failed").json()["results"]
        assert (failed["id"], failed["status_code"], failed["error"]) == (
            tried["id"],
            500,
            "127.0.0.1 answered 500: no good: …",
        )
        again = f"/api/v1/monitoring/deliveries/{tried['id']}/redeliver"
        assert sent(engineer, "post", again).json()["state"] == "pending"
        send_due()
        assert sent(engineer, "post", again).json()["code"] == "wrong_state"
        assert engineer.get(f"{AT}/{made['id']}/deliveries?state=odd").status_code == 422


class TestPages:
    @pytest.fixture
    def browser(self, author: Actor) -> Client:
        return of(author)

    def form(self, **changes: Any) -> dict[str, Any]:
        fields = {"name": "on call", "address": ADDRESS, "min_severity": "low", "events": ["raised", "resolved"]}
        return {**fields, "digest": "none", "time_zone": "UTC", "enabled": "on", "team": "claims", **changes}

    def test_a_webhook_shows_its_secret_once(self, browser: Client) -> None:
        page = browser.post(reverse("channel_new", args=["webhook"]), self.form())
        (secret,) = re.findall(r"whsec_[A-Za-z0-9+/]{32}", page.content.decode())
        assert "no-store" in page["Cache-Control"]
        one = reverse("channel", args=[Channel.objects.get().pk])
        for path in (one, reverse("channels"), f"{one}/change", "/admin/monitoring/channel/"):
            text = browser.get(path).content.decode()
            assert "hooks.example.com" in text
            assert "s3cret" not in text
            assert secret not in text
        renewed = browser.post(one, {"deed": "secret"}).content.decode()
        assert "whsec_" in renewed
        assert secret not in renewed

    def test_a_test_is_sent_and_its_outcome_seen(self, browser: Client, author: Actor, server: Receiver) -> None:
        server.answers = ["redirect", 200]
        fields = {"name": "on call", "address": server.url}
        one = reverse("channel", args=[create_channel(actor=author, kind="slack", fields=fields).channel.pk])
        assert browser.post(one, {"deed": "test"}).status_code == 302
        moving = browser.get(f"{one}/log").content.decode()
        assert 'hx-trigger="every 2s"' in moving
        send_due()
        page = browser.get(one).content.decode()
        assert "a redirect, which is not followed" in page
        assert "given up" in page
        assert "every 2s" not in page
        browser.post(one, {"deed": "redeliver", "delivery": str(Delivery.objects.get().pk)})
        send_due()
        assert "delivered" in browser.get(f"{one}/log").content.decode()
        assert "deed must be test" in browser.post(one, {"deed": "explode"}, follow=True).content.decode()
        assert (
            "no such delivery"
            in browser.post(one, {"deed": "redeliver", "delivery": "x"}, follow=True).content.decode()
        )

    def test_a_refusal_stands_beside_its_field_and_what_was_typed_stays(self, browser: Client) -> None:
        page = browser.post(reverse("channel_new", args=["slack"]), self.form(address="https://10.0.0.1/", name="<b>"))
        assert page.status_code == 422
        text = page.content.decode()
        assert "which only CHANNEL_HOSTS may allow" in text
        assert "&lt;b&gt;" in text
        assert browser.get(reverse("channel_new", args=["pigeon"])).status_code == 404

    def test_it_is_changed_and_deleted(self, browser: Client, author: Actor, watched: Version) -> None:
        made = create_channel(actor=author, kind="slack", fields={"name": "on call", "address": ADDRESS}).channel
        change = reverse("channel_change", args=[made.pk])
        sent_form = self.form(address="", models=["high_cost"], quiet_from="22:00", quiet_until="06:30", digest="daily")
        assert browser.post(change, sent_form).status_code == 302
        made.refresh_from_db()
        assert (made.digest, str(made.quiet_until), made.critical_passes) == ("daily", "06:30:00", False)
        assert [model.name for model in made.chosen.all()] == ["high_cost"]
        assert 'value="22:00"' in browser.get(change).content.decode()
        (alert,) = raised(watched)
        assert "held" in browser.get(reverse("channel", args=[made.pk])).content.decode().lower()
        assert "Held for" in browser.get(reverse("alert", args=[alert.pk])).content.decode()
        assert browser.post(reverse("channel_delete", args=[made.pk])).status_code == 302
        assert browser.get(reverse("channel", args=[made.pk])).status_code == 404
        assert str(made.pk) not in browser.get(reverse("channels")).content.decode()

    def test_the_admin_calls_the_same_services(self, browser: Client, author: Actor) -> None:
        made = create_channel(actor=author, kind="slack", fields={"name": "on call", "address": ADDRESS}).channel
        admin = "/admin/monitoring/channel/"
        browser.post(admin, {"action": "switch_off", "_selected_action": [str(made.pk)]})
        made.refresh_from_db()
        assert not made.enabled
        browser.post(admin, {"action": "try_out", "_selected_action": [str(made.pk)]})
        assert Delivery.objects.get().event == "channel.test"
        assert browser.get(f"{admin}{made.pk}/change/")["Location"] == reverse("channel", args=[made.pk])
        viewer = of(actor("vic", "viewer"))
        viewer.post(admin, {"action": "switch_on", "_selected_action": [str(made.pk)]})
        made.refresh_from_db()
        assert not made.enabled

    def test_a_viewer_reads_and_sets_nothing(self, author: Actor) -> None:
        made = create_channel(actor=author, kind="slack", fields={"name": "on call", "address": ADDRESS}).channel
        viewer = of(actor("vic", "viewer"))
        one = reverse("channel", args=[made.pk])
        page = viewer.get(one).content.decode()
        assert "Send a test" not in page
        assert viewer.post(one, {"deed": "test"}).status_code == 403
        for name in ("channel_change", "channel_delete"):
            assert viewer.get(reverse(name, args=[made.pk])).status_code == 403
        assert viewer.get(reverse("channel_kinds")).status_code == 403

    def test_the_alert_says_where_it_was_told(self, browser: Client, author: Actor, watched: Version) -> None:
        create_channel(actor=author, kind="slack", fields={"name": "the room", "address": ADDRESS})
        (alert,) = raised(watched)
        assert "the room" in browser.get(reverse("alert", args=[alert.pk])).content.decode()
