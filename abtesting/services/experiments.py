"""Experiments: started, their split changed, stopped by a person. Lock order: model, experiment (ADR 17)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any, Unpack

from django.utils import timezone

from abtesting.choices import Design, Ending
from abtesting.models import Epoch, Experiment
from abtesting.selectors import results, running_experiment
from abtesting.services.endings import end
from abtesting.services.notices import tell_live
from abtesting.services.terms import Asked, Terms, checked, share
from mlops_site.core import events
from mlops_site.core.errors import Conflict, Invalid, StewardError
from mlops_site.core.models import User
from mlops_site.core.permissions import Action, Actor, person, require
from registry.artifacts.interface import changes
from registry.choices import Stage
from registry.models import RegisteredModel, Version
from registry.selectors import in_production, model_located, version_numbered
from registry.services.approvals import check_preflight
from registry.services.guards import check_live, locked, reason_given
from registry.services.intervals import current_stage

STARTED, SPLIT_CHANGED = "experiment.started", "experiment.split_changed"
_SALT_BYTES = 8
MOST_SPLITS = 100  # what people look at is compared split by split, at each look


def create_experiment(
    *,
    actor: Actor,
    model_name: str,
    version_a: str,
    version_b: str,
    metrics: Sequence[str],
    **given: Unpack[Terms],
) -> Experiment:
    """Start an experiment of the version in production (A) against one in staging (B). `terms.Terms` has what may be
    left out: an A/B test needs B's share as `traffic_split`.

    Invalid names the field; Conflict `model_archived`, `no_production_version`, `wrong_stage`, `experiment_running`,
    `experiment_exists`, `preflight_failed` where B cannot be loaded; Forbidden; NotFound.
    """
    model = model_located(actor, model_name)
    needed = Action.EXPERIMENT_SHADOW if given.get("design") == Design.SHADOW else Action.EXPERIMENT_LIVE
    if actor.may(needed, model.team_id):
        _prove(model, version_b)
    with locked(model) as row:
        require(actor, needed, row.team, subject=row.subject)
        check_live(row)
        a, b = _versions(row, version_a, version_b)
        asked = checked(a, metrics=metrics, given=given)
        if running := running_experiment(row):
            message = f"experiment {running.pk} ({running.name}) runs on {row} already; conclude or stop it first"
            raise Conflict(message, code="experiment_running")
        experiment = _made(row, a, b, asked, person(actor))
        _say_started(experiment, asked, actor)
        if not experiment.is_paired:
            tell_live(experiment, by=actor)
    return experiment


def change_split(
    experiment: Experiment, *, actor: Actor, traffic_split: float, reason: str, redraw: bool = False
) -> Epoch:
    """Open an epoch with another share of B. Units are drawn anew if it shrinks, or with `redraw`.

    A share that grows while a guardrail holds is refused: Conflict `guardrail_holds`; also `experiment_ended`,
    `same_split`, `too_many_splits`.
    """
    why = reason_given(reason)
    with held(experiment) as row:
        check_may(actor, row)
        check_running_still(row)
        wanted, now = share("traffic_split", traffic_split, row.design), opened(row)
        if wanted == now.share_b and not redraw:
            message = f"traffic_split is {wanted:g} already; give redraw to draw the units anew"
            raise Conflict(message, code="same_split")
        if now.number >= MOST_SPLITS:
            message = f"experiment {row.pk} has had {now.number} splits, each compared by itself; start another"
            raise Conflict(message, code="too_many_splits")
        if wanted > now.share_b and not row.is_paired:
            _check_free_to_grow(row, wanted)
        return next_epoch(row, now, wanted, actor=actor, reason=why, redraw=redraw)


def stop_experiment(experiment: Experiment, *, actor: Actor, reason: str) -> Experiment:
    """End it without a verdict: all units go back to A. Conflict `experiment_ended`."""
    why = reason_given(reason)
    with held(experiment) as row:
        check_may(actor, row)
        check_running_still(row)
        end(row, ending=Ending.STOPPED, actor=actor, reason=why)
    return row


@contextmanager
def held(experiment: Experiment) -> Iterator[Experiment]:
    """The experiment as it is now, locked after its model."""
    with locked(experiment.model) as model:
        # FOR NO KEY UPDATE: the folder holds the same against it, and rows that name the experiment are not held up
        rows = Experiment.objects.select_for_update(no_key=True, of=("self",))
        row = rows.select_related("version_a__model__team", "version_b__model__team").get(pk=experiment.pk)
        row.model = model
        yield row


def check_may(actor: Actor, experiment: Experiment) -> None:
    needed = Action.EXPERIMENT_SHADOW if experiment.is_paired else Action.EXPERIMENT_LIVE
    require(actor, needed, experiment.model.team, subject=experiment.subject)


def check_running_still(experiment: Experiment) -> None:
    if not experiment.is_running:
        ended = f"{experiment.get_status_display()} on {experiment.ended_at:%Y-%m-%d}: {experiment.end_reason[:200]}"
        raise Conflict(f"experiment {experiment.pk} is {ended}", code="experiment_ended")


def opened(experiment: Experiment) -> Epoch:
    """The split in force, under the experiment's lock."""
    return Epoch.objects.get(experiment=experiment, ended_at=None)


