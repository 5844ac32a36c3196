"""The form of one alert rule: the fields that apply to its kind, filled with what holds."""

from __future__ import annotations

from typing import Any

from django import forms

from mlops_site.core.choices import Role
from mlops_site.core.permissions import ROLE_ACTIONS, Action
from mlops_site.core.templatetags.steward import metric
from mlops_site.stats.metrics import METRICS
from monitoring.choices import NoData, Rule, Severity
from monitoring.selectors.rules import RuleInForce, defaults

STEPS = 3
_SHORT = {"class": "short"}


class AlertRuleForm(forms.Form):
    """The fields that apply to one kind."""

    def __init__(self, *args: Any, rule: RuleInForce, task_type: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rule, said = rule, rule.said
        for name, field in _fields(rule, task_type).items():
            self.fields[name] = field
        for name in self.fields.keys() & said.keys():
            value = said[name]
            self.initial.setdefault(name, "\n".join(value) if name == "subjects" else value)
        if pair := said.get("persistence"):
            self.initial.update(k=pair[0], m=pair[1])
        for number, step in enumerate(said["escalation"], 1):
            self.initial.update({f"{name}_{number}": value for name, value in step.items()})

    def rows(self) -> list[list[forms.BoundField]]:
        """The fields as they stand beside one another."""
        together = [("k", "m"), *((f"after_{n}", f"severity_{n}", f"role_{n}") for n in range(1, STEPS + 1))]
        row_of = {name: row for row in together for name in row}
        rows = dict.fromkeys(row_of.get(name, (name,)) for name in self.fields)
        return [[self[name] for name in row] for row in rows]

    def changes(self) -> dict[str, Any]:
        """What differs from what holds; None where it is the default again."""
        said, usual = self._said(), defaults(self.rule.rule)
        changed = {name: value for name, value in said.items() if value != self.rule.said[name]}
        return {name: None if value == usual[name] else value for name, value in changed.items()}

    def _said(self) -> dict[str, Any]:
        typed, said = self.cleaned_data, dict[str, Any]()
        for name in defaults(self.rule.rule):
            if name == "persistence":
                pair = [typed["k"], typed["m"]]
                said[name] = None if pair == [None, None] else pair
            elif name == "escalation":
                said[name] = [step for n in range(1, STEPS + 1) if (step := _step(typed, n))["after"]]
            elif name == "subjects":
                said[name] = [line.strip() for line in typed[name].splitlines() if line.strip()]
            else:
                said[name] = typed[name]
        return said


def _step(typed: dict[str, Any], number: int) -> dict[str, str]:
    return {name: typed[f"{name}_{number}"] for name in ("after", "severity", "role")}


def _fields(rule: RuleInForce, task_type: str) -> dict[str, forms.Field]:
    kept = defaults(rule.rule)
    found: dict[str, forms.Field] = {
        "enabled": forms.BooleanField(required=False, label="In force"),
        "severity": forms.ChoiceField(choices=Severity.choices, help_text="Of alerts that are raised from now on."),
        "threshold": forms.FloatField(min_value=0, max_value=1, label="Threshold", help_text=_threshold(rule.rule)),
        "metric": forms.ChoiceField(required=False, choices=_metrics(task_type)),
        "no_data": forms.ChoiceField(choices=NoData.choices, label="Then"),
        "no_data_after": forms.CharField(
            max_length=20,
            widget=forms.TextInput(attrs=_SHORT),
            label="When nothing came for",
            help_text="Like 24h or 7d.",
        ),
        "subjects": forms.CharField(
            required=False,
            max_length=15_000,
            widget=forms.Textarea(attrs={"rows": 3}),
            label="Only of these features" if rule.rule != Rule.PERFORMANCE else "Only of these metrics",
            help_text="One a line. Empty: all.",
        ),
        "resolve_after": forms.IntegerField(
            min_value=0,
            max_value=48,
            label="Clean reports that resolve it",
            help_text="In a row. 0: only a person does.",
        ),
    }
    chosen = {name: field for name, field in found.items() if name in kept}
    if "persistence" in kept:
        chosen |= _persistence(rule)
    chosen |= _escalation()
    address = forms.CharField(required=False, max_length=500, help_text="https://…, shown on each alert as a link.")
    return {**chosen, "runbook": address, "comment": forms.CharField(required=False, max_length=2000)}


def _persistence(rule: RuleInForce) -> dict[str, forms.Field]:
    number: dict[str, Any] = {"min_value": 1, "max_value": 48, "required": rule.rule != Rule.DRIFT}
    said = "Reports that a person asks for tell at once."
    empty = " Both empty: as the alarm budget says." if rule.rule == Rule.DRIFT else ""
    return {
        "k": forms.IntegerField(**number, label="Told when seen in"),
        "m": forms.IntegerField(**number, label="of the last so many scheduled reports", help_text=said + empty),
    }


def _escalation() -> dict[str, forms.Field]:
    roles = [role for role, actions in ROLE_ACTIONS.items() if Action.VIEW in actions]
    found: dict[str, forms.Field] = {}
    for number in range(1, STEPS + 1):
        label = "If nobody acknowledges it within" if number == 1 else "And if nobody does within"
        length = forms.TextInput(attrs=_SHORT)
        found |= {
            f"after_{number}": forms.CharField(
                required=False,
                max_length=20,
                widget=length,
                label=label,
                help_text="Like 30m or 4h. Empty: no such step.",
            ),
            f"severity_{number}": forms.ChoiceField(
                required=False, label="it becomes", choices=[("", "no more severe"), *Severity.choices]
            ),
            f"role_{number}": forms.ChoiceField(
                required=False,
                label="and is told to every",
                choices=[("", "nobody else"), *((role, Role(role).label) for role in roles)],
            ),
        }
    return found


def _threshold(rule: Rule) -> str:
    return {
        Rule.PERFORMANCE: "How far the metric falls below its value at registration (of an error: its share).",
        Rule.DRIFT: "The effect from which on a feature counts as drifted.",
        Rule.VOLUME: "The share by which predictions fall.",
    }.get(rule, "")


def _metrics(task_type: str) -> list[tuple[str, str]]:
    names = [name for name, each in METRICS.items() if each.task_type == task_type]
    return [("", "the one that the model is judged by"), *((name, str(metric(name))) for name in names)]
