"""The short way of what programs ask with a token: past what only browsers need."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.urls import resolve

from mlops_site.api.predict import predict
from mlops_site.core.api import problem
from mlops_site.core.api.auth import bearer_of
from mlops_site.core.intake import file_field_of, refusal
from registry.models.model import MODEL_NAME

BELOW = "/api/v1/"
_PREDICT = re.compile(f"{BELOW}models/(?P<name>{MODEL_NAME})/predict")
_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Frame-Options", "DENY"),
)


class Lane:
    """After the middlewares that hold for every request. What the API is asked with a token needs no session, no CSRF
    check, no messages and no page's security policy, which take longer than a short answer. With a session it goes the
    long way; both end in the same view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._answer: Any = convert_exception_to_response(_answer)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(BELOW) or bearer_of(request) is None:
            return self.get_response(request)
        response: Any = self._answer(request)
        for name, value in _HEADERS:
            response.headers.setdefault(name, value)
        if not response.streaming:
            response.headers["Content-Length"] = str(len(response.content))
        answered: HttpResponseBase = response
        return answered


def _answer(request: HttpRequest) -> HttpResponseBase:
    """As Django's handler would, with what `Intake` refuses."""
    request.get_host()  # ALLOWED_HOSTS holds here too
    view, taken = _view_of(request)
    error = refusal(request, file_field_of(view))
    if error is not None:
        return problem.json_response(error)
    response: HttpResponseBase = view(request, **taken)
    return response.render() if isinstance(response, SimpleTemplateResponse) else response


def _view_of(request: HttpRequest) -> tuple[Callable[..., HttpResponseBase], Mapping[str, Any]]:
    """The view, and what it takes from the address. The table of addresses takes half as long as a prediction."""
    if found := _PREDICT.fullmatch(request.path_info):
        return predict, found.groupdict()
    request.resolver_match = resolve(request.path_info)
    return request.resolver_match.func, request.resolver_match.kwargs
