"""What waits for a reviewer, the conditions that are open, and who stands in for whom."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.paginator import Paginator
from django.urls import reverse
from django.utils import timezone

from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor
from registry import selectors, services
from registry.forms import AbsenceForm, NoteForm
from registry.models import PromotionRequest, Review

PAGE_SIZE, MOST_CONDITIONS = 20, 100
SOON = timedelta(days=2)


class Waiting(NamedTuple):
    """A request in the queue, with what it would change of what serves."""

    request: PromotionRequest
    diff: selectors.Diff | None
    missing: str
    expires_soon: bool


class QueuePage(Page):
    template_name = "registry/queue.html"
    title = "Waiting for me"

    def facts(self) -> dict[str, Any]:
        rows = selectors.requests(self.actor, waiting_for_me=True)
        page = Paginator(rows, PAGE_SIZE).get_page(self.request.GET.get("page"))
        now = timezone.now()
        return {
            "page": page,
            "waiting": [_waiting(request, now) for request in page],
            "reviews": bool(self.actor.teams(Action.PROMOTION_REVIEW)),
            "standing_in": selectors.standing_in(self.actor),
            "away": selectors.handed_over(self.actor),
            "planned": _planned(self.actor, now),
            "conditions": list(selectors.open_conditions(self.actor)[:MOST_CONDITIONS]),
            "closers": self.actor.teams(Action.PROMOTION_DECIDE),
        }


def _waiting(request: PromotionRequest, now: datetime) -> Waiting:
    missing = selectors.missing_roles(request.model.risk_tier, request.reviews.all())
    wanted = " and ".join(f"one {role}" for role in missing)
    return Waiting(request, selectors.diff(request), wanted, request.expires_at - now <= SOON)


def _planned(actor: Actor, now: datetime) -> list[Any]:
    """Absences to come; the note above the requests tells of the present one."""
    mine = selectors.delegations(actor).filter(person=actor.user, ended_at=None, starts_at__gt=now)
    return list(mine.order_by("starts_at"))


class ConditionPage(FormPage):
    form_class = NoteForm
    button = "Close the condition"

    def facts(self) -> dict[str, Any]:
        review = self._review()
        page = reverse("admin:registry_promotionrequest_change", args=[review.request_id])
        closing = getattr(review, "closing", None)
        return {
            "title": "Close a condition",
            "crumbs": [("Waiting for me", reverse("queue"))],
            "back": page,
            "question": "Is this condition met?",
            "answer": f"{review.request.version} was approved by {review.reviewer} under it; "
            f"it was to be looked at again by {review.revalidate_on:%d %b %Y}.",
            "notes": [review.condition] + ([f"{closing.by} closed it: {closing.note}"] if closing else []),
            "impossible": closing is not None,
        }

    def save(self, form: NoteForm) -> str:
        review = services.close_condition(self._review(), actor=self.actor, note=form.cleaned_data["note"])
        messages.success(self.request, "The condition is closed.")
        return reverse("admin:registry_promotionrequest_change", args=[review.request_id])

    def _review(self) -> Review:
        return selectors.condition_numbered(self.actor, self.kwargs["pk"])


class AbsencePage(FormPage):
    title = "Away"
    form_class = AbsenceForm
    button = "Let them stand in"

    def form_options(self) -> dict[str, Any]:
        names = Team.objects.filter(pk__in=self.actor.teams(Action.PROMOTION_REVIEW)).order_by("name")
        return {"teams": [team.name for team in names]}

    def facts(self) -> dict[str, Any]:
        if not self.actor.teams(Action.PROMOTION_REVIEW):
            raise Forbidden("only who reviews promotions says who stands in")
        return {
            "crumbs": [("Waiting for me", reverse("queue"))],
            "back": reverse("queue"),
            "question": "Who stands in for you while you are away?",
            "answer": "What waits for you is then shown and told to them.",
            "notes": ["It gives them no right: who may not decide a request may not decide it in your place either."],
        }

    def save(self, form: AbsenceForm) -> str:
        said = form.cleaned_data
        services.delegate_reviews(
            actor=self.actor,
            team=Team.objects.get(name=said["team"]),
            delegate=said["delegate"],
            starts_at=_midnight(said["first_day"]),
            ends_at=_midnight(said["last_day"]) + timedelta(days=1),
            reason=said["reason"],
        )
        messages.success(self.request, f"{said['delegate']} stands in for you from {said['first_day']:%d %b}.")
        return reverse("queue")


def _midnight(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


class ReturnPage(FormPage):
    title = "Back"
    button = "End it"

    def facts(self) -> dict[str, Any]:
        found = selectors.delegation_numbered(self.actor, self.kwargs["pk"])
        return {
            "crumbs": [("Waiting for me", reverse("queue"))],
            "back": reverse("queue"),
            "question": f"Are you back before {found.ends_at:%d %b}?",
            "answer": f"{found.delegate} then no longer stands in for {found.person}.",
        }

    def save(self, form: Any) -> str:
        found = selectors.delegation_numbered(self.actor, self.kwargs["pk"])
        services.end_delegation(found, actor=self.actor)
        messages.success(self.request, "What waits for you is with you again.")
        return reverse("queue")
