"""Channels: the list, one with its log and a test, setting one up."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from mlops_site.core.choices import DeliveryState
from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.errors import Forbidden, Invalid, StewardError
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action
from monitoring import services
from monitoring.channels import apprise
from monitoring.choices import AlertEvent, ChannelKind
from monitoring.forms import ChannelForm
from monitoring.models import Channel
from monitoring.selectors import channels
from registry.selectors import models

PAGE_SIZE = 20
TEST, REDELIVER, SECRET = "test", "redeliver", "secret"
ABOUT = {
    ChannelKind.WEBHOOK: "JSON to a server of yours, signed, so that it can tell that it comes from here.",
    ChannelKind.SLACK: "A message in a Slack channel, or in Mattermost, by an incoming webhook.",
    ChannelKind.TEAMS: "A card in a Teams channel, by a workflow's webhook.",
    ChannelKind.MAIL: "HTML and text, in one thread for each alert.",
    ChannelKind.INBOX: "A line in the inbox here of the people or roles that you name.",
    ChannelKind.APPRISE: "Whatever else Apprise speaks, to a place that the operator has set up.",
}


class ChannelsPage(Page):
    template_name = "monitoring/channels.html"
    title = "Channels"

    def facts(self) -> dict[str, Any]:
        rows = list(channels.channels(self.actor))
        last = channels.last_deliveries(rows)
        return {
            "channels": [(row, last.get(row.pk)) for row in rows],
            "may_set": bool(self.actor.teams(Action.CHANNEL_SET)),
            "has_webhook": bool(settings.MONITORING_WEBHOOK_URL),
        }


class ChannelKindsPage(Page):
    template_name = "monitoring/channel_kinds.html"
    title = "A new channel"

    def facts(self) -> dict[str, Any]:
        mine = Team.objects.filter(pk__in=self.actor.teams(Action.CHANNEL_SET))
        if not (teams := list(mine)):
            raise Forbidden("only an ML engineer sets where alerts are told")
        missing = {} if settings.EMAIL_HOST else {ChannelKind.MAIL: "The operator has set no mail server (EMAIL_HOST)."}
        if not any(apprise.named(team) for team in teams):
            missing[ChannelKind.APPRISE] = "The operator has named no places (APPRISE_URLS)."
        return {"kinds": [(kind, ABOUT[kind], missing.get(kind, "")) for kind in ChannelKind]}


class ChannelNewPage(FormPage):
    title = "A new channel"
    form_class = ChannelForm
    button = "Set it up"

    @cached_property
    def kind(self) -> ChannelKind:
        if self.kwargs["kind"] not in ChannelKind.values:
            raise Http404("no such kind of channel")
        return ChannelKind(self.kwargs["kind"])

    def form_options(self) -> dict[str, Any]:
        mine = Team.objects.filter(pk__in=self.actor.teams(Action.CHANNEL_SET)).order_by("name")
        if not (names := list(mine.values_list("name", flat=True))):
            raise Forbidden("only an ML engineer sets where alerts are told")
        offered = models(self.actor).filter(team__name__in=names).order_by("name")
        return {"kind": self.kind, "teams": names, "models": [model.name for model in offered]}

    def facts(self) -> dict[str, Any]:
        back = reverse("channel_kinds")
        crumbs = [("Channels", reverse("channels")), ("A new channel", back)]
        title = f"A new channel: {self.kind.label}"
        return {"title": title, "crumbs": crumbs, "back": back, "answer": ABOUT[self.kind]}

    def save(self, form: ChannelForm) -> str | HttpResponse:
        team = form.cleaned_data["team"]
        made = services.create_channel(actor=self.actor, kind=self.kind, team=team, fields=form.fields_said())
        if made.secret:
            return revealed(self, made)
        messages.success(self.request, f"{made.channel} is set up. Try it out.")
        return reverse("channel", args=[made.channel.pk])


def revealed(page: Page, made: services.Made) -> HttpResponse:
    """The one page that shows the secret; `admin_view` keeps it out of every cache."""
    page.template_name = "core/secret.html"
    advice = (
        "Its webhooks are signed with this secret, as standardwebhooks.com says: receivers check webhook-signature "
        "with it. It is kept sealed and not shown again; a new one can be made at any time."
    )
    facts = {"title": f"The secret of {made.channel}", "secret": made.secret, "advice": advice}
    back = reverse("channel", args=[made.channel.pk])
    return page.render_to_response({**Page.get_context_data(page), "actor": page.actor, **facts, "back": back})


class _OfChannel:
    """What the pages of one channel share."""

    actor: Any
    kwargs: dict[str, Any]

    @cached_property
    def channel(self) -> Channel:
        return channels.channel_of(self.actor, self.kwargs["pk"])


class ChannelPage(_OfChannel, Page):
    """A POST names its deed."""

    http_method_names = ["get", "head", "post"]
    template_name = "monitoring/channel.html"

    def facts(self) -> dict[str, Any]:
        channel = self.channel
        labels = dict(AlertEvent.choices)
        return {
            "title": channel.name,
            "channel": channel,
            "about": ABOUT[ChannelKind(channel.kind)],
            "events": ", ".join(labels.get(event, event) for event in channel.events),
            "chosen": sorted(model.name for model in channel.chosen.all()),
            "held": list(channels.held(channel)[:PAGE_SIZE]),
            "may_set": self.actor.may(Action.CHANNEL_SET, channel.team_id),
            **log_of(self),
        }

    def post(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            answer = self._done(request.POST.get("deed", ""))
        except (Forbidden, Http404):
            raise
        except StewardError as error:
            messages.error(request, error.detail)
            answer = None
        return answer or HttpResponseRedirect(reverse("channel", args=[self.channel.pk]))

    def _done(self, deed: str) -> HttpResponse | None:
        if deed == TEST:
            services.try_channel(self.channel, actor=self.actor)
            messages.success(self.request, "A test is on its way; what comes of it is in the log.")
        elif deed == SECRET:
            return revealed(self, services.renew_secret(self.channel, actor=self.actor))
        elif deed == REDELIVER:
            rows = channels.deliveries_of(self.actor, channel=self.channel)
            chosen = next((row for row in rows[:200] if str(row.pk) == self.request.POST.get("delivery")), None)
            if chosen is None:
                raise Invalid("no such delivery of this channel", code="unknown_delivery")
            services.redeliver(chosen, actor=self.actor)
            messages.success(self.request, "It is sent again.")
        else:
            raise Invalid(f"deed must be {TEST}, {REDELIVER} or {SECRET} but got {deed[:80]!r}", code="unknown_deed")
        return None


class ChannelLogPart(_OfChannel, Page):
    """The log alone, while something is on its way."""

    template_name = "monitoring/channel_log.html"

    def facts(self) -> dict[str, Any]:
        may = self.actor.may(Action.CHANNEL_SET, self.channel.team_id)
        return {"channel": self.channel, "may_set": may, **log_of(self)}


def log_of(page: Any) -> dict[str, Any]:
    """A page of the log, and whether it is worth looking again soon."""
    rows = channels.deliveries_of(page.actor, channel=page.channel)
    shown = Paginator(rows, PAGE_SIZE).get_page(page.request.GET.get("page"))
    fresh = any(row.state == DeliveryState.PENDING and row.attempts == 0 for row in shown)
    on_its_way = any(row.state == DeliveryState.PENDING and row.lease_until is not None for row in shown)
    return {"page": shown, "is_moving": fresh or on_its_way}


class ChannelChangePage(_OfChannel, FormPage):
    form_class = ChannelForm

    def form_options(self) -> dict[str, Any]:
        channel = self.channel
        if not self.actor.may(Action.CHANNEL_SET, channel.team_id):
            raise Forbidden("only an ML engineer of the team sets where its alerts are told")
        names = sorted(model.name for model in models(self.actor).filter(team=channel.team_id))
        plain = [name for name in ChannelForm.base_fields if name not in ("address", "models", "team")]
        initial = {name: getattr(channel, name) for name in plain}
        initial["models"] = [model.name for model in channel.chosen.all()]
        return {"kind": channel.kind, "models": names, "place": channel.place, "initial": initial}

    def facts(self) -> dict[str, Any]:
        back = reverse("channel", args=[self.channel.pk])
        crumbs = [("Channels", reverse("channels")), (self.channel.name, back)]
        return {"title": f"Change {self.channel}", "crumbs": crumbs, "back": back}

    def save(self, form: ChannelForm) -> str:
        services.change_channel(self.channel, actor=self.actor, fields=form.fields_said())
        messages.success(self.request, "It is changed.")
        return reverse("channel", args=[self.channel.pk])


class ChannelDeletePage(_OfChannel, FormPage):
    button = "Delete it"

    def facts(self) -> dict[str, Any]:
        if not self.actor.may(Action.CHANNEL_SET, self.channel.team_id):
            raise Forbidden("only an ML engineer of the team sets where its alerts are told")
        back = reverse("channel", args=[self.channel.pk])
        crumbs = [("Channels", reverse("channels")), (self.channel.name, back)]
        answer = "Nothing more is told there, what waits included. Its log stays."
        return {"title": f"Delete {self.channel}?", "crumbs": crumbs, "back": back, "answer": answer}

    def save(self, form: Any) -> str:
        services.delete_channel(self.channel, actor=self.actor)
        messages.success(self.request, f"{self.channel.name} is deleted.")
        return reverse("channels")
