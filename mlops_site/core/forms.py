"""The forms of people and tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db.models import Model, QuerySet
from django.forms.fields import InvalidJSONInput
from unfold.forms import AuthenticationForm

from mlops_site.core.api.parsers import load_json
from mlops_site.core.choices import Role
from mlops_site.core.errors import Malformed
from mlops_site.core.models import Team, User
from mlops_site.core.permissions import Action, Actor


def offer(form: forms.Form, name: str, choices: Iterable[tuple[str, str]]) -> None:
    """What may be chosen in a field of this one form: (value, label)."""
    field = form.fields[name]
    if not isinstance(field, forms.ChoiceField):
        raise TypeError(f"{name} must be a field of choices but is {type(field).__name__}")
    field.choices = list(choices)


def offer_rows(form: forms.Form, name: str, rows: QuerySet[Any]) -> None:
    """The same of a field that chooses among rows."""
    field: forms.Field | forms.ModelChoiceField[Model] = form.fields[name]
    if not isinstance(field, forms.ModelChoiceField):
        raise TypeError(f"{name} must be a field of rows but is {type(field).__name__}")
    field.queryset = rows


class StrictJSONField(forms.JSONField):
    """What a JSON body of the API may hold and no more. Django's own takes NaN and half a surrogate pair, and depth and
    long numbers raise what no form expects, once more when the form is shown again."""

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        try:
            return load_json(value.encode())
        except Malformed as error:
            raise ValidationError(error.detail.removeprefix("the body "), code=error.code) from error

    def bound_data(self, data: Any, initial: Any) -> Any:
        """As it was typed."""
        return InvalidJSONInput(data)


class LoginForm(AuthenticationForm):
    """Django's own says how long a name may be to the browser only, and django-axes writes down what was sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field, length in (("username", 150), ("password", 4096)):
            self.fields[field].validators.append(MaxLengthValidator(length))


class PersonForm(forms.Form):
    name = forms.CharField(
        max_length=150, help_text="Letters, digits and ._@+-. Somebody who is here already gets the role below."
    )
    role = forms.ChoiceField(choices=Role.choices)
    team = forms.ModelChoiceField(queryset=Team.objects.none(), empty_label=None, to_field_name="name")

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_rows(self, "team", Team.objects.filter(pk__in=actor.teams(Action.PEOPLE_MANAGE)))


class TokenForm(forms.Form):
    """For oneself; an admin may also name somebody of their teams."""

    user = forms.ModelChoiceField(
        queryset=User.objects.none(),
        empty_label=None,
        to_field_name="username",
        label="For",
        help_text="A person or a machine.",
    )
    team = forms.ModelChoiceField(queryset=Team.objects.none(), empty_label=None, to_field_name="name")
    scopes = forms.MultipleChoiceField(
        choices=[(a.value, a.value) for a in Action],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: all that the role allows today.",
    )
    days = forms.IntegerField(min_value=1, max_value=365, initial=90, label="Valid for (days)")

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        managed = actor.teams(Action.PEOPLE_MANAGE)
        me = User.objects.filter(pk=actor.user.pk) if actor.user else User.objects.none()
        people = (me | User.objects.filter(memberships__team__in=managed)).distinct()
        offer_rows(self, "user", people.order_by("username"))
        offer_rows(self, "team", Team.objects.filter(pk__in=actor.roles).order_by("name"))
        self.fields["user"].initial = actor.name
