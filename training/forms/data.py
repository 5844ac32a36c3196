"""Forms of data sets and their sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from mlops_site.core.forms import StrictJSONField, offer
from training.choices import SourceKind, Takes


class DatasetForm(forms.Form):
    name = forms.CharField(max_length=63, help_text="Small letters, digits and _. A known name gets its next version.")
    file = forms.FileField(label="csv or parquet file")
    target = forms.CharField(max_length=128, label="Target column")
    group_column = forms.CharField(
        max_length=128, required=False, help_text="Rows of one group (a person, say) stay on one side of every split."
    )
    time_column = forms.CharField(
        max_length=128, required=False, help_text="Later rows are then never used to predict earlier ones."
    )
    pii = forms.CharField(
        max_length=2000, required=False, label="Columns with personal data", help_text="Separated by commas."
    )
    team = forms.ChoiceField()

    def __init__(self, *args: Any, teams: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "team", [(name, name) for name in teams])

    def clean_pii(self) -> list[str]:
        return [name.strip() for name in self.cleaned_data["pii"].split(",") if name.strip()]


class RegisterForm(DatasetForm):
    """The same, of a file that lies where the operator lets the team read."""

    location = forms.CharField(
        max_length=1000,
        label="Where it lies",
        help_text="/folder/claims.csv or s3://bucket/claims.csv. It is copied.",
    )
    field_order = ("name", "location")

    def __init__(self, *args: Any, teams: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, teams=teams, **kwargs)
        del self.fields["file"]


class KeepingForm(forms.Form):
    """Who answers for a data set, and for how long; what the actor may not change is left out."""

    owner = forms.ChoiceField(required=False, help_text="Who answers for the data.")
    retention_days = forms.IntegerField(
        min_value=1,
        max_value=36_600,
        required=False,
        label="Keep the bytes of each version for (days)",
        help_text="Empty: for good. What a model in production was trained on stays while it serves.",
    )
    hold = forms.CharField(
        max_length=200,
        required=False,
        label="Legal hold, why",
        help_text="While it says something, no bytes go.",
    )

    def __init__(self, *args: Any, people: Sequence[str], fields: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "owner", [("", "nobody"), *((name, name) for name in people)])
        for name in set(self.fields) - set(fields):
            del self.fields[name]


class EraseForm(forms.Form):
    reason = forms.CharField(max_length=200, label="Why")


class SourceForm(forms.Form):
    """Where data comes from by itself, and what becomes of it."""

    name = forms.CharField(max_length=63, help_text="Small letters, digits and _.")
    kind = forms.ChoiceField(choices=SourceKind.choices)
    location = forms.CharField(
        max_length=500, help_text="A folder, s3://bucket/prefix, or the name that the operator gave a database."
    )
    pattern = forms.CharField(max_length=100, required=False, initial="*.csv", help_text="Of file names.")
    takes = forms.ChoiceField(choices=Takes.choices, required=False, label="Of the files, a version is made of")
    query = forms.CharField(
        max_length=20_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One SELECT, of a database only. With ORDER BY, the same rows are the same version.",
    )
    dataset_name = forms.CharField(max_length=63, label="Data set", help_text="It gets its next version.")
    target = forms.CharField(max_length=128, label="Target column")
    group_column = forms.CharField(max_length=128, required=False)
    time_column = forms.CharField(max_length=128, required=False)
    pii = forms.CharField(
        max_length=2000, required=False, label="Columns with personal data", help_text="Separated by commas."
    )
    every = forms.CharField(
        max_length=10, required=False, label="Look every", help_text="7d, 12h or 30m; empty: only when somebody asks."
    )
    run_config = StrictJSONField(
        required=False,
        initial=dict,
        label="Start a run with",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text='As JSON: {"model_name": "high_cost_claim", "n_trials": 20}. Empty: no run is started.',
    )
    enabled = forms.BooleanField(required=False, initial=True, label="Switched on")
    team = forms.ChoiceField()

    def __init__(self, *args: Any, teams: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if teams:
            offer(self, "team", [(name, name) for name in teams])
        else:
            for name in ("name", "kind", "team"):  # of a source that is there
                del self.fields[name]

    def clean_pii(self) -> list[str]:
        return [name.strip() for name in self.cleaned_data["pii"].split(",") if name.strip()]

    def clean_run_config(self) -> dict[str, Any]:
        return self.cleaned_data["run_config"] or {}
