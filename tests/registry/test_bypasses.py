"""Ways around four eyes over HTTP: API, pages, admin actions, tokens, delegations. None puts a version into production.

What the application's own database role may try is in test_four_eyes."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mlops_site.core import teams
from mlops_site.core.models import Membership, User
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import LAWS, ConditionClosing, PromotionRequest, RegisteredModel, Review
from tests.people import actor as person
from tests.people import bearer
from tests.registry.http import API
from tests.registry.parts import candidate, user
from tests.registry.test_laws import drop
from tests.registry.test_stages import damage


class Site(NamedTuple):
    """The author's own request waits, and the author has been made an approver since."""

    model: RegisteredModel
    request: PromotionRequest
    author: User
    approver: User

    def page(self) -> str:
        return reverse("admin:registry_promotionrequest_change", args=[self.request.pk])


Way = Callable[[Site], object]
WAYS: list[Way] = []


def way(function: Way) -> Way:
    WAYS.append(function)
    return function


@pytest.fixture
def site(model: RegisteredModel, request_: PromotionRequest, author: Actor, approver: Actor) -> Site:
    Membership.objects.filter(user=user(author)).update(role="approver")
    return Site(model, request_, user(author), user(approver))


def api(who: User, **options: Any) -> Client:
    return Client(headers=bearer(who, **options))


def browser(who: User) -> Client:
    client = Client()
    client.force_login(who, backend="django.contrib.auth.backends.ModelBackend")
    return client


def approve(client: Client, site: Site, body: Any = None, **headers: str) -> Any:
    path = f"{API}/approvals/{site.request.pk}/approve"
    return client.post(path, body or {}, content_type="application/json", headers=headers)


def in_days(count: int) -> str:
    return (timezone.now() + timedelta(days=count)).isoformat()


@way
def approves_over_the_api(site: Site) -> Any:
    return approve(api(site.author), site)


@way
def approves_with_a_condition(site: Site) -> Any:
    return approve(api(site.author), site, {"condition": "later", "revalidate_on": in_days(9)[:10]})


@way
def approves_with_another_token_of_the_same_person(site: Site) -> Any:
    api(site.author)
    return approve(api(site.author, scopes=("promotion.review", "view")), site)


@way
def approves_with_a_token_made_by_an_approver_for_the_author(site: Site) -> Any:
    """A token of somebody else is not made at all; with one's own nothing is gained."""
    refused = api(site.approver).post(f"{API}/tokens", {"user": "author"}, content_type="application/json")
    assert refused.status_code >= 400
    return approve(api(site.author), site)


@way
def approves_with_a_narrow_token_of_an_approver(site: Site) -> Any:
    return approve(api(site.approver, scopes=("view",)), site)


@way
def approves_in_the_admins_form(site: Site) -> Any:
    return browser(site.author).post(site.page(), {"decision": "approve"})


@way
def approves_with_a_condition_in_the_admins_form(site: Site) -> Any:
    day = in_days(9)[:10]
    said = {"decision": "approve_with_conditions", "condition": "x", "revalidate_on": day}
    return browser(site.author).post(site.page(), said)


@way
def sends_the_columns_to_the_admins_form(site: Site) -> Any:
    said = {"status": "approved", "closed_by": site.approver.pk, "_save": "Save"}
    return browser(site.author).post(site.page(), said)


@way
def runs_an_admin_action_on_the_list(site: Site) -> Any:
    page = reverse("admin:registry_promotionrequest_changelist")
    for action in ("approve", "delete_selected", "make_approved"):
        answer = browser(site.author).post(page, {"action": action, "_selected_action": [site.request.pk]})
    return answer


@way
def edits_the_list_in_bulk(site: Site) -> Any:
    page = reverse("admin:registry_promotionrequest_changelist")
    said = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": site.request.pk, "form-0-status": "approved"}
    return browser(site.author).post(page, {**said, "_save": "Save"})


