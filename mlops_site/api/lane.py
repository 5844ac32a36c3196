"""The short way of a prediction: past what only browsers need."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from mlops_site.api.predict import predict
from mlops_site.core.api import problem
from mlops_site.core.api.auth import bearer_of
from mlops_site.core.intake import refusal
from registry.models.model import MODEL_NAME

_PREDICT = re.compile(f"/api/v1/models/({MODEL_NAME})/predict")
_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Frame-Options", "DENY"),
)


class Lane:
    """After the middlewares that hold for every request. A prediction asked for with a token needs no session, no
    CSRF check, no messages and no page's security policy: they and the table of addresses take half as long as the
    answer itself. With a session it goes the long way; both end in the same view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        found = _PREDICT.fullmatch(request.path_info)
        if found is None or bearer_of(request) is None:
            return self.get_response(request)
        request.get_host()  # ALLOWED_HOSTS holds here too
        error = refusal(request, "")
        response = predict(request, found[1]) if error is None else problem.json_response(error)
        for name, value in _HEADERS:
            response[name] = value
        response["Content-Length"] = str(len(response.content))
        return response
