"""A file or a data set to score."""

from __future__ import annotations

from typing import Any

from django import forms

from mlops_site.core.forms import offer


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
        help_text="Copied into the result, and kept with each logged prediction. Columns that the file lacks are read "
        "for these units, where the version reads feature sets.",
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
