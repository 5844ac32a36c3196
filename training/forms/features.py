"""The forms of feature sets; what they carry is checked by the services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from mlops_site.core.forms import StrictJSONField, offer
from training.models import FeatureSetVersion


def _zone() -> forms.CharField:
    said = "Such as UTC. Empty: they are refused."
    return forms.CharField(max_length=60, required=False, label="Zone of times without one", help_text=said)


class FeatureSetForm(forms.Form):
    name = forms.CharField(max_length=63, help_text="Small letters, digits and _. A known name gets its next version.")
    entity = forms.CharField(max_length=63, help_text="What a unit id names: person, claim.")
    columns = StrictJSONField(
        initial=lambda: [{"name": "visits", "kind": "number", "description": "", "pii": False}],
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text='As JSON: name, kind (number or category), description, and "pii": true for personal data.',
    )
    description = forms.CharField(max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    source = forms.CharField(
        max_length=500, required=False, help_text="Where the values come from: a system, a table, a data set."
    )
    freshness_days = forms.FloatField(
        min_value=1 / 86_400,
        max_value=36_500,
        required=False,
        label="Stale after (days)",
        help_text="An older value counts as none, in training and in serving. Empty: never.",
    )
    owner = forms.CharField(max_length=150, required=False, help_text="A person of the team. Empty: you.")
    team = forms.ChoiceField()

    def __init__(self, *args: Any, teams: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "team", [(name, name) for name in teams])

    @staticmethod
    def said_by(found: FeatureSetVersion) -> dict[str, Any]:
        """What the form of the next version begins with."""
        days = None if found.freshness_secs is None else found.freshness_secs / 86_400
        same = {name: getattr(found, name) for name in ("entity", "columns", "description", "source")}
        return {**same, "name": found.feature_set.name, "freshness_days": days, "owner": found.owner.get_username()}

    def asked(self) -> dict[str, Any]:
        """As the service takes it."""
        said = dict(self.cleaned_data)
        days = said.pop("freshness_days")
        return {
            **said,
            "freshness_secs": None if days is None else max(1, round(days * 86_400)),
            "owner": said["owner"] or None,
        }


class LoadForm(forms.Form):
    file = forms.FileField(required=False, label="csv or parquet file")
    dataset = forms.ChoiceField(required=False, label="or a data set")
    unit_column = forms.CharField(max_length=128, label="Column of the unit")
    event_column = forms.CharField(max_length=128, label="Column of the event time", help_text="When the values held.")
    ingested_column = forms.CharField(
        max_length=128,
        required=False,
        label="Column of the ingestion time",
        help_text="When the source knew them, of history. Empty: they are known from now on.",
    )
    columns = StrictJSONField(
        required=False,
        initial=dict,
        label="Columns of other names",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text='As JSON, where the table calls them otherwise: {"visits": "n_visits"}.',
    )
    zone = forms.CharField(
        max_length=60,
        required=False,
        label="Zone of times without one",
        help_text="Such as UTC. Empty: they are refused.",
    )

    def __init__(self, *args: Any, datasets: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "dataset", [("", "none"), *((name, name) for name in datasets)])

    def clean_columns(self) -> dict[str, str] | None:
        found = self.cleaned_data["columns"]
        if found and not (isinstance(found, dict) and all(isinstance(name, str) for name in found.values())):
            raise forms.ValidationError("must be an object of column names")
        return found or None

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if bool(said.get("file")) == bool(said.get("dataset")):
            self.add_error("file", "give a file or a data set, one of them")
        return said


class TrainingSetForm(forms.Form):
    name = forms.CharField(max_length=63, help_text="Of the data set that is made. A known name gets its next version.")
    labels = forms.ChoiceField(help_text="The data set of units, times and targets.")
    unit_column = forms.CharField(max_length=128, label="Column of the unit")
    time_column = forms.CharField(
        max_length=128, label="Column of the time", help_text="When each row was, or would have been, asked about."
    )
    zone = forms.CharField(
        max_length=60,
        required=False,
        label="Zone of times without one",
        help_text="Such as UTC. Empty: they are refused.",
    )
    feature_sets = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, datasets: Sequence[str], feature_sets: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "labels", [(name, name) for name in datasets])
        offer(self, "feature_sets", [(name, name) for name in feature_sets])
