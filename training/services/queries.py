"""A query of a database that the operator names: one SELECT, read only, with an end to its time and its rows.

What holds it is the database: a read-only transaction of PostgreSQL and a cursor, which takes nothing but a query; an
authorizer of SQLite that lets nothing but reading pass. A semicolon is refused before that: with a second statement
one could leave the transaction.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mlops_site.core.errors import Invalid, TooLarge, Unavailable

if TYPE_CHECKING:
    import pandas as pd

BATCH_ROWS = 10_000
CONNECT_SECS = 10
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
Batches = Iterator[tuple[list[str], list[Sequence[Any]]]]


def check_query(query: str) -> None:
    """ValueError for what cannot be one query."""
    if not query.strip():
        raise ValueError("must be a SELECT but is empty")
    if ";" in query.strip().rstrip(";"):
        raise ValueError("must be one statement without a semicolon in it, not even in a text")


def rows_of(url: str, query: str, *, secs: float, max_rows: int, max_cells: int) -> pd.DataFrame:
    """The answer as a frame, in the order in which it came. Invalid `query_failed` with the database's own words for a
    query that is wrong, writes or takes too long, TooLarge, Unavailable for a database that cannot be reached."""
    import pandas as pd  # not needed by a web process

    try:
        check_query(query)
    except ValueError as error:
        raise Invalid.on("query", f"query {error}", code="query_failed") from error
    plain = query.strip().rstrip(";")
    read = _of_sqlite if url.startswith("sqlite:") else _of_postgresql
    names: list[str] = []
    pieces: list[pd.DataFrame] = []
    count = 0
    for names, rows in read(url, plain, time.monotonic() + secs):
        count += len(rows)
        if count > max_rows or count * len(names) > max_cells:
            message = f"the query must answer at most {max_rows:,} rows and {max_cells:,} cells but has more"
            raise TooLarge.on("query", message, code="too_many_rows")
        if repeated := {name for name in names if names.count(name) > 1}:
            raise _failed(f"it names a column twice: {', '.join(sorted(repeated))}")
        pieces.append(pd.DataFrame(rows, columns=names, dtype=object).infer_objects())
    found = [piece for piece in pieces if len(piece)]
    return pd.concat(found, ignore_index=True).infer_objects() if found else pd.DataFrame(columns=names)


def _of_postgresql(url: str, query: str, deadline: float) -> Batches:
    import psycopg2

    try:
        connection = psycopg2.connect(url, connect_timeout=CONNECT_SECS, application_name="steward source")
    except psycopg2.OperationalError as error:
        raise _unreachable() from error
    with closing(connection):  # without a commit: whatever a function did is rolled back
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        try:
            with connection.cursor() as clock, connection.cursor(name="source") as cursor:
                _limit(clock, deadline)  # from the first statement on the transaction cannot be made to write
                cursor.execute(query)
                rows = _in_time(cursor, clock, deadline)
                while True:  # the columns are known once something was fetched, be it no row
                    yield [column.name for column in cursor.description or ()], rows
                    if not rows:
                        break
                    rows = _in_time(cursor, clock, deadline)
        except psycopg2.OperationalError as error:
            if error.pgcode is None:  # the connection is gone
                raise _unreachable() from error
            raise _failed(str(error)) from error
        except psycopg2.Error as error:
            raise _failed(str(error)) from error


def _of_sqlite(url: str, query: str, deadline: float) -> Batches:
    path = quote(url.removeprefix("sqlite:///"))
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=CONNECT_SECS, isolation_level=None)
    except sqlite3.Error as error:
        raise _unreachable() from error
    with closing(connection):
        connection.set_authorizer(lambda code, *_: sqlite3.SQLITE_OK if code in _READING else sqlite3.SQLITE_DENY)
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        try:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            if not names:
                raise _failed("it answers no rows: it must be a SELECT")
            while rows := cursor.fetchmany(BATCH_ROWS):
                yield names, rows
            yield names, []
        except sqlite3.Error as error:
            raise _failed("it took too long" if str(error) == "interrupted" else str(error)) from error


def _in_time(cursor: Any, clock: Any, deadline: float) -> list[Any]:
    if time.monotonic() > deadline:
        raise _failed("it took too long")
    _limit(clock, deadline)  # anew: what was fetched may have run a function that lifted it
    rows: list[Any] = cursor.fetchmany(BATCH_ROWS)
    return rows


def _limit(clock: Any, deadline: float) -> None:
    left_ms = max(1, round(1000 * (deadline - time.monotonic())))
    clock.execute("SELECT set_config('statement_timeout', %s, true)", [str(left_ms)])


def _failed(why: str) -> Invalid:
    return Invalid.on("query", f"the query was refused: {' '.join(why.split())[:300]}", code="query_failed")


def _unreachable() -> Unavailable:
    return Unavailable("the database of the source cannot be reached", code="source_unreachable", retry_after_secs=5)
