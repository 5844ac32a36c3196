"""The forms of monitoring."""

from __future__ import annotations

from typing import Any

from django import forms

from mlops_site.core.forms import StrictJSONField, offer
from monitoring.choices import Rule


class AlertForm(forms.Form):
    """What is done is the button that was pressed; only a silence needs the hours, only a gift the person."""

    comment = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 3}), help_text="Kept with what you do below."
    )
    hours = forms.IntegerField(required=False, min_value=1, max_value=720, initial=24, label="Silence for (hours)")
    assignee = forms.ChoiceField(required=False, label="Give it to")

    def __init__(self, *args: Any, people: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "assignee", [("", "nobody"), *((name, name) for name in people)])


class AlertsForm(forms.Form):
    """A deed on the alerts that were ticked."""

    comment = forms.CharField(required=False, label="Comment", max_length=2000)


class SilenceForm(forms.Form):
    """On what is raised from then on, too."""

    model = forms.ChoiceField()
    rule = forms.ChoiceField(required=False, label="Kind", choices=[("", "every kind"), *Rule.choices])
    subject = forms.CharField(
        required=False, max_length=128, help_text="A feature or a metric. Empty: every one, and the model as a whole."
    )
    starts_at = forms.DateTimeField(
        required=False,
        label="From (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="Empty: now.",
    )
    hours = forms.IntegerField(min_value=1, max_value=720, initial=24, label="For (hours)")
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), max_length=2000)

    def __init__(self, *args: Any, models: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "model", [(name, name) for name in models])


class CommentForm(forms.Form):
    comment = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}), max_length=2000)


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


class ScoreForm(forms.Form):
    """A file, or a data set that is here already."""

    version = forms.ChoiceField(label="Model and version")
    file = forms.FileField(
        required=False,
        label="csv or parquet file",
        help_text="With a column for each input of the version; others are passed over.",
    )
    dataset = forms.ChoiceField(required=False, label="Or a data set")
    id_column = forms.CharField(
        max_length=128,
        required=False,
        label="Column with your own ids",
        help_text="Copied into the result, and kept with each logged prediction.",
    )
    log = forms.BooleanField(
        required=False,
        label="Log the answers",
        help_text="Then they count in production's monitoring, and labels can follow. Leave it out of a trial.",
    )

    def __init__(self, *args: Any, versions: list[tuple[str, str]], datasets: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "version", [(value, f"{value.partition('@')[0]} {label}") for value, label in versions])
        offer(self, "dataset", [("", "none"), *((name, name) for name in datasets)])

    def asked(self) -> dict[str, Any]:
        """As the service takes it."""
        said = dict(self.cleaned_data)
        name, _, number = said.pop("version").partition("@")
        filename = said["file"].name if said["file"] else ""
        return {"model_name": name, "version": number, "filename": filename, **said}
