"""The rules that raise a model's alerts: what somebody set, over the defaults of each kind."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import QuerySet

from mlops_site.core.choices import Role
from mlops_site.core.durations import duration_of
from mlops_site.core.models import AuditRecord
from monitoring.choices import EVENTS, SEVERITY_OF, NoData, Rule, Severity
from monitoring.models import AlertRule
from monitoring.selectors.reports import findings_before
from monitoring.stats.findings import Finding
from monitoring.stats.persistence import persistent
from monitoring.stats.volume import LARGEST_DROP
from registry.models import RegisteredModel, Version

RESOLVE_AFTER = 3  # clean reports of the hourly schedule
UNSEEN_FOR = {"after": "4h", "severity": "", "role": Role.APPROVER.value}
SUBJECT = "alert_rules:"  # and the model's name, in the audit chain


class Step(NamedTuple):
    """What happens `after` so long without anybody acknowledging the alert: it gets the severity, unless its own is
    worse, and the role is told. Either may be empty."""

    after: timedelta
    severity: str
    role: str


class RuleInForce(NamedTuple):
    """One kind of alert of one model, complete. What does not apply to its kind is None or empty."""

    rule: Rule
    enabled: bool
    severity: Severity
    threshold: float | None
    metric: str  # "": the first that the model is judged by
    persistence: tuple[int, int] | None  # k of the last m scheduled reports; None: as the analysis decides itself
    subjects: tuple[str, ...]  # (): all
    resolve_after: int | None  # clean scheduled reports; None: only a person resolves it
    escalation: tuple[Step, ...]
    runbook: str
    no_data: NoData
    no_data_after: timedelta
    own: AlertRule | None  # what somebody has set, None where all are defaults

    @property
    def said(self) -> dict[str, Any]:
        """Its fields as people write them."""
        return {**defaults(self.rule), **(self.own.overrides if self.own else {})}

    def escalates_at(self, first_seen_at: datetime, taken: int = 0) -> datetime | None:
        """When the next step is due, after so many were taken; None if there is none."""
        return first_seen_at + self.escalation[taken].after if taken < len(self.escalation) else None


def defaults(rule: Rule) -> dict[str, Any]:
    """The fields that apply to a kind, each with what holds where nobody has set it."""
    common: dict[str, Any] = {"severity": SEVERITY_OF[rule].value, "escalation": [], "runbook": ""}
    if rule == Rule.NO_DATA:
        return {"enabled": True, **common, "no_data": NoData.ALERT.value, "no_data_after": "1d"}
    if rule in EVENTS:
        return common
    found = {"enabled": True, **common, "persistence": [1, 1], "subjects": [], "resolve_after": RESOLVE_AFTER}
    if rule == Rule.PERFORMANCE:
        found |= {"threshold": settings.PERFORMANCE_DEGRADATION_THRESHOLD, "metric": "", "escalation": [UNSEEN_FOR]}
    elif rule == Rule.DRIFT:
        found |= {"threshold": settings.DRIFT_THRESHOLD, "persistence": None}
    elif rule == Rule.FAIRNESS:
        found["persistence"] = None
    elif rule == Rule.VOLUME:
        found["threshold"] = LARGEST_DROP
    return found


def rules_of(model: RegisteredModel) -> dict[Rule, RuleInForce]:
    """Every kind of alert of the model; one query."""
    own = {row.rule: row for row in AlertRule.objects.filter(model=model).select_related("set_by")}
    return {rule: in_force(rule, own.get(rule)) for rule in Rule}


def rules_of_all(models: Iterable[int], rule: Rule) -> dict[int, RuleInForce]:
    """The rule of one kind by model id, of many models; one query."""
    ids = list(models)
    own = {row.model_id: row for row in AlertRule.objects.filter(rule=rule, model__in=ids)}
    return {pk: in_force(rule, own.get(pk)) for pk in ids}


def in_force(rule: Rule, own: AlertRule | None) -> RuleInForce:
    said = {**defaults(rule), **(own.overrides if own else {})}
    pair = said.get("persistence")
    steps = (Step(duration_of(step["after"]), step["severity"], step["role"]) for step in said["escalation"])
    return RuleInForce(
        rule=rule,
        enabled=said.get("enabled", True),
        severity=Severity(said["severity"]),
        threshold=said.get("threshold"),
        metric=said.get("metric", ""),
        persistence=(pair[0], pair[1]) if pair else None,
        subjects=tuple(said.get("subjects", ())),
        resolve_after=said.get("resolve_after") or None,
        escalation=tuple(steps),
        runbook=said["runbook"],
        no_data=NoData(said.get("no_data", NoData.KEEP)),
        no_data_after=duration_of(said.get("no_data_after", "1d")),
        own=own,
    )


def history(model: RegisteredModel) -> QuerySet[AuditRecord]:
    """Who set which rule to what, newest first."""
    rows = AuditRecord.objects.filter(subject=f"{SUBJECT}{model.name}").exclude(action__endswith=".refused")
    return rows.order_by("-seq")


def governed(
    rules: dict[Rule, RuleInForce], version: Version, end: datetime, found: list[Finding], *, explicit: bool
) -> list[Finding]:
    """The findings as the model's rules let them be told: not of a kind that is off, not of a subject outside its
    scope, and, in a scheduled report of a window that ends at `end`, not before it has lasted as long as the rule asks.
    `held` says why one is not told."""
    longest = max((m for _, m in (rules[Rule(each.rule)].persistence or (1, 1) for each in found)), default=1)
    past = findings_before(version, end, longest - 1) if longest > 1 and not explicit else []
    return [_governed(rules[Rule(each.rule)], each, past, explicit=explicit) for each in found]


def _governed(rule: RuleInForce, found: Finding, past: list[list[dict[str, object]]], *, explicit: bool) -> Finding:
    if not rule.enabled:
        return found._replace(raised=False, held="the rule is off")
    if rule.subjects and not names_in(found) & set(rule.subjects):
        return found._replace(raised=False, held="outside the rule's scope")
    if rule.persistence is None or explicit:
        return found if found.raised else found._replace(held="not persistent yet")
    k, m = rule.persistence
    hits = [any((f["rule"], f["subject"]) == (found.rule, found.subject) for f in each) for each in past]
    lasts = persistent([*hits, True], k=k, m=m)
    seen = sum([*hits, True][-m:])
    return found._replace(raised=lasts, held="" if lasts else f"seen in {seen} of the last {m} reports, {k} are needed")


def names_in(found: Finding) -> set[str]:
    """What a finding is about: its subject, or the features that its evidence names."""
    features = found.evidence.get("features", [])
    named = {each["name"] for each in features if isinstance(each, dict) and "name" in each}
    return {found.subject} if found.subject else named
