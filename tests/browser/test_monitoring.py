"""A model's monitoring in a browser: it follows what happens, and is taken away as sheets, pictures and one file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from monitoring.pipeline import standalone
from tests.browser.conftest import PHONE, Visit
from tests.browser.elsewhere import elsewhere
from tests.factories import Scene
from tests.monitoring.parts import finding, raised
from tests.traffic import bucket

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
Begin = Callable[..., Visit]
DRAWN = ("performance", "volume", "latency", "predictions", "spells", "feature0")


def drawn(page: Page, *figures: str) -> None:
    for figure in figures:
        expect(page.locator(f"#{figure} svg.main-svg").first).to_be_visible()


def too_wide(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_an_open_page_follows_what_happens_and_rests_when_nobody_looks(site: Scene, visit: Begin) -> None:
    ada = visit("ada")
    page = ada.page
    page.add_init_script("window.setInterval = (ask, ms) => { window.ask = ask; return ms; }")  # time is ours
    asked: list[int] = []
    page.on("response", lambda answer: asked.append(answer.status) if "monitoring" in answer.url else None)
    ada.open(f"/models/{site.model.name}/monitoring")
    drawn(page, *DRAWN)
    expect(page.locator(".answer")).to_contain_text("630 predictions")
    page.get_by_text("The numbers of the predictions").click()
    asked.clear()
    page.evaluate("ask()")
    expect(page.locator(".live span")).to_contain_text("again every 15 s")
    assert asked == [304]
    elsewhere(lambda: bucket(site.served, hours_ago=0.5, rows=111, older=8, seed=5))  # between two of the scene
    page.evaluate("ask()")
    expect(page.locator(".answer")).to_contain_text("741 predictions")
    assert asked == [304, 200]
    drawn(page, *DRAWN)
    expect(page.get_by_role("columnheader", name="Window before")).to_be_visible()  # what was open stays open
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.evaluate("ask()")
    page.evaluate("Object.defineProperty(document, 'hidden', { value: false, configurable: true })")
    page.get_by_role("button", name="Pause").click()
    page.evaluate("ask()")
    assert asked == [304, 200]
    elsewhere(lambda: raised(site.served, finding("volume", summary="Half of the claims are missing.")))
    page.get_by_role("button", name="Follow").click()
    expect(page.get_by_role("link", name="Half of the claims are missing.")).to_be_visible()
    assert asked == [304, 200, 200]
    assert not ada.faults


def test_windows_are_a_step_apart_and_a_feature_is_drawn_by_its_name(site: Scene, visit: Begin) -> None:
    ada = visit("ada")
    page = ada.open(f"/models/{site.model.name}/monitoring")
    page.get_by_role("link", name="The window before").click()
    expect(page.get_by_text("This window is over.")).to_be_visible()
    page.get_by_role("link", name="The window after").click()
    expect(page.locator(".answer")).to_contain_text("630 predictions")
    page.get_by_role("table").get_by_role("link", name="visits").click()
    expect(page.locator("h3", has_text="visits")).to_be_visible()
    drawn(page, "feature0", "feature1")
    with page.expect_download():  # of what the page shows now
        page.get_by_role("link", name="Report as a file").click()
    assert not ada.faults


def test_figures_are_taken_away_as_sheets_and_pictures(site: Scene, visit: Begin, tmp_path: Path) -> None:
    ada = visit("ada")
    page = ada.open(f"/models/{site.model.name}/monitoring")
    drawn(page, *DRAWN)
    card = page.locator(".card", has=page.locator("#volume"))
    with page.expect_download() as sheet:
        card.get_by_role("link", name="CSV").click()
    sheet.value.save_as(tmp_path / "volume.csv")
    lines = (tmp_path / "volume.csv").read_text().splitlines()
    assert lines[0] == "from,predictions,failed"
    assert sum(int(line.split(",")[1]) for line in lines[1:]) == 630
    with page.expect_download() as picture:
        card.get_by_role("button", name="PNG").click()
    picture.value.save_as(tmp_path / "volume.png")
    data = (tmp_path / "volume.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">I", data[16:20]) == (2000,)
    assert len(data) > 10_000  # an empty canvas of that size takes less
    assert picture.value.suggested_filename == f"{site.model.name}-volume.png"
    assert not ada.faults


def test_the_file_opens_from_a_disk_without_a_network(
    site: Scene, visit: Begin, browser: Browser, tmp_path: Path
) -> None:
    ada = visit("ada")
    page = ada.open(f"/models/{site.model.name}/monitoring?window=7d")
    with page.expect_download() as file:
        page.get_by_role("link", name="Report as a file").click()
    file.value.save_as(tmp_path / "report.html")
    for size in ((1280, 900), PHONE):
        shown, faults = opened(browser, tmp_path / "report.html", size)
        drawn(shown, *DRAWN, "feature1")
        expect(shown.locator(".answer")).to_contain_text("630 predictions")
        shown.get_by_text("The numbers of the charts over time").click()
        expect(shown.get_by_role("columnheader", name="Labelled")).to_be_visible()
        assert too_wide(shown) <= 0
        assert faults == []
    assert not ada.faults


def test_a_report_that_was_saved_draws_with_the_script_beside_it(
    site: Scene, visit: Begin, browser: Browser, tmp_path: Path
) -> None:
    report = site.alert.report
    assert report is not None
    text = elsewhere(lambda: standalone.report_file(fresh(report), library=f"../{standalone.LIBRARY}"))
    (tmp_path / site.model.name).mkdir()
    (tmp_path / standalone.LIBRARY).write_text(standalone.library())
    (tmp_path / site.model.name / "one.html").write_text(text)
    shown, faults = opened(browser, tmp_path / site.model.name / "one.html", (1280, 900))
    expect(shown.get_by_role("heading", name="Findings")).to_be_visible()
    assert shown.evaluate("typeof Plotly") == "object"
    assert faults == []


def fresh(report: Any) -> Any:
    return type(report).objects.select_related("model", "version__model").get(pk=report.pk)


def opened(browser: Browser, file: Path, size: tuple[int, int]) -> tuple[Page, list[str]]:
    """The file in a window that has no network; what it asked for beside files, and what it complained of."""
    window = browser.new_context(viewport={"width": size[0], "height": size[1]}, offline=True)
    page, faults = window.new_page(), list[str]()
    page.on("request", lambda it: None if it.url.startswith(("file:", "data:")) else faults.append(it.url))
    page.on("console", lambda it: faults.append(it.text) if it.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(file.as_uri())
    return page, faults
