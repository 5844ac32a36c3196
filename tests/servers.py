"""Private PostgreSQL, Redis and S3 servers for one test run.

Nothing is shared with servers that may already run here: each has a port, a folder and a password of its own.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import psycopg2
import redis as redis_client

from tests import template
from tests.processes import Process, free_port, listens, start_process
from tests.programs import program

PORT_TRIES = 5


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[str]:
    """A fresh PostgreSQL; yields `postgresql://...` of a superuser. Unless it is `durable`, fsync is off."""
    with restartable_postgres(durable=durable) as server:
        yield server.url


class Database(NamedTuple):
    """A PostgreSQL server; `restart(secs)` ends its connections and brings it back after so long, `crash(secs)` ends it
    as a crash would (an immediate shutdown), so that it recovers from its log."""

    url: str
    restart: Callable[[float], None]
    crash: Callable[[float], None]


@contextmanager
def restartable_postgres(*, durable: bool = False) -> Iterator[Database]:
    """A fresh PostgreSQL that can be taken away for a while; see `postgres`."""
    binaries = program("initdb", package="postgresql").resolve().parent
    owner = _unprivileged_user()
    password = secrets.token_hex(16)
    with _folder("steward-pg-", owner) as folder:
        _initdb(binaries / "initdb", folder, owner, password)

        def start(port: int) -> Process:
            return start_process(
                [binaries / "postgres", "-D", folder / "data", *_postgres_options(port, folder, durable)],
                log=folder / "log",
                cwd=folder,
                user=owner,
                ready=lambda: _answers_sql(f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"),
            )

        process, port = _on_a_free_port(start)
        runs = [process]

        def again(first: signal.Signals, down_secs: float) -> None:
            runs.pop().stop(first=first)
            time.sleep(down_secs)
            runs.append(start(port))

        restart = partial(again, signal.SIGINT)  # a fast shutdown: it waits for nobody
        crash = partial(again, signal.SIGQUIT)

        try:
            yield Database(f"postgresql://postgres:{password}@127.0.0.1:{port}/steward", restart, crash)
        finally:
            # SIGTERM would wait for clients that a failed test left; SIGKILL would leak shared memory.
            for process in runs:
                process.stop(first=signal.SIGQUIT)


def _initdb(initdb: Path, folder: Path, owner: str | None, password: str) -> None:
    secret = folder / "password"
    secret.write_text(password)
    who = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={secret}"]
    done = subprocess.run(
        [initdb, "-D", folder / "data", *who, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
        cwd=folder,
        user=owner,
        group=owner,
        extra_groups=[] if owner else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"initdb failed with status {done.returncode}:\n{done.stderr}")


def _postgres_options(port: int, folder: Path, durable: bool) -> list[str]:
    kept = "on" if durable else "off"
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        "fsync": kept,
        "synchronous_commit": kept,
        "full_page_writes": kept,
        "max_connections": 200,
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _answers_sql(url: str) -> bool:
    try:
        psycopg2.connect(url, connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True


@contextmanager
def redis() -> Iterator[str]:
    """A fresh Redis that keeps nothing on disk; yields `redis://...` of its database 0 (of 64)."""
    binary = program("redis-server", package="redis-server")
    password = secrets.token_hex(16)
    with _folder("steward-redis-", None) as folder:

        def start(port: int) -> Process:
            client = redis_client.Redis(port=port, password=password, socket_timeout=2)
            conf = folder / "redis.conf"
            conf.write_text(
                f'port {port}\nbind 127.0.0.1\nrequirepass {password}\nsave ""\nappendonly no\n'
                f"databases 64\ndir {folder}\n"
            )
            return start_process([binary, conf], log=folder / "log", cwd=folder, ready=lambda: _answers_ping(client))

        process, port = _on_a_free_port(start)
        with process:
            yield f"redis://:{password}@127.0.0.1:{port}/0"


def _answers_ping(client: redis_client.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis_client.RedisError:
        return False
    finally:
        client.close()


class ObjectStore(NamedTuple):
    """An S3-speaking server in a process of its own; what it holds is gone when it ends."""

    url: str
    process: Process

    def hang(self) -> None:
        """Answer nothing more, and forget nothing."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        os.killpg(self.process.pid, signal.SIGCONT)


@contextmanager
def s3() -> Iterator[ObjectStore]:
    """A fresh, empty server that takes any key."""
    with _folder("steward-s3-", None) as folder:

        def start(port: int) -> Process:
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
            return start_process(command, log=folder / "log", cwd=folder, ready=lambda: listens(port))

        process, port = _on_a_free_port(start)
        with process:
            yield ObjectStore(f"http://127.0.0.1:{port}", process)


@contextmanager
def mlflow(folder: Path, *, port: int | None = None) -> Iterator[str]:
    """A real MLflow server that keeps everything in the folder; yields `http://127.0.0.1:...`."""
    if not (folder / template.MLFLOW_FILE).exists():
        template.put_mlflow(folder)
    binary = Path(sys.executable).parent / "mlflow"
    options = ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.sqlite3'}"]
    places = ["--artifacts-destination", str(folder / "artifacts"), "--allowed-hosts", "127.0.0.1:*"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

    def start(port: int) -> Process:
        command: list[str | Path] = [binary, "server", "--host", "127.0.0.1", "--port", str(port), *options, *places]
        return start_process(command, log=folder / "log", env=quiet, ready=lambda: _answers_http(port), within_secs=180)

    process, at = (start(port), port) if port else _on_a_free_port(start)
    with process:
        yield f"http://127.0.0.1:{at}"


def _answers_http(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _on_a_free_port(start: Callable[[int], Process]) -> tuple[Process, int]:
    """Start on a port that looked free; take another one when somebody was quicker."""
    for _ in range(PORT_TRIES - 1):
        port = free_port()
        try:
            return start(port), port
        except RuntimeError as error:
            if "Address already in use" not in str(error):
                raise
    port = free_port()
    return start(port), port


@contextmanager
def _folder(prefix: str, owner: str | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        if owner:
            shutil.chown(folder, owner)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged_user() -> str | None:
    """Whom PostgreSQL must run as when we are root (it refuses root itself); None: as ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
