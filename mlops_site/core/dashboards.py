"""The base of every page: log in first, the admin's shell around it, refusals as a person reads them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.views.generic import TemplateView

from mlops_site.core.api.auth import actor_of
from mlops_site.core.errors import Forbidden, NotFound, StewardError
from mlops_site.core.permissions import Actor


class Page(TemplateView):
    """A page in the shell: a subclass names its template and gives `facts`."""

    http_method_names = ["get", "head"]
    title: ClassVar[str] = ""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponse]:
        view: Callable[..., HttpResponse] = admin.site.admin_view(super().as_view(**initkwargs))
        return view

    @property
    def actor(self) -> Actor:
        return actor_of(self.request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except NotFound as error:
            raise Http404(error.detail) from error
        except Forbidden as error:
            raise PermissionDenied(error.detail) from error

    def facts(self) -> dict[str, Any]:
        """What the template shows; raises NotFound for what the actor may not see."""
        return {}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        shell = admin.site.each_context(self.request)
        return {**shell, "title": self.title, "actor": self.actor, **self.facts()}


class FormPage(Page):
    """A page with a form: `save` calls one service and returns where to go next. A refusal of the service comes
    back on the page that was sent, beside the field at fault, with everything that was typed."""

    http_method_names = ["get", "head", "post"]
    template_name = "core/form.html"
    form_class: ClassVar[type[forms.Form]] = forms.Form
    file_field: ClassVar[str] = ""  # of a form with a file: see core.intake
    button: ClassVar[str] = "Save"

    def form_options(self) -> dict[str, Any]:
        """Arguments of the form beyond what was sent."""
        return {}

    def form_sent(self) -> type[forms.Form]:
        """Which form was sent, of a page that has several."""
        return self.form_class

    @abstractmethod
    def save(self, form: Any) -> str | HttpResponse:
        """Call one service; answer where to go next, or the page that shows what came of it."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = kwargs.get("form") or self.form_class(**self.form_options())
        return {"button": self.button, "form": form, **super().get_context_data()}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = self.form_sent()(data=request.POST, files=request.FILES, **self.form_options())
        if not form.is_valid():
            return self._again(form, status=422)
        try:
            answer = self.save(form)
        except StewardError as error:
            place_errors(form, error)
            return self._again(form, status=error.status)
        return answer if isinstance(answer, HttpResponse) else HttpResponseRedirect(answer)

    def _again(self, form: forms.Form, *, status: int) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=status)


def place_errors(form: forms.Form, error: StewardError) -> None:
    """Each error of a refusal at its field, or above the form when it has no such field."""
    takes = getattr(form, "takes", lambda field: field in form.fields)
    placed = [(e.field if takes(e.field) else None, e.message) for e in error.errors]
    for field, message in placed or [(None, error.detail)]:
        form.add_error(field, message)
