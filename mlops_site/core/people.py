"""Pages that add a person or make a token; the secret is on the answer to the POST and nowhere else."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from mlops_site.core import teams, tokens
from mlops_site.core.dashboards import FormPage
from mlops_site.core.errors import Forbidden
from mlops_site.core.forms import PersonForm, TokenForm
from mlops_site.core.models import Token
from mlops_site.core.permissions import Action


class _SecretPage(FormPage):
    def form_options(self) -> dict[str, Any]:
        return {"actor": self.actor}

    def reveal(self, *, title: str, secret: str, advice: str, back: str) -> HttpResponse:
        """The one page that shows the secret; `admin_view` keeps it out of every cache."""
        facts = {"title": title, "secret": secret, "advice": advice, "back": reverse(back)}
        self.template_name = "core/secret.html"
        return self.render_to_response({**self.get_context_data(), **facts})


class PersonPage(_SecretPage):
    title = "Add a person"
    form_class = PersonForm
    button = "Add"

    def facts(self) -> dict[str, Any]:
        if not self.actor.teams(Action.PEOPLE_MANAGE):
            raise Forbidden("only an admin of a team adds people")
        people = reverse("admin:core_membership_changelist")
        return {
            "crumbs": [("People", people)],
            "back": people,
            "answer": "They get a one-time password, shown on the next page only.",
        }

    def save(self, form: PersonForm) -> HttpResponse:
        said = form.cleaned_data
        user, password = teams.create_user(said["name"], role=said["role"], team=said["team"].name, actor=self.actor)
        advice = f"{user} logs in with it and changes it. It is not kept and not shown again."
        if not password:
            advice = f"{user} has the role now. Their password, if they have one, stays; machines log in with a token."
        return self.reveal(
            title=f"{user} is {said['role']} in {said['team']}",
            secret=password,
            advice=advice,
            back="admin:core_membership_changelist",
        )


class TokenPage(_SecretPage):
    title = "Make a token"
    form_class = TokenForm
    button = "Make the token"

    def facts(self) -> dict[str, Any]:
        back = reverse("admin:core_token_changelist")
        return {
            "crumbs": [("Tokens", back)],
            "back": back,
            "answer": "Its text is shown on the next page only; a keyed hash is kept.",
        }

    def save(self, form: TokenForm) -> HttpResponse:
        said = form.cleaned_data
        token, text = tokens.create_token(
            said["user"], team=said["team"], scopes=said["scopes"], days=said["days"], actor=self.actor
        )
        return self.reveal(
            title=f"A token for {token.user} in {token.team}",
            secret=text,
            back="admin:core_token_changelist",
            advice=f"Send it as “Authorization: Bearer …”. It ends on {token.expires_at:%d %b %Y}. "
            "It is not kept and not shown again.",
        )


def token_state(token: Token) -> tuple[str, str]:
    """A token's state in a word, and its tone."""
    if token.revoked_at:
        return "revoked", "bad"
    return ("expired", "warn") if token.expires_at <= timezone.now() else ("usable", "ok")
