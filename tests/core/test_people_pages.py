"""People and tokens in the admin: made and ended by services, secrets shown once."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from mlops_site.core import tokens
from mlops_site.core.models import Membership, Token, User
from tests.people import person

PEOPLE, TOKENS = "admin:core_membership_changelist", "admin:core_token_changelist"


@pytest.fixture
def admin(db: None) -> Client:
    client = Client()
    client.force_login(person("tom", "admin"))
    return client


def test_an_admin_adds_a_person_whose_password_is_shown_once(admin: Client) -> None:
    answer = admin.post(reverse("admin:core_membership_add"), {"name": "nina", "role": "validator", "team": "claims"})
    password = answer.context["secret"]
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert User.objects.get(username="nina").check_password(password)
    assert password not in admin.get(reverse(PEOPLE)).content.decode()


def test_an_admin_adds_nobody_to_another_team(admin: Client) -> None:
    person("zoe", "approver", team="others")
    answer = admin.post(reverse("admin:core_membership_add"), {"name": "nina", "role": "admin", "team": "others"})
    assert answer.status_code == 422
    assert not User.objects.filter(username="nina").exists()


def test_a_bad_name_is_said_beside_its_field(admin: Client) -> None:
    answer = admin.post(reverse("admin:core_membership_add"), {"name": "<b>", "role": "viewer", "team": "claims"})
    assert "must be letters" in answer.context["form"].errors["name"][0]


def test_removing_people_ends_their_role_in_this_team_only(admin: Client) -> None:
    person("nina", "viewer")
    person("nina", "viewer", team="others")
    other = Membership.objects.get(team__name="others")
    mine = Membership.objects.get(user__username="nina", team__name="claims")
    admin.post(reverse(PEOPLE), {"action": "remove", "_selected_action": [mine.pk, other.pk]})
    assert list(Membership.objects.filter(user__username="nina")) == [other]


def test_a_token_is_shown_once_and_revoked_at_once(admin: Client) -> None:
    answer = admin.post(
        reverse("admin:core_token_add"), {"user": "tom", "team": "claims", "scopes": ["view"], "days": 5}
    )
    text = answer.context["secret"]
    token, actor = tokens.authenticate(text)
    assert (actor.name, token.scopes) == ("tom", ["view"])
    listed = admin.get(reverse(TOKENS)).content.decode()
    assert token.prefix in listed
    assert text not in listed
    assert token.digest not in admin.get(reverse("admin:core_token_change", args=[token.pk])).content.decode()
    admin.post(reverse(TOKENS), {"action": "revoke", "_selected_action": [token.pk]})
    assert not Token.objects.usable().exists()


def test_a_scope_beyond_the_role_is_refused_beside_its_field(admin: Client) -> None:
    asked = {"user": "tom", "team": "claims", "scopes": ["promotion.decide"], "days": 5}
    answer = admin.post(reverse("admin:core_token_add"), asked)
    assert "not among those of admin" in answer.context["form"].errors["scopes"][0]


def test_everybody_sees_their_own_tokens_and_no_others(admin: Client) -> None:
    tokens.create_token(person("ben", "approver"))
    theirs = Token.objects.get()
    client = Client()
    client.force_login(person("nina", "viewer"))
    assert theirs.prefix not in client.get(reverse(TOKENS)).content.decode()
    assert theirs.prefix in admin.get(reverse(TOKENS)).content.decode()
    assert client.get(reverse("admin:core_membership_changelist")).status_code == 403
    client.post(reverse(TOKENS), {"action": "revoke", "_selected_action": [theirs.pk]})
    assert Token.objects.usable().count() == 1
    client.post(reverse("admin:core_token_add"), {"user": "ben", "team": "claims", "days": 5})
    assert Token.objects.count() == 1
