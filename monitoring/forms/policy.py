"""When a model is trained again, and when it is looked at."""

from __future__ import annotations

from typing import Any

from django import forms

from mlops_site.core.forms import StrictJSONField

_SHARE: dict[str, Any] = {"min_value": 0, "max_value": 1, "required": False}
_SHORT = {"class": "short"}
_LENGTH = "Like 7d, 12h or 30m."


class RetrainPolicyForm(forms.Form):
    """A field that is left empty switches its trigger off."""

    enabled = forms.BooleanField(required=False, label="In force")
    performance_degradation = forms.FloatField(
        **_SHARE,
        label="When the metric falls by",
        help_text="Against the one that the version was registered with: 0.05 is from 0.75 to 0.70. Empty: never.",
    )
    data_drift_score = forms.FloatField(
        **_SHARE, label="When the drift score reaches", help_text="0.2 is high drift. Empty: never."
    )
    prediction_volume_drop = forms.FloatField(
        **_SHARE, label="When predictions fall by", help_text="A share of the window before. Empty: never."
    )
    scheduled_interval = forms.CharField(
        required=False,
        max_length=20,
        widget=forms.TextInput(attrs=_SHORT),
        label="When the last training is so long ago",
        help_text=f"{_LENGTH} Empty: never.",
    )
    cool_down = forms.CharField(
        max_length=20,
        widget=forms.TextInput(attrs=_SHORT),
        label="But not sooner after the last one than",
        help_text=_LENGTH,
    )
    min_labels = forms.IntegerField(
        min_value=1, label="And with at least so many labels", help_text="Predictions labelled since the last data set."
    )
    daily_budget = forms.IntegerField(
        required=False, min_value=0, label="At most so many in 24 hours", help_text="Empty: any number."
    )
    new_rows_weight = forms.FloatField(
        required=False,
        min_value=0.01,
        max_value=100,
        initial=1.0,
        label="A new row counts",
        help_text="In a fit, where a row of the last training counts 1.",
    )
    keeps_training_rows = forms.BooleanField(
        required=False,
        label="Keep the rows of the last training",
        help_text="Else it is trained on the new ones alone.",
    )
    config_overrides = StrictJSONField(
        required=False,
        label="Unlike the last training",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text='Fields of a run as JSON, such as {"n_trials": 40}. Empty: as the version in production was trained.',
    )

    def fields_said(self) -> dict[str, Any]:
        """As the service takes them."""
        said = {name: None if value == "" else value for name, value in self.cleaned_data.items()}
        weight = 1.0 if said["new_rows_weight"] is None else said["new_rows_weight"]
        return {**said, "new_rows_weight": weight, "config_overrides": said["config_overrides"] or {}}


class TeamRetrainPolicyForm(RetrainPolicyForm):
    team_daily_budget = forms.IntegerField(
        required=False, min_value=0, label="All models together in 24 hours", help_text="Empty: any number."
    )


class ScheduleForm(forms.Form):
    every = forms.CharField(max_length=20, help_text=_LENGTH)
    enabled = forms.BooleanField(required=False, label="In force")


class MonitoringScheduleForm(forms.Form):
    enabled = forms.BooleanField(required=False, label="In force", help_text="Else nobody looks at it by itself.")
    every = forms.CharField(
        max_length=20, widget=forms.TextInput(attrs=_SHORT), label="A report every", help_text=_LENGTH
    )
    window = forms.CharField(
        max_length=20, widget=forms.TextInput(attrs=_SHORT), label="On the last", help_text=_LENGTH
    )
    check_after = forms.IntegerField(
        required=False,
        min_value=0,
        label="And after so many new rows",
        help_text="Answers and labels; of a busy model one fiftieth of its last report. 0: only on time.",
    )


class BackfillForm(forms.Form):
    start = forms.DateTimeField(label="From (UTC)", help_text="Like 2026-11-01 00:00.")
    end = forms.DateTimeField(label="To (UTC)")
    every = forms.CharField(
        max_length=20, widget=forms.TextInput(attrs=_SHORT), label="A window that ends every", help_text=_LENGTH
    )
    window = forms.CharField(max_length=20, widget=forms.TextInput(attrs=_SHORT), label="Each on", help_text=_LENGTH)
