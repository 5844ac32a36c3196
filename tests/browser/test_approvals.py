"""A reviewer's day in a real browser: the queue, the request with its evidence, claims of one's own, a condition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Visit
from tests.factories import Scene

pytestmark = pytest.mark.browser
Begin = Callable[..., Visit]


def picture(page: Page, path: Path) -> None:
    page.screenshot(path=path, full_page=True)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} px wider than the window"


@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["desktop", "phone"])
def test_from_the_queue_to_a_condition_that_is_closed(
    site: Scene, visit: Begin, tmp_path: Path, size: tuple[int, int]
) -> None:
    ben = visit("ben", size=size)
    page = ben.open(reverse("queue"))
    expect(page.get_by_role("heading", name="1 request waits for you")).to_be_visible()
    picture(page, tmp_path / "queue.png")
    page.get_by_role("link", name="high_cost_claim 1.1.0 into production?").click()
    picture(page, tmp_path / "request.png")
    page.get_by_role("button", name="Score them").click()
    expect(page.get_by_role("columnheader", name="1.1.0").first).to_be_visible()
    picture(page, tmp_path / "tried.png")
    page.fill("textarea[name=condition]", "Measure site 5 again.")
    page.fill("input[name=revalidate_on]", "2028-06-30")
    page.get_by_role("button", name="Approve with the condition").click()
    expect(page.get_by_text("You approved high_cost_claim 1.1.0 with a condition.")).to_be_visible()
    picture(page, tmp_path / "approved.png")
    ben.open(reverse("queue"))
    expect(page.get_by_text("Nothing waits for you").first).to_be_visible()
    picture(page, tmp_path / "conditions.png")
    page.get_by_role("link", name="Close…").click()
    page.fill("textarea[name=note]", "Site 5 is like the others now.")
    picture(page, tmp_path / "closing.png")
    page.get_by_role("button", name="Close the condition").click()
    expect(page.get_by_text("Site 5 is like the others now.")).to_be_visible()
    assert not ben.faults


@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["desktop", "phone"])
def test_the_forms_open(site: Scene, visit: Begin, tmp_path: Path, size: tuple[int, int]) -> None:
    name, number = site.model.name, site.staged.number
    ben, ada = visit("ben", size=size), visit("ada", size=size)
    picture(ben.open(reverse("absence")), tmp_path / "absence.png")
    picture(ben.open(reverse("version_report", args=[name, number])), tmp_path / "report.png")
    picture(ben.open(reverse("version", args=[name, number])), tmp_path / "version.png")
    picture(ada.open(reverse("version_request", args=[name, number])), tmp_path / "ask.png")
    picture(ada.open(reverse("queue")), tmp_path / "nothing.png")
    assert not ben.faults + ada.faults
