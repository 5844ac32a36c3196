"""All that is told of one alert, on its page and in the API."""

from __future__ import annotations

from typing import NamedTuple

from mlops_site.core.models import Delivery
from monitoring.choices import Rule
from monitoring.models import Alert, RetrainDecision
from monitoring.selectors.alerts import consequences, deliveries, earlier, group_of, happened
from monitoring.selectors.outlook import Happened, happenings, outlook
from monitoring.selectors.policies import policy_of
from monitoring.selectors.rules import RuleInForce, rules_of


class Told(NamedTuple):
    alert: Alert
    rule: RuleInForce
    next: list[str]
    decisions: list[RetrainDecision]
    grouped: list[Alert]
    earlier: Alert | None
    history: list[Happened]
    deliveries: list[Delivery]


def told_of(alert: Alert) -> Told:
    """Of an alert of `alert_of`."""
    rule, decided = rules_of(alert.model)[Rule(alert.rule)], list(consequences(alert))
    return Told(
        alert=alert,
        rule=rule,
        next=outlook(alert, rule, policy_of(alert.model), decided),
        decisions=decided,
        grouped=group_of(alert),
        earlier=earlier(alert),
        history=happenings(list(happened(alert))),
        deliveries=list(deliveries(alert)),
    )
