"""Forms about a model: a new one, its deploy policy, rolling it back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.errors import Forbidden
from mlops_site.core.models import Membership, Team
from mlops_site.core.permissions import Action, require
from registry import selectors, services
from registry.forms import ModelEditForm, ModelForm, PolicyForm, ReasonForm
from registry.models import RegisteredModel


class NewModelPage(FormPage):
    title = "New model"
    form_class = ModelForm
    button = "Make the model"

    def _teams(self) -> list[str]:
        mine = Team.objects.filter(pk__in=self.actor.teams(Action.MODEL_CREATE))
        return list(mine.order_by("name").values_list("name", flat=True))

    def form_options(self) -> dict[str, Any]:
        return {"teams": self._teams()}

    def facts(self) -> dict[str, Any]:
        if not self._teams():
            raise Forbidden("only an ML engineer makes a model")
        return {
            "crumbs": [("Models", reverse("models"))],
            "back": reverse("models"),
            "answer": "A name that a team answers for.",
        }

    def save(self, form: ModelForm) -> str:
        model = services.create_model(actor=self.actor, **form.cleaned_data)
        messages.success(self.request, f"{model} is there. Train it from a data set, or register a version of it.")
        return reverse("model", args=[model.name])


class ModelFormPage(FormPage):
    """A form about one model."""

    needed: tuple[Action, ...]  # one of them will do

    def facts(self) -> dict[str, Any]:
        model = self.kwargs["model"]
        found = selectors.model_named(self.actor, model)
        held = [action for action in self.needed if self.actor.may(action, found.team_id)]
        require(self.actor, (held or self.needed)[0], found.team, subject=found.subject)
        back = reverse("model", args=[model])
        return {"crumbs": [("Models", reverse("models")), (model, back)], "back": back, **self.words(found)}

    def words(self, model: RegisteredModel) -> dict[str, Any]:
        """Title, question and answer of the page."""
        return {}


class EditModelPage(ModelFormPage):
    title = "Edit"
    form_class = ModelEditForm
    needed = (Action.MODEL_EDIT, Action.POLICY_SET)

    def form_options(self) -> dict[str, Any]:
        model = selectors.model_named(self.actor, self.kwargs["model"])
        members = Membership.objects.filter(team=model.team).order_by("user__username")
        names = ("purpose", "intended_use", "limitations", "description", "risk_tier")
        initial = {name: getattr(model, name) for name in names} | {"owner": model.owner.username}
        return {"owners": list(members.values_list("user__username", flat=True)), "initial": initial}

    def words(self, model: RegisteredModel) -> dict[str, Any]:
        return {
            "title": "Edit",
            "question": f"What is {model} for?",
            "answer": "Its model cards, the inventory and those who decide on its versions read this.",
        }

    def save(self, form: ModelEditForm) -> str:
        model = selectors.model_named(self.actor, self.kwargs["model"])
        changed = {name: form.cleaned_data[name] for name in form.changed_data}
        services.edit_model(model, actor=self.actor, **changed)
        messages.success(self.request, f"{model} is as you wrote it." if changed else "Nothing was changed.")
        return reverse("model", args=[model.name])


class RollbackPage(ModelFormPage):
    form_class = ReasonForm
    needed = (Action.ROLLBACK,)

    def words(self, model: RegisteredModel) -> dict[str, Any]:
        now, target = selectors.in_production(model), selectors.rollback_target(model)
        if now is None or target is None:
            return {
                "title": "Roll back",
                "question": f"{model} has nothing to go back to.",
                "button": "Roll back",
                "impossible": True,
                "answer": "A version can be brought back once another one has replaced it in production.",
            }
        return {
            "title": "Roll back",
            "question": f"Roll {model} back to {target.number}?",
            "answer": f"{now.number} leaves production at once and returns to staging; "
            "it goes forward again only by a new request.",
            "notes": [
                f"Before the switch {target.number} is loaded, checked against its digest and asked its golden rows; "
                "should it be damaged, the rollback goes to the one before it and says so."
            ],
            "button": f"Roll back to {target.number}",
        }

    def save(self, form: ReasonForm) -> str:
        model = selectors.model_named(self.actor, self.kwargs["model"])
        done = services.rollback(model, actor=self.actor, reason=form.cleaned_data["reason"])
        messages.success(self.request, f"{done.version} is in production again; {done.replaced.number} is in staging.")
        for skipped in done.skipped:
            messages.warning(self.request, f"{skipped.version} was passed over, it cannot serve: {skipped.why}")
        return reverse("model", args=[model.name])


class PolicyPage(ModelFormPage):
    form_class = PolicyForm
    button = "Set the policy"
    needed = (Action.POLICY_SET, Action.MODEL_EDIT)

    def form_options(self) -> dict[str, Any]:
        team = selectors.model_named(self.actor, self.kwargs["model"]).team_id
        now = selectors.policy(selectors.model_named(self.actor, self.kwargs["model"]))
        initial = {"reach": now.reach} if now else {}
        return {"to_production": self.actor.may(Action.POLICY_SET, team), "initial": initial}

    def words(self, model: RegisteredModel) -> dict[str, Any]:
        now = selectors.policy(model)
        said = (
            f"Now: {now.get_reach_display()}, set by {now.set_by}." if now else "None is set: nothing moves by itself."
        )
        return {"title": "Deploy policy", "question": f"How far may {model} go without a person?", "answer": said}

    def save(self, form: PolicyForm) -> str:
        model = selectors.model_named(self.actor, self.kwargs["model"])
        policy = services.set_deploy_policy(model, actor=self.actor, **form.cleaned_data)
        messages.success(self.request, f"A candidate of {model} that passes its gate now {policy.get_reach_display()}.")
        return reverse("model", args=[model.name])
