"""The scorer of shadow tests: what B says of claims that A has answered.

The rows are the queue (a trigger writes them with the answer, see models.laws). A scorer claims some for a minute, in
a transaction of its own, so that nobody who answers claims waits while B scores; what it found is kept only of rows
whose attempt is still its own. So any number of scorers share the work, a row is counted once, and what a scorer that
died had claimed goes to the next one.

B is asked as `predict` would have asked it: with what the caller sent, completed from B's own feature sets as they were
known when the claim was asked about. What A's sets gave A is A's.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from abtesting.choices import ShadowState
from abtesting.models import ShadowAnswer
from abtesting.selectors.routing import Routing, routing
from abtesting.services.sums import count_scored
from mlops_site.core.errors import Invalid, Unavailable
from monitoring.models import Prediction
from registry.selectors.served import Said
from training.selectors.completing import lacking, rows_then, taken
from training.selectors.features import plan_of

log = logging.getLogger(__name__)
LIMIT = 500
LEASE = timedelta(seconds=60)
SIZES = (LIMIT, 20, 1)  # of a batch, by attempts before: a row that kills its scorer is left alone with it in the end
FAILED, ERASED = "arm_failed", "features_erased"
_FILLED = (
    "state", "prediction", "score", "probabilities", "decision", "threshold", "error_code", "latency_ms", "scored_at",
)  # fmt: skip


class Claim(NamedTuple):
    """What a caller sent of a claim, about whom, and when."""

    sent: Mapping[str, Any]
    unit_id: str
    at: datetime


def score_queued(limit: int = LIMIT, *, lease: timedelta = LEASE) -> int:
    """Score up to `limit` claims that wait, oldest first; how many were taken."""
    rows = _claimed(limit, lease)
    by_epoch: dict[int, list[ShadowAnswer]] = defaultdict(list)
    for row in rows:
        by_epoch[row.epoch_id].append(row)
    for epoch, some in by_epoch.items():
        _score(routing(epoch), some)
    return len(rows)


def score_all(*, limit: int = LIMIT, within_secs: float = 20.0) -> int:
    """Score until nothing is left that nobody else has claimed, or the time is over; how many were taken."""
    taken, deadline = 0, time.monotonic() + within_secs
    while some := score_queued(limit):
        taken += some
        if time.monotonic() > deadline:
            break
    return taken


def _claimed(limit: int, lease: timedelta) -> list[ShadowAnswer]:
    """Rows with as many attempts behind them as the oldest, taken for the time of the lease."""
    now = timezone.now()
    is_free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    waiting = ShadowAnswer.objects.filter(is_free, state=ShadowState.QUEUED).order_by("queued_at")
    if not waiting.exists():  # on SQLite the transaction below would keep everybody from writing
        return []
    with transaction.atomic():
        found = list(waiting.select_for_update(skip_locked=True)[:limit])
        before = found[0].attempts if found else 0
        size = SIZES[min(before, len(SIZES) - 1)]
        rows = [row for row in found if row.attempts == before][:size]
        claimed = ShadowAnswer.objects.filter(pk__in=[row.pk for row in rows])
        claimed.update(attempts=F("attempts") + 1, claimed_until=now + lease)
    for row in rows:
        row.attempts += 1
    return rows


def _score(route: Routing, rows: Sequence[ShadowAnswer]) -> None:
    """Rows of one epoch and one attempt: ask B, and keep what became of them. Who has no outcome waits for the next
    attempt."""
    attempt, keys = rows[0].attempts, [row.pk for row in rows]
    if attempt > len(SIZES):  # whoever scored it died, each time
        _keep(attempt, dict.fromkeys(keys, FAILED), None)
        return
    asked = _claims(keys)
    outcomes: dict[UUID, Said | str] = dict.fromkeys(keys, ERASED)
    try:
        said, ms_each = _said(route, list(asked.values()))
    except Unavailable:  # says nothing of B: the attempt does not count
        log.warning("version %s of %s cannot be read; claims wait", route.b.number, route.name, exc_info=True)
        _own(keys, attempt).update(attempts=F("attempts") - 1)
        return
    for pk, each in zip(asked, said, strict=True):
        if (outcome := _outcome(each, attempt)) is None:
            del outcomes[pk]
        else:
            outcomes[pk] = outcome
    _keep(attempt, outcomes, ms_each)


def _claims(keys: Sequence[UUID]) -> dict[UUID, Claim]:
    """Those whose features are not erased."""
    columns = ("pk", "features", "completion__features", "unit_id", "predicted_at")
    return {
        pk: Claim({name: value for name, value in features.items() if name not in (completed or ())}, unit_id, at)
        for pk, features, completed, unit_id, at in Prediction.objects.filter(pk__in=keys).values_list(*columns)
        if features
    }


def _completed(claims: Sequence[Claim], version_id: int, names: Sequence[str]) -> list[dict[str, Any]]:
    """The features that B is asked with (n). One statement where something is missing that B reads, else none."""
    plan = plan_of(version_id)
    wanted = [list(lacking(each.sent, plan, names)) if each.unit_id else [] for each in claims]
    short = [(each.unit_id, each.at) for each, lacks in zip(claims, wanted, strict=True) if lacks]
    known = rows_then([each.pk for each in plan], short)
    found = []
    for each, lacks in zip(claims, wanted, strict=True):
        latest = {planned.pk: known.get((planned.pk, (each.unit_id, each.at))) for _, planned in lacks}
        read = {name: one.row.values[name] for name, one in taken(lacks, latest, each.at).items()}
        found.append({**each.sent, **read})
    return found


def _said(route: Routing, claims: Sequence[Claim]) -> tuple[Sequence[Said | Exception], float | None]:
    """What B says of each claim, and the milliseconds that one took."""
    if not claims:
        return [], None
    try:
        with route.b.scorer() as scorer:
            started = time.perf_counter()
            rows = _completed(claims, route.b.version_id, scorer.signature.names)
            said = route.b.try_each(scorer, rows)
            ms_each = (time.perf_counter() - started) * 1000 / len(rows)
    except (Unavailable, DatabaseError):
        raise
    except Exception as error:  # it cannot be loaded
        said, ms_each = [error] * len(claims), None
    if faults := [each for each in said if isinstance(each, Exception)]:
        message = "B of experiment %r (%s) fails on %s of %s claims: %s"
        log.warning(message, route.name, route.b.number, len(faults), len(claims), faults[0], exc_info=faults[0])
    return said, ms_each


def _outcome(said: Said | Exception, attempt: int) -> Said | str | None:
    """An answer or an error code; None where another attempt may end otherwise."""
    if isinstance(said, Said):
        return said
    if isinstance(said, Invalid):
        return said.code
    return FAILED if attempt >= len(SIZES) else None


def _keep(attempt: int, outcomes: Mapping[UUID, Said | str], ms_each: float | None) -> None:
    """In the order of locks that the folder has: these rows, then what `count_scored` takes (docs/adr/0017)."""
    now = timezone.now()
    with transaction.atomic():
        rows = list(_own(list(outcomes), attempt).select_for_update().order_by("pk"))
        for row in rows:
            outcome = outcomes[row.pk]
            row.scored_at, row.latency_ms = now, ms_each
            if isinstance(outcome, str):
                row.state, row.error_code = ShadowState.FAILED, outcome
            else:
                row.state = ShadowState.SCORED
                row.prediction, row.score, row.probabilities, row.decision, row.threshold = outcome
        ShadowAnswer.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["prediction_id"], update_fields=_FILLED
        )  # one statement, where bulk_update would need one for every few rows on SQLite
        count_scored(rows)


def _own(keys: Sequence[UUID], attempt: int) -> QuerySet[ShadowAnswer]:
    """Those of the rows whose attempt is still the one that was claimed."""
    return ShadowAnswer.objects.filter(pk__in=keys, state=ShadowState.QUEUED, attempts=attempt)
