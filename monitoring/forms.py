"""The forms of monitoring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from mlops_site.core.forms import StrictJSONField, offer
from monitoring.choices import USUAL_EVENTS, AlertEvent, ChannelKind, Digest, Rule, Severity


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


class SliceForm(forms.Form):
    """A slice to count by. What is sent besides is the limits, see `FairnessForm`."""

    by = forms.ChoiceField(label="By", help_text="An input, or a name in the slices that answers are logged with.")
    name = forms.CharField(
        required=False, max_length=128, label="Another name", help_text="That answers will be logged with."
    )
    levels = forms.CharField(
        required=False,
        max_length=1500,
        label="Levels",
        help_text="Texts between commas; the rest is counted as other. Empty: the frequent ones, or the quartiles of a "
        "number.",
    )
    cuts = forms.CharField(
        required=False, max_length=300, label="Or cut a number at", help_text="Such as 40, 65. Levels stay empty then."
    )

    def __init__(self, *args: Any, features: list[str], names: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = [*((f"feature:{name}", f"input {name}") for name in features)]
        offered += [(f"slice:{name}", f"slice {name}") for name in names]
        offer(self, "by", [*offered, ("", "another name")])
        self.fields["by"].required = False
        self.fields["by"].initial = offered[0][0] if offered else ""

    def asked(self) -> dict[str, Any]:
        """As the service takes it."""
        source, _, name = self.cleaned_data["by"].partition(":")
        levels, cuts = (
            [part.strip() for part in self.cleaned_data[field].split(",") if part.strip()]
            for field in ("levels", "cuts")
        )
        return {"name": name or self.cleaned_data["name"], "source": source or "slice", "levels": levels, "cuts": cuts}


class FairnessForm(forms.Form):
    """From which gap on an alert is raised; a measure that is left empty raises none."""

    min_rows = forms.IntegerField(
        min_value=10, max_value=1_000_000, label="Compare from so many rows on", help_text="Of a level, behind a rate."
    )

    def __init__(self, *args: Any, measures: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in measures:
            label = f"Gap of {name.replace('_', ' ')}"
            self.fields[name] = forms.FloatField(required=False, min_value=0.0001, max_value=10, label=label)

    def asked(self) -> dict[str, Any]:
        """As the service takes it."""
        said = dict(self.cleaned_data)
        return {"min_rows": said.pop("min_rows"), "limits": said}


class DriftAlarmForm(forms.Form):
    """A budget that is left empty brings back the standard rule."""

    false_alarms_a_month = forms.FloatField(
        required=False,
        min_value=0.1,
        max_value=30,
        label="False alarms a month, at most",
        help_text="0.1 to 30: 1 is one alarm a month that means nothing. Empty: the standard rule.",
    )
    smallest_shift_sd = forms.FloatField(
        min_value=0.05,
        max_value=2,
        label="The smallest shift worth an alarm",
        help_text="In standard deviations of a feature, 0.05 to 2. The rule that finds it soonest is taken.",
    )


class LimitForm(forms.Form):
    """The parts of one check; a part that is left empty is the derived one."""

    off = forms.BooleanField(required=False, label="Do not check this")
    max_share = forms.FloatField(
        **_SHARE, label="At most this share may fail", help_text="0.01 is one value in a hundred."
    )
    min = forms.FloatField(required=False, label="Smallest value")
    max = forms.FloatField(required=False, label="Largest value")
    allowed = forms.CharField(
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        label="Categories that may come as well",
        help_text="One in each line, beside those of the reference.",
    )
    max_change = forms.FloatField(
        required=False,
        min_value=0,
        max_value=2,
        label="Largest change of a correlation",
        help_text="0.2 is from 0.5 to 0.7, or to 0.3.",
    )
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3}), label="Why")

    def __init__(self, *args: Any, parts: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in [name for name in self.fields if name not in (*parts, "off", "reason")]:
            del self.fields[name]

    def limit(self) -> dict[str, Any] | None:
        """As the service takes it; None where nothing is said."""
        said = {name: value for name, value in self.cleaned_data.items() if name not in ("off", "reason")}
        if self.cleaned_data["off"]:
            return {"off": True}
        if "allowed" in said:
            said["allowed"] = [line.strip() for line in said["allowed"].splitlines() if line.strip()]
        return {name: value for name, value in said.items() if value not in (None, [])} or None


class RetentionForm(forms.Form):
    """How long predictions of a model are kept; what the actor may not change is left out."""

    retention_days = forms.IntegerField(
        min_value=0,
        max_value=36_600,
        required=False,
        label="Keep predictions and their labels for (days)",
        help_text="Empty: as the site says. 0: for good.",
    )
    feature_days = forms.IntegerField(
        min_value=0,
        max_value=36_600,
        required=False,
        label="Keep the features that they were made of for (days)",
        help_text="Empty: as the site says. 0: as long as the predictions.",
    )
    hold = forms.CharField(
        max_length=200, required=False, label="Legal hold, why", help_text="While it says something, nothing goes."
    )

    def __init__(self, *args: Any, fields: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in set(self.fields) - set(fields):
            del self.fields[name]


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
