"""Kept fixtures are as if each test had made them, and a flush leaves what the migrations left."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django_celery_beat.models import PeriodicTask

from mlops_site.core import laws, store
from mlops_site.core.models import User
from tests.kept import kept_fixture

TURNS = pytest.mark.parametrize("turn", [1, 2])


@kept_fixture
def first(db: None) -> list[str]:
    User.objects.create_user("first")
    return [store.put(b"first", max_bytes=100).digest]


@kept_fixture
def second(first: list[str]) -> list[str]:
    User.objects.create_user("second")
    first.append(store.put(b"second", max_bytes=100).digest)
    return first


@TURNS
def test_what_a_test_does_to_it_is_gone(turn: int, second: list[str], first: list[str]) -> None:
    assert first is second
    assert sorted(User.objects.values_list("username", flat=True)) == ["first", "second"]
    assert set(store.digests()) == set(second)
    assert len(second) == 2
    User.objects.all().delete()
    store.delete(second.pop())


@TURNS
def test_a_layer_that_is_not_asked_for_is_not_there(turn: int, first: list[str]) -> None:
    assert User.objects.get().username == "first"
    assert list(store.digests()) == first


@TURNS
@pytest.mark.django_db(transaction=True)
def test_where_a_test_commits_it_is_an_ordinary_fixture(turn: int, second: list[str]) -> None:
    assert not connection.in_atomic_block
    assert User.objects.count() == len(second) == 2


@TURNS
@pytest.mark.django_db(transaction=True)
def test_a_flush_puts_back_what_the_migrations_left(turn: int) -> None:
    assert not laws.missing()
    tasks = set(PeriodicTask.objects.values_list("name", flat=True))
    assert "monitoring: every model, hourly" in tasks
    assert Permission.objects.filter(codename="view_user").exists()
    Permission.objects.all().delete()
    PeriodicTask.objects.all().delete()
    on = "" if connection.vendor == "sqlite" else " ON core_auditrecord"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER core_auditrecord_no_update{on}")
