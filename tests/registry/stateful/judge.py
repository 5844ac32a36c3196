"""Reads what the database holds and judges it: is every row, and every change of a row, one that the law allows?

Independent of services, triggers and of `law`: from the rows alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tests.registry.stateful.law import MOVES, QUORUM
from tests.registry.stateful.rows import Interval, Request, Review, Rows

SWAPS = {
    ("production", "archived", "replaced"),
    ("production", "staging", "withdrawn"),
    ("production", "archived", "retired"),
    ("archived", "production", "rolled_back"),
}


def faults(before: Rows, after: Rows) -> list[str]:
    """Every way in which `after` could not have come lawfully of `before` by one statement or one service."""
    return [*_changes(before, after), *_counts(after), *_new_rows(before, after)]


def history_faults(rows: Rows) -> Iterator[str]:
    """Stages meet end to end; so do the versions in production until one is retired. Services leave no gap; bare SQL
    may."""
    retired = {interval.started_at for interval in rows.intervals.values() if interval.cause == "retired"}
    lives: dict[object, list[Interval]] = {}
    for interval in rows.intervals.values():
        lives.setdefault(interval.version_id, []).append(interval)
        if interval.stage == "production":
            lives.setdefault("production", []).append(interval)
    for whose, life in lives.items():
        for one, next_ in itertools.pairwise(life):
            if one.ended_at != next_.started_at and not (whose == "production" and one.ended_at in retired):
                yield f"{whose}: {one.stage} ends at {one.ended_at}, {next_.stage} begins at {next_.started_at}"
        if life[-1].ended_at is not None and not (whose == "production" and life[-1].ended_at in retired):
            yield f"{whose}: nothing is open"
    yield from (f"version {pk} has no stage" for pk in rows.versions if pk not in lives)


def _changes(before: Rows, after: Rows) -> Iterator[str]:
    for name in ("versions", "intervals", "requests", "reviews", "policies"):
        for pk, row in getattr(before, name).items():
            now = getattr(after, name).get(pk)
            if now is None:
                yield f"{name} {pk} is gone"
            elif now != row and not _may_become(row, now, after):
                yield f"{name} {pk} changed from {row} to {now}"
    if before.tier != after.tier and "pending" in {request.status for request in before.requests.values()}:
        yield f"the tier changed from {before.tier} to {after.tier} while a request was pending"


def _may_become(row: object, now: object, after: Rows) -> bool:
    if isinstance(row, Interval) and isinstance(now, Interval):
        return row.ended_at is None and now == row._replace(ended_at=now.ended_at)
    if isinstance(row, Review) and isinstance(now, Review):
        return row.voided_at is None and now == row._replace(voided_at=now.voided_at)
    if isinstance(row, Request) and isinstance(now, Request):
        if now != row._replace(status=now.status):
            return False
        if now.status == "approved":
            return row.status == "pending" and not _is_late(row) and _has_quorum(_key(after.requests, now), after)
        return row.status == "pending" or (row.status, now.status) == ("approved", "void")
    return False


def _key(requests: dict[int, Request], wanted: Request) -> int:
    return next(pk for pk, request in requests.items() if request is wanted)


def _counts(rows: Rows) -> Iterator[str]:
    open_ = [interval for interval in rows.intervals.values() if interval.ended_at is None]
    if len({interval.version_id for interval in open_}) != len(open_):
        yield "a version has two open intervals"
    if sum(interval.stage == "production" for interval in open_) > 1:
        yield "two versions are in production"
    pending = [request.version_id for request in rows.requests.values() if request.status == "pending"]
    if len(set(pending)) != len(pending):
        yield "a version has two pending requests"
    for name, field in (("number", "number"), ("content", "content_digest")):
        if len({getattr(version, field) for version in rows.versions.values()}) != len(rows.versions):
            yield f"two versions have one {name}"


def _is_late(request: Request) -> bool:
    return request.expires_at <= request.created_at


def _new_rows(before: Rows, after: Rows) -> Iterator[str]:
    if before.archived and (new := after.versions.keys() - before.versions.keys()):
        yield f"versions {new} of an archived model"
    for pk in after.requests.keys() - before.requests.keys():
        if why := "its model is archived" if before.archived else _request_fault(after.requests[pk], after):
            yield f"request {pk}: {why}"
    for pk in after.reviews.keys() - before.reviews.keys():
        if why := _review_fault(pk, after):
            yield f"review {pk}: {why}"
    for pk in sorted(after.intervals.keys() - before.intervals.keys()):
        if before.archived and after.archived and after.intervals[pk].stage != "archived":
            yield f"interval {pk}: its model is archived"
        if why := _interval_fault(pk, after):
            yield f"interval {pk}: {why}"


def _request_fault(request: Request, rows: Rows) -> str:
    version = rows.versions[request.version_id]
    if request.status != "pending":
        return f"it began as {request.status}"
    if (request.author_id, request.trainer_id) != (version.created_by_id, version.trained_by_id):
        return "it names another author or trainer"
    return "" if request.artifact_digest == version.artifact_id else "it names another artifact"


def _review_fault(pk: int, rows: Rows) -> str:
    review = rows.reviews[pk]
    request = rows.requests[review.request_id]
    copied = ("requester_id", "author_id", "trainer_id", "evidence_digest", "artifact_digest")
    if any(getattr(review, name) != getattr(request, name) for name in copied) or review.risk_tier != rows.tier:
        return "its copies are not true"
    if review.reviewer_id in _own(request, rows.tier):
        return "its reviewer brought the request about"
    if rows.roles.get(review.reviewer_id) != review.role:
        return f"its reviewer is no {review.role}"
    if review.reports_seen != rows.reports[request.version_id] or _is_late(request):
        return "it has not seen every report, or comes too late"
    same = [other for other in rows.reviews.values() if other[:2] == review[:2] and other.voided_at is None]
    return "a person reviewed twice" if len(same) > 1 else ""


def _own(request: Request, tier: str) -> set[int]:
    return {request.requester_id} | (set() if tier == "low" else {request.author_id, request.trainer_id})


def _has_quorum(request_id: int, rows: Rows) -> bool:
    request = rows.requests[request_id]
    reviews = [review for review in rows.reviews.values() if review.request_id == request_id]
    roles = {
        review.role
        for review in reviews
        if review.decision.startswith("approve")
        and review.voided_at is None
        and review.reports_seen == rows.reports[request.version_id]
        and rows.roles.get(review.reviewer_id) == review.role
        and review.reviewer_id not in _own(request, rows.tier)
        and (review.evidence_digest, review.artifact_digest) == (request.evidence, request.artifact_digest)
    }
    return roles >= QUORUM[rows.tier] and all(review.decision.startswith("approve") for review in reviews)


def _interval_fault(pk: int, rows: Rows) -> str:
    new = rows.intervals[pk]
    earlier = [(key, row) for key, row in rows.intervals.items() if key < pk and row.version_id == new.version_id]
    last = earlier[-1][1].stage if earlier else "none"
    moves = {"none": {"development"}, **MOVES, "staging": MOVES["staging"] | {"production"}}
    if new.stage not in moves.get(last, set()) and (last, new.stage, new.cause) not in SWAPS:
        return f"{new.stage} by {new.cause} follows {last}"
    if new.cause == "retired" and rows.roles.get(new.by_id or 0) != "approver":
        return "nobody who may took it out of production"
    rivals = [row for key, row in rows.intervals.items() if key < pk and _meet(row, new)]
    if rivals:
        return "it overlaps another"
    return "" if new.stage != "production" or _is_lawful(pk, new, earlier, rows) else f"production by {new.cause}"


def _meet(row: Interval, new: Interval) -> bool:
    both_serve = row.stage == new.stage == "production"
    overlaps = row.ended_at is None or row.ended_at > new.started_at
    return overlaps and (row.version_id == new.version_id or both_serve)


def _is_lawful(pk: int, new: Interval, earlier: list[tuple[int, Interval]], rows: Rows) -> bool:
    if new.cause == "approved":
        return _is_approved(pk, new, rows)
    if new.cause == "policy":
        return _is_by_policy(new, rows)
    served = [key for key, row in earlier if row.stage == "production" and row.ended_at is not None]
    withdrawn = [key for key, row in earlier if row.cause == "withdrawn"]
    may = new.by_id is not None and rows.roles.get(new.by_id) == "approver"
    return new.cause == "rolled_back" and may and any(all(out < key for out in withdrawn) for key in served)


def _is_approved(pk: int, new: Interval, rows: Rows) -> bool:
    request = rows.requests.get(new.request_id or 0)
    if request is None or request.version_id != new.version_id or request.status != "approved":
        return False
    is_used = any(row.request_id == new.request_id for key, row in rows.intervals.items() if key != pk)
    same = request.artifact_digest == rows.versions[new.version_id].artifact_id
    return same and not is_used and _has_quorum(new.request_id or 0, rows)


def _is_by_policy(new: Interval, rows: Rows) -> bool:
    reach, set_by = rows.policies.get(new.policy_id or 0, ("", 0))
    version = rows.versions[new.version_id]
    own = set() if rows.tier == "low" else {version.created_by_id, version.trained_by_id}
    in_force = new.policy_id == max(rows.policies)
    by_right = rows.roles.get(set_by) == "approver" and set_by not in own
    return reach == "production" and rows.tier != "high" and in_force and by_right
