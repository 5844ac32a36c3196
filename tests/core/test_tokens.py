"""Tokens: who may make them, what they carry, and that they end at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from mlops_site.core import teams, tokens
from mlops_site.core.errors import Forbidden, Invalid, NotFound, Unauthenticated
from mlops_site.core.models import AuditRecord, Membership, Team, Token, User
from mlops_site.core.permissions import Action, Actor
from tests import people

pytestmark = pytest.mark.django_db


@pytest.fixture
def engineer() -> User:
    return people.person("eve", "ml_engineer")


def refused(text: str) -> bool:
    with pytest.raises(Unauthenticated, match="unknown, expired or revoked"):
        tokens.authenticate(text)
    return True


def test_a_token_carries_all_that_the_role_allows(engineer: User) -> None:
    token, text = tokens.create_token(engineer)
    found, actor = tokens.authenticate(text)
    assert (found, actor.name, actor.roles) == (token, "eve", {token.team_id: "ml_engineer"})
    assert actor.may(Action.PREDICT, token.team_id)
    assert not actor.may(Action.PROMOTION_DECIDE, token.team_id)


def test_authentication_is_one_query(engineer: User) -> None:
    _, text = tokens.create_token(engineer)
    tokens.authenticate(text)  # the first use is noted
    with CaptureQueriesContext(
        connection,
    ) as queries:
        tokens.authenticate(text)
    assert len(queries) == 1


def test_scopes_narrow_it(engineer: User) -> None:
    token, text = tokens.create_token(engineer, scopes=["predict"])
    actor = tokens.authenticate(text)[1]
    assert [a for a in Action if actor.may(a, token.team_id)] == [Action.PREDICT]


def test_scopes_beyond_the_role_are_refused(engineer: User) -> None:
    with pytest.raises(Invalid, match="scope 'rollback' is not among those of ml_engineer") as caught:
        tokens.create_token(engineer, scopes=["predict", "rollback"])
    assert caught.value.errors[0].field == "scopes"
    assert not Token.objects.exists()


def test_a_role_that_shrinks_shrinks_the_token(engineer: User) -> None:
    token, text = tokens.create_token(engineer)
    teams.create_user("eve", role="viewer", team="claims")
    actor = tokens.authenticate(text)[1]
    assert not actor.may(Action.PREDICT, token.team_id)


def test_it_is_bound_to_one_team(engineer: User) -> None:
    people.person("eve", "approver", team="other")
    with pytest.raises(Invalid, match="eve is in claims, other"):
        tokens.create_token(engineer)
    other = Team.objects.get(name="other")
    _, text = tokens.create_token(engineer, team=other)
    assert tokens.authenticate(text)[1].roles == {other.pk: "approver"}


def test_somebody_in_no_team_gets_none() -> None:
    with pytest.raises(NotFound, match="nobody is in no team"):
        tokens.create_token(User.objects.create(username="nobody"))


def test_only_a_keyed_digest_is_stored(engineer: User) -> None:
    token, text = tokens.create_token(engineer)
    secret = text.split("_", 2)[2]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM core_token")
        stored = repr(cursor.fetchall())
    assert token.digest in stored
    assert secret not in stored
    assert tokens.digest_of(secret) == token.digest
    assert secret not in "".join(AuditRecord.objects.values_list("body", flat=True))


def test_the_digest_depends_on_the_installs_key(engineer: User, settings: Settings) -> None:
    _, text = tokens.create_token(engineer)
    settings.SECRET_KEY = "another key of another install, 32+"
    assert refused(text)


@pytest.mark.parametrize("days", [0, 366, -1])
def test_its_life_is_bounded(engineer: User, days: int) -> None:
    with pytest.raises(Invalid, match=f"days must be from 1 to 365 but got {days}"):
        tokens.create_token(engineer, days=days)


def test_an_expired_one_is_refused(engineer: User) -> None:
    token, text = tokens.create_token(engineer, days=1)
    assert timedelta(hours=23) < token.expires_at - timezone.now() <= timedelta(days=1)
    Token.objects.update(expires_at=timezone.now())
    assert refused(text)


def test_revocation_works_at_once_and_is_recorded_once(engineer: User) -> None:
    token, text = tokens.create_token(engineer)
    actor = tokens.authenticate(text)[1]
    tokens.revoke_token(token, actor=actor)
    tokens.revoke_token(token, actor=actor)
    assert refused(text)
    assert AuditRecord.objects.filter(action="token.revoked").count() == 1


def test_it_ends_with_the_membership_and_with_the_account(engineer: User) -> None:
    _, text = tokens.create_token(engineer)
    Membership.objects.filter(user=engineer).delete()
    assert refused(text)
    people.person("eve", "ml_engineer")
    assert tokens.authenticate(text)
    User.objects.update(is_active=False)
    assert refused(text)


def test_anything_else_is_refused(engineer: User) -> None:
    _, text = tokens.create_token(engineer)
    prefix, secret = text.split("_", 2)[1:]
    swapped = ("A" if secret[0] != "A" else "B") + secret[1:]
    others = [
        "",
        "stw",
        "stw__",
        f"stw_{prefix}_",
        f"stw_{prefix}_{swapped}",
        f"STW_{prefix}_{secret}",
        text + "x",
        text[:-1],
    ]
    others += [f"stw_{'0' * 10}_{secret}", f"stw_{prefix[:-1]}\0_{secret}", f"stw_{prefix}_{'é' * 43}", "x" * 100_000]
    assert all(refused(other) for other in others)


def test_the_comparison_takes_constant_time(engineer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both digests go through hmac.compare_digest; an unknown prefix costs a digest too."""
    seen: list[str] = []
    real = tokens.digest_of

    def watched(secret: str) -> str:
        seen.append(secret)
        return real(secret)

    monkeypatch.setattr(tokens, "digest_of", watched)
    assert refused("stw_0123456789_" + "a" * 43)
    assert seen == ["a" * 43]


