"""The forms of experiments."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from abtesting.choices import Design
from abtesting.stats.assignment import RAMP
from mlops_site.core.forms import StrictJSONField, offer

_AREA = {"rows": 2}
MAX_STEPS = 20


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=2000, widget=forms.Textarea(attrs=_AREA), help_text="Kept for good.")


class SplitForm(ReasonForm):
    traffic_split = forms.FloatField(
        min_value=0,
        max_value=1,
        label="Share of B",
        help_text="0.1 is one unit in ten.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    redraw = forms.BooleanField(
        required=False, label="Draw the units anew", help_text="Else only those move that must; nobody leaves B."
    )
    field_order = ("traffic_split", "redraw", "reason")


class StepsField(forms.CharField):
    """Shares in percent, as people write them: 1, 5, 10."""

    def clean(self, value: Any) -> list[float] | None:
        parts = [part for part in re.split(r"[,;\s%]+", super().clean(value)) if part]
        if len(parts) > MAX_STEPS:
            raise ValidationError(f"must be at most {MAX_STEPS} steps but got {len(parts)}")
        try:
            return [float(part) / 100 for part in parts] or None
        except ValueError as error:
            raise ValidationError("must be percents such as 1, 5, 10, 25, 50, 100") from error


def _number(**about: Any) -> forms.FloatField:
    return forms.FloatField(required=False, widget=forms.NumberInput(attrs={"step": "any"}), **about)


class ExperimentForm(forms.Form):
    """What is left out has a default; `previewed` says which answers the person has seen the preview of."""

    version_b = forms.ChoiceField(label="Version to try (B)", help_text="A version in staging.")
    mode = forms.ChoiceField(label="Design", widget=forms.RadioSelect)
    success_metrics = forms.MultipleChoiceField(
        label="Judged on",
        widget=forms.CheckboxSelectMultiple,
        help_text="The calculator plans for the first of them. Each further one makes the test stricter.",
    )
    name = forms.CharField(required=False, max_length=100, label="Name", help_text="Empty: “B against A”.")
    hypothesis = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs=_AREA),
        label="What you expect, and why",
        help_text="Kept as it was before the first label, for whoever reads the result.",
    )
    gain = _number(
        label="Smallest gain worth finding",
        help_text="0.02 is two points. Empty: a twentieth of what A reaches.",
    )
    margin = _number(
        label="Or: how much worse B may be",
        help_text="For a B that is cheaper or fairer: it ships if it is not worse by this. Empty: it must be better.",
    )
    traffic_split = _number(
        label="Share of B", min_value=0, max_value=1, initial=0.1, help_text="Of an A/B test: 0.1 is one unit in ten."
    )
    steps = StepsField(
        required=False,
        max_length=200,
        label="Steps of a ramp (%)",
        initial=", ".join(f"{100 * step:g}" for step in RAMP),
    )
    step_hours = _number(
        label="Hours of a step, at least", min_value=0.1, max_value=8760, initial=24, help_text="Of a ramp."
    )
    holdout = _number(
        label="Share that takes no part",
        min_value=0,
        max_value=0.99,
        initial=0,
        help_text="Answered by A, not counted.",
    )
    false_positive = _number(label="Cost of a false alarm", min_value=0, max_value=1e12)
    false_negative = _number(
        label="Cost of a miss", min_value=0, max_value=1e12, help_text="Both are needed to judge on cost."
    )
    min_samples = forms.IntegerField(
        required=False, min_value=1, max_value=10**9, initial=100, label="No verdict before so many labels of an arm"
    )
    follow_up_days = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=3650,
        label="Judge each claim after so many days",
        help_text="Where late labels differ from early ones. Empty: as it is known now.",
    )
    group_by = forms.CharField(
        required=False,
        max_length=128,
        label="Groups for the fairness guardrail",
        help_text="A feature or a slice. Empty: it is not watched.",
    )
    guardrails = StrictJSONField(
        required=False,
        initial=dict,
        widget=forms.Textarea(attrs=_AREA),
        label="Guardrails unlike the defaults",
        help_text='JSON, such as {"error_rate": {"warn": 0.001, "hold": 0.005, "roll_back": 0.02}, "latency": null}.',
    )
    previewed = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(
        self, *args: Any, versions: list[str], metrics: list[tuple[str, str]], live: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "version_b", [(number, number) for number in versions])
        offer(self, "success_metrics", metrics)
        designs = [
            (Design.SHADOW, "Paired shadow test: A answers, B scores the same claims silently"),
            (Design.AB, "A/B test: some units are answered by B"),
            (Design.RAMP, "Ramp: an A/B test whose share of B grows in steps"),
        ]
        offer(self, "mode", designs if live else designs[:1])

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if (said.get("false_positive") is None) != (said.get("false_negative") is None):
            self.add_error("false_negative", "must be given together with the cost of a false alarm")
        return said

    @property
    def costs(self) -> dict[str, float] | None:
        said = self.cleaned_data
        if said["false_positive"] is None or said["false_negative"] is None:
            return None
        return {name: said[name] for name in ("false_positive", "false_negative")}

    def terms(self) -> dict[str, Any]:
        """As the service takes them, without what belongs to other designs."""
        said, design = self.cleaned_data, self.cleaned_data["mode"]
        ramp = {"steps": said["steps"], "step_hours": said["step_hours"]} if design == Design.RAMP else {}
        split = {"traffic_split": said["traffic_split"]} if design == Design.AB else {}
        plain = ("name", "margin", "min_samples", "guardrails", "group_by", "follow_up_days", "hypothesis")
        return {
            **{name: said[name] for name in plain},
            **ramp,
            **split,
            "design": design,
            "holdout": said["holdout"] or 0.0,
            "costs": self.costs,
            "metrics": said["success_metrics"],
            "version_b": said["version_b"],
        }
