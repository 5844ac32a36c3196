"""The tick of running experiments: alarms, guardrails, and the steps of ramps."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from abtesting.choices import Design, Ending, Status
from abtesting.models import Epoch, Experiment
from abtesting.selectors.results import EpochRatio, Results, results
from abtesting.services.endings import alert_key, end
from abtesting.services.experiments import held, next_epoch, opened
from abtesting.stats.assignment import next_step
from abtesting.stats.guardrails import LEVELS, Guardrail
from mlops_site.core import events
from mlops_site.core.permissions import Actor
from monitoring.choices import Rule
from monitoring.models import Alert
from monitoring.services import raise_experiment

MISMATCH = "experiment.mismatch_found"
SYSTEM = Actor.system("experiments")
RATIO = "sample ratio"
logger = logging.getLogger(__name__)


def check_running(now: datetime) -> int:
    """Look at every running experiment; how many were looked at. What goes wrong with one is logged, and stops none of
    the others."""
    rows = Experiment.objects.filter(status=Status.RUNNING).select_related("model__team", "version_a", "version_b")
    done = 0
    for experiment in rows.order_by("pk"):
        try:
            _check(experiment, now)
            done += 1
        except Exception:
            logger.exception("experiment %s could not be looked at", experiment.pk)
    return done


def _check(experiment: Experiment, now: datetime) -> None:
    found = results(experiment, now=now)
    over = next((each for each in found.guardrails if each.level == "roll_back"), None)
    if over is not None:
        _roll_back(experiment, over)
        return
    proven = next((each for each in found.ratios if each.ratio is not None and each.ratio.proven), None)
    if proven is not None and experiment.mismatch_at is None:
        _note_mismatch(experiment, proven, now)
    held_up = [each for each in found.guardrails if each.level in ("warn", "hold")]
    for guardrail in held_up:
        _warn(experiment, guardrail)
    if experiment.design == Design.RAMP:
        _step(experiment, found, now)


def _roll_back(experiment: Experiment, guardrail: Guardrail) -> None:
    """All units go back to A at once."""
    with held(experiment) as row:
        if not row.is_running:
            return
        reason = f"guardrail {guardrail.name}: {guardrail.reason}"
        end(row, ending=Ending.GUARDRAIL, actor=SYSTEM, reason=reason[:2000])
        _raise(row, guardrail, f"{row.version_b} was taken back from all claims: {reason}")  # stays until it is read


def _note_mismatch(experiment: Experiment, found: EpochRatio, now: datetime) -> None:
    assert found.ratio is not None
    with held(experiment) as row:
        if not row.is_running or row.mismatch_at is not None:
            return
        row.mismatch_at = now
        row.save(update_fields=["mismatch_at"])
        data = {"epoch": found.epoch, "a": found.ratio.a, "b": found.ratio.b, "share_b": found.share_b}
        events.record(MISMATCH, actor=SYSTEM, subject=row.subject, team=row.model.team.name, data=data)
        evidence = {"experiment": row.pk, "level": "blocked", **data, "p_value": found.ratio.sequential_p}
        summary = f"Experiment {row.name}: {found.ratio.reason}"
        raise_experiment(row.version_b, subject=alert_key(row, RATIO), summary=summary, evidence=evidence)


def _warn(experiment: Experiment, guardrail: Guardrail) -> None:
    """An alert, unless one of this experiment and guardrail has said as much: it is looked at every minute, and whoever
    has resolved one has decided that this can wait."""
    with held(experiment) as row:
        if row.is_running and LEVELS.index(guardrail.level) > _said(row, guardrail):
            does = "B's share does not grow" if guardrail.level == "hold" else "look at it"
            _raise(
                row,
                guardrail,
                f"Experiment {row.name}: {guardrail.name.replace('_', ' ')} ({does}): {guardrail.reason}",
            )


def _said(experiment: Experiment, guardrail: Guardrail) -> int:
    rows = Alert.objects.filter(
        model=experiment.model_id, rule=Rule.EXPERIMENT, subject_key=alert_key(experiment, guardrail.name)
    )
    levels = [evidence.get("level", LEVELS[0]) for evidence in rows.values_list("evidence", flat=True)]
    return max((LEVELS.index(level) for level in levels), default=0)


def _raise(row: Experiment, guardrail: Guardrail, summary: str) -> None:
    evidence = {"experiment": row.pk, **guardrail._asdict()}
    raise_experiment(row.version_b, subject=alert_key(row, guardrail.name), summary=summary, evidence=evidence)


def _step(experiment: Experiment, found: Results, now: datetime) -> None:
    """The next share of a ramp, once the present one has lasted and been seen by enough units without harm."""
    epoch = Epoch.objects.get(experiment=experiment, ended_at=None)
    share_b = next_step(epoch.share_b, tuple(experiment.steps))
    if share_b is None or not _is_ready(experiment, epoch, found, now):
        return
    with held(experiment) as row:
        if not row.is_running or opened(row).pk != epoch.pk:
            return
        reason = f"no guardrail held {epoch.share_b:.0%} for {row.step_hours:g} hours"
        next_epoch(row, epoch, share_b, actor=SYSTEM, reason=reason)


def _is_ready(experiment: Experiment, epoch: Epoch, found: Results, now: datetime) -> bool:
    lasted = now - epoch.started_at >= timedelta(hours=experiment.step_hours or 0)
    held_back = any(each.level in ("hold", "roll_back") for each in found.guardrails)
    ratios = [each for each in found.ratios if each.ratio is not None]
    is_even = all(each.ratio.ok for each in ratios if each.ratio) and experiment.mismatch_at is None
    seen = next((min(each.ratio.a, each.ratio.b) for each in ratios if each.ratio and each.epoch == epoch.number), 0)
    return lasted and not held_back and is_even and seen >= experiment.min_samples
