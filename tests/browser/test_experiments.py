"""An experiment from the form to its conclusion, as a person does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from abtesting.models import Experiment
from mlops_site.core.models import User
from tests import factories
from tests.abtesting.lab import Lab
from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.browser.elsewhere import elsewhere

pytestmark = pytest.mark.browser
Begin = Callable[..., Visit]
METRICS = {name: {"value": at, "ci95": None} for name, at in (("recall", 0.8), ("precision", 0.5), ("accuracy", 0.9))}


@pytest.fixture
def site(live_server: object) -> Lab:
    """A model with a version to try; everybody has a password."""
    lab = Lab(metrics=METRICS)
    for user in User.objects.all():
        factories.log_in_as(user)
    return lab


def test_an_experiment_is_planned_started_read_and_concluded(site: Lab, visit: Begin, tmp_path: Path) -> None:
    eva = visit("eva-high_cost", size=DESKTOP)
    page = eva.open(reverse("experiments"))
    page.get_by_role("link", name="New experiment…").click()
    page.get_by_role("link", name="Choose").click()
    page.get_by_label("A/B test: some units").check()
    page.get_by_label("Share of B", exact=True).fill("0.5")
    page.get_by_label("Accuracy", exact=True).check()
    page.get_by_label("F1 score", exact=True).uncheck()
    page.get_by_role("button", name="Show what it takes").click()
    expect(page.locator("#plan")).to_contain_text("Take a paired shadow test: it needs")
    expect(page.locator("#plan")).to_contain_text("From now on B answers 50 % of the units")
    page.screenshot(path=tmp_path / "plan.png", full_page=True)
    page.get_by_role("button", name="Start it").click()
    expect(page.get_by_text("It runs. Look at it whenever you like")).to_be_visible()
    expect(page.locator("#live")).to_contain_text("No verdict yet.")
    page.get_by_text("All metrics of both").click()
    elsewhere(lambda: site.answer(Experiment.objects.get(), 1_500, right_a=0.6, right_b=0.9))
    expect(page.locator("#live")).to_contain_text("B is better: it can ship.", timeout=25_000)  # by itself
    expect(page.locator("details[open]")).to_contain_text("All metrics of both")  # as it was left
    expect(page.locator("#band0 .main-svg").first).to_be_visible()
    page.screenshot(path=tmp_path / "live.png", full_page=True)
    page.get_by_role("link", name="Conclude…").click()
    page.get_by_label("Reason").fill("It finds more of them.")
    page.get_by_role("button", name="Conclude it").click()
    expect(page.locator("#conclusion")).to_contain_text("It finds more of them.")
    expect(page.locator("#conclusion")).to_contain_text("with this result as evidence")
    page.screenshot(path=tmp_path / "conclusion.png", full_page=True)
    assert not eva.faults
    assert elsewhere(lambda: Experiment.objects.get().verdict) == "ship_b"


def test_the_pages_fit_a_phone_and_work_without_javascript(site: Lab, visit: Begin, tmp_path: Path) -> None:
    running = elsewhere(lambda: site.start(min_samples=50, design="ramp", step_hours=1.0))
    elsewhere(lambda: site.answer(running, 400))
    sofia = visit("sofia-high_cost", size=PHONE)
    paths = {"list": reverse("experiments"), "running": reverse("experiment", args=[running.pk])}
    paths["choose"] = reverse("experiment_choose")
    for name, path in paths.items():
        page = sofia.open(path)
        page.screenshot(path=tmp_path / f"phone-{name}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px wider than the window"
    assert not sofia.faults
