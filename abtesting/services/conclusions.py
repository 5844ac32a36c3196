"""The end with a verdict: everything known is counted, judged once, frozen, and carried to those who approve."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection

from abtesting.choices import Ending, Status, Verdict
from abtesting.models import Epoch, Experiment
from abtesting.selectors import as_json, results
from abtesting.services.endings import close
from abtesting.services.experiments import check_may, check_running_still, held
from mlops_site.core import events
from mlops_site.core.errors import Conflict, StewardError
from mlops_site.core.permissions import Action, Actor, require
from monitoring.services import settle
from registry.choices import Stage
from registry.services.approvals import file_request, pending
from registry.services.evidence import gather
from registry.services.guards import locked, plain_json, reason_given
from registry.services.intervals import check_move

CONCLUDED = "experiment.concluded"
EVIDENCE = "experiment"  # the section of the evidence that holds the frozen result
SETTLE_SECS = 20.0
RETRY_SECS = 30


class _EvidenceWanted(Exception):
    """B ships, and what its request must show is gathered outside the locks, because that takes seconds."""


def conclude_experiment(experiment: Experiment, *, actor: Actor, reason: str) -> Experiment:
    """Judge what is known now, freeze it, and file the promotion request if B ships; a second call returns the frozen
    one. If no request can be filed, the result says why.

    Conflict `not_counted_yet` where what was logged before is not counted within the time, with advice when to try
    again; `experiment_ended` for one that was stopped.
    """
    why = reason_given(reason)
    with events.atomic():
        check_may(actor, experiment)
    row = Experiment.objects.select_related("model__team").get(pk=experiment.pk)
    if row.status == Status.CONCLUDED:
        return row
    check_running_still(row)
    with _in_order(row):
        _count_known(row)
        try:
            return _concluded(row, actor, why, None)
        except _EvidenceWanted:
            return _concluded(row, actor, why, gather(row.version_b, None))


@contextmanager
def _in_order(experiment: Experiment) -> Iterator[None]:
    """In a caller's transaction the locks of folding last until its end: the model's, which stands before them in the
    order of ADR 17, is taken first."""
    if not connection.in_atomic_block:
        yield
        return
    with locked(experiment.model):
        yield


def _count_known(experiment: Experiment) -> None:
    """What was committed of the model before, into the sums; Conflict `not_counted_yet`."""
    if left := settle(experiment.model, within_secs=SETTLE_SECS):
        message = f"{left:,} answers and labels are not counted yet; conclude again in {RETRY_SECS} seconds"
        raise Conflict(message, code="not_counted_yet", retry_after_secs=RETRY_SECS)


def _concluded(experiment: Experiment, actor: Actor, why: str, facts: dict[str, Any] | None) -> Experiment:
    """Judged and frozen under the locks; `facts` is the evidence of a promotion, if it is known to be needed."""
    with held(experiment) as row:
        check_may(actor, row)
        if row.status == Status.CONCLUDED:  # somebody was faster
            return row
        check_running_still(row)
        found = results(row)
        ships = found.verdict.verdict == Verdict.SHIP_B.value
        refused = _hindrance(row, actor) if ships else ""
        if ships and not refused and facts is None:
            raise _EvidenceWanted
        close(row, actor=actor, reason=why)
        row.status, row.ending, row.verdict = Status.CONCLUDED, Ending.CONCLUDED, found.verdict.verdict
        row.result = _result(row, as_json(found), actor, refused)
        if facts is not None and ships and not refused:
            _file(row, actor, why, facts)
        row.result_digest = events.digest_of(row.result)
        row.save()
        _say(row, actor)
    return row


def _result(row: Experiment, found: dict[str, Any], actor: Actor, refused: str) -> dict[str, Any]:
    """What is frozen: what was asked, by which splits, and what it came to."""
    about = {
        "experiment": row.pk,
        "name": row.name,
        "model": row.model.name,
        "mode": str(row.design),
        "version_a": row.version_a.number,
        "version_b": row.version_b.number,
        "hypothesis": row.hypothesis,
        "success_metrics": row.metrics,
        "margin": row.margin,
        "min_samples": row.min_samples,
        "planned_labels": row.planned_labels,
        "costs": row.costs,
        "limits": row.guardrails,
        "group_by": row.group_by,
        "follow_up_days": row.follow_up_days,
        "holdout": row.holdout,
        "salt": row.salt,
        "splits": [_split(epoch) for epoch in row.epochs.order_by("number")],
        "started_at": row.started_at.isoformat(),
        "ended_at": _written(row.ended_at),
        "concluded_by": actor.name,
        "conclusion": row.end_reason,
        "request_refused": refused,
    }
    return plain_json("result", {**found, "status": str(Status.CONCLUDED), **about})


def _split(epoch: Epoch) -> dict[str, Any]:
    times = {"started_at": _written(epoch.started_at), "ended_at": _written(epoch.ended_at)}
    return {"number": epoch.number, "share_b": epoch.share_b, "draw": epoch.draw, "reason": epoch.reason, **times}


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _hindrance(row: Experiment, actor: Actor) -> str:
    """Why no request can be filed, as far as one can say before its evidence is gathered."""
    try:
        require(actor, Action.PROMOTION_REQUEST, row.model.team, subject=row.version_b.subject)
        check_move(row.version_b, Stage.PRODUCTION)
    except StewardError as error:
        return error.detail
    waiting = pending(row.version_b)
    if waiting is None or waiting.is_expired:
        return ""
    return f"request {waiting.pk} asks for {row.version_b} already and waits for a decision"


def _file(row: Experiment, actor: Actor, why: str, facts: dict[str, Any]) -> None:
    """The promotion request with the frozen result as evidence, or in the result why there is none."""
    assert row.result is not None
    # over what receivers told of a running experiment while the facts were gathered
    shown = {**facts, EVIDENCE: {**row.result, "digest": events.digest_of(row.result)}}
    reason = f"Experiment {row.pk} ({row.name}): {row.result['reason']}. Concluded: {why}"
    try:
        with events.atomic():
            row.request = file_request(
                row.version_b, actor=actor, reason=reason[:2000], evidence=plain_json("evidence", shown)
            )
    except StewardError as error:
        row.result = {**row.result, "request_refused": error.detail}


def _say(row: Experiment, actor: Actor) -> None:
    assert row.result is not None
    data = {
        "verdict": str(row.verdict),
        "reason": row.end_reason,
        "because": row.result["reason"],
        "result": row.result_digest,
        "request": row.request_id,
        "request_refused": row.result["request_refused"],
    }
    events.record(CONCLUDED, actor=actor, subject=row.subject, team=row.model.team.name, data=data)
