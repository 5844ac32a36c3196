"""Forms for who answers for a model: archiving, bringing back, handing over."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.urls import reverse

from mlops_site.core.dashboards import FormPage
from mlops_site.core.models import Membership
from mlops_site.core.permissions import Action
from registry import selectors, services
from registry.choices import TransferStatus
from registry.dashboards.model import ModelFormPage
from registry.forms import OfferForm, ReasonForm, TakeOverForm
from registry.models import RegisteredModel, Transfer


class ArchivePage(ModelFormPage):
    """Archives a model, or brings an archived one back."""

    form_class = ReasonForm
    needed = (Action.MODEL_ARCHIVE,)

    def words(self, model: RegisteredModel) -> dict[str, Any]:
        if model.archived_at is not None:
            said = "Its versions stay where they are; one gets into production by a new request."
            return {
                "title": "Bring back",
                "question": f"Bring {model} back?",
                "answer": said,
                "button": "Bring it back",
            }
        now = selectors.in_production(model)
        serving = (
            f"{now.number} leaves production at once, and nothing answers for it." if now else "Nothing serves now."
        )
        return {
            "title": "Archive",
            "question": f"Archive {model}?",
            "answer": f"{serving} It takes no versions and no requests, and leaves the lists; its history stays.",
            "button": "Archive the model",
        }

    def save(self, form: ReasonForm) -> str:
        model, reason = selectors.model_named(self.actor, self.kwargs["model"]), form.cleaned_data["reason"]
        if model.archived_at is None:
            services.archive_model(model, actor=self.actor, reason=reason)
        else:
            services.restore_model(model, actor=self.actor, reason=reason)
        messages.success(self.request, f"{model} is {'archived' if model.archived_at is None else 'back'}.")
        return reverse("model", args=[model.name])


class OfferPage(ModelFormPage):
    form_class = OfferForm
    button = "Offer the model"

    def facts(self) -> dict[str, Any]:
        self.needed = (Action.MODEL_TRANSFER, Action.MODEL_EDIT)
        return super().facts()

    def words(self, model: RegisteredModel) -> dict[str, Any]:
        said = (
            "Nothing changes until an admin of that team accepts. Open requests are void then, and your tokens lose it."
        )
        return {"title": "Transfer", "question": f"Offer {model} to another team?", "answer": said}

    def save(self, form: OfferForm) -> str:
        model = selectors.model_named(self.actor, self.kwargs["model"])
        made = services.offer_transfer(model, actor=self.actor, **form.cleaned_data)
        messages.success(self.request, f"{model} is offered to {made.to_team.name}.")
        return reverse("transfer", args=[made.pk])


class TransferPage(FormPage):
    """Shown to both teams; the receiving one's admin decides here."""

    template_name = "registry/transfer.html"
    form_class = TakeOverForm

    def _transfer(self) -> Transfer:
        return selectors.transfer_numbered(self.actor, self.kwargs["pk"])

    def form_options(self) -> dict[str, Any]:
        team = self._transfer().to_team
        if not self.actor.may(Action.MODEL_TRANSFER, team.pk):  # the people of a team are its own
            return {"members": []}
        people = Membership.objects.filter(team=team, user__is_active=True).exclude(role="service")
        return {"members": list(people.order_by("user__username").values_list("user__username", flat=True))}

    def facts(self) -> dict[str, Any]:
        transfer = self._transfer()
        is_pending = transfer.status == TransferStatus.PENDING
        return {
            "title": str(transfer),
            "transfer": transfer,
            "sees_model": transfer.model.team_id in self.actor.teams(Action.VIEW),
            "may_decide": is_pending and self.actor.may(Action.MODEL_TRANSFER, transfer.to_team_id),
            "may_withdraw": is_pending and _may_offer(self.actor, transfer),
        }

    def save(self, form: TakeOverForm) -> str:
        transfer, said = self._transfer(), form.cleaned_data
        decision = self.request.POST.get("decision", "")
        if decision == "accept":
            services.accept_transfer(transfer, actor=self.actor, owner=said.get("owner", ""))
        elif decision == "withdraw":
            services.withdraw_transfer(transfer, actor=self.actor, comment=said["comment"])
        else:
            services.decline_transfer(transfer, actor=self.actor, comment=said["comment"])
        return reverse("transfer", args=[transfer.pk])


def _may_offer(actor: Any, transfer: Transfer) -> bool:
    team, user = transfer.model.team_id, actor.user
    is_owner = user is not None and user.pk == transfer.model.owner_id
    return actor.may(Action.MODEL_TRANSFER, team) or (is_owner and actor.may(Action.MODEL_EDIT, team))
