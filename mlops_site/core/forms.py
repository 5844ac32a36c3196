"""The forms of people and tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator
from unfold.forms import AuthenticationForm

from mlops_site.core.choices import Role
from mlops_site.core.models import Team, User
from mlops_site.core.permissions import Action, Actor


class LoginForm(AuthenticationForm):  # type: ignore[misc]
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
        self.fields["team"].queryset = Team.objects.filter(pk__in=actor.teams(Action.PEOPLE_MANAGE))  # type: ignore[attr-defined]


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
        self.fields["user"].queryset = people.order_by("username")  # type: ignore[attr-defined]
        self.fields["team"].queryset = Team.objects.filter(pk__in=actor.roles).order_by("name")  # type: ignore[attr-defined]
        self.fields["user"].initial = actor.name
