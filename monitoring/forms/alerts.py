"""What people do about alerts."""

from __future__ import annotations

from typing import Any

from django import forms

from mlops_site.core.forms import offer
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
