"""The API's page in a real browser: everything from here, nothing against the policy, and it can be tried."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.factories import Scene

pytestmark = pytest.mark.browser


def test_predict_is_described_and_answers_when_it_is_tried(
    site: Scene, visit: Callable[..., Visit], tmp_path: Path
) -> None:
    ada = visit("ada")
    page = ada.open("/docs")
    predict = page.locator("#operations-models-models_predict")
    expect(page.locator(".opblock").first).to_be_visible()
    for _ in range(100):  # of a long list only what is near the window is drawn
        if predict.count():
            break
        page.mouse.wheel(0, 600)
        page.wait_for_timeout(50)
    predict.locator(".opblock-summary-control").click()
    predict.get_by_role("button", name="Try it out").click()
    predict.get_by_placeholder("name").fill(site.model.name)
    body = {"features": {"age": 61, "visits": 4}, "dry_run": True}
    predict.locator("textarea.body-param__text").fill(json.dumps(body))
    predict.get_by_role("button", name="Execute").click()
    answer = predict.locator(".live-responses-table")
    expect(answer).to_contain_text(site.served.number)
    expect(answer).to_contain_text('"prediction_id": null')
    page.screenshot(path=tmp_path / "docs.png", full_page=True)
    assert not ada.faults
