"""What raises a model's alerts: all kinds, the form of one, and who has set what."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import messages
from django.http import Http404
from django.urls import reverse

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.durations import spelt
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action
from mlops_site.core.templatetags.steward import setting, words
from monitoring import services
from monitoring.choices import Rule
from monitoring.dashboards.rule_form import AlertRuleForm
from monitoring.selectors.outlook import ROLES
from monitoring.selectors.rules import RuleInForce, Step, history, rules_of
from monitoring.stats.persistence import K, M
from registry.models import RegisteredModel
from registry.selectors import model_named

SHOWN = 20
_WHERE = {"persistence": "k", "escalation": "after_1"}  # the field that shows what is wrong with several


class AlertRulesPage(Page):
    template_name = "monitoring/alert_rules.html"

    def facts(self) -> dict[str, Any]:
        model = model_named(self.actor, self.kwargs["model"])
        return {
            "title": "Alert rules",
            "model": model,
            "rules": [
                (rule, lasts(rule), ends(rule), steps_said(rule.escalation)) for rule in rules_of(model).values()
            ],
            "changes": [(row, change(row.data)) for row in history(model)[:SHOWN]],
            "may_set": self.actor.may(Action.ALERT_RULES, model.team_id),
        }


def lasts(rule: RuleInForce) -> str:
    """From when on a finding is told by the schedule."""
    if rule.rule == Rule.NO_DATA:
        return f"after {rule.said['no_data_after']}: {rule.no_data.label}"
    if "persistence" not in rule.said:
        return "at once"
    if rule.persistence is None:
        return "by the alarm budget" if rule.rule == Rule.DRIFT else f"in {K} of the last {M} reports"
    k, m = rule.persistence
    return "at once" if m == 1 else f"in {k} of the last {m} reports"


def ends(rule: RuleInForce) -> str:
    if rule.rule == Rule.NO_DATA:
        return "data arrives"
    if "resolve_after" not in rule.said:
        return "its cause is gone"
    return f"{rule.resolve_after} clean reports" if rule.resolve_after else "somebody resolves it"


def steps_said(steps: tuple[Step, ...]) -> list[str]:
    """
    >>> from datetime import timedelta
    >>> steps_said((Step(timedelta(hours=4), "critical", "approver"),))
    ['4h: critical, approver']
    """
    return [f"{spelt(step.after)}: {people(step.severity, step.role)}" for step in steps]


def people(severity: str, role: str) -> str:
    return ", ".join(filter(None, [severity, ROLES.get(role, role)]))


def change(data: dict[str, Any]) -> str:
    """What somebody changed, in a line."""
    before, after = data["before"], data["after"]
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return "; ".join(f"{words(name)}: {_value(before, name)} → {_value(after, name)}" for name in names)


def _value(said: dict[str, Any], name: str) -> str:
    if name not in said:
        return "default"
    if name == "escalation":
        return "; ".join(f"{s['after']}: {people(s['severity'], s['role'])}" for s in said[name]) or "none"
    return ", ".join(said[name]) if name == "subjects" and said[name] else setting(said[name])


class AlertRulePage(FormPage):
    """Everybody of the team reads all rules on the page before; who may set them has this form."""

    template_name = "monitoring/alert_rule.html"
    form_class = AlertRuleForm
    button = "Set the rule"

    @cached_property
    def model(self) -> RegisteredModel:
        return model_named(self.actor, self.kwargs["model"])

    @cached_property
    def rule(self) -> RuleInForce:
        if self.kwargs["rule"] not in Rule.values:
            raise Http404(self.kwargs["rule"][:40])
        return rules_of(self.model)[Rule(self.kwargs["rule"])]

    def form_options(self) -> dict[str, Any]:
        return {"rule": self.rule, "task_type": self.model.task_type}

    def facts(self) -> dict[str, Any]:
        model, back = self.model, reverse("alert_rules", args=[self.model.name])
        may_set = self.actor.may(Action.ALERT_RULES, model.team_id)
        refusal = [] if may_set else [f"An ML engineer or a validator of {model.team} sets it."]
        return {
            "title": self.rule.rule.label.capitalize(),
            "crumbs": [
                ("Models", reverse("models")),
                (model.name, reverse("model", args=[model.name])),
                ("Alert rules", back),
            ],
            "question": f"When does {self.rule.rule.label} of {model} raise an alert, and what becomes of it?",
            "answer": f"Set by {self.rule.own.set_by}." if self.rule.own else "Nobody has set it: the defaults hold.",
            "back": back,
            "impossible": not may_set,
            "notes": refusal,
        }

    def save(self, form: AlertRuleForm) -> str:
        rules, comment = {self.kwargs["rule"]: form.changes()}, form.cleaned_data["comment"]
        try:
            services.set_alert_rules(self.model, actor=self.actor, rules=rules, comment=comment)
        except Invalid as error:
            raise _placed(error) from error
        messages.success(self.request, f"The rule for {self.rule.rule.label} of {self.model} is set.")
        return reverse("alert_rules", args=[self.model.name])


def _placed(error: Invalid) -> Invalid:
    """The same beside the fields of the form."""
    names = [(each, each.field.rsplit(".", 1)[-1]) for each in error.errors]
    errors = [each._replace(field=_WHERE.get(name, name)) for each, name in names]
    return Invalid(error.detail, code=error.code, errors=errors)
