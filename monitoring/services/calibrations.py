"""The alarm budget of a model: set by a person, turned into a rule by a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from django.conf import settings
from django.utils import timezone

from mlops_site.core import events, jobs
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Action, Actor, person, require
from monitoring.models import CalibrationRun, DriftAlarm
from monitoring.selectors.alarms import alarm_of, is_due, rows_a_day, schedule_simulated, standard, traffic_seen
from monitoring.selectors.bases import basis_of
from monitoring.services.policies import checked
from monitoring.stats.alarm_budget import (
    LEAST_BUDGET,
    LEAST_SHIFT,
    MOST_BUDGET,
    MOST_SHIFT,
    Calibrated,
    calibrate,
)
from monitoring.stats.looks import Schedule
from monitoring.stats.traffic import Traffic
from registry import selectors as registry
from registry.choices import Stage
from registry.models import RegisteredModel, StageInterval, Version
from registry.services.guards import locked


def set_drift_alarm(
    model: RegisteredModel, *, actor: Actor, fields: Mapping[str, Any]
) -> tuple[DriftAlarm, CalibrationRun | None]:
    """Set the fields that are given; the others stay, or take their defaults. A budget of None brings back the standard
    rule. A rule for the version in production is simulated by the job that is returned, whose bell the caller rings;
    there is none without a budget, and none before a day of traffic: then the hourly schedule asks for it later.

    Raises Invalid naming every field at fault, Forbidden.
    """
    with locked(model) as row:
        require(actor, Action.ALARM_SET, row.team, subject=row.subject)
        changes = checked(fields, _CHECKS) | {"set_by": person(actor), "updated_at": timezone.now()}
        setting, _ = DriftAlarm.objects.update_or_create(model=row, defaults=changes)
        said = {name: getattr(setting, name) for name in _CHECKS}
        events.record("drift_alarm.set", actor=actor, subject=setting.subject, team=row.team.name, data=said)
        version = registry.in_production(row)
        run = _queued(version, actor) if version is not None and is_due(version, alarm_of(version)) else None
    return setting, run


def request_calibration(model: RegisteredModel, *, actor: Actor, version: Version | None = None) -> CalibrationRun:
    """A queued job that finds the rule of a budget anew, for one version (the one in production if left out); the
    caller rings the bell.

    Raises Forbidden; Conflict `no_budget`, `no_production_version`, `no_reference`, `already_running`, or
    `not_enough_traffic` before there is a day of it.
    """
    with locked(model) as row:
        require(actor, Action.ALARM_SET, row.team, subject=row.subject)
        chosen = version or registry.in_production(row)
        if chosen is None:
            raise Conflict(f"{row.name} has no version in production; name one", code="no_production_version")
        alarm = alarm_of(chosen)
        if alarm.budget is None:
            raise Conflict(f"{row.name} has no alarm budget; set one first", code="no_budget")
        if alarm.state == "calibrating" and alarm.calibration is not None:
            message = f"calibration {alarm.calibration.pk} of {chosen} is under way; wait for it or cancel it"
            raise Conflict(message, code="already_running")
        if basis_of(chosen).reference is None:
            message = f"{chosen} has no reference of its training data; there is nothing to simulate"
            raise Conflict(message, code="no_reference")
        if (rows := rows_a_day(chosen)) < settings.MIN_SAMPLES_FOR_MONITORING:
            least = settings.MIN_SAMPLES_FOR_MONITORING
            message = f"{chosen} needs a day of at least {least} predictions but has {rows:.0f} a day; wait for them"
            raise Conflict(message, code="not_enough_traffic")
        return _queued(chosen, actor)


def due_calibrations() -> list[CalibrationRun]:
    """Queue a calibration for every version in production whose budget waits for one; the caller rings the bells."""
    with_budget = DriftAlarm.objects.filter(false_alarms_a_month__isnull=False).values("model")
    serving = StageInterval.objects.open().filter(stage=Stage.PRODUCTION, model__in=with_budget)
    asked = []
    for interval in serving.select_related("version__model__team"):
        with locked(interval.version.model):
            if is_due(interval.version, alarm_of(interval.version)):
                asked.append(_queued(interval.version, Actor.system("monitoring")))
    return asked


def _queued(version: Version, actor: Actor) -> CalibrationRun:
    setting = DriftAlarm.objects.get(model=version.model)
    assert setting.false_alarms_a_month is not None
    run = CalibrationRun.objects.create(
        model=version.model,
        version=version,
        false_alarms_a_month=setting.false_alarms_a_month,
        smallest_shift_sd=setting.smallest_shift_sd,
        requested_by=actor.user,
        step="waiting for a worker",
    )
    data = {"version": version.number, "false_alarms_a_month": run.false_alarms_a_month}
    data |= {"smallest_shift_sd": run.smallest_shift_sd}
    events.record("calibration.requested", actor=actor, subject=run.subject, team=run.team_name, data=data)
    return run


def execute(run: CalibrationRun) -> None:
    """One attempt, in its child process: simulate, and keep the rule with what it was found from."""
    reference, traffic = basis_of(run.version).reference, traffic_seen(run.version)
    if reference is None or traffic is None:
        reason = "the version has no reference" if reference is None else "a whole day of its traffic is not there"
        jobs.finish(run, JobState.FAILED, error=f"nothing to simulate: {reason}")
        return
    schedule = schedule_simulated(run.model)

    def told(step: str, share: float) -> None:
        jobs.advance(run, step=step, progress=share)

    found = calibrate(
        reference,
        traffic,
        budget=run.false_alarms_a_month,
        smallest_shift=run.smallest_shift_sd,
        standard=standard(),
        schedule=schedule,
        told=told,
    )
    with jobs.fenced(run):
        result = result_said(found, traffic, schedule)
        data = {**found.chosen.rule._asdict(), "false_alarms_a_month": found.chosen.false_alarms}
        system = Actor.system("monitoring")
        events.record("drift_alarm.calibrated", actor=system, subject=run.subject, team=run.team_name, data=data)
        jobs.finish(run, JobState.SUCCEEDED, result=result, step="done", progress=1.0)


def result_said(found: Calibrated, traffic: Traffic, schedule: Schedule) -> dict[str, Any]:
    """A calibration as JSON."""
    tilts = [float(np.abs(tilt - 1).max()) for tilt in traffic.tilts.values()]
    clustered = list(traffic.clustered.values())
    return {
        "chosen": found.chosen.to_json(),
        "standard": found.standard.to_json(),
        "reached": found.reached,
        "months": found.months,
        "features": found.features,
        "features_skipped": found.skipped,
        "schedule": schedule._asdict(),
        "traffic": {
            "rows_a_day": traffic.rows_a_day,
            "rows_by_hour": [round(float(rows), 1) for rows in traffic.rows],
            "days": traffic.days,
            "spread_of_days": traffic.spread,
            "largest_hour_effect": max(tilts, default=0.0),
            "largest_design_effect": max(clustered, default=1.0),
        },
    }


def _between(low: float, high: float, name: str) -> Any:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"must be {name} from {low:g} to {high:g} but got {value!r:.80}")
        return float(value)

    return check


_budget = _between(LEAST_BUDGET, MOST_BUDGET, "a number, or null for the standard rule,")
_CHECKS = {
    "false_alarms_a_month": lambda value: None if value is None else _budget(value),
    "smallest_shift_sd": _between(LEAST_SHIFT, MOST_SHIFT, "a number of standard deviations"),
}
