"""Statements built once are the statements that the ORM builds."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F, QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mlops_site.core.models import Membership, Team
from mlops_site.core.prepared import Prepared, PreparedObjects, insert
from tests.people import person

pytestmark = pytest.mark.django_db


def named(name: str, after: Any) -> QuerySet[Team, tuple[Any, ...]]:
    return Team.objects.filter(name=name).filter(created_at__gt=after).values_list("pk", "name")


def test_it_answers_like_the_query_whatever_the_values() -> None:
    before = timezone.now() - timedelta(days=1)
    teams = [Team.objects.create(name=name) for name in ("a", "b")]
    prepared = Prepared(named)
    for team in teams:
        assert prepared(team.name, before) == [(team.pk, team.name)]
    assert prepared("a", timezone.now()) == []
    assert prepared("' OR 1=1 --", before) == []


def test_the_sql_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def counted(name: str, after: Any) -> QuerySet[Team, tuple[Any, ...]]:
        built.append(name)
        return named(name, after)

    prepared = Prepared(counted)
    with CaptureQueriesContext(connection) as queries:
        for name in "abc":
            prepared(name, timezone.now())
    assert (built, len(queries)) == (["a"], 3)


def test_parameters_out_of_order_are_found_at_the_first_use() -> None:
    def swapped(name: str, after: Any) -> QuerySet[Team, tuple[Any, ...]]:
        return Team.objects.filter(created_at__gt=after).filter(name=name).values_list("pk")

    with pytest.raises(RuntimeError, match="the parameters of swapped must be used once and in order"):
        Prepared(swapped)("a", timezone.now())


@pytest.mark.parametrize("count", [0, 1, 2, 12, 205])
def test_rows_of_keys_are_those_of_the_query(count: int) -> None:
    def of_keys(keys: list[int]) -> QuerySet[Team, tuple[Any, ...]]:
        return Team.objects.filter(pk__among=keys).order_by("pk").values_list("name", "created_at", "pk")

    teams = Team.objects.bulk_create(Team(name=f"t{n}") for n in range(count + 1))
    read, keys = PreparedObjects(of_keys), [team.pk for team in teams[:count]]
    wanted = list(Team.objects.filter(pk__in=keys).order_by("pk").values_list("name", "created_at", "pk"))
    for asked, found in ((keys, wanted), (keys[:1], wanted[:1]), (keys, wanted)):
        assert read(asked) == found


def test_keys_used_twice_are_the_same_keys() -> None:
    def of_keys(keys: list[int]) -> QuerySet[Membership, tuple[Any, ...]]:
        rows = Membership.objects.filter(team__among=keys).filter(team__pk__among=keys)
        return rows.order_by("pk").values_list("user__username")

    for name, team in (("ada", "one"), ("ben", "two"), ("cid", "two")):
        person(name, "viewer", team=team)
    read = PreparedObjects(of_keys)
    one, two = Team.objects.order_by("pk").values_list("pk", flat=True)
    assert [read([one]), read([two])] == [[("ada",)], [("ben",), ("cid",)]]
    assert read([one, two]) == [("ada",), ("ben",), ("cid",)]


def test_rows_are_inserted_in_one_statement_as_the_orm_would() -> None:
    rows = [Team(pk=n, name=f"t{n}", created_at=timezone.now()) for n in range(1, 4)]
    with CaptureQueriesContext(connection) as queries:
        insert(rows)
    assert len(queries) == 1
    for row in rows:
        found = Team.objects.get(pk=row.pk)
        assert (found.name, found.created_at) == (row.name, row.created_at)
        assert not row._state.adding


def test_all_or_none() -> None:
    Team.objects.create(pk=2, name="here")
    with pytest.raises(IntegrityError), transaction.atomic():
        insert([Team(pk=1, name="new"), Team(pk=3, name="here")])
    assert list(Team.objects.values_list("name", flat=True)) == ["here"]


@pytest.mark.postgres
class TestOnPostgreSQL:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_a_statement_is_planned_once_a_connection(self) -> None:
        connection.close()  # other tests' statements with it
        prepared = Prepared(named)
        for name in ("a", "b"):
            prepared(name, timezone.now())
        assert len(planned()) == 1
        connection.close()
        prepared("a", timezone.now())
        assert len(planned()) == 1, "a new connection knows no statement of the old one"

    def test_a_connection_that_died_is_replaced(self) -> None:
        team = Team.objects.create(name="claims")
        prepared = Prepared(named)
        prepared("claims", timezone.now())
        with connection.cursor() as cursor, pytest.raises(OperationalError):
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        assert prepared("claims", timezone.now() - timedelta(days=1)) == [(team.pk, "claims")]

    def test_inside_a_transaction_a_lost_connection_is_an_error(self) -> None:
        prepared = Prepared(named)
        with pytest.raises((DatabaseError, InterfaceError)), transaction.atomic():
            with connection.cursor() as cursor, suppress(OperationalError):
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            prepared("claims", timezone.now())
        connection.close()


def planned() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%core_team%'")
        return [name for (name,) in cursor.fetchall()]


def members(name: str, teams: list[int]) -> QuerySet[Membership]:
    rows = Membership.objects.filter(user__username=name).filter(team__among=teams).exclude(role="admin")
    return rows.select_related("team", "user").defer("user__password").order_by("pk")


def test_whole_objects_are_those_of_the_query() -> None:
    """With what is joined to them, whatever the values and however long a list of them."""
    people = [person(name, "viewer", team=team) for name, team in (("ada", "one"), ("ben", "two"))]
    teams = list(Team.objects.order_by("pk").values_list("pk", flat=True))
    prepared = PreparedObjects(members)
    for user in people:
        for asked in (teams, teams[:1], teams[1:], [], [*teams, 10**6]):
            with CaptureQueriesContext(connection) as queries:
                found = [(row.pk, row.role, row.team.name, row.user.username) for row in prepared(user.username, asked)]
            assert len(queries) == bool(asked)
            wanted = Membership.objects.filter(user=user, team__in=asked).exclude(role="admin").order_by("pk")
            assert found == [(row.pk, row.role, row.team.name, row.user.username) for row in wanted]


def test_a_number_that_no_column_holds_finds_nothing() -> None:
    assert PreparedObjects(lambda pk: Team.objects.filter(pk=pk))(10**20) == []


def test_prefetches_are_made_for_what_was_found() -> None:
    user = person("ada", "viewer")
    prepared = PreparedObjects(lambda name: Team.objects.filter(name=name).prefetch_related("memberships"))
    (team,) = prepared("claims")
    with CaptureQueriesContext(connection) as queries:
        assert [membership.user_id for membership in team.memberships.all()] == [user.pk]
    assert len(queries) == 0
    assert prepared("elsewhere") == []


def test_a_value_that_is_changed_is_found_at_the_first_use() -> None:
    def changed(name: str) -> QuerySet[Team]:
        return Team.objects.filter(name=name).exclude(name__startswith=name)

    with pytest.raises(RuntimeError, match="the parameters of changed must be used as they are"):
        PreparedObjects(changed)("a")


def test_keys_that_are_spread_over_parameters_are_found_at_the_first_use() -> None:
    with pytest.raises(RuntimeError, match="must be used as they are"):
        PreparedObjects(lambda keys: Team.objects.filter(pk__in=keys))([1, 2])


@pytest.mark.parametrize("text", ["la", "100%", "a_b", "back\\slash", "%", "' OR 1=1 --"])
def test_a_text_within_another_is_sought_as_the_orm_does(text: str) -> None:
    Team.objects.bulk_create(
        Team(name=name) for name in ("claims", "100% sure", "100 sure", "a_b", "axb", "back\\slash")
    )
    read = PreparedObjects(lambda part: Team.objects.filter(name__contains=part).order_by("name").values_list("name"))
    assert read("no such") == []
    assert read(text) == list(Team.objects.filter(name__contains=text).order_by("name").values_list("name"))


def test_a_slice_is_that_of_the_query_wherever_it_begins() -> None:
    Team.objects.bulk_create(Team(name=f"t{n}") for n in range(7))
    read = PreparedObjects(lambda part: Team.objects.filter(name__contains=part).order_by("pk"), sliced=True)
    names = [team.name for team in Team.objects.filter(name__contains="t").order_by("pk")]
    for many, first in ((3, 0), (3, 3), (3, 6), (50, 0), (1, 9)):
        assert [team.name for team in read("t", many, first)] == names[first : first + many]


def test_annotations_and_what_is_joined_are_those_of_the_query() -> None:
    """Also where the statement found nothing at first."""
    user = person("ada", "viewer")
    read = PreparedObjects(
        lambda name: (
            Membership.objects.filter(user__username=name).select_related("team").annotate(of=F("user__username"))
        )
    )
    assert read("ben") == []
    (found,) = read("ada")
    with CaptureQueriesContext(connection) as queries:
        assert (found.of, found.team.name, found.user_id, found._state.adding) == ("ada", "claims", user.pk, False)
    assert len(queries) == 0
