"""Where alerts are told."""

from __future__ import annotations

from typing import Any

from django import forms

from mlops_site.core.forms import offer
from monitoring.choices import USUAL_EVENTS, AlertEvent, ChannelKind, Digest, Severity

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
