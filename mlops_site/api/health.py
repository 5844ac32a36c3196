"""/livez says that the process answers, /readyz whether each thing it depends on does. MLflow is none of them:
how far it is behind is said beside them."""

from __future__ import annotations

import logging
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import redis
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from mlops_site.core import laws
from training.selectors.mirror import lag

log = logging.getLogger(__name__)
PATIENCE_SECS = 1.0
OK = "ok"


@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "alive"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200, or 503 when a dependency is down; public, so it names states and no addresses or errors (the log does)."""
    states = {name: _state(name, look) for name, look in DEPENDENCIES.items()}
    is_ready = all(state == OK for state in states.values())
    body = {"status": "ready" if is_ready else "not ready", "dependencies": states, "behind": _behind()}
    return JsonResponse(body, status=200 if is_ready else 503)


def _state(name: str, look: Callable[[], str]) -> str:
    try:
        return look()
    except Exception:
        log.exception("%s is down", name)
        return "down"


def _behind() -> dict[str, int]:
    """Seconds that the oldest change waits for a mirror. A mirror that is down stops nothing, so it is not asked."""
    try:
        return {"mlflow": round(lag().secs)}
    except DatabaseError:  # the state of the database says so
        return {}


def database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def migrations() -> str:
    known = set(MigrationLoader(None).disk_migrations)
    left = len(known - set(MigrationRecorder(connection).applied_migrations()))
    return f"{left} not applied" if left else OK


def triggers() -> str:
    missing = laws.missing()
    return f"{len(missing)} missing" if missing else OK


def storage() -> str:
    """Write and delete a file where artifacts are kept."""
    artifacts = storages["artifacts"]
    if isinstance(artifacts, FileSystemStorage):
        place = Path(artifacts.location)
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".readyz-", dir=place):
            return OK
    name = artifacts.save(".readyz", ContentFile(b""))
    artifacts.delete(name)
    return OK


def broker() -> str:
    if settings.REDIS_URL:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=PATIENCE_SECS, socket_timeout=PATIENCE_SECS
        ) as client:
            client.ping()
    else:
        file = settings.CELERY_BROKER_URL.removeprefix("sqla+sqlite:///")
        with sqlite3.connect(file, timeout=PATIENCE_SECS) as doorbell:
            doorbell.execute("SELECT COUNT(*) FROM sqlite_master")
        doorbell.close()
    return OK


DEPENDENCIES: dict[str, Callable[[], str]] = {
    "database": database,
    "migrations": migrations,
    "triggers": triggers,
    "storage": storage,
    "broker": broker,
}
