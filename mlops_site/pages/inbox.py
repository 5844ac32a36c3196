"""One's own inbox, and whether what comes there comes by e-mail too."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from mlops_site.core import inbox
from mlops_site.core.dashboards import FormPage, Page
from mlops_site.core.permissions import person

PAGE_SIZE, MAX_ID = 30, 2**63 - 1


class InboxPage(Page):
    """A POST marks as read: one line, which is then opened, or all."""

    http_method_names = ["get", "head", "post"]
    template_name = "pages/inbox.html"
    title = "Inbox"

    def facts(self) -> dict[str, Any]:
        only_unread = self.request.GET.get("show") == "unread"
        page = Paginator(inbox.lines(self.actor, unread=only_unread), PAGE_SIZE).get_page(self.request.GET.get("page"))
        return {"page": page, "only_unread": only_unread, "unread": inbox.unread_count(self.actor)}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        sent = request.POST.get("line", "")
        ids = [int(sent)] if sent.isascii() and sent.isdigit() and int(sent) <= MAX_ID else None
        if sent and ids is None:
            return HttpResponseRedirect(reverse("inbox"))
        inbox.mark_read(self.actor, ids)
        opened = inbox.lines(self.actor).filter(pk__in=ids or []).first()
        return HttpResponseRedirect(opened.path if opened and opened.path else reverse("inbox"))


class InboxSettingsForm(forms.Form):
    email = forms.CharField(max_length=254, required=False, label="Your e-mail address")
    takes_mail = forms.BooleanField(required=False, label="What comes to my inbox comes by e-mail too")


class InboxSettingsPage(FormPage):
    title = "What you get by e-mail"
    form_class = InboxSettingsForm

    def form_options(self) -> dict[str, Any]:
        user = person(self.actor)
        return {"initial": {"email": user.email, "takes_mail": user.takes_mail}}

    def facts(self) -> dict[str, Any]:
        answer = "Where your team has alerts told in people's inboxes, and what approvals want of you."
        without = [] if settings.EMAIL_HOST else ["This site sends no mail: its operator has not set EMAIL_HOST."]
        back = reverse("inbox")
        return {"crumbs": [("Inbox", back)], "back": back, "answer": answer, "notes": without}

    def save(self, form: InboxSettingsForm) -> str:
        inbox.set_mail(self.actor, **form.cleaned_data)
        messages.success(self.request, "It is set.")
        return reverse("inbox")
