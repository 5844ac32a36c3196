"""People and their roles, and the two commands that make them."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from mlops_site.core import teams, tokens
from mlops_site.core.errors import Forbidden, Invalid
from mlops_site.core.models import AuditRecord, Membership, Team, User
from tests import people

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> list[str]:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().splitlines()


def test_create_user_makes_the_team_and_prints_a_password_alone_on_the_last_line() -> None:
    said = run("create_user", "ana", "--role", "data_scientist", "--team", "claims")
    user = User.objects.get(username="ana")
    assert said[0] == "ana is data_scientist in claims."
    assert user.check_password(said[-1])
    assert user.is_staff
    assert not user.is_superuser
    assert list(AuditRecord.objects.values_list("action", "actor")) == [
        ("team.created", "system:operator"),
        ("member.set", "system:operator"),
    ]
    assert said[-1] not in "".join(AuditRecord.objects.values_list("body", flat=True))


def test_create_user_again_changes_the_role_and_keeps_the_password() -> None:
    password = run("create_user", "ana", "--role", "data_scientist", "--team", "claims")[-1]
    assert run("create_user", "ana", "--role", "approver", "--team", "claims") == ["ana is approver in claims."]
    assert Membership.objects.get().role == "approver"
    assert User.objects.get().check_password(password)


def test_a_machine_has_no_password_and_no_way_into_the_pages() -> None:
    assert run("create_user", "app", "--role", "service", "--team", "claims") == ["app is service in claims."]
    machine = User.objects.get()
    assert not machine.has_usable_password()
    assert not machine.is_staff


def test_create_token_prints_it_alone_on_the_last_line() -> None:
    people.person("app", "service")
    said = run("create_token", "app", "--scope", "predict", "--days", "7")
    token, actor = tokens.authenticate(said[-1])
    assert token.scopes == ["predict"]
    assert f"{token.expires_at:%Y-%m-%d}" in said[0]
    assert actor.name == "app"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("create_user", "a b", "--role", "viewer", "--team", "claims"),
            "name must be letters, digits .* but got 'a b'",
        ),
        (("create_user", "../x", "--role", "viewer", "--team", "claims"), "but got '../x'"),
        (("create_user", "ana\n", "--role", "viewer", "--team", "claims"), "but got 'ana"),
        (("create_user", "x" * 151, "--role", "viewer", "--team", "claims"), "name must be"),
        (("create_user", "ana", "--role", "king", "--team", "claims"), "role must be one of viewer, .* but got 'king'"),
        (("create_user", "ana", "--role", "viewer", "--team", "Claims!"), "team must match .* but got 'Claims!'"),
        (("create_token", "nobody"), "no user 'nobody'; make one with create_user"),
        (("create_token", "eve", "--team", "nowhere"), "no team 'nowhere'"),
        (("create_token", "eve", "--scope", "fly"), "scope 'fly' is not among those of viewer"),
        (("create_token", "eve", "--days", "0"), "days must be from 1 to 365 but got 0"),
    ],
)
def test_the_commands_say_what_was_wrong_and_change_nothing(arguments: tuple[str, ...], message: str) -> None:
    people.person("eve", "viewer")
    before = AuditRecord.objects.count()
    with pytest.raises(CommandError, match=message):
        run(*arguments)
    assert AuditRecord.objects.count() == before
    assert list(User.objects.values_list("username", flat=True)) == ["eve"]


class TestAdmin:
    def test_an_admin_adds_people_to_their_own_team(self) -> None:
        user, password = teams.create_user("new", role="viewer", team="claims", actor=people.actor("ada", "admin"))
        assert user.check_password(password)
        assert AuditRecord.objects.filter(action="member.set", actor="ada", subject="user:new").exists()

    @pytest.mark.parametrize("team", ["other", "brand-new"])
    def test_an_admin_adds_nobody_elsewhere(self, team: str) -> None:
        ada = people.actor("ada", "admin")
        people.person("cy", "viewer", team="other")
        with pytest.raises(Forbidden):
            teams.create_user("new", role="viewer", team=team, actor=ada)
        assert not User.objects.filter(username="new").exists()
        assert not Team.objects.filter(name="brand-new").exists()
        assert AuditRecord.objects.filter(action="people.manage.refused", actor="ada", team=team).count() == 1

    def test_an_admin_does_not_make_themselves_an_approver(self) -> None:
        with pytest.raises(Forbidden, match="ada cannot set their own role"):
            teams.create_user("ada", role="approver", team="claims", actor=people.actor("ada", "admin"))
        assert Membership.objects.get().role == "admin"

    def test_nobody_else_adds_or_removes_people(self) -> None:
        bo = people.actor("bo", "approver")
        with pytest.raises(Forbidden):
            teams.create_user("new", role="viewer", team="claims", actor=bo)
        with pytest.raises(Forbidden):
            teams.remove_member(people.person("eve", "viewer"), team=Team.objects.get(), actor=bo)
        assert Membership.objects.count() == 2

    def test_removal_is_recorded_once(self) -> None:
        ada, eve = people.actor("ada", "admin"), people.person("eve", "viewer")
        for _ in range(2):
            teams.remove_member(eve, team=Team.objects.get(), actor=ada)
        assert Membership.objects.count() == 1
        assert AuditRecord.objects.filter(action="member.removed").count() == 1

    def test_every_problem_is_named(self) -> None:
        with pytest.raises(Invalid) as caught:
            teams.create_user("", role="", team="")
        assert [error.field for error in caught.value.errors] == ["name", "role", "team"]
