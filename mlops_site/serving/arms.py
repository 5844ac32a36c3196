"""Who answers under an experiment. Whatever becomes of it, somebody answers: A stands in for what B fails on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from abtesting.choices import Design
from abtesting.selectors.routing import Routing, routing
from abtesting.stats.assignment import assign
from mlops_site.serving.choosing import Chosen
from mlops_site.serving.completing import complete, restore
from mlops_site.serving.reasons import explain
from mlops_site.serving.scoring import fill, score
from monitoring.models import Prediction
from monitoring.services import Draft
from registry.selectors.served import Said, Served

log = logging.getLogger(__name__)
B = "b"
ARM_FAILED = "arm_failed"  # of an answer that A gave because B could not
RETRY_SECS = 60.0  # after which a version that could not be loaded is tried again: claims do not wait for each try

_unloadable: dict[int, tuple[float, Exception]] = {}  # version -> until when, and why
_told: set[int] = set()  # epochs of which it was said that B fails


def forget() -> None:
    """As a process that has just begun."""
    _unloadable.clear()
    _told.clear()


def deal(rows: Sequence[Prediction], chosen: Chosen) -> Routing | None:
    """Give each row its arm and epoch, and say how they go; None where the claim meets no experiment."""
    if chosen.epoch is None:
        return None
    try:
        route = routing(chosen.epoch)
    except ValueError:  # a split that nobody can deal by
        log.exception("the units of epoch %s cannot be dealt; it is passed over", chosen.epoch)
        return None
    is_shadow = route.design == Design.SHADOW
    for row in rows:
        arm = assign(route.split, row.unit_id or row.request_id)
        row.arm = "a" if is_shadow and arm == B else arm
        row.epoch = None if arm == "holdout" or (is_shadow and arm == "a") else route.epoch
    return route


def answer(
    drafts: Sequence[Draft],
    chosen: Chosen,
    route: Routing | None,
    positions: Sequence[int],
    *,
    is_batch: bool,
    reasons: int,
) -> dict[str, float]:
    """Fill in what each row's version says, with its explanation where `reasons` are asked for. Returns the request
    ids of rows that did not have to wait for all of it, with the seconds that the other arm took. Invalid names each
    field by its position in the whole request: what B cannot read, A is asked about."""
    share = 1 / len(drafts)
    started = time.perf_counter()
    fault = _by_b([draft.row for draft in drafts], chosen, route, share if reasons else 0.0) if route else None
    between = time.perf_counter()
    left = [at for at, draft in enumerate(drafts) if draft.row.version_id == chosen.version.version_id]
    if left:
        score([drafts[at] for at in left], chosen.version, [positions[at] for at in left], is_batch=is_batch)
        if reasons:
            explain([drafts[at].row for at in left], chosen.version.version_id, share)
    if route and fault:
        _tell(route, fault)
    if route is None or not 0 < len(left) < len(drafts):
        return {}
    by_b, by_a = between - started, time.perf_counter() - between
    rows = [draft.row for draft in drafts if not draft.row.error_code]
    return {row.request_id: by_a if row.version_id == route.b.version_id else by_b for row in rows}


def _by_b(rows: Sequence[Prediction], chosen: Chosen, route: Routing, share: float) -> Exception | None:
    """Let B answer the rows of its arm. What it fails on is marked and left to A; returns what was wrong, if
    something was."""
    asked = [row for row in rows if row.arm == B]
    fault = None
    for row, said in zip(asked, _said_by_b(asked, route.b), strict=True):
        if isinstance(said, Exception):
            row.error_code, fault = ARM_FAILED, fault or said
            restore(row)
        else:
            row.version_id = route.b.version_id
            fill(row, said)
    answered = [row for row in asked if not row.error_code]
    if share and answered:
        try:
            explain(answered, route.b.version_id, share)
        except Exception as error:
            fault = error
            for row in answered:
                row.error_code, row.version_id = ARM_FAILED, chosen.version.version_id
                restore(row)
    return fault


def _said_by_b(rows: Sequence[Prediction], b: Served) -> Sequence[Said | Exception]:
    if not rows:
        return []
    until, error = _unloadable.get(b.version_id, (0.0, None))
    if error is not None and until > time.monotonic():
        return [error] * len(rows)
    try:
        with b.scorer() as scorer:
            complete(rows, b.version_id, scorer.signature.names)
            said = b.try_each(scorer, [row.features for row in rows])
    except Exception as found:
        _unloadable[b.version_id] = time.monotonic() + RETRY_SECS, found.with_traceback(None)
        return [found] * len(rows)
    _unloadable.pop(b.version_id, None)
    return said


def _tell(route: Routing, fault: Exception) -> None:
    """To operators, once an epoch in each process."""
    if route.epoch not in _told:
        _told.add(route.epoch)
        message = "B of experiment %r (%s) fails, A answers for it: %s"
        log.error(message, route.name, route.b.number, fault, exc_info=fault)
