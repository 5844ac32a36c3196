"""What a model is held to: slices, drift, data, retention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from mlops_site.core.forms import offer

BOUNDS = ("min", "max")
_SHARE: dict[str, Any] = {"min_value": 0, "max_value": 1, "required": False}


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
    """The parts of one check; a part that is left empty is the derived one, a bound may also be none."""

    off = forms.BooleanField(required=False, label="Do not check this")
    max_share = forms.FloatField(
        **_SHARE, label="At most this share may fail", help_text="0.01 is one value in a hundred."
    )
    min = forms.FloatField(required=False, label="Smallest value")
    no_min = forms.BooleanField(required=False, label="No smallest value: as small as they come")
    max = forms.FloatField(required=False, label="Largest value")
    no_max = forms.BooleanField(required=False, label="No largest value: as large as they come")
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
        for name in [name for name in self.fields if name.removeprefix("no_") not in (*parts, "off", "reason")]:
            del self.fields[name]

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        for name in BOUNDS:
            if said.get(f"no_{name}") and said.get(name) is not None:
                self.add_error(name, "Either a value or none.")
        return said

    def limit(self) -> dict[str, Any] | None:
        """As the service takes it; None where nothing is said."""
        if self.cleaned_data["off"]:
            return {"off": True}
        said = {name: value for name, value in self.cleaned_data.items() if name not in ("off", "reason")}
        none = {name: None for name in BOUNDS if said.pop(f"no_{name}", False)}
        if "allowed" in said:
            said["allowed"] = [line.strip() for line in said["allowed"].splitlines() if line.strip()]
        return {name: value for name, value in said.items() if value not in (None, [])} | none or None


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
