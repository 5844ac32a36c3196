"""The storage of studies: the driver's name, and files that others may read meanwhile."""

from pathlib import Path

import pytest

from training.ml.studies import open_storage, rdb_url


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://u:p@h:5/d?sslmode=require", "postgresql+psycopg2://u:p@h:5/d?sslmode=require"),
        ("postgres://h/d", "postgresql+psycopg2://h/d"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg2://h/d"),
        ("sqlite:////var/o.sqlite3", "sqlite:////var/o.sqlite3"),
    ],
)
def test_rdb_url_names_the_driver_of_postgresql_only(given: str, expected: str) -> None:
    assert rdb_url(given) == expected


def test_sqlite_storage_lets_others_read_while_it_writes(tmp_path: Path) -> None:
    with open_storage(f"sqlite:///{tmp_path}/o.sqlite3") as storage, storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
