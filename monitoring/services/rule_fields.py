"""The fields of an alert rule, each checked by itself: a function that answers the value in its own type, or raises
ValueError with what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from mlops_site.core.choices import Role
from mlops_site.core.durations import HOUR, length_within, spelt
from mlops_site.core.permissions import ROLE_ACTIONS, Action
from mlops_site.core.texts import unseen
from mlops_site.stats.metrics import METRICS
from monitoring.choices import NoData, Severity

MAX_STEPS, MAX_SUBJECTS, MAX_NAME, MAX_ADDRESS = 3, 100, 128, 500
MAX_REPORTS = 48
SOONEST, LATEST = timedelta(minutes=5), timedelta(days=30)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false but got {value!r:.80}")
    return value


def _choice(value: object, known: list[str], *, or_empty: bool = False) -> str:
    if not isinstance(value, str) or (value not in known and not (or_empty and value == "")):
        raise ValueError(f"must be one of {', '.join(known)} but got {value!r:.80}")
    return value


def _severity(value: object) -> str:
    return _choice(value, list(Severity.values))


def _threshold(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError(f"must be above 0 and at most 1 but got {value!r:.80}")
    return float(value)


def _metric(value: object) -> str:
    return _choice(value, list(METRICS), or_empty=True)


def _persistence(value: object) -> list[int]:
    pair = [value.get("k"), value.get("m")] if isinstance(value, Mapping) else value
    if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(type(each) is int for each in pair):
        raise ValueError(f"must be two whole numbers, k of the last m reports, but got {value!r:.80}")
    if not 1 <= pair[0] <= pair[1] <= MAX_REPORTS:
        raise ValueError(f"must have 1 <= k <= m <= {MAX_REPORTS} but got {pair[0]} of {pair[1]}")
    return list(pair)


def _subjects(value: object) -> list[str]:
    if not isinstance(value, list | tuple) or len(value) > MAX_SUBJECTS:
        raise ValueError(f"must be a list of at most {MAX_SUBJECTS} names but got {value!r:.80}")
    for name in value:
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or unseen(name):
            raise ValueError(f"must be names of 1 to {MAX_NAME} characters but got {name!r:.80}")
    return list(dict.fromkeys(value))


def _resolve_after(value: object) -> int:
    """0 is never."""
    if type(value) is not int or not 0 <= value <= MAX_REPORTS:
        raise ValueError(f"must be a whole number up to {MAX_REPORTS}, or 0 for never, but got {value!r:.80}")
    return value


def _escalation(value: object) -> list[dict[str, str]]:
    if not isinstance(value, list | tuple) or len(value) > MAX_STEPS:
        raise ValueError(f"must be a list of at most {MAX_STEPS} steps but got {value!r:.80}")
    steps = [_step(each) for each in value]
    lengths = [length_within(step["after"], SOONEST, LATEST) for step in steps]
    if lengths != sorted(set(lengths)):
        raise ValueError(f"must have each step later than the one before but got {[s['after'] for s in steps]}")
    return steps


def _step(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not value.keys() <= {"after", "severity", "role"}:
        raise ValueError(f"must have steps of after, severity and role but got {value!r:.80}")
    try:
        after = spelt(length_within(value.get("after"), SOONEST, LATEST))
    except ValueError as error:
        raise ValueError(f"has a step whose after {error}") from error
    roles = [role for role, actions in ROLE_ACTIONS.items() if Action.VIEW in actions]
    severity = _choice(value.get("severity") or "", list(Severity.values), or_empty=True)
    role = _choice(value.get("role") or "", [Role(each).value for each in roles], or_empty=True)
    if not severity and not role:
        raise ValueError(f"has a step after {after} that names neither a severity nor a role")
    return {"after": after, "severity": severity, "role": role}


def _runbook(value: object) -> str:
    """Shown as a link, never fetched."""
    if not isinstance(value, str) or len(value) > MAX_ADDRESS:
        raise ValueError(f"must be an address of at most {MAX_ADDRESS} characters but got {value!r:.80}")
    if value == "":
        return ""
    try:
        parts = urlsplit(value)
        wrong = parts.scheme != "https" or not parts.hostname or parts.port == 0
    except ValueError:
        wrong = True
    if wrong or unseen(value) or any(character.isspace() or character in '<>"\\^`{|}' for character in value):
        raise ValueError(f"must be an https address such as https://wiki.example.org/drift but got {value!r:.80}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password")
    return value


def _no_data(value: object) -> str:
    return _choice(value, list(NoData.values))


def _no_data_after(value: object) -> str:
    return spelt(length_within(value, HOUR, LATEST))


CHECKS: dict[str, Callable[[Any], Any]] = {
    "enabled": _flag,
    "severity": _severity,
    "threshold": _threshold,
    "metric": _metric,
    "persistence": _persistence,
    "subjects": _subjects,
    "resolve_after": _resolve_after,
    "escalation": _escalation,
    "runbook": _runbook,
    "no_data": _no_data,
    "no_data_after": _no_data_after,
}