def next_epoch(
    experiment: Experiment, now: Epoch, share_b: float, *, actor: Actor, reason: str, redraw: bool = False
) -> Epoch:
    """Close a split and open the next at the same moment, under the experiment's lock."""
    at, split = _moment_after(now.started_at), now.split(experiment).changed(share_b, redraw=redraw)
    now.ended_at = at
    now.save(update_fields=["ended_at"])
    epoch = Epoch.objects.create(
        experiment=experiment,
        number=split.epoch,
        share_b=share_b,
        draw=split.draw,
        started_at=at,
        by=actor.user,
        reason=reason,
    )
    data = {"epoch": epoch.number, "share_b": share_b, "before": now.share_b, "drawn": epoch.draw == epoch.number}
    team = experiment.model.team.name
    events.record(SPLIT_CHANGED, actor=actor, subject=experiment.subject, team=team, data={**data, "reason": reason})
    return epoch


def _moment_after(moment: datetime) -> datetime:
    """Now; or just after, where this machine's clock is behind that of another."""
    return max(timezone.now(), moment + timedelta(microseconds=1))


def _prove(model: RegisteredModel, number: str) -> None:
    """B loads and says what it said: what was damaged since it went to staging would fail on every claim of its arm.
    Before any lock, because it takes a while; then it stays in memory, so that the first claims do not wait for it.
    What is no version to try is for `_versions` to refuse."""
    try:
        version = version_numbered(model, number)
    except StewardError:
        return
    if current_stage(version) == Stage.STAGING:
        check_preflight(version)


def _versions(model: RegisteredModel, number_a: str, number_b: str) -> tuple[Version, Version]:
    """A in production and B in staging, which callers may ask the same things."""
    serving = in_production(model)
    if serving is None:
        message = f"{model} has no version in production to compare with; promote one first"
        raise Conflict(message, code="no_production_version")
    a, b = version_numbered(model, number_a), version_numbered(model, number_b)
    if a.pk == b.pk:
        message = f"version_b must be another version than version_a but got {b.number} twice"
        raise Invalid.on("version_b", message, code="same_version")
    if a.pk != serving.pk:
        message = f"version_a must be in production but {a.number} is in {current_stage(a)}; give {serving.number}"
        raise Conflict.on("version_a", message, code="wrong_stage")
    if (stage := current_stage(b)) != Stage.STAGING:
        message = f"version_b must be in staging but {b.number} is in {stage}; {_way_to_staging(stage)}"
        raise Conflict.on("version_b", message, code="wrong_stage")
    if found := changes(a.signature, b.signature):
        said = "; ".join(map(str, found))[:1000]
        message = f"version_b must have the signature and task of version_a, but from {a.number} to {b.number} {said}"
        raise Invalid.on("version_b", message, code="different_signature")
    return a, b


def _way_to_staging(stage: str) -> str:
    return "move it to staging first" if stage == Stage.DEVELOPMENT else "give a version that is there"


def _made(model: RegisteredModel, a: Version, b: Version, asked: Asked, by: User) -> Experiment:
    columns: dict[str, Any] = {**asked, "name": _name_free(model, a, b, asked["name"])}
    first = columns.pop("share_b")
    salt = f"{model.name}-{token_hex(_SALT_BYTES)}"
    experiment = Experiment.objects.create(model=model, version_a=a, version_b=b, salt=salt, created_by=by, **columns)
    Epoch.objects.create(
        experiment=experiment, number=1, draw=1, share_b=first, started_at=experiment.started_at, by=by
    )
    return experiment


def _name_free(model: RegisteredModel, a: Version, b: Version, name: str) -> str:
    """The name given, or one that says what is compared; each once a model."""
    taken = set(Experiment.objects.filter(model=model).values_list("name", flat=True))
    if name in taken:
        message = f"name must be new but {model} had an experiment {name!r} already"
        raise Conflict.on("name", message, code="experiment_exists")
    base = f"{b.number} against {a.number}"
    others = (f"{base} ({count})" for count in range(2, len(taken) + 3))
    return name or next(each for each in (base, *others) if each not in taken)


def _say_started(experiment: Experiment, asked: Asked, actor: Actor) -> None:
    versions = {"version_a": experiment.version_a.number, "version_b": experiment.version_b.number}
    data = {**asked, **versions, "name": experiment.name, "salt": experiment.salt}
    team = experiment.model.team.name
    events.record(STARTED, actor=actor, subject=experiment.subject, team=team, data=data)


def _check_free_to_grow(experiment: Experiment, wanted: float) -> None:
    holding = next((each for each in results(experiment).guardrails if each.level in ("hold", "roll_back")), None)
    if holding is not None:
        message = f"traffic_split must not grow to {wanted:g}: guardrail {holding.name}: {holding.reason}"
        raise Conflict.on("traffic_split", message[:1000], code="guardrail_holds")
