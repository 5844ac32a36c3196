"""Where MLflow is, and how it is spoken to. Only processes that wait for nobody open it: the import takes seconds, and
what it is asked may take longer than a request may."""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUN_TAG, TYPE_TAG = "steward.run", "steward.model_type"

# MLflow's own defaults would wait for a server that is down for longer than most runs take.
_PATIENCE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def opened() -> MlflowClient:
    """A client that has had an answer; raises whatever MLflow, its server or its database raise."""
    os.environ.update(_PATIENCE)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    uri = address()
    if uri.startswith("sqlite:///"):
        _make_once(Path(uri.removeprefix("sqlite:///")))
    client = MlflowClient(tracking_uri=uri)
    ping(client)
    return client


def _make_once(file: Path) -> None:
    """MLflow makes its tables wherever it finds none, step by step: two processes at once disturb each other, and one
    that is killed on the way leaves a database that never opens again. So one makes it, beside its place."""
    if file.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    file.parent.mkdir(parents=True, exist_ok=True)
    with _alone(file.with_name(f"{file.name}.lock")):
        if file.exists():  # somebody else was quicker
            return
        beside = file.with_name(f"{file.name}.new")
        beside.unlink(missing_ok=True)
        made: Any = SqlAlchemyStore(f"sqlite:///{beside}", _artifacts())  # type: ignore[no-untyped-call]
        made.engine.dispose()
        beside.replace(file)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Nobody else on this machine holds the file; a process that dies lets go of it."""
    with file.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def ping(client: MlflowClient) -> None:
    client.search_experiments(max_results=1)


def address() -> str:
    """As the client takes it: SQLAlchemy would take psycopg 3 by itself."""
    uri = str(settings.MLFLOW_TRACKING_URI)
    scheme, found, rest = uri.partition("://")
    return f"postgresql+psycopg2://{rest}" if found and scheme in ("postgres", "postgresql") else uri


def page(path: str) -> str:
    """Where a person reads it, without the password that we log in with; nothing for a plain database."""
    found = urlsplit(settings.MLFLOW_TRACKING_URI.rstrip("/"))
    if not found.scheme.startswith("http"):
        return ""
    public = found._replace(netloc=found.netloc.rpartition("@")[2]).geturl()
    return f"{public}/#/{path}"


def run_page(experiment: str, run_id: str) -> str:
    return page(f"experiments/{experiment}/runs/{run_id}")


def told(error: Exception) -> str:
    """What went wrong, in a line and without a password."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return re.sub(r"//[^/@\s]+@", "//", said)[:300]


def experiment(client: MlflowClient, name: str) -> str:
    """The id of the model's experiment, made if there is none."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=_artifacts()))
        except MlflowException:  # somebody else was quicker
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _artifacts() -> str | None:
    """A server keeps artifacts where its operator says; without one we say it."""
    if settings.MLFLOW_TRACKING_URI.startswith("http"):
        return None
    place = str(settings.MLFLOW_ARTIFACTS)
    return place if "://" in place else Path(place).as_uri()


def run(
    client: MlflowClient, experiment_id: str, key: dict[str, str], tags: dict[str, str], *, began: int | None = None
) -> Any:
    """The MLflow run with these tags, made if there is none: as begun now, or at `began`, milliseconds since 1970."""
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in key.items())
    found = client.search_runs([experiment_id], filter_string=wanted, max_results=1)
    return found[0] if found else client.create_run(experiment_id, start_time=began, tags={**tags, **key})


def key_of_run(run_id: UUID | str) -> dict[str, str]:
    """The tags by which the record of a whole training run is found, whoever is the first to make it."""
    return {RUN_TAG: str(run_id), TYPE_TAG: "all"}
