"""Notes with figures, runs side by side and a download, as a person meets them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.factories import Scene

Begin = Callable[..., Visit]
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_note_is_added_runs_are_compared_and_data_is_taken(site: Scene, visit: Begin, tmp_path: Path) -> None:
    sofia = visit(site.scientist.name)
    run = reverse("run", args=[site.run.pk])
    page = sofia.open(run)
    for figure in ("#slice .main-svg", "#parallel .main-svg"):
        expect(page.locator(figure).first).to_be_visible()
    page.get_by_role("link", name="Add a note…").click()
    page.get_by_label("What should be remembered?").fill("The drop in May is the new site.")
    sink = io.BytesIO()
    Image.new("RGB", (300, 120), (0, 114, 178)).save(sink, "PNG")
    page.get_by_label("A figure").set_input_files(
        {"name": "may.png", "mimeType": "image/png", "buffer": sink.getvalue()}
    )
    page.get_by_role("button", name="Add").click()
    picture = page.get_by_role("img", name="may.png, a figure that")
    expect(picture).to_be_visible()
    picture.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.note-figure').naturalWidth === 300")

    page.get_by_role("link", name="Compare…").click()
    page.locator(f"#r-{site.working.pk}").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("How do these 2 runs differ?")).to_be_visible()
    expect(page.get_by_role("cell", name="0.7512").first).to_be_visible()

    sofia.open(reverse("dataset", args=[site.dataset]))
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download").click()
    assert hashlib.sha256(Path(taken.value.path()).read_bytes()).hexdigest() == site.dataset.digest
    assert sofia.faults == []
