"""Setting the rules that raise a model's alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.choices import Role
from mlops_site.core.durations import HOUR, length_within, spelt
from mlops_site.core.errors import Conflict, FieldError, Invalid
from mlops_site.core.permissions import ROLE_ACTIONS, Action, Actor, person, require
from mlops_site.core.texts import unseen
from mlops_site.stats.metrics import METRICS
from monitoring.choices import AlertStatus, NoData, Rule, Severity
from monitoring.models import Alert, AlertRule
from monitoring.selectors.rules import SUBJECT, RuleInForce, defaults, in_force, rules_of
from registry.models import RegisteredModel
from registry.services.guards import locked, one_of, reason_given

MAX_STEPS, MAX_SUBJECTS, MAX_NAME, MAX_ADDRESS = 3, 100, 128, 500
MAX_REPORTS = 48
SOONEST, LATEST = timedelta(minutes=5), timedelta(days=30)


def set_alert_rules(
    model: RegisteredModel, *, actor: Actor, rules: Mapping[str, Mapping[str, Any]], comment: str = ""
) -> dict[Rule, RuleInForce]:
    """Set the fields that are given of each kind; a field that is null takes its default again, what is left out stays.
    Open alerts of the kind get the new time of their next escalation; severities that alerts have stay theirs.

    Raises Invalid naming every field at fault as `rules.KIND.FIELD` (`unknown_rule`, `not_for_this_rule`, `invalid`),
    Forbidden.
    """
    said = reason_given(comment, field="comment", needed=False)
    with locked(model) as row:
        require(actor, Action.ALERT_RULES, row.team, subject=row.subject)
        changes = _checked(rules)
        for rule, fields in changes.items():
            _set(row, rule, fields, actor, said)
        return rules_of(row)


def drop_alert_rule(model: RegisteredModel, rule: str, *, actor: Actor, comment: str = "") -> dict[Rule, RuleInForce]:
    """Let a kind follow its defaults again. Invalid `unknown_rule`, Conflict `no_rule` where nobody has set it."""
    kind, said = Rule(one_of("rule", rule, list(Rule.values))), reason_given(comment, field="comment", needed=False)
    with locked(model) as row:
        require(actor, Action.ALERT_RULES, row.team, subject=row.subject)
        own = AlertRule.objects.filter(model=row, rule=kind).first()
        if own is None:
            raise Conflict(f"nobody has set the {kind} rule of {row.name}", code="no_rule")
        _set(row, kind, dict.fromkeys(own.overrides), actor, said)
        return rules_of(row)


def _set(model: RegisteredModel, rule: Rule, fields: Mapping[str, Any], actor: Actor, comment: str) -> None:
    """Under the model's lock. What equals its default is written down too: it stays when the default changes."""
    own = AlertRule.objects.filter(model=model, rule=rule).first()
    before = own.overrides if own else {}
    after = {name: value for name, value in {**before, **fields}.items() if value is not None}
    if after == before:
        return
    now, by = timezone.now(), person(actor)
    if after:
        changes = {"overrides": after, "set_by": by, "updated_at": now}
        own, _ = AlertRule.objects.update_or_create(model=model, rule=rule, defaults=changes)
    elif own is not None:
        own.delete()
        own = None
    _reschedule(model, in_force(rule, own))
    data = {"rule": rule.value, "before": before, "after": after, "comment": comment}
    events.record("alert_rules.set", actor=actor, subject=f"{SUBJECT}{model.name}", team=model.team.name, data=data)


def _reschedule(model: RegisteredModel, rule: RuleInForce) -> None:
    rows = Alert.objects.select_for_update(of=("self",), no_key=True)
    for alert in rows.filter(model=model, rule=rule.rule, status=AlertStatus.OPEN).order_by("pk"):
        alert.escalates_at = rule.escalates_at(alert.first_seen_at, alert.escalations)
        alert.save(update_fields=["escalates_at"])


def _checked(rules: Mapping[str, Mapping[str, Any]]) -> dict[Rule, dict[str, Any]]:
    found, errors = dict[Rule, dict[str, Any]](), list[FieldError]()
    for kind, fields in rules.items():
        if kind not in Rule.values:
            message = f"rules.{kind!s:.40} is no kind of alert; known: {', '.join(Rule.values)}"
            errors.append(FieldError(f"rules.{kind!s:.40}", "unknown_rule", message))
            continue
        found[Rule(kind)] = _fields(Rule(kind), fields, errors)
    if errors:
        raise Invalid(errors[0].message, code=errors[0].code, errors=errors)
    return found


def _fields(rule: Rule, fields: Mapping[str, Any], errors: list[FieldError]) -> dict[str, Any]:
    known, found = defaults(rule), dict[str, Any]()
    for name, value in fields.items():
        path = f"rules.{rule}.{name!s:.40}"
        if name not in _CHECKS:
            errors.append(FieldError(path, "unknown_field", f"{path} is unknown; known: {', '.join(known)}"))
        elif name not in known:
            message = f"{path} does not apply to this kind of alert; what does: {', '.join(known)}"
            errors.append(FieldError(path, "not_for_this_rule", message))
        else:
            try:
                found[name] = None if value is None else _CHECKS[name](value)
            except ValueError as error:
                errors.append(FieldError(path, "invalid", f"{path} {error}"))
    return found


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


_CHECKS: dict[str, Callable[[Any], Any]] = {
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
