"""The budget of drift alarms, and what a report says of drift, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from mlops_site.core import jobs
from monitoring.models import CalibrationRun, MonitoringRun
from monitoring.services import request_report
from tests.browser.conftest import PHONE, Visit
from tests.browser.elsewhere import elsewhere
from tests.factories import Scene
from tests.monitoring.test_drift_alarms import FOUND

pytestmark = pytest.mark.browser
Begin = Callable[..., Visit]


def reported(site: Scene) -> str:
    """Somebody asks for a report on the last day; its page."""
    now = timezone.now()
    asked = request_report(
        actor=site.author, model=site.model, version=site.served, window_from=now - timedelta(days=1), window_to=now
    )
    run = jobs.claim(asked, worker="w")
    assert run is not None
    jobs.run_here(run)
    return f"/reports/{MonitoringRun.objects.get(pk=run.pk).report_id}"


def calibrate(site: Scene) -> None:
    """The simulation, which the bell would have started, has ended."""
    asked = {"false_alarms_a_month": 1.0, "smallest_shift_sd": 0.2, "state": "succeeded", "result": FOUND}
    CalibrationRun.objects.create(model=site.model, version=site.served, **asked)


def test_a_budget_is_set_and_its_cost_is_read(site: Scene, visit: Begin, tmp_path: Path) -> None:
    ada, phone = visit("ada"), visit("ben", size=PHONE)
    ada.open(f"/models/{site.model.name}/monitoring")
    ada.page.get_by_role("link", name="Drift alarm").click()
    expect(ada.page.get_by_text("No budget is set")).to_be_visible()
    ada.page.fill("input[name=false_alarms_a_month]", "1")
    ada.page.get_by_role("button", name="Set the budget").click()
    expect(ada.page.get_by_text("The alarm budget of")).to_be_visible()
    elsewhere(lambda: calibrate(site))
    ada.page.reload()
    expect(ada.page.get_by_text("0.25 false alarms a month expected")).to_be_visible()
    ada.page.screenshot(path=tmp_path / "alarm.png", full_page=True)
    phone.open(f"/models/{site.model.name}/drift-alarm")
    expect(phone.page.get_by_text("An ML engineer of")).to_be_visible()
    phone.page.screenshot(path=tmp_path / "alarm_phone.png", full_page=True)
    assert not ada.faults + phone.faults


def test_a_report_ranks_its_features_and_looks_at_rows_as_a_whole(site: Scene, visit: Begin, tmp_path: Path) -> None:
    ada, phone = visit("ada"), visit("ben", size=PHONE)
    path = elsewhere(lambda: reported(site))
    for who, name in ((ada, "report"), (phone, "report_phone")):
        page = who.open(path)
        expect(page.get_by_role("heading", name="Features, by what their shift can do to this model")).to_be_visible()
        expect(page.get_by_role("heading", name="Answers and labels, against")).to_be_visible()
        expect(page.get_by_role("heading", name="Rows as a whole")).to_be_visible()
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
    page = ada.open(f"/models/{site.model.name}/monitoring")
    page.screenshot(path=tmp_path / "dashboard.png", full_page=True)
    assert not ada.faults + phone.faults
