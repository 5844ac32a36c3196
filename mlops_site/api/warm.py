"""What this web process will be asked soon, loaded before it is asked.

Which version answers is read at each request (docs/adr/0013), so a promotion holds everywhere from its answer on; this
is only about who waits for the load. The notice is in the database already: a request for promotion is filed before it
is decided, and a rollback goes to a version that served before. A thread of each process looks for both, away from any
request.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import close_old_connections
from django.db.models import QuerySet
from django.utils import timezone

from abtesting.choices import Design, Status
from abtesting.models import Experiment
from mlops_site.core.prepared import Prepared, PreparedObjects
from registry.artifacts import scorer
from registry.choices import RequestStatus, Stage
from registry.models import PromotionRequest, StageInterval, Version

log = logging.getLogger(__name__)
EVERY_SECS = 1.0
RECENT = timedelta(minutes=10)  # what went into production without a request: by policy, or back
MOST = 20  # versions at a look; each may be large

_broken: set[int] = set()  # versions that could not be loaded: said once


def start() -> None:
    """Begin to look, in a thread that ends with the process."""
    threading.Thread(target=_watch, daemon=True, name="warm").start()


def _watch() -> None:
    while True:
        try:
            close_old_connections()
            look()
        except Exception:  # a database that restarts must not end the thread
            log.warning("looking ahead failed", exc_info=True)
        time.sleep(EVERY_SECS)


def look() -> list[Version]:
    """Load what is likely to be asked and is not here yet; those that were loaded. Its statements are prepared: whoever
    is asking while it looks waits for it."""
    here = {key for key in scorer.loaded() if isinstance(key, int)}
    coming = [*_requested(RequestStatus.PENDING), *_challenging(Status.RUNNING, Design.SHADOW)]
    asked, begun = _asked(Stage.PRODUCTION, list(here)), _begun(Stage.PRODUCTION, timezone.now() - RECENT)
    wanted = dict.fromkeys([*(pk for (pk,) in coming), *_two_of_each(asked), *_two_of_each(begun)])
    if not (missing := [pk for pk in wanted if pk not in here | _broken][:MOST]):
        return []
    rows = Version.objects.filter(pk__in=missing).select_related("artifact", "serving", "model").defer("reference")
    return [version for version in rows if _loaded(version)]


@Prepared
def _requested(status: str) -> QuerySet[PromotionRequest, tuple[Any, ...]]:
    pending = PromotionRequest.objects.filter(status=status).order_by("-pk")
    return pending.values_list("version_id")[:MOST]


@Prepared
def _challenging(status: str, shadow: str) -> QuerySet[Experiment, tuple[Any, ...]]:
    """What answers claims as B. A shadow test's B is scored by workers, not here."""
    running = Experiment.objects.filter(status=status).exclude(design=shadow)
    return running.order_by("-pk").values_list("version_b_id")[:MOST]


@PreparedObjects
def _asked(stage: str, here: list[int]) -> QuerySet[StageInterval, Any]:
    """What serves, and what served before it, of the models that are asked here."""
    asked = Version.objects.filter(pk__among=here).values("model")
    rows = StageInterval.objects.filter(stage=stage).filter(model__in=asked).order_by("-started_at")
    return rows.values_list("model_id", "version_id")[: 10 * MOST]


@Prepared
def _begun(stage: str, since: datetime) -> QuerySet[StageInterval, tuple[Any, ...]]:
    """What has just begun to serve."""
    rows = StageInterval.objects.filter(stage=stage).filter(started_at__gt=since).order_by("-started_at")
    return rows.values_list("model_id", "version_id")[: 10 * MOST]


def _two_of_each(rows: Iterable[tuple[int, int]]) -> list[int]:
    """The two newest versions of each model, of rows with the newest first."""
    newest: dict[int, list[int]] = {}
    for model, version in rows:
        found = newest.setdefault(model, [])
        if len(found) < 2 and version not in found:
            found.append(version)
    return [version for versions in newest.values() for version in versions]


def _loaded(version: Version) -> bool:
    try:
        scorer.keep_ready(version, key=version.pk)
    except Exception:
        _broken.add(version.pk)
        log.warning("%s cannot be loaded ahead", version, exc_info=True)
        return False
    return True
