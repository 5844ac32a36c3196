"""The models that rows of a batch name."""

from __future__ import annotations

from mlops_site.core import events
from mlops_site.core.permissions import Action, Actor, require
from registry.models import RegisteredModel


def models_of(names: set[str], actor: Actor, action: Action) -> dict[str, RegisteredModel]:
    """Name -> model, of those in the actor's teams; Forbidden where the role or the token does not allow it."""
    rows = RegisteredModel.objects.filter(name__in=names, team__in=actor.roles).select_related("team")
    for model in rows:
        if not actor.may(action, model.team_id):
            with events.atomic():
                require(actor, action, model.team, subject=model.subject)
    return {model.name: model for model in rows}
