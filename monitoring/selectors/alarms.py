"""Which rule raises a model's alarms of drift, and the traffic that it is simulated in."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from django.conf import settings
from django.db.models import Sum
from django.utils import timezone
from numpy.typing import NDArray

from mlops_site.core.choices import ENDED, JobState
from mlops_site.stats.profile import Bins, Profile
from monitoring.choices import Rule, Span
from monitoring.models import Bucket, CalibrationRun, DriftAlarm
from monitoring.selectors.bases import basis_of
from monitoring.selectors.rules import RuleInForce, rules_of
from monitoring.selectors.schedules import schedule_of, usual_interval
from monitoring.stats.alarm_words import delay_words, false_alarm_words, rule_words
from monitoring.stats.looks import Schedule
from monitoring.stats.persistence import AlarmRule, standard_rule
from monitoring.stats.traffic import HOURS, Traffic, traffic_of
from registry import selectors as registry
from registry.models import RegisteredModel, Version

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIXED_DAYS, COUNTED_DAYS = 3, 28  # hours are kept for three days; then they are days
KEPT = timedelta(days=30)  # a calibration is made again after that
USUAL_SHIFT = 0.2
LONGEST_WINDOW = 168  # hours
MUCH = 2.0  # times more or less traffic, at which it is made again sooner


class Alarm(NamedTuple):
    """What holds for a version. `setting` is None where nobody set one, `calibration` the newest that fits the setting,
    ended well or not, `rule` that of the newest that succeeded, else the standard one."""

    setting: DriftAlarm | None
    calibration: CalibrationRun | None
    result: dict[str, Any] | None
    rule: AlarmRule

    @property
    def budget(self) -> float | None:
        return self.setting.false_alarms_a_month if self.setting else None

    @property
    def state(self) -> str:
        """ "standard": no budget; "calibrated"; "calibrating"; "failed"; "waiting": for traffic to simulate."""
        if self.budget is None:
            return "standard"
        if self.calibration is not None and self.calibration.state not in ENDED:
            return "calibrating"
        if self.result is not None:
            return "calibrated"
        return "waiting" if self.calibration is None else "failed"


def drift_alarm_of(model: RegisteredModel) -> DriftAlarm | None:
    """The setting of a model; None where nobody set one."""
    return DriftAlarm.objects.select_related("set_by", "model__team").filter(model=model).first()


def standard() -> AlarmRule:
    return standard_rule(settings.DRIFT_THRESHOLD)


def usual(model: RegisteredModel, rules: Mapping[Rule, RuleInForce] | None = None) -> AlarmRule:
    """The standard rule, with the effect that the model's alert rules ask for."""
    effect = (rules or rules_of(model))[Rule.DRIFT].threshold
    return standard() if effect is None else standard_rule(effect)


def alarm_of(version: Version, rules: Mapping[Rule, RuleInForce] | None = None) -> Alarm:
    """Two queries where nobody set a budget, one with the model's alert `rules`; else two, or three while the newest
    calibration has not succeeded."""
    setting = drift_alarm_of(version.model)
    if setting is None or setting.false_alarms_a_month is None:
        return Alarm(setting, None, None, usual(version.model, rules))
    about = {
        "false_alarms_a_month": setting.false_alarms_a_month,
        "smallest_shift_sd": setting.smallest_shift_sd,
    }
    runs = CalibrationRun.objects.filter(version=version, **about).order_by("-created_at")
    newest = done = runs.first()
    if newest is not None and newest.state != JobState.SUCCEEDED:
        done = runs.filter(state=JobState.SUCCEEDED).first()
    result = done.result if done else None
    return Alarm(setting, newest, result, rule_in(result) if result else usual(version.model, rules))


def rule_in(result: dict[str, Any]) -> AlarmRule:
    """The rule that a calibration chose."""
    chosen = result["chosen"]
    return AlarmRule(chosen["q"], chosen["effect"], chosen["k"], chosen["m"])


def rule_of(version: Version, rules: Mapping[Rule, RuleInForce] | None = None) -> AlarmRule:
    return alarm_of(version, rules).rule


class AlarmSaid(NamedTuple):
    """A model's alarm as people read it; `version` is the one in production, else the newest, None before there is
    one."""

    version: Version | None
    alarm: Alarm
    sentence: str

    @property
    def smallest_shift_sd(self) -> float:
        return self.alarm.setting.smallest_shift_sd if self.alarm.setting else USUAL_SHIFT


def alarm_said(model: RegisteredModel) -> AlarmSaid:
    """What holds for the model now, in words."""
    version = registry.in_production(model) or registry.versions(model).first()
    alarm = alarm_of(version) if version else Alarm(drift_alarm_of(model), None, None, usual(model))
    return AlarmSaid(version, alarm, f"An alarm is raised when {rule_words(alarm.rule)}. {_expected(alarm)}")