@way
def is_a_superuser_on_the_page(site: Site) -> Any:
    User.objects.filter(pk=site.author.pk).update(is_superuser=True, is_staff=True)
    return browser(User.objects.get(pk=site.author.pk)).post(site.page(), {"decision": "approve"})


@way
def is_a_superuser_outside_of_the_team(site: Site) -> Any:
    root = User.objects.create_superuser("root", "root@example.com", "a password of the tests")
    answer = browser(root).post(site.page(), {"decision": "approve"})
    assert answer.status_code == 404
    return answer


@way
def is_an_admin_of_the_team(site: Site) -> Any:
    return approve(api(user(person("tom", "admin"))), site)


@way
def is_a_machine(site: Site) -> Any:
    return approve(api(user(person("claims-app", "service"))), site)


@way
def is_an_approver_of_another_team(site: Site) -> Any:
    return approve(api(user(person("otto", "approver", team="elsewhere"))), site)


@way
def promotes_a_second_time(site: Site) -> Any:
    teams.create_user("eng", role="ml_engineer", team="claims")
    path = f"{API}/models/claims/1.0.0/promote"
    said = {"target_stage": "production", "reason": "now"}
    return api(User.objects.get(username="eng")).post(path, said, content_type="application/json")


@way
def calls_it_a_rollback(site: Site) -> Any:
    return api(site.author).post(f"{API}/models/claims/rollback", {"reason": "x"}, content_type="application/json")


@way
def lowers_the_risk_of_the_model_meanwhile(site: Site) -> Any:
    """A friend does, so that the author may decide."""
    friend = api(user(person("second", "approver")))
    answer = friend.patch(f"{API}/models/claims", {"risk_tier": "low"}, content_type="application/json")
    assert answer.status_code in (403, 409)
    return approve(api(site.author), site)


@way
def lets_a_friend_request_what_the_author_then_approves(site: Site) -> Any:
    services.withdraw_request(site.request, actor=Actor.of(site.author))
    friend = person("eng", "ml_engineer")
    request = services.request_promotion(site.request.version, actor=friend, reason="for a friend")
    return approve(api(site.author), site._replace(request=request))


@way
def is_the_trainer_of_what_another_registered(site: Site) -> Any:
    engineer = person("eng", "ml_engineer")
    version = services.register_version(site.model, actor=engineer, candidate=candidate(5), trained_by=site.author)
    services.move_stage(version, actor=engineer, target_stage="staging", reason="x")
    request = services.request_promotion(version, actor=engineer, reason="x")
    return approve(api(site.author), site._replace(request=request))


