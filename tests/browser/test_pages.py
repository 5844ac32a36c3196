"""Every page in a real browser: nothing in the console, nothing refused by the policy, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from registry.selectors import in_production
from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.browser.elsewhere import elsewhere
from tests.factories import Scene
from tests.pages.test_access import LISTS, pages
from training.models import Run

pytestmark = pytest.mark.browser
Begin = Callable[..., Visit]


def addresses(site: Scene, name: str) -> dict[str, str]:
    """Every page that the person may open, by a name for its picture."""
    found = {**pages(site), **{each.replace(":", "_"): reverse(each) for each in LISTS}}
    found["running"] = reverse("run", args=[site.working.pk])
    barred = {
        "ben": {
            "channel_change",
            "channel_delete",
            "channel_log",
            "move",
            "request",
            "handover",
            "progress",
            "check",
            "infer",
            "expect",
            "erase",
        }
        | {"source_edit", "source_fetch", "feature_load"},
        "ada": {"rollback", "protection", "progress", "waive", "channel_log"},
    }
    for left_out in barred[name]:
        found.pop(left_out)
    if name == "ada":
        data = ("dataset_new", "dataset_register", "source_new", "feature_set_new", "training_set_new")
        found |= {f"channel_{kind}": reverse("channel_new", args=[kind]) for kind in ("webhook", "slack", "inbox")}
        forms = ("channel_kinds", "run_new", "batch_new", *data, "model_new", "admin:core_token_add")
        found |= {each: reverse(each) for each in forms}
    return found


@pytest.mark.parametrize(("name", "size"), [("ada", DESKTOP), ("ben", PHONE)], ids=["desktop", "phone"])
def test_every_page_opens_without_a_fault(
    site: Scene, visit: Begin, tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    person = visit(name, size=size)
    for title, path in addresses(site, name).items():
        page = person.open(path)
        page.screenshot(path=tmp_path / f"{title}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px wider than the window"
    assert not person.faults


def test_the_admins_and_the_auditors_pages_open_without_a_fault(site: Scene, visit: Begin) -> None:
    admin, auditor = visit("tom", theme="dark"), visit("olga", theme="dark")
    for path in ("membership/", "membership/add/", "token/", "token/add/"):
        admin.open(f"/admin/core/{path}")
    for path in ("/admin/core/auditrecord/", "/admin/core/auditrecord/1/change/", reverse("admin:password_change")):
        auditor.open(path)
    assert not admin.faults + auditor.faults


def test_a_version_is_approved_in_the_browser(site: Scene, visit: Begin) -> None:
    ben = visit("ben")
    ben.page.get_by_role("link", name="Approve high_cost_claim 1.1.0").click()
    expect(ben.page.get_by_role("heading", name="Put high_cost_claim 1.1.0 into production?")).to_be_visible()
    expect(ben.page.locator("#standing")).to_contain_text("You may decide")
    ben.page.get_by_role("button", name="Approve", exact=True).click()
    expect(ben.page.get_by_text("You approved high_cost_claim 1.1.0.")).to_be_visible()
    assert not ben.faults
    assert elsewhere(lambda: in_production(site.model)) == site.staged


def test_who_asked_is_told_on_the_page_why_they_may_not_decide(site: Scene, visit: Begin) -> None:
    ada = visit("ada")
    page = ada.open(pages(site)["approval"])
    expect(page.locator("#standing")).to_contain_text("You may not decide")
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)


def test_figures_are_drawn_and_follow_the_theme(site: Scene, visit: Begin) -> None:
    ada = visit("ada")
    page = ada.open(pages(site)["run"])
    for figure in ("#history", "#importance"):
        expect(page.locator(f"{figure} svg.main-svg").first).to_be_visible()
    ink = "getComputedStyle(document.querySelector('#history .xtick text')).fill"
    light = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.reload()
    expect(page.locator("#history svg.main-svg").first).to_be_visible()
    assert page.evaluate(ink) != light
    assert not ada.faults


def test_a_model_s_production_is_drawn_and_another_window_is_a_click_away(site: Scene, visit: Begin) -> None:
    ada = visit("ada")
    page = ada.open(pages(site)["monitoring"])
    for figure in ("#performance", "#feature0", "#volume", "#latency"):
        expect(page.locator(f"{figure} svg.main-svg").first).to_be_visible()
    expect(page.get_by_role("row", name="age").get_by_text("drifted, alarm", exact=True)).to_be_visible()
    page.get_by_role("link", name="7 days").click()
    expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Timeline").click()
    expect(page.get_by_role("heading", name="The life of high_cost_claim")).to_be_visible()
    assert not ada.faults


def test_a_working_run_is_followed_without_touching_the_page(site: Scene, visit: Begin) -> None:
    ada = visit("ada")
    page = ada.open(reverse("run", args=[site.working.pk]))
    expect(page.locator("#progress")).to_contain_text("35 %")
    rows = Run.objects.filter(pk=site.working.pk)
    elsewhere(lambda: rows.update(progress=0.5, step="search logistic_regression"))
    expect(page.locator("#progress")).to_contain_text("50 %")
    elsewhere(lambda: rows.update(state="succeeded", progress=1.0, finished_at=timezone.now()))
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible()
    assert not ada.faults


def test_the_menu_opens_on_a_phone(site: Scene, visit: Begin) -> None:
    ben = visit("ben", size=PHONE)
    link = ben.page.locator("#nav-sidebar").get_by_role("link", name="Training runs")
    expect(link).not_to_be_visible()
    ben.page.get_by_text("dock_to_right").locator("visible=true").click()
    link.click()
    expect(ben.page).to_have_url(ben.server + reverse("runs"))


def test_everything_is_readable_without_javascript(site: Scene, visit: Begin, tmp_path: Path) -> None:
    ben = visit("ben", size=PHONE, script=False)
    for name, path in addresses(site, "ben").items():
        page = ben.open(path)
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        expect(page.locator("#nav-sidebar").get_by_role("link", name="Training runs")).to_be_visible()
        expect(page.get_by_role("button", name="Log out")).to_be_visible()
    page = ben.open(pages(site)["monitoring"])
    page.get_by_text("The numbers of the charts over time").click()
    expect(page.get_by_role("columnheader", name="Labelled")).to_be_visible()
    expect(ben.open(pages(site)["run"]).get_by_role("cell", name="0.7512")).to_be_visible()
    expect(ben.open(reverse("run", args=[site.working.pk])).get_by_role("link", name="Reload")).to_be_visible()
    page = ben.open(pages(site)["approval"])
    page.get_by_label("Comment").fill("Look at site 5 first.")
    page.get_by_role("button", name="Request changes").click()
    expect(page.get_by_text("You asked for changes to high_cost_claim 1.1.0")).to_be_visible()