def test_its_use_is_noted_at_most_once_an_hour(engineer: User) -> None:
    token, text = tokens.create_token(engineer)
    tokens.authenticate(text)
    first = Token.objects.get().last_used_at
    tokens.authenticate(text)
    assert first is not None
    assert Token.objects.get().last_used_at == first
    Token.objects.update(last_used_at=first - timedelta(hours=2))
    tokens.authenticate(text)
    noted = Token.objects.get(pk=token.pk).last_used_at
    assert noted is not None
    assert noted >= first


class TestWhoMayMakeThem:
    def test_people_make_their_own(self, engineer: User) -> None:
        assert tokens.create_token(engineer, actor=Actor.of(engineer))

    def test_a_narrow_token_does_not_make_a_wider_one(self, engineer: User) -> None:
        narrow = tokens.authenticate(tokens.create_token(engineer, scopes=["predict"])[1])[1]
        with pytest.raises(Invalid, match=r"model\.create"):
            tokens.create_token(engineer, scopes=["model.create"], actor=narrow)
        assert tokens.create_token(engineer, actor=narrow)[0].scopes == ["predict"]

    def test_a_token_of_one_team_makes_none_in_another(self, engineer: User) -> None:
        people.person("eve", "approver", team="other")
        claims, other = Team.objects.get(name="claims"), Team.objects.get(name="other")
        bound = tokens.authenticate(tokens.create_token(engineer, team=claims)[1])[1]
        with pytest.raises(Forbidden):
            tokens.create_token(engineer, team=other, scopes=["view"], actor=bound)

    def test_an_admin_makes_those_of_machines(self) -> None:
        machine = people.person("claims-app", "service")
        token, text = tokens.create_token(machine, actor=people.actor("ada", "admin"))
        assert sorted(token.scopes) == [
            "feature.load", "label.log", "metrics.view", "predict", "prediction.log", "schema.view"
        ]  # fmt: skip
        assert tokens.authenticate(text)

    def test_an_admin_makes_none_of_an_approver(self) -> None:
        approver = people.person("bo", "approver")
        with pytest.raises(Forbidden, match="bo is a person and makes their own tokens"):
            tokens.create_token(approver, actor=people.actor("ada", "admin"))
        assert AuditRecord.objects.filter(action="people.manage.refused", subject="user:bo").count() == 1
        assert not Token.objects.exists()

    def test_nobody_else_makes_or_revokes_anothers(self, engineer: User) -> None:
        token, _ = tokens.create_token(engineer)
        with pytest.raises(Forbidden):
            tokens.create_token(engineer, actor=people.actor("bo", "approver"))
        with pytest.raises(Forbidden):
            tokens.revoke_token(token, actor=people.actor("ada", "admin", team="other"))
        assert Token.objects.usable().get() == token