@way
def approves_after_the_end(site: Site) -> Any:
    services.withdraw_request(site.request, actor=Actor.of(site.author))
    Membership.objects.filter(user=site.author).update(role="ml_engineer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("registry.models.approval.settings.APPROVAL_DAYS", -1)
        request = services.request_promotion(site.request.version, actor=Actor.of(site.author), reason="late")
    answer = approve(api(site.approver), site._replace(request=request))
    assert answer.json()["code"] == "request_expired"
    return answer


@way
def changes_the_artifact_after_the_request(site: Site) -> Any:
    damage(site.request.artifact_digest)
    answer = approve(api(site.approver), site)
    assert answer.json()["code"] == "preflight_failed"
    return answer


@way
def changes_the_evidence_after_the_request(site: Site) -> Any:
    """Only somebody who may drop triggers can; the digest tells all the same, and the request is void."""
    drop(next(law for law in LAWS if law.name == "request_only_decided"))
    PromotionRequest.objects.filter(pk=site.request.pk).update(evidence={"replaces": None, "metrics": {}})
    answer = approve(api(site.approver), site)
    assert answer.json()["code"] == "digest_changed"
    assert PromotionRequest.objects.get(pk=site.request.pk).status == "void"
    return answer


@way
def changes_the_digest_of_the_artifact(site: Site) -> Any:
    drop(next(law for law in LAWS if law.name == "request_only_decided"))
    PromotionRequest.objects.filter(pk=site.request.pk).update(artifact_digest="0" * 64)
    return approve(api(site.approver), site)


@way
def delegates_to_oneself(site: Site) -> Any:
    said = {"delegate": "author", "starts_at": in_days(0), "ends_at": in_days(3)}
    answer = api(site.author).post(f"{API}/delegations", said, content_type="application/json")
    assert answer.status_code == 422
    return approve(api(site.author), site)


@way
def is_the_delegate_of_an_approver(site: Site) -> Any:
    said = {"delegate": "author", "starts_at": in_days(0), "ends_at": in_days(3)}
    made = api(site.approver).post(f"{API}/delegations", said, content_type="application/json")
    assert made.status_code == 201
    return approve(api(site.author), site)


@way
def delegates_to_somebody_without_the_role(site: Site) -> Any:
    friend = person("vera", "viewer")
    said = {"delegate": "vera", "starts_at": in_days(0), "ends_at": in_days(3)}
    assert api(site.author).post(f"{API}/delegations", said, content_type="application/json").status_code == 422
    return approve(api(user(friend)), site)


@way
def uses_the_token_of_an_approver_who_was_removed(site: Site) -> Any:
    client = api(site.approver)
    team = Membership.objects.get(user=site.approver).team
    teams.remove_member(site.approver, team=team, actor=person("tom", "admin"))
    return approve(client, site)


@way
def uses_the_session_of_an_approver_who_was_deactivated(site: Site) -> Any:
    client = browser(site.approver)
    teams.deactivate_user(site.approver)
    return client.post(site.page(), {"decision": "approve"})


@way
def repeats_the_idempotency_key_of_an_approver(site: Site) -> Any:
    other = api(site.approver)
    key = {"Idempotency-Key": "one"}
    other.post(
        f"{API}/approvals/{site.request.pk}/reject", {"comment": "no"}, content_type="application/json", headers=key
    )
    return approve(api(site.author), site, **key)


@way
def makes_a_policy_that_decides_alone(site: Site) -> Any:
    """An author who is an approver now may set one; for a version of their own it decides nothing."""
    said = {"auto_deploy": "production", "reason": "x"}
    api(site.author).patch(f"{API}/models/claims", said, content_type="application/json")
    done = services.deploy_by_policy(site.request.version, actor=Actor.of(site.author), gate={"passed": True})
    assert done.status == "held_back"
    return approve(api(site.author), site)


@way
def updates_through_the_queryset(site: Site) -> None:
    with pytest.raises(DatabaseError, match="approved by its quorum"), transaction.atomic():
        PromotionRequest.objects.filter(pk=site.request.pk).update(status="approved")


@pytest.mark.parametrize("tried", WAYS, ids=lambda tried: tried.__name__)
def test_no_way_around(tried: Way, site: Site) -> None:
    tried(site)
    assert selectors.in_production(site.model) is None
    assert not PromotionRequest.objects.filter(status="approved").exists()
    assert not Review.objects.filter(reviewer=site.author).exists()


def test_the_requester_closes_no_condition_of_theirs(site: Site) -> None:
    said = {"condition": "later", "revalidate_on": in_days(9)[:10]}
    assert approve(api(site.approver), site, said).status_code == 200
    review = Review.objects.get()
    answer = api(site.author).post(
        f"{API}/conditions/{review.pk}/close", {"note": "done"}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "four_eyes")
    page = browser(site.author).post(reverse("condition", args=[review.pk]), {"note": "done"})
    assert page.status_code == 403
    assert not ConditionClosing.objects.exists()


def test_the_requester_attaches_no_report_unseen(site: Site) -> None:
    """Every approval says how many reports were there; see also test_validation."""
    services.attach_report(
        site.request.version, actor=Actor.of(site.author), name="late.md", content=io.BytesIO(b"look again")
    )
    assert approve(api(site.approver), site).status_code == 200
    assert Review.objects.get().reports_seen == 1


def test_the_lawful_way_works(site: Site) -> None:
    assert approve(api(site.approver), site).status_code == 200
    assert selectors.in_production(site.model) == site.request.version
