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
from datetime import timedelta

from django.db import close_old_connections
from django.db.models import Q
from django.utils import timezone

from abtesting.choices import Design, Status
from abtesting.models import Experiment
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
    """Load what is likely to be asked and is not here yet; those that were loaded."""
    here = {key for key in scorer.loaded() if isinstance(key, int)}
    wanted = list(dict.fromkeys([*_requested(), *_challenging(), *_serving(here)]))
    missing = [pk for pk in wanted if pk not in here | _broken][:MOST]
    rows = Version.objects.filter(pk__in=missing).select_related("artifact", "serving", "model").defer("reference")
    return [version for version in rows if _loaded(version)]


def _requested() -> Iterable[int]:
    pending = PromotionRequest.objects.filter(status=RequestStatus.PENDING).order_by("-pk")
    return pending.values_list("version_id", flat=True)[:MOST]


def _challenging() -> Iterable[int]:
    """What answers claims as B. A shadow test's B is scored by workers, not here."""
    running = Experiment.objects.filter(status=Status.RUNNING).exclude(design=Design.SHADOW)
    return running.order_by("-pk").values_list("version_b_id", flat=True)[:MOST]


def _serving(here: set[int]) -> Iterable[int]:
    """What serves, and what served before it, of the models that are asked here; and what has just begun to serve."""
    asked = Q(model__in=Version.objects.filter(pk__in=here).values("model"))
    rows = StageInterval.objects.filter(stage=Stage.PRODUCTION)
    rows = rows.filter(asked | Q(started_at__gt=timezone.now() - RECENT)).order_by("-started_at")
    newest: dict[int, list[int]] = {}
    for model, version in rows.values_list("model_id", "version_id")[: 10 * MOST]:
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
