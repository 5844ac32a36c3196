"""What an alarm rule means, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.stats.looks import Schedule
from monitoring.stats.persistence import AlarmRule


def rule_words(rule: AlarmRule) -> str:
    """
    >>> rule_words(AlarmRule(0.02, 0.1, 2, 3))
    'a feature has an effect of at least 0.1 at a q-value of at most 0.02, in 2 of the last 3 windows'
    """
    lasting = "" if rule.m == 1 else f", in {rule.k} of the last {rule.m} windows"
    return f"a feature has an effect of at least {rule.effect:g} at a q-value of at most {rule.q:g}{lasting}"


def looks_words(schedule: Schedule) -> str:
    """
    >>> looks_words(Schedule(24, 100, 0.25, 100))
    'windows of the last 24 hours, judged every 15 minutes and in between after 100 new answers and labels'
    >>> looks_words(Schedule(1, 100))
    'windows of the last hour, judged every hour'
    """
    between = f" and in between after {schedule.check_after:,} new answers and labels" if schedule.check_after else ""
    window, every = (_length(hours) for hours in (schedule.window_hours, schedule.every_hours))
    return f"windows of the last {window}, judged every {every}{between}"


def _length(hours: float) -> str:
    if hours < 1:
        return f"{hours * 60:.0f} minutes"
    return "hour" if hours == 1 else f"{hours:g} hours"


def false_alarm_words(judged: Mapping[str, Any]) -> str:
    """
    >>> false_alarm_words({"false_alarms_a_month": 0.25, "upper_bound": 0.49})
    '0.25 false alarms a month expected (at most 0.49, with 95 % confidence)'
    """
    count, upper = judged["false_alarms_a_month"], judged["upper_bound"]
    return f"{count:.2g} false alarms a month expected (at most {upper:.2g}, with 95 % confidence)"


def delay_words(delays: Sequence[Mapping[str, Any]]) -> str:
    """
    >>> delay_words([{"sd": 0.2, "hours": None, "found": 0.3}, {"sd": 0.5, "hours": 5.0, "found": 1.0}])
    'a shift of 0.2 SD is not found within four days; one of 0.5 SD is found after about 5 hours'
    >>> delay_words([{"sd": 1.0, "hours": 0.25, "found": 1.0}])
    'a shift of 1 SD is found after about 15 minutes'
    """
    said: list[str] = []
    for delay in delays:
        what = f"{'one' if said else 'a shift'} of {delay['sd']:g} SD is"
        said.append(f"{what} {_when(delay['hours'])}")
    return "; ".join(said)


def _when(hours: float | None) -> str:
    if hours is None:
        return "not found within four days"
    if hours < 1:
        return f"found after about {hours * 60:.0f} minutes"
    return f"found after about {round(hours)} hour{'s' * (round(hours) != 1)}"
