"""Where studies live: Optuna's storage in SQLite or PostgreSQL."""

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager

from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from sqlalchemy import make_url

HEARTBEAT_SECS = 5
GRACE_SECS = 3 * HEARTBEAT_SECS


def rdb_url(url: str) -> str:
    """Name the driver in a PostgreSQL address: SQLAlchemy would take psycopg 3 by itself.

    >>> rdb_url("postgres://steward@db/steward")
    'postgresql+psycopg2://steward@db/steward'
    """
    scheme, found, rest = url.partition("://")
    return f"postgresql+psycopg2://{rest}" if found and scheme in ("postgres", "postgresql") else url


@contextmanager
def open_storage(url: str) -> Iterator[RDBStorage]:
    """Open the storage at a database address, with a heartbeat for every trial under way; close it after."""
    database = make_url(url).database if url.startswith("sqlite") else None
    if database:
        # Pages may read while a trial writes; the mode stays with the file.
        with closing(sqlite3.connect(database, timeout=20)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        storage = RDBStorage(
            rdb_url(url),
            engine_kwargs={"connect_args": {"timeout": 20}} if database else {"pool_pre_ping": True},
            heartbeat_interval=HEARTBEAT_SECS,
            grace_period=GRACE_SECS,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
        )
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
