"""What every page has: one navigation, a policy on scripts, a constant number of queries."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mlops_site.core.permissions import Actor
from registry import services
from tests import factories
from tests.factories import Scene
from tests.pages.test_access import pages
from tests.training import runs

LogIn = Callable[[Actor], Client]


def links(client: Client) -> list[str]:
    """The titles in the sidebar of home."""
    groups = client.get(reverse("home")).context["sidebar_navigation"]
    return [item["title"] for group in groups for item in group["items"]]


def test_navigation_has_only_what_the_person_may_open(site: Scene, as_: LogIn) -> None:
    common = ["Home", "Models", "Training runs", "Data sets", "Sources", "Feature sets", "Alerts", "Incidents"]
    common += ["Channels", "Reports", "Retraining", "Experiments", "Predictions", "Batch scoring"]
    governance = ["Approvals", "Inventory", "Period report"]
    assert links(as_(site.author)) == [*common, "Schedules", *governance, "My tokens"]
    assert links(as_(site.approver)) == [*common, "Waiting for me", *governance, "My tokens"]
    assert links(as_(site.auditor)) == [*common, *governance, "Audit", "My tokens"]
    assert links(as_(site.admin)) == [*common, *governance, "People", "Tokens"]


def test_navigation_counts_the_approvals_that_wait_for_the_person(site: Scene, as_: LogIn) -> None:
    def badge(actor: Actor) -> str | None:
        groups = as_(actor).get(reverse("models")).context["sidebar_navigation"]
        items = (i for g in groups for i in g["items"] if i["title"] == "Waiting for me")
        found: str | None = next((i.get("badge") for i in items), None)
        return found

    assert badge(site.approver) == "1"
    assert badge(site.author) is None  # who asked does not decide
    assert badge(site.outsider) is None


def test_the_admin_s_lists_are_called_what_the_navigation_calls_them(site: Scene, as_: LogIn) -> None:
    for actor, name, title in [
        (site.author, "registry_promotionrequest", "Approvals"),
        (site.author, "django_celery_beat_periodictask", "Schedules"),
        (site.auditor, "core_auditrecord", "Audit"),
        (site.admin, "core_membership", "People"),
    ]:
        said = as_(actor).get(reverse(f"admin:{name}_changelist")).content.decode()
        assert f"{title} | Steward</title>" in " ".join(said.split())
        assert f'tracking-tight">{title}</a>' in said  # alone: the app's link would lead home


def test_one_link_of_the_navigation_is_marked_as_here(site: Scene, as_: LogIn) -> None:
    client = as_(site.approver)
    for path, title in [
        (reverse("home"), "Home"),
        (pages(site)["version"], "Models"),
        (pages(site)["approval"], "Approvals"),
        (pages(site)["alert"], "Alerts"),
        (pages(site)["report"], "Reports"),
    ]:
        groups = client.get(path).context["sidebar_navigation"]
        assert [i["title"] for g in groups for i in g["items"] if i["active"]] == [title]


def test_no_page_has_an_inline_script_or_handler(site: Scene, as_: LogIn) -> None:
    client = as_(site.approver)
    for path in [*pages(site).values(), reverse("home"), reverse("models"), reverse("runs"), reverse("datasets")]:
        answer = client.get(path)
        if answer.status_code != 200:
            continue
        assert "'unsafe-inline'" not in answer["Content-Security-Policy"].partition("script-src")[2].partition(";")[0]
        text = answer.content.decode()
        for tag in text.split("<script")[1:]:
            attributes = tag.partition(">")[0]
            assert "src=" in attributes or 'type="application/json"' in attributes, f"{path}: <script{attributes}>"
        assert " onclick=" not in text
        assert " onsubmit=" not in text


def test_a_form_without_its_token_is_refused(site: Scene) -> None:
    client = Client(enforce_csrf_checks=True)
    assert site.approver.user is not None
    client.force_login(site.approver.user)
    assert client.post(pages(site)["approval"], {"decision": "approve"}).status_code == 403
    site.request.refresh_from_db()
    assert site.request.status == "pending"


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


@pytest.mark.parametrize(
    "name",
    [
        "home",
        "models",
        "runs",
        "datasets",
        "model",
        "admin:registry_promotionrequest_changelist",
        "queue",
        "admin:monitoring_prediction_changelist",
    ],
)
def test_more_rows_take_no_more_queries(site: Scene, as_: LogIn, name: str) -> None:
    client = as_(site.approver)
    path = pages(site)[name] if name == "model" else reverse(name)
    client.get(path)
    before = queries(client, path)
    more(site)
    assert queries(client, path) == before


def more(site: Scene) -> None:
    """More of everything that the lists show."""
    for seed in (3, 4):
        version = factories.version(site.model, site.author, site.run, seed=seed)
        services.move_stage(version, actor=site.author, target_stage="staging", reason="Again.")
        services.request_promotion(version, actor=site.author, reason="Again.")
        other = services.create_model(actor=site.author, name=f"model_{seed}", task_type="classification")
        factories.into_production(factories.version(other, site.author, None, seed=seed), site.author, site.approver)
        data = runs.dataset_version(site.scientist, name=f"data_{seed}")
        runs.failed_run(site.scientist, other, data)
        factories.predictions(other.versions.get(), 3)
