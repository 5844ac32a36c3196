"""What the notebook faces share: set-up, who acts, and a thread of their own for the database, because a notebook's
running event loop makes Django refuse synchronous calls."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from mlops_site.core.permissions import Actor

P = ParamSpec("P")
R = TypeVar("R")
OPERATOR, LOCAL_TEAM = "local-operator", "local"
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="steward-face")
_lock = threading.Lock()


def ready() -> None:
    """Set Django up for the caller, once. Importing a face calls it."""
    import django
    from django.apps import apps

    with _lock:
        if not apps.ready and not apps.loading:
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlops_site.settings")
            django.setup()


def migrate() -> None:
    """Embedded, the first face to be used makes the database; a server's is its operator's to migrate."""
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if not settings.SERVER and executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0)


def actor() -> Actor:
    """The person of STEWARD_TOKEN; embedded and without one, the local operator. Four eyes hold for both."""
    from django.conf import settings

    from mlops_site.core import teams, tokens
    from mlops_site.core.choices import Role
    from mlops_site.core.errors import Unauthenticated
    from mlops_site.core.models import User
    from mlops_site.core.permissions import Actor

    if text := os.environ.get("STEWARD_TOKEN", ""):
        return tokens.authenticate(text)[1]
    if settings.SERVER:
        raise Unauthenticated("set STEWARD_TOKEN to a token made with `manage.py create_token`")
    operator = User.objects.filter(username=OPERATOR).first()
    return Actor.of(operator or teams.create_user(OPERATOR, role=Role.ML_ENGINEER, team=LOCAL_TEAM)[0])


def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The function's answer, computed in the face's own thread when an event loop runs in this one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        migrate()
        return function(*args, **kwargs)
    return _thread.submit(lambda: _migrated(function, *args, **kwargs)).result()


async def call_async(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The same, without blocking the loop meanwhile: long work stays interruptible."""
    return await asyncio.wrap_future(_thread.submit(lambda: _migrated(function, *args, **kwargs)))


def _migrated(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    migrate()
    return function(*args, **kwargs)
