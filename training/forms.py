"""The forms of training; what they carry is checked by the services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from mlops_site.core.forms import offer
from training.choices import CrossValidation, Need


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


class RunForm(forms.Form):
    """What most runs set; the rest is completed from the model and the data set."""

    model_name = forms.ChoiceField(label="Model")
    dataset = forms.ChoiceField(label="Data set")
    n_trials = forms.IntegerField(min_value=1, max_value=1000, initial=20, label="Trials for each model type")
    model_types = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, help_text="None ticked: all that fit the task."
    )
    metric = forms.ChoiceField(required=False, help_text="Left open: the usual one of the task.")
    cv = forms.ChoiceField(
        choices=[("", "as the data set declares"), *CrossValidation.choices], required=False, label="Folds are made"
    )
    cv_folds = forms.IntegerField(min_value=2, max_value=20, initial=5, label="Folds")
    auto_deploy_threshold = forms.FloatField(
        min_value=0, max_value=1, required=False, help_text="The gate also asks for at least this value of the metric."
    )
    need = forms.ChoiceField(
        choices=Need.choices, initial=Need.NON_INFERIOR.value, required=False, label="Against the version in production"
    )
    seed = forms.IntegerField(min_value=0, max_value=2**32 - 1, initial=0)
    trigger_reason = forms.CharField(max_length=200, initial="manual", label="Why")

    def __init__(
        self,
        *args: Any,
        models: Sequence[str],
        datasets: Sequence[str],
        model_types: Sequence[str],
        metrics: Sequence[str],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        fields: Any = self.fields
        fields["model_name"].choices = [(name, name) for name in models]
        fields["dataset"].choices = [(name, name) for name in datasets]
        fields["model_types"].choices = [(name, name.replace("_", " ")) for name in model_types]
        fields["metric"].choices = [("", "the usual one"), *((name, name) for name in metrics)]
