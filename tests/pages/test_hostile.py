"""What somebody with ill intent types into addresses and forms of the admin's pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from mlops_site.core.permissions import Actor
from tests.factories import Scene

LogIn = Callable[[Actor], Client]
LISTS = {
    "registry_promotionrequest": "approver",
    "monitoring_prediction": "author",
    "core_token": "author",
    "core_membership": "admin",
    "core_auditrecord": "auditor",
}


def address(table: str) -> str:
    return reverse(f"admin:{table}_changelist")


@pytest.mark.parametrize(
    ("table", "lookup"),
    [
        ("registry_promotionrequest", "reason__regex=(a%2B)%2B$"),  # on SQLite Python would match it, and hang
        ("registry_promotionrequest", "created_at__year=9999999999999999999999"),
        ("registry_promotionrequest", "requester__password__startswith=a"),
        ("registry_promotionrequest", "evidence__gate__passed=true"),
        ("registry_promotionrequest", "status__regex=("),
        ("monitoring_prediction", "features__age__regex=("),
        ("monitoring_prediction", "request_id__iregex=("),
        ("core_token", "digest__startswith=a"),
        ("core_membership", "role__regex=("),
        ("core_membership", "user=1"),
        ("core_auditrecord", "body__regex=("),
    ],
)
def test_a_list_takes_no_lookup_that_it_does_not_show(site: Scene, as_: LogIn, table: str, lookup: str) -> None:
    client = as_(getattr(site, LISTS[table]))
    assert client.get(f"{address(table)}?{lookup}").status_code == 400


@pytest.mark.parametrize(
    ("table", "shown"),
    [
        ("registry_promotionrequest", "status__exact=pending"),
        ("monitoring_prediction", "status__exact=ok"),
        ("core_membership", "role__exact=approver"),
        ("core_auditrecord", "q=version&p=1&o=-1"),
    ],
)
def test_its_own_filters_work(site: Scene, as_: LogIn, table: str, shown: str) -> None:
    assert as_(getattr(site, LISTS[table])).get(f"{address(table)}?{shown}").status_code == 200


@pytest.mark.parametrize("key", ["x", "1 OR 1=1", "\0", "9" * 30, ""])
@pytest.mark.parametrize(("table", "action"), [("core_membership", "remove"), ("core_token", "revoke")])
def test_what_is_no_key_cannot_be_chosen(site: Scene, as_: LogIn, table: str, action: str, key: str) -> None:
    sent = {"action": action, "_selected_action": [key], "index": 0}
    assert as_(site.admin).post(address(table), sent).status_code == 400


@pytest.mark.parametrize(("name", "password"), [("x" * 300, "y"), ("x", "y" * 100_000)])
def test_a_log_in_of_any_length_is_a_log_in_that_failed(db: None, name: str, password: str) -> None:
    answer = Client().post(reverse("admin:login"), {"username": name, "password": password})
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert "at most" in str(answer.context["form"].errors)
