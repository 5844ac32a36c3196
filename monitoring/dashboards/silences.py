"""What is silent, setting it in advance, and ending it."""

from __future__ import annotations

from datetime import UTC
from functools import cached_property
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import is_naive

from mlops_site.core.dashboards import FormPage
from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Action
from monitoring import services
from monitoring.forms import CommentForm, SilenceForm
from monitoring.models import Silence
from monitoring.selectors.silences import ACTIVE, ALL, PAST, silence_of, silences
from registry.selectors import model_named, models

PAGE_SIZE = 50


class SilencesPage(FormPage):
    template_name = "monitoring/silences.html"
    title = "Silences"
    form_class = SilenceForm
    button = "Silence it"

    @cached_property
    def mine(self) -> list[str]:
        """The models whose alerts the actor may silence."""
        teams = self.actor.teams(Action.ALERT_HANDLE)
        return sorted(model.name for model in models(self.actor) if model.team_id in teams)

    def form_options(self) -> dict[str, Any]:
        about = {name: self.request.GET[name] for name in ("model", "rule", "subject") if name in self.request.GET}
        return {"models": self.mine, "initial": about}

    def facts(self) -> dict[str, Any]:
        status = self.request.GET.get("status", "")
        status = status if status in (ACTIVE, PAST, ALL) else ACTIVE
        page = Paginator(silences(self.actor, status=status), PAGE_SIZE).get_page(self.request.GET.get("page"))
        now = timezone.now()
        return {
            "page": page,
            "status": status,
            "statuses": [(ACTIVE, "hold or will"), (PAST, "are over"), (ALL, "all")],
            "rows": [
                (row, state(row, now), row.model.team_id in self.actor.teams(Action.ALERT_HANDLE)) for row in page
            ],
            "may": bool(self.mine),
        }

    def save(self, form: SilenceForm) -> str:
        said = dict(form.cleaned_data)
        model, start = model_named(self.actor, said.pop("model")), said.pop("starts_at")
        start = start.replace(tzinfo=UTC) if start and is_naive(start) else start
        subject = said.pop("subject") or None
        services.silence(model, actor=self.actor, starts_at=start, subject=subject, **said)
        messages.success(self.request, f"Alerts of {model} that match are silent then.")
        return reverse("silences")


def state(row: Silence, now: Any) -> str:
    """holds, ahead, ended early or over."""
    if row.ended_at:
        return "ended early"
    return "over" if row.ends_at <= now else "ahead" if row.starts_at > now else "holds"


class SilenceEndPage(FormPage):
    title = "End the silence"
    form_class = CommentForm
    button = "End it"

    @cached_property
    def silence(self) -> Silence:
        return silence_of(self.actor, self.kwargs["pk"])

    def facts(self) -> dict[str, Any]:
        row, back = self.silence, reverse("silences")
        if row.ended_at:
            raise NotFound(f"silence {row.pk} is over")
        return {
            "crumbs": [("Alerts", reverse("alerts")), ("Silences", back)],
            "back": back,
            "question": f"End the silence of {row.model}?",
            "answer": f"“{row.reason}”: it would last until {row.ends_at:%d %b %Y %H:%M} UTC.",
        }

    def save(self, form: CommentForm) -> str:
        services.end_silence(self.silence, actor=self.actor, comment=form.cleaned_data["comment"])
        messages.success(self.request, "It is over: what is found from now on is told again.")
        return reverse("silences")
