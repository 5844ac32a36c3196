"""Data in the browser: what changed between two versions, and a source from its form to the way of what it brought."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from mlops_site.core import jobs
from mlops_site.core.entries import Place
from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.browser.elsewhere import elsewhere
from tests.factories import Scene
from tests.training.claims import claims
from training.models import DatasetVersion, Fetch
from training.services import create_dataset_version

pytestmark = pytest.mark.browser
Begin = Callable[..., Visit]


@pytest.fixture
def versions(site: Scene, tmp_path: Path, settings: Any) -> list[DatasetVersion]:
    """Two versions of claims, of which the second is otherwise; and a folder to read from."""
    settings.DATA_FOLDERS = [Place("claims", str(tmp_path))]
    frame = claims(600).assign(id=range(600), contact=[f"p{n}@example.org" for n in range(600)])
    later = frame.assign(dollars=frame.dollars + 300, plan=frame.plan.replace("basic", "silver")).iloc[20:]
    made = []
    for each in (frame, later):
        path = tmp_path / "claims.csv"
        each.to_csv(path, index=False)
        with path.open("rb") as source:
            declared: dict[str, Any] = {"name": "claims_2026", "target": "high_cost", "time_column": "year"}
            kept = create_dataset_version(actor=site.author, source=source, filename="claims.csv", **declared)
            made.append(kept)
    return made


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_what_changed_is_drawn(versions: list[DatasetVersion], visit: Begin, size: tuple[int, int]) -> None:
    ada = visit("ada", size=size)
    page = ada.open(reverse("dataset", args=[versions[1]]))
    expect(page.get_by_text("Not declared as personal data, but like it: contact")).to_be_visible()
    page.get_by_role("link", name="What changed…").click()
    page.fill("input[name=keys]", "id")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("0 rows came, 20 went, 580 changed")).to_be_visible()
    expect(page.locator("#side-0 svg.main-svg").first).to_be_visible()
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    assert not ada.faults


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_source_is_made_and_followed(
    site: Scene, versions: list[DatasetVersion], tmp_path: Path, visit: Begin, size: tuple[int, int]
) -> None:
    ada = visit("ada", size=size)
    page = ada.open(reverse("source_new"))
    for name, value in {
        "name": "exports",
        "location": str(tmp_path),
        "pattern": "*.csv",
        "dataset_name": "claims_2026",
        "target": "high_cost",
        "every": "1d",
        "run_config": '{"model_name": "high_cost_claim", "model_types": ["logistic_regression"]}',
    }.items():
        page.fill(f"[name={name}]", value)
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("link", name="Look now…").click()
    page.get_by_role("button", name="Look now").click()
    expect(page.locator(".way li.waiting").first).to_contain_text("Read exports")
    elsewhere(worked)
    page.reload()
    expect(page.locator(".way li.done")).to_have_count(4)
    expect(page.locator(".way li").nth(4)).to_contain_text("Train high_cost_claim")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    (tmp_path / "later.csv").write_text("a,b\n1,2\n")
    page.get_by_role("link", name="Look now…").click()
    page.get_by_role("button", name="Look now").click()
    elsewhere(worked)
    page.reload()
    expect(page.locator(".way li.blocked")).to_contain_text("Check the data")
    ada.open(reverse("sources"))
    assert not ada.faults


def worked() -> None:
    """As a worker does the look that waits."""
    job = jobs.claim(Fetch.objects.get(state="queued"), worker="test")
    assert job is not None
    jobs.run_here(job)