def _expected(alarm: Alarm) -> str:
    if alarm.result is not None:
        chosen = alarm.result["chosen"]
        missed = "" if alarm.result["reached"] else " No rule keeps the budget here; this is the quietest one."
        return f"At this setting: {false_alarm_words(chosen)}; {delay_words(chosen['delays'])}.{missed}"
    if alarm.budget is None:
        return "No budget is set: how many of these alarms are false in this traffic is not known."
    return {
        "waiting": "The standard rule holds until a whole day of traffic can be simulated.",
        "calibrating": "The standard rule holds while the budget’s own is being found.",
        "failed": "The standard rule holds: the simulation failed.",
    }[alarm.state]


def is_due(version: Version, alarm: Alarm) -> bool:
    """Whether a budget waits for a rule, or its rule is old, of much other traffic or of other windows; and the traffic
    to simulate is there."""
    if alarm.budget is None or alarm.state == "calibrating" or basis_of(version).reference is None:
        return False
    run, now = alarm.calibration, rows_a_day(version)
    if now < settings.MIN_SAMPLES_FOR_MONITORING:
        return False
    if run is not None and run.state != JobState.SUCCEEDED:
        return run.created_at < timezone.now() - DAY  # it failed: not again every hour
    if alarm.result is None or run is None or run.created_at < timezone.now() - KEPT:
        return True
    if looks_in(alarm.result) != schedule_simulated(version.model):
        return True
    then = float(alarm.result["traffic"]["rows_a_day"])
    return abs(math.log(now / then)) > math.log(MUCH) if then > 0 else True


def schedule_simulated(model: RegisteredModel) -> Schedule:
    """When the model is looked at, and on what, as the simulation knows it: a window longer than a week is simulated as
    a week. One query, and one more for a model without a schedule of its own."""
    own = schedule_of(model)
    after = settings.MONITORING_CHECK_AFTER if own.check_after is None else own.check_after
    every = own.every if own.is_own else usual_interval()
    window = min(own.window / HOUR, LONGEST_WINDOW)
    return Schedule(window, settings.MIN_SAMPLES_FOR_MONITORING, every / HOUR, after)


def looks_in(result: Mapping[str, Any]) -> Schedule | None:
    """What a calibration simulated; None where it is from before looks in between were."""
    about = result.get("schedule")
    return None if about is None else Schedule(**about)


def rows_a_day(version: Version) -> float:
    """Mean of the last three whole days of hours, from the first with a row on; 0 before a whole day is there."""
    end = _hour(timezone.now())
    rows = Bucket.objects.filter(version=version, started_at__gte=end - MIXED_DAYS * DAY, started_at__lt=end)
    first = rows.order_by("started_at").values_list("started_at", flat=True).first()
    if first is None or end - first < DAY:
        return 0.0
    total = rows.aggregate(rows=Sum("rows"))["rows"] or 0
    return float(total) / ((end - first) / DAY)


def traffic_seen(version: Version) -> Traffic | None:
    """The version's last three days hour by hour, and its last four weeks day by day; None before a whole day of
    hours is there, and without a reference."""
    reference, end = basis_of(version).reference, _hour(timezone.now())
    if reference is None:
        return None
    hourly = Bucket.objects.filter(
        version=version, span_secs__lte=Span.HOUR, started_at__gte=end - MIXED_DAYS * DAY, started_at__lt=end
    )
    parts: dict[datetime, list[bytes]] = defaultdict(list)
    for started_at, profile in hourly.order_by("started_at").values_list("started_at", "profile"):
        if profile is not None:
            parts[_hour(started_at)].append(bytes(profile))
    if not parts or (end - min(parts)) < HOURS * HOUR:
        return None
    whole = [min(parts) + i * HOUR for i in range(int((end - min(parts)) / HOUR))]
    counts = np.stack([Profile.sum_of_bytes(parts.get(hour, []), reference.bins).counts for hour in whole])
    hours = np.array([int(hour.timestamp()) // 3600 for hour in whole])
    return traffic_of(reference, hours, counts.astype(np.float64), _daily(version, reference.bins, end))


def _daily(version: Version, bins: Bins, end: datetime) -> NDArray[np.float64]:
    """Counts (days, width) of each whole day of the last four weeks with rows, the first of them left out: it may have
    begun at noon."""
    rows = Bucket.objects.filter(version=version, started_at__gte=end - COUNTED_DAYS * DAY, started_at__lt=end)
    days: dict[date, list[bytes]] = defaultdict(list)
    for started_at, profile in rows.order_by("started_at").values_list("started_at", "profile"):
        if profile is not None and started_at.date() != end.date():
            days[started_at.date()].append(bytes(profile))
    found = [Profile.sum_of_bytes(days[day], bins).counts for day in sorted(days)[1:]]
    return np.array(found, dtype=np.float64).reshape(len(found), bins.width)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
