"""What an alarm rule means, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.stats.persistence import AlarmRule


def rule_words(rule: AlarmRule) -> str:
    """
    >>> rule_words(AlarmRule(0.02, 0.1, 2, 3))
    'a feature has an effect of at least 0.1 at a q-value of at most 0.02, in 2 of the last 3 windows'
    """
    lasting = "" if rule.m == 1 else f", in {rule.k} of the last {rule.m} windows"
    return f"a feature has an effect of at least {rule.effect:g} at a q-value of at most {rule.q:g}{lasting}"


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
    """
    said: list[str] = []
    for delay in delays:
        what = f"{'one' if said else 'a shift'} of {delay['sd']:g} SD is"
        hours = None if delay["hours"] is None else round(delay["hours"])
        when = "not found within four days" if hours is None else f"found after about {hours} hour{'s' * (hours != 1)}"
        said.append(f"{what} {when}")
    return "; ".join(said)
