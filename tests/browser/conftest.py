"""A real Chromium against a live server, which notes everything that should not happen on a page.

The ORM is not called while Playwright runs: its event loop makes Django refuse that. The scene is made before
the browser starts and flushed after it has ended; what changes meanwhile is changed by `tests.browser.elsewhere`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from mlops_site.core.models import User
from tests import factories
from tests.factories import Scene
from tests.programs import CHROMIUM_FLAGS
from tests.traffic import bucket

expect.set_options(timeout=30_000)  # ms; 5 s are not enough beside other work on every core
DESKTOP, PHONE = (1360, 900), (390, 844)


class Visit:
    """One person in front of one window; `faults` is what went wrong, a line each."""

    def __init__(self, page: Page, server: str) -> None:
        self.page, self.server, self.faults = page, server, list[str]()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"{page.url}: {error}"))
        page.on("request", lambda request: self._request(request.url))
        page.on("response", lambda answer: self._answer(answer.status, answer.url))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{self.page.url}: {message.text}")

    def _request(self, url: str) -> None:
        if not url.startswith((self.server, "data:", "blob:")):
            self.faults.append(f"{self.page.url} reached for {url}")

    def _answer(self, status: int, url: str) -> None:
        if status >= 400:
            self.faults.append(f"{self.page.url}: {url} answered {status}")

    def open(self, path: str) -> Page:
        self.page.goto(self.server + path, wait_until="load")
        return self.page


@pytest.fixture(autouse=True)
def _pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole pages as PNG are for people to look at; else what the window shows is drawn, and no more."""
    if not os.environ.get("KEEP_PICTURES"):
        draw = Page.screenshot
        monkeypatch.setattr(Page, "screenshot", lambda page, **asked: draw(page, type="jpeg", quality=20))


@pytest.fixture
def site(live_server: Any) -> Scene:
    """The scene, with passwords."""
    made = factories.scene(trials=True)
    for hours_ago in (12, 16, 20):  # enough to judge, and older people than in the training data
        bucket(made.served, hours_ago=hours_ago, rows=200, older=8, labelled=0.8, seed=hours_ago)
    for user in User.objects.all():
        factories.log_in_as(user)
    return made


@pytest.fixture
def browser(site: Scene, chromium: Path) -> Iterator[Browser]:
    flags = [flag for flag in CHROMIUM_FLAGS if flag != "--headless"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=flags, headless=True)
        yield found
        found.close()


@pytest.fixture
def visit(browser: Browser, live_server: Any) -> Callable[..., Visit]:
    """`visit("ben")` logs in as Ben on the log-in page, in a window of its own."""

    def begin(name: str, *, size: tuple[int, int] = DESKTOP, script: bool = True, theme: Any = "light") -> Visit:
        window = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, java_script_enabled=script, color_scheme=theme
        )
        found = Visit(window.new_page(), str(live_server.url))
        found.open("/")
        found.page.fill("input[name=username]", name)
        found.page.fill("input[name=password]", factories.PASSWORD)
        found.page.click("#login-form button[type=submit]")
        return found

    return begin
