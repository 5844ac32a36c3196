"""Forms of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from mlops_site.core.forms import StrictJSONField
from training.choices import Calibration, CrossValidation, Need


class NoteForm(forms.Form):
    text = forms.CharField(
        max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 5}), label="What should be remembered?"
    )
    figure = forms.FileField(
        required=False, label="A figure", help_text="PNG, at most 2 MB and 4,000 pixels wide and high."
    )


MOST = 1e12
BY_NAME = ("search_space", "monotone", "available_at")  # whose errors name an entry
PAIRS = {"cost_matrix": ("false_negative", "false_positive"), "capacity": ("at_most", "of_rows")}


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
    nested_folds = forms.IntegerField(
        min_value=2,
        max_value=10,
        required=False,
        label="Outer folds",
        help_text="How good is the search as a whole, on rows that its choice never saw? It is done again inside each: "
        "5 of them take six times as long. Empty: not asked.",
    )
    calibration = forms.ChoiceField(
        choices=[("", "no"), *Calibration.choices],
        required=False,
        label="Calibrate the scores",
        help_text="Of two classes, where that lowers log loss and Brier score out of fold.",
    )
    false_negative = forms.FloatField(
        min_value=0,
        max_value=MOST,
        required=False,
        label="A missed positive costs",
        help_text="Then two classes are told apart where mistakes cost least. Empty, both: at the best F1.",
    )
    false_positive = forms.FloatField(min_value=0, max_value=MOST, required=False, label="A false alarm costs")
    at_most = forms.FloatField(
        min_value=0,
        max_value=MOST,
        required=False,
        label="Positives that can be looked at",
        help_text="200 investigations among the 5,000 claims of a week, say: no more are then told positive.",
    )
    of_rows = forms.FloatField(min_value=0, max_value=MOST, required=False, label="Among so many rows")
    features = forms.CharField(
        max_length=20_000,
        required=False,
        label="Features",
        help_text="Columns separated by commas. Empty: all but target, group, time and personal data.",
    )
    search_space = StrictJSONField(
        required=False,
        initial=dict,
        label="A narrower search",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text='By model type as JSON: {"random_forest": {"max_depth": {"low": 3, "high": 6}}}. Empty: all of it.',
    )
    slices = forms.CharField(
        max_length=2000,
        required=False,
        label="Columns to judge by group",
        help_text="Separated by commas, features or not: the model card tells their groups apart.",
    )
    monotone = StrictJSONField(
        required=False,
        initial=dict,
        label="The answer may only rise or fall with",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text='Numbers as JSON: {"age": 1} rises, {"age": -1} falls. Only types that can hold it are tried.',
    )
    available_at = StrictJSONField(
        required=False,
        initial=dict,
        label="When features are known",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text='Columns of times as JSON: {"lab_value": "measured_on"}. A value from after the prediction blocks.',
    )
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

    def clean_features(self) -> list[str]:
        return _names(self.cleaned_data["features"])

    def clean_slices(self) -> list[str]:
        return _names(self.cleaned_data["slices"])

    def takes(self, field: str) -> bool:
        """Whether the service's field has a place here: a pair is typed into two."""
        whole = field.partition(".")[0]
        return field in self.fields or whole in PAIRS or whole in BY_NAME

    def add_error(self, field: str | None, error: Any) -> None:
        """A refusal of a pair stands at its first field, and one of an entry of it at that entry's."""
        whole, _, entry = (field or "").partition(".")
        if whole in PAIRS:
            field = entry if entry in self.fields else PAIRS[whole][0]
        elif whole in BY_NAME:
            field = whole
        super().add_error(field, error)

    def asked(self) -> dict[str, Any]:
        """As the service takes it: what was left open is left out."""
        said = {name: value for name, value in self.cleaned_data.items() if value not in ("", None, [], {})}
        for field, names in PAIRS.items():
            if pair := {name: said.pop(name) for name in names if name in said}:
                said[field] = pair
        return said


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
