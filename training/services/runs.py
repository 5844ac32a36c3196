"""Requesting and cancelling training runs."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Coalesce, Now

from mlops_site.core import events, jobs
from mlops_site.core.choices import ENDED, Queue
from mlops_site.core.errors import Conflict, FieldError, Invalid, NotFound
from mlops_site.core.permissions import Action, Actor, person, require, visible
from registry.models import RegisteredModel
from registry.services.guards import check_live
from training import signals
from training.models import DatasetVersion, Run, Share
from training.selectors import dataset_named
from training.selectors.keeping import gone
from training.services import origin
from training.services.config import RunConfig
from training.services.quality import check_passed
from training.services.records import note_run
from training.services.spec import completed

WAITING = {Queue.CPU.value: "waiting for a worker", Queue.GPU.value: "waiting for a worker of the queue gpu"}


def request_run(
    *,
    actor: Actor,
    dataset: str,
    trigger_reason: str = "manual",
    trigger: dict[str, str] | None = None,
    **asked: Any,
) -> Run:
    """A queued run of the model that is asked for; the caller rings the bell.

    `dataset` is "name" (its newest version) or "name@version" of the model's team; `asked` are the fields of
    RunConfig; `trigger` are plain identifiers of what asked for it, kept with the run and its version. Raises NotFound
    for a model or data set that the actor cannot see, Conflict `data_blocked` for one that its quality gate holds back,
    Invalid naming every field at fault, Forbidden.
    """
    config = RunConfig(**asked)
    with events.atomic():
        model = _model(actor, config.model_name)
        require(actor, Action.RUN_REQUEST, model.team, subject=model.subject)
        check_live(model)
        version = dataset_named(actor, dataset, team=model.team)
        _check_kept(version)
        check_passed(version, actor=actor)
        spec = completed(config, model=model, version=version)
        queue = (Queue.GPU if spec.get("gpu") else Queue.CPU).value
        run = Run.objects.create(
            model=model,
            dataset=version,
            requested_by=person(actor),
            queue=queue,
            spec=spec,
            seed=config.seed,
            **origin.made_with(),
            trigger_reason=_reason(trigger_reason),
            trigger=trigger or {},
            trials_total=spec["n_trials"] * len(spec["model_types"]) * (1 + spec.get("nested_folds", 0)),
            step=WAITING[queue],
        )
        note_run(run)
        Share.objects.bulk_create(_shares(run))
        events.record("run.requested", actor=actor, subject=run.subject, team=model.team.name, data=_said(run))
        signals.run_requested.send(sender=Run, run=run)
    return run


def _check_kept(version: DatasetVersion) -> None:
    """Conflict `data_gone` where there is nothing to train on any more."""
    if why := gone(version):
        message = f"{version} cannot be trained on: {why}"
        raise Conflict(message, code="data_gone", errors=[FieldError("dataset", "data_gone", message)])


def cancel_run(run: Run, *, actor: Actor) -> Run:
    """Ask the run to stop; asking again changes nothing. Conflict `already_ended` when it has ended otherwise."""
    with events.atomic():
        require(actor, Action.RUN_REQUEST, run.model.team, subject=run.subject)
        jobs.cancel(run, actor=actor, team=run.team_name)
        run.shares.exclude(state__in=ENDED).update(cancel_requested_at=Coalesce("cancel_requested_at", Now()))
    return run


def _shares(run: Run) -> list[Share]:
    """The parts of the other workers, no more of them than there are trials."""
    others = range(2, min(run.spec.get("workers", 1), run.trials_total) + 1)
    limits = {"memory_limit_mb": run.memory_limit_mb, "time_limit_secs": run.time_limit_secs}
    return [Share(run=run, number=number, queue=run.queue, step=WAITING[run.queue], **limits) for number in others]


def _model(actor: Actor, name: object) -> RegisteredModel:
    rows = visible(actor, RegisteredModel.objects.select_related("team"))
    found = rows.filter(name=name).first() if isinstance(name, str) else None
    if found is None:
        message = f"there is no model {str(name)[:80]!r}; create it first (POST /models)"
        raise NotFound(message, code="unknown_model", errors=[FieldError("model_name", "unknown_model", message)])
    return found


def _reason(text: object) -> str:
    if not isinstance(text, str) or not 1 <= len(text.strip()) <= 200 or not text.isprintable():
        message = f"trigger_reason must be 1 to 200 printable characters but got {text!r:.80}"
        raise Invalid(message, errors=[FieldError("trigger_reason", "invalid", message)])
    return text.strip()


def _said(run: Run) -> dict[str, Any]:
    """What the audit chain keeps of a request."""
    data: DatasetVersion = run.dataset
    return {
        "model": run.model.name,
        "dataset": str(data),
        "data_digest": data.digest,
        "spec": run.spec,
        "seed": run.seed,
        "code": run.code,
        "diff_digest": run.diff_digest,
        "trigger_reason": run.trigger_reason,
        "trigger": run.trigger,
    }
