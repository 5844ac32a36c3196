"""The forms of monitoring."""

from __future__ import annotations

from django import forms


class AlertForm(forms.Form):
    """What is done is the button that was pressed; only a silence needs the hours."""

    comment = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 3}), help_text="Kept with what you do below."
    )
    hours = forms.IntegerField(required=False, min_value=1, max_value=720, initial=24, label="Silence for (hours)")
