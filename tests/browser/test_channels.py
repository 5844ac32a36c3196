"""A channel is set up, tried out and read about in the browser; an inbox is told and read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from mlops_site.core.webhooks import send_due
from tests.browser.conftest import PHONE, Visit
from tests.browser.elsewhere import elsewhere
from tests.core.receivers import receiver
from tests.factories import Scene

pytestmark = pytest.mark.browser
Begin = Callable[..., Visit]


def test_a_channel_is_set_up_a_test_seen_to_arrive_and_an_inbox_read(
    site: Scene, visit: Begin, settings: Any, tmp_path: Path
) -> None:
    settings.CHANNEL_HOSTS, settings.PUBLIC_URL = ["127.0.0.1"], "https://steward.example"
    ada = visit("ada")
    with receiver(200) as server:
        ada.open("/channels/new")
        ada.page.get_by_role("link", name="Slack").click()
        ada.page.get_by_label("Name").fill("the claims room")
        ada.page.get_by_label("Incoming webhook").fill(server.url)
        ada.page.get_by_label("Quiet from").fill("22:00")
        ada.page.get_by_label("until").fill("06:30")
        ada.page.screenshot(path=tmp_path / "new.png", full_page=True)
        ada.page.get_by_role("button", name="Set it up").click()
        expect(ada.page.get_by_text("Nothing yet.")).to_be_visible()
        ada.page.get_by_role("button", name="Send a test").click()
        expect(ada.page.locator("#log")).to_contain_text("pending")
        elsewhere(send_due)
        expect(ada.page.locator("#log")).to_contain_text("delivered")  # without a reload
        ada.page.screenshot(path=tmp_path / "channel.png", full_page=True)
    assert not ada.faults
    ((_, _, body),) = server.got
    assert "A test of the channel the claims room" in json.dumps(body)
    read_on_a_phone(visit, tmp_path)


def read_on_a_phone(visit: Begin, tmp_path: Path) -> None:
    """A line of the inbox is opened, and is read by that."""
    ben = visit("ben", size=PHONE)
    bell = ben.page.get_by_role("link", name=re.compile(r"Inbox, \d+ unread"))
    unread = int(re.findall(r"\d+", bell.get_attribute("aria-label") or bell.inner_text())[0])
    assert unread >= 3
    bell.click()
    ben.page.screenshot(path=tmp_path / "inbox.png", full_page=True)
    ben.page.get_by_role("button", name="[high] high_cost_claim").filter(
        has_text="2 of 2 features drifted"
    ).first.click()
    expect(ben.page.get_by_role("heading", name="2 of 2 features drifted")).to_be_visible()
    expect(ben.page.get_by_role("link", name=f"Inbox, {unread - 1} unread")).to_be_visible()
    assert not ben.faults
