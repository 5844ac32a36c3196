"""Setting the rules that raise a model's alerts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, FieldError, Invalid
from mlops_site.core.permissions import Action, Actor, person, require
from mlops_site.stats.metrics import METRICS
from monitoring.choices import AlertStatus, Rule
from monitoring.models import Alert, AlertRule
from monitoring.selectors.rules import SUBJECT, RuleInForce, defaults, in_force, rules_of
from monitoring.services.rule_fields import CHECKS
from registry.models import RegisteredModel, Version
from registry.services.guards import locked, one_of, reason_given


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
        changes = checked(rules)
        _check_names(row, changes)
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


def checked(rules: Mapping[str, Mapping[str, Any]]) -> dict[Rule, dict[str, Any]]:
    """By kind, the fields in their own types; Invalid names every one at fault."""
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


def _check_names(model: RegisteredModel, changes: Mapping[Rule, Mapping[str, Any]]) -> None:
    """Invalid `unknown_subject` or `unknown_metric` for a name that no report on the model could find anything on."""
    metrics = {name for name, each in METRICS.items() if each.task_type == model.task_type}
    inputs = _inputs(model)
    for rule, fields in changes.items():
        known = metrics if rule == Rule.PERFORMANCE else inputs
        unknown = [name for name in fields.get("subjects") or [] if known and name not in known]
        if unknown:
            path = f"rules.{rule}.subjects"
            message = f"{path} must be among {', '.join(sorted(known))[:200]} but got {', '.join(unknown)[:80]}"
            raise Invalid.on(path, message, code="unknown_subject")
        if (chosen := fields.get("metric")) and chosen not in metrics:
            path = f"rules.{rule}.metric"
            message = f"{path} must be a metric of {model.task_type} but got {chosen!r}"
            raise Invalid.on(path, message, code="unknown_metric")


def _inputs(model: RegisteredModel) -> set[str]:
    """The features of every version; none yet of a model without versions."""
    signatures = Version.objects.filter(model=model).values_list("signature", flat=True)
    return {each["name"] for signature in signatures for each in signature.get("inputs", [])}


def _fields(rule: Rule, fields: Mapping[str, Any], errors: list[FieldError]) -> dict[str, Any]:
    known, found = defaults(rule), dict[str, Any]()
    for name, value in fields.items():
        path = f"rules.{rule}.{name!s:.40}"
        if name not in CHECKS:
            errors.append(FieldError(path, "unknown_field", f"{path} is unknown; known: {', '.join(known)}"))
        elif name not in known:
            message = f"{path} does not apply to this kind of alert; what does: {', '.join(known)}"
            errors.append(FieldError(path, "not_for_this_rule", message))
        else:
            try:
                found[name] = None if value is None else CHECKS[name](value)
            except ValueError as error:
                errors.append(FieldError(path, "invalid", f"{path} {error}"))
    return found
