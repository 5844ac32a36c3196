"""Forms of quality gates: expectations and waivers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms

from mlops_site.core.forms import StrictJSONField, offer


class InferForm(forms.Form):
    version = forms.TypedChoiceField(coerce=int, label="Version that is trusted")
    comment = forms.CharField(max_length=500, required=False, label="Why")

    def __init__(self, *args: Any, versions: Sequence[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "version", [(str(number), str(number)) for number in versions])


class DocumentField(StrictJSONField):
    """JSON laid out for editing."""

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict) else value


class ExpectationsForm(forms.Form):
    document = DocumentField(
        widget=forms.Textarea(attrs={"rows": 28, "spellcheck": "false", "style": "font-family: monospace"}),
        label="Expectations (JSON)",
    )
    comment = forms.CharField(max_length=500, label="What changed and why")


class WaiverForm(forms.Form):
    check = forms.CharField(max_length=40, help_text="Its name in the report, such as schema_range.")
    column = forms.CharField(max_length=128, required=False, help_text="Empty where the check is of the whole table.")
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3}))
    until = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}), help_text="The last day, UTC.")


class RevokeForm(forms.Form):
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3}))
