"""Databases of the site and of MLflow, each made once in a test run, by a process of its own; others are copies.

That a site migrates an empty one by itself is shown where nothing is copied.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
from psycopg2.sql import SQL, Identifier

from tests.processes import ROOT

NAME = "test_steward_template"
FILE = "steward.sqlite3"
MLFLOW_FILE = "mlflow.sqlite3"
MLFLOW = """
import sys
from django.conf import settings
settings.configure(MLFLOW_TRACKING_URI=f"sqlite:///{sys.argv[1]}/mlflow.sqlite3", MLFLOW_ARTIFACTS=sys.argv[1])
from mlops_site.core.mlflow import opened
opened()
"""
OF_SERVERS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "AUDIT_KEY")


def put_into(home: Path) -> None:
    """Give a home the database of an embedded site that has just been set up."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_embedded() / FILE, home / FILE)


def _embedded() -> Path:
    folder = _shared() / "embedded"
    with _alone():
        if not folder.exists():
            making = folder.with_name("making")
            shutil.rmtree(making, ignore_errors=True)
            _migrate({name: value for name, value in os.environ.items() if name not in OF_SERVERS}, making)
            making.rename(folder)
    return folder


def put_mlflow(home: Path) -> None:
    """Give a home, or whatever else is a folder, MLflow's database with its tables, which take seconds to make."""
    folder = _shared() / "mlflow"
    with _alone():
        if not folder.exists():
            making = folder.with_name("making-mlflow")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            _run([sys.executable, "-W", "ignore", "-c", MLFLOW, str(making)], dict(os.environ), "MLflow's tables")
            making.rename(folder)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / MLFLOW_FILE, home / MLFLOW_FILE)


def put_on_server(url: str) -> None:
    """Make the database of `url` (`postgresql://...`) such a copy, whatever is there under its name."""
    with _server(url) as connection:
        _replace(connection, urlsplit(url).path.lstrip("/"), template=NAME)


@contextmanager
def _server(url: str) -> Iterator[psycopg2.extensions.connection]:
    """A connection to the server, which has the template."""
    with _alone(), closing(psycopg2.connect(urlsplit(url)._replace(path="/postgres").geturl())) as connection:
        connection.autocommit = True
        if not (made := _shared() / "on-server").exists():
            _replace(connection, NAME)
            template = urlsplit(url)._replace(path=f"/{NAME}").geturl()
            _migrate({**os.environ, "DATABASE_URL": template}, _shared() / "server-home")
            made.touch()
        yield connection


def prepare() -> None:
    """The template that this environment needs, before anybody asks for it."""
    if url := os.environ.get("DATABASE_URL"):
        with _server(url):
            return
    _embedded()


def drop_from_server(url: str) -> None:
    """Drop it, and the template: whoever still needs that makes it again. Connections that are open are lost."""
    with _alone(), closing(psycopg2.connect(urlsplit(url)._replace(path="/postgres").geturl())) as connection:
        connection.autocommit = True
        for name in (urlsplit(url).path.lstrip("/"), NAME):
            with connection.cursor() as cursor:
                cursor.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        (_shared() / "on-server").unlink(missing_ok=True)


def _replace(connection: psycopg2.extensions.connection, name: str, *, template: str = "template0") -> None:
    with connection.cursor() as cursor:
        cursor.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        cursor.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))


def _migrate(env: dict[str, str], home: Path) -> None:
    env = {**env, "STEWARD_HOME": str(home), "DJANGO_SETTINGS_MODULE": "mlops_site.settings"}
    command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    _run(command, env, "migrating the template")


def _run(command: list[str], env: dict[str, str], what: str) -> None:
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{what} failed with status {done.returncode}:\n{done.stderr[-3000:]}")


def _shared() -> Path:
    """A folder of this test run, for all its processes."""
    folder = Path(os.environ["STEWARD_TEST_HOME"]) / "template"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    with (_shared() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    import tests.settings  # noqa: F401  (it names the databases of this environment)

    prepare()
