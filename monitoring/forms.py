"""The forms of monitoring."""

from __future__ import annotations

from typing import Any

from django import forms

from mlops_site.core.forms import StrictJSONField, offer
from monitoring.choices import USUAL_EVENTS, AlertEvent, ChannelKind, Digest, Severity


class AlertForm(forms.Form):
    """What is done is the button that was pressed; only a silence needs the hours."""

    comment = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 3}), help_text="Kept with what you do below."
    )
    hours = forms.IntegerField(required=False, min_value=1, max_value=720, initial=24, label="Silence for (hours)")


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


_ADDRESS = {
    ChannelKind.WEBHOOK: ("Address", "https://… It gets a signed JSON body."),
    ChannelKind.SLACK: ("Incoming webhook", "https://hooks.slack.com/services/… Mattermost's work too."),
    ChannelKind.TEAMS: ("Workflow webhook", "https://… of “Post to a channel when a webhook request is received”."),
    ChannelKind.MAIL: ("E-mail addresses", "Parted by commas."),
    ChannelKind.INBOX: ("People or roles", "Parted by commas, such as ben, ml_engineer. Empty: all who handle alerts."),
    ChannelKind.APPRISE: ("Place", "A name that the operator has given in APPRISE_URLS."),
}
_CLOCK = forms.TimeInput(attrs={"type": "time", "class": "short"}, format="%H:%M")


class ChannelForm(forms.Form):
    """Of a channel that is there, an empty address stays."""

    name = forms.CharField(max_length=80)
    address = forms.CharField(max_length=4000, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    min_severity = forms.ChoiceField(
        choices=[(level.value, f"{level.label} and worse") for level in reversed(Severity)],
        label="Alerts",
        initial=Severity.LOW,
    )
    events = forms.MultipleChoiceField(
        choices=AlertEvent.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=[str(event) for event in USUAL_EVENTS],
        label="When an alert is",
    )
    models = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Of", help_text="None ticked: all of the team."
    )
    digest = forms.ChoiceField(choices=Digest.choices, label="How")
    quiet_from = forms.TimeField(required=False, widget=_CLOCK, label="Quiet from")
    quiet_until = forms.TimeField(
        required=False, widget=_CLOCK, label="until", help_text="What comes in between is sent together at its end."
    )
    time_zone = forms.CharField(max_length=64, initial="UTC", help_text="Such as Europe/Zurich.")
    critical_passes = forms.BooleanField(
        required=False, initial=True, label="Critical alerts at once, whatever is set above"
    )
    enabled = forms.BooleanField(required=False, initial=True, label="Switched on")
    team = forms.ChoiceField()

    def __init__(
        self, *args: Any, kind: str, models: list[str], teams: list[str] | None = None, place: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        label, help_text = _ADDRESS[ChannelKind(kind)]
        self.fields["address"].label = label
        self.fields["address"].help_text = f"{help_text} Now: {place}. Empty: it stays." if place else help_text
        offer(self, "models", [(name, name) for name in models])
        if not models:
            del self.fields["models"]
        if teams:
            offer(self, "team", [(name, name) for name in teams])
        else:
            del self.fields["team"]

    def fields_said(self) -> dict[str, Any]:
        """As the service takes them."""
        return {name: value for name, value in self.cleaned_data.items() if name != "team"}
