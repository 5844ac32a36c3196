"""A query reads, and nothing else, whatever is typed; on both kinds of database that a source may name."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from mlops_site.core.errors import Invalid, StewardError, TooLarge, Unavailable
from training.services.queries import check_query, rows_of

LIMITS: dict[str, Any] = {"secs": 20.0, "max_rows": 1_000, "max_cells": 10_000}
ROWS = [(n, n / 2, "free" if n % 2 else None, "2026-01-01") for n in range(50)]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "a b?c.sqlite3") as made:
        made.execute("CREATE TABLE claims (id INTEGER, paid REAL, plan TEXT, day TEXT)")
        made.executemany("INSERT INTO claims VALUES (?, ?, ?, ?)", ROWS)
    made.close()
    return f"sqlite:///{tmp_path}/a b?c.sqlite3"


@pytest.fixture
def postgres_url(transactional_db: None) -> Any:
    """The tests' own database, with a table that is committed, as another site's would be."""
    url = "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**connection.settings_dict)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE source_claims (id BIGINT, paid NUMERIC, plan TEXT, day DATE)")
        cursor.executemany("INSERT INTO source_claims VALUES (%s, %s, %s, %s)", ROWS)
    yield url
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE source_claims")


def test_rows_come_as_a_frame(sqlite_url: str) -> None:
    frame = rows_of(sqlite_url, "SELECT id, paid, plan FROM claims ORDER BY id;", **LIMITS)
    assert frame.shape == (50, 3)
    assert frame.paid.sum() == sum(row[1] for row in ROWS)
    assert frame.plan.isna().sum() == 25
    assert list(rows_of(sqlite_url, "SELECT id FROM claims WHERE id < 0", **LIMITS).columns) == ["id"]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM claims",
        "INSERT INTO claims VALUES (1, 1, 'x', 'y') RETURNING id",
        "UPDATE claims SET paid = 0",
        "DROP TABLE claims",
        "CREATE TABLE x AS SELECT 1",
        "PRAGMA query_only = OFF",
        "ATTACH DATABASE '{}/x.sqlite3' AS x",
        "VACUUM INTO '{}/x.sqlite3'",
        "SELECT file FROM pragma_database_list",
        "BEGIN IMMEDIATE",
        "SELECT load_extension('x')",
        "SELECT nothing FROM claims",
        "not a query",
        "SELECT id, id FROM claims",
    ],
)
def test_sqlite_refuses_whatever_is_no_reading(sqlite_url: str, query: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        rows_of(sqlite_url, query.format(tmp_path), **LIMITS)
    assert refused.value.code == "query_failed"
    assert [path.name for path in tmp_path.iterdir()] == ["a b?c.sqlite3"]
    assert len(rows_of(sqlite_url, "SELECT * FROM claims", **LIMITS)) == 50


def test_an_endless_query_ends(sqlite_url: str) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    with pytest.raises(Invalid, match="took too long"):
        rows_of(sqlite_url, endless, **{**LIMITS, "secs": 0.2})


def test_too_many_rows_and_an_absent_database(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        rows_of(sqlite_url, "SELECT * FROM claims", **{**LIMITS, "max_rows": 49})
    with pytest.raises(TooLarge):
        rows_of(sqlite_url, "SELECT * FROM claims", **{**LIMITS, "max_cells": 199})
    with pytest.raises(Unavailable):
        rows_of(f"sqlite:///{tmp_path}/absent.sqlite3", "SELECT 1", **LIMITS)
    assert not (tmp_path / "absent.sqlite3").exists()


@pytest.mark.parametrize("query", ["", "  ", "SELECT 1; DELETE FROM claims", "SELECT ';'"])
def test_one_statement_only(query: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        check_query(query)


@pytest.mark.postgres
def test_postgresql_reads(postgres_url: str) -> None:
    frame = rows_of(postgres_url, "SELECT id, paid, plan, day FROM source_claims ORDER BY id", **LIMITS)
    assert (frame.shape, float(frame.paid.sum())) == ((50, 4), sum(row[1] for row in ROWS))
    assert list(rows_of(postgres_url, "SELECT id FROM source_claims WHERE id < 0", **LIMITS).columns) == ["id"]


@pytest.mark.postgres
@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM source_claims",
        "WITH gone AS (DELETE FROM source_claims RETURNING id) SELECT * FROM gone",
        "SELECT id INTO copied FROM source_claims",
        "SELECT id FROM source_claims FOR UPDATE",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT nextval('django_migrations_id_seq')",
        "COMMIT",
        "SET TRANSACTION READ WRITE",
        "SELECT nothing FROM source_claims",
        "SELECT 1; COMMIT; DELETE FROM source_claims",
    ],
)
def test_postgresql_refuses_whatever_writes(postgres_url: str, query: str) -> None:
    with pytest.raises(StewardError) as refused:
        rows_of(postgres_url, query, **LIMITS)
    assert refused.value.code == "query_failed"
    assert len(rows_of(postgres_url, "SELECT id FROM source_claims", **LIMITS)) == 50


@pytest.mark.postgres
def test_what_a_function_did_is_rolled_back(postgres_url: str) -> None:
    """Before its version 16, PostgreSQL lets a read-only transaction make large objects."""
    with contextlib.suppress(Invalid):
        rows_of(postgres_url, "SELECT lo_create(4711)", **LIMITS)
    assert rows_of(postgres_url, "SELECT count(*) FROM pg_largeobject_metadata", **LIMITS).iloc[0, 0] == 0


@pytest.mark.postgres
def test_postgresql_ends_what_takes_too_long_and_says_what_cannot_be_reached(postgres_url: str) -> None:
    with pytest.raises(Invalid, match="statement timeout"):
        rows_of(postgres_url, "SELECT pg_sleep(30)", **{**LIMITS, "secs": 0.3})
    lifted = (
        "SELECT n, CASE n WHEN 1 THEN set_config('statement_timeout', '0', true) WHEN 15000 THEN pg_sleep(6)::text END"
        " FROM generate_series(1, 20000) n"
    )
    with pytest.raises(Invalid, match="statement timeout"):
        rows_of(postgres_url, lifted, secs=1.0, max_rows=100_000, max_cells=1_000_000)
    wrong = postgres_url.replace(f":{connection.settings_dict['PORT']}/", ":1/")
    with pytest.raises(Unavailable) as refused:
        rows_of(wrong, "SELECT 1", **LIMITS)
    assert refused.value.code == "source_unreachable"
