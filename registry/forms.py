"""The registry's forms; what they carry is checked by the services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from django import forms

from mlops_site.core.choices import Role
from mlops_site.core.forms import StrictJSONField, offer
from mlops_site.core.permissions import ROLE_ACTIONS, Action
from registry.choices import RiskTier, TaskType

_TEXT = forms.Textarea(attrs={"rows": 4})


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=2000, widget=_TEXT, help_text="Kept for good, with your name.")


class ResolutionForm(forms.Form):
    resolution = forms.CharField(max_length=2000, widget=_TEXT, help_text="What was found, and what was done about it.")


class RequestForm(forms.Form):
    """The two answers that somebody else reads before a version serves."""

    reason = forms.CharField(max_length=2000, widget=_TEXT, label="What changed?")
    why_material = forms.CharField(
        max_length=2000, widget=_TEXT, label="Why is it material?", help_text="Both are kept for good, with your name."
    )


class ReviewForm(forms.Form):
    comment = forms.CharField(max_length=2000, required=False, widget=_TEXT)


class DecisionForm(ReviewForm):
    condition = forms.CharField(
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Only to approve with a condition: what must hold or be done.",
    )
    revalidate_on = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        label="Look again by",
        help_text="Goes with a condition; once the day has passed an alert is raised.",
    )


class TrialForm(forms.Form):
    rows = StrictJSONField(
        label="Sample claims",
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text="A JSON list of up to 100 claims, each with its features. Nothing of it is logged.",
    )

    def clean_rows(self) -> list[dict[str, Any]]:
        rows = self.cleaned_data["rows"]
        rows = [rows] if isinstance(rows, dict) else rows
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise forms.ValidationError("must be a JSON list of objects, one for each claim")
        return rows


class ReportForm(forms.Form):
    file = forms.FileField(
        label="PDF, Markdown or text file",
        help_text="Kept with the version and named by its digest in the evidence. It is offered as a download only.",
    )


class NoteForm(forms.Form):
    note = forms.CharField(max_length=2000, widget=_TEXT, label="How was it met?", help_text="Kept with your name.")


class AbsenceForm(forms.Form):
    team = forms.ChoiceField()
    delegate = forms.CharField(max_length=150, label="Who stands in", help_text="Somebody of your role in that team.")
    first_day = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}), label="Away from")
    last_day = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}), label="Away until, this day included")
    reason = forms.CharField(max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, teams: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "team", [(name, name) for name in teams])

    def clean_last_day(self) -> date:
        """The absence ends with the day after it, which the calendar must have."""
        day: date = self.cleaned_data["last_day"]
        if day == date.max:
            raise forms.ValidationError(f"must be a day that you will be back after but got {day}", code="out_of_range")
        return day


class MoveForm(ReasonForm):
    target_stage = forms.ChoiceField(label="To")
    field_order = ("target_stage", "reason")

    def __init__(self, *args: Any, targets: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "target_stage", [(stage, stage) for stage in targets])


class PolicyForm(ReasonForm):
    reach = forms.ChoiceField(label="A candidate that passes its gate, by itself,")
    field_order = ("reach", "reason")

    def __init__(self, *args: Any, to_production: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = {"none": "stays in development", "staging": "goes to staging", "production": "goes to production"}
        if not to_production:
            del known["production"]
        offer(self, "reach", known.items())


class ModelEditForm(forms.Form):
    purpose = forms.CharField(
        max_length=2000, required=False, widget=_TEXT, help_text="The decision that it serves, and for whom."
    )
    intended_use = forms.CharField(
        max_length=2000, required=False, widget=_TEXT, help_text="On which cases, by whom; and what it is not for."
    )
    limitations = forms.CharField(
        max_length=2000, required=False, widget=_TEXT, help_text="Where it is known or expected to be wrong."
    )
    description = forms.CharField(max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    owner = forms.ChoiceField()
    risk_tier = forms.ChoiceField(
        choices=RiskTier.choices, label="Risk", help_text="Lowering it takes an approver: fewer people decide then."
    )

    def __init__(self, *args: Any, owners: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "owner", [(name, name) for name in owners])


class PeriodForm(forms.Form):
    """The names in the address are `from` and `to`, as over the API."""

    first = forms.DateField(label="From", widget=forms.DateInput(attrs={"type": "date"}))
    last = forms.DateField(label="To", widget=forms.DateInput(attrs={"type": "date"}))


class ModelForm(forms.Form):
    name = forms.CharField(
        max_length=63, help_text="Small letters, digits and _; it is part of addresses and never changes."
    )
    task_type = forms.ChoiceField(choices=TaskType.choices, label="Kind of task")
    description = forms.CharField(max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    risk_tier = forms.ChoiceField(
        choices=RiskTier.choices,
        initial=RiskTier.MEDIUM,
        label="Risk",
        help_text="High risk takes two people to approve a version.",
    )
    team = forms.ChoiceField()

    def __init__(self, *args: Any, teams: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "team", [(name, name) for name in teams])


class TagForm(forms.Form):
    key = forms.CharField(max_length=100, help_text="Letters a to z, digits and _ . -, such as site or team.owner.")
    value = forms.CharField(max_length=2000, required=False)
    remove = forms.BooleanField(required=False, label="Take this tag away")


class DescriptionForm(forms.Form):
    description = forms.CharField(max_length=2000, required=False, widget=_TEXT)


class DeprecationForm(forms.Form):
    note = forms.CharField(
        max_length=2000,
        required=False,
        widget=_TEXT,
        help_text="Why, and what to use instead. Empty: it may be used again.",
    )


class AliasForm(forms.Form):
    alias = forms.CharField(max_length=63, help_text="Small letters, digits, _ and -, such as champion.")
    version = forms.ChoiceField(required=False)

    def __init__(self, *args: Any, numbers: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, "version", [("", "none: remove the alias"), *((number, number) for number in numbers)])


class ProtectionForm(forms.Form):
    alias = forms.CharField(max_length=63)
    roles = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(role.value, role.label) for role in Role if Action.ALIAS_SET in ROLE_ACTIONS[role]],
        help_text="None ticked: whoever sets aliases may move it.",
    )


class OfferForm(ReasonForm):
    to_team = forms.CharField(max_length=63, label="To team")
    field_order = ("to_team", "reason")


class TakeOverForm(forms.Form):
    """Without members there is nobody to name: for who withdraws an offer, and may not learn who is in that team."""

    owner = forms.ChoiceField(label="New owner")
    comment = forms.CharField(max_length=2000, required=False, widget=_TEXT, help_text="Declining needs a reason.")

    def __init__(self, *args: Any, members: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if members:
            offer(self, "owner", [(name, name) for name in members])
        else:
            del self.fields["owner"]
