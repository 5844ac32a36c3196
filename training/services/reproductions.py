"""Asking for a run to be done again, and what around the fits is not what it was."""

from __future__ import annotations

from typing import Any

from mlops_site.core import events, jobs, store
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Action, Actor, person, require
from training.models import Reproduction, Run
from training.selectors.keeping import gone, lost
from training.services import origin

OPEN = (JobState.QUEUED, JobState.RUNNING)


def request_reproduction(run: Run, *, actor: Actor) -> Reproduction:
    """The run, queued to be done again; the caller rings the bell. One that is under way is answered, not doubled.

    Raises Forbidden; Conflict `run_not_succeeded`, and `data_gone` where the bytes of its data set are no longer kept.
    """
    with events.atomic():
        require(actor, Action.RUN_REQUEST, run.model.team, subject=run.subject)
        Run.objects.select_for_update().only("pk").get(pk=run.pk)  # two who ask at once get the same one
        under_way = run.reproductions.filter(state__in=OPEN).first()
        if under_way is not None:
            return under_way
        _check(run)
        made = Reproduction.objects.create(
            run=run,
            queue=run.queue,
            requested_by=person(actor),
            memory_limit_mb=run.memory_limit_mb,
            time_limit_secs=run.time_limit_secs,
            step="waiting for a worker",
        )
        said = {"run": str(run.pk), "data_digest": run.dataset.digest}
        events.record("reproduction.requested", actor=actor, subject=made.subject, team=run.team_name, data=said)
    return made


def cancel_reproduction(reproduction: Reproduction, *, actor: Actor) -> Reproduction:
    """Ask it to stop; asking again changes nothing. Conflict `already_ended` when it has ended otherwise."""
    with events.atomic():
        require(actor, Action.RUN_REQUEST, reproduction.model.team, subject=reproduction.subject)
        jobs.cancel(reproduction, actor=actor, team=reproduction.team_name)
    return reproduction


def _check(run: Run) -> None:
    if run.state != JobState.SUCCEEDED:
        message = f"run must have succeeded to be reproduced but {run.pk} is {run.state}; start a new one instead"
        raise Conflict.on("run", message, code="run_not_succeeded")
    if why := gone(run.dataset):
        raise Conflict.on("dataset", f"{run.dataset} cannot be trained on again: {why}", code="data_gone")
    if not store.exists(run.dataset.digest):
        raise Conflict.on("dataset", lost(run.dataset), code="data_gone")


def surroundings(run: Run) -> list[dict[str, Any]]:
    """What is not as the run was made with: {"what", "was", "now", "message"}; empty if nothing that is known."""
    now = origin.made_with()
    return [*_code(run, now), *_lock(run, now), *_packages(run, now["packages"]), *_history(run)]


def _code(run: Run, now: dict[str, Any]) -> list[dict[str, Any]]:
    if origin.UNKNOWN in (run.code, now["code"]):
        said = "whether the code is the same is not known: one of the two ran outside git"
        return [_differs("code", run.code, now["code"], said)]
    if run.code != now["code"]:
        return [_differs("code", run.code, now["code"], "the code is of another commit, or one of the two had changes")]
    if run.diff_digest != now["diff_digest"]:
        said = "the tree differs from the commit in another way"
        return [_differs("diff", run.diff_digest, now["diff_digest"], said)]
    return []


def _lock(run: Run, now: dict[str, Any]) -> list[dict[str, Any]]:
    if run.lock_digest == now["lock_digest"]:
        return []
    return [_differs("lock", run.lock_digest, now["lock_digest"], "requirements.lock is another one")]


def _packages(run: Run, now: dict[str, str]) -> list[dict[str, Any]]:
    """A run from before versions were kept says nothing of them."""
    was = run.packages
    names = sorted({*was, *now}) if was else []
    pairs = [(name, was.get(name, ""), now.get(name, "")) for name in names]
    return [
        _differs(name, before, after, f"{name} was {before or 'not installed'} and is {after or 'not installed'}")
        for name, before, after in pairs
        if before != after
    ]


def _history(run: Run) -> list[dict[str, Any]]:
    """What a search that was interrupted or shared proposed next, hangs on when that was; and whose answers were
    kept."""
    found = []
    if (workers := run.spec.get("workers", 1)) > 1:
        said = f"{workers} workers shared the trials: what was tried next hung on who ended first"
        found.append(_differs("workers", str(workers), "1", said))
    if run.attempt > 1:
        said = f"the run took {run.attempt} attempts; its search was resumed"
        found.append(_differs("attempts", str(run.attempt), "1", said))
    kept_of = "" if run.version is None else run.version.lineage.get("run", "")
    if kept_of and kept_of != str(run.pk):
        said = f"metrics and predictions are those of run {kept_of}, which registered the same content first"
        found.append(_differs("version", kept_of, str(run.pk), said))
    return found


def _differs(what: str, was: str, now: str, message: str) -> dict[str, Any]:
    return {"what": what, "was": was, "now": now, "message": message}
