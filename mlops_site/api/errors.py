"""What Django itself answers, below /api/ as problem+json and elsewhere as its pages."""

from __future__ import annotations

import sys
from typing import Any

from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views import defaults

from mlops_site.core.api import problem
from mlops_site.core.errors import Forbidden, Malformed, NotFound, StewardError, StorageFull


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _as(request, Malformed("the request is malformed")) or defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _as(request, Forbidden("this is not allowed")) or defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Http404) -> HttpResponseBase:
    return _as(request, NotFound(f"no endpoint {request.path[:200]!r}")) or defaults.page_not_found(request, exception)


def failed(request: HttpRequest, *args: Any) -> HttpResponseBase:
    # Of a form Django keeps the files while it looks for the CSRF token, before any view could say what is wrong.
    if (full := StorageFull.of(sys.exception())) is not None:
        return _as(request, full) or render(request, "507.html", {"said": full.detail}, status=full.status)
    return _as(request, StewardError("something went wrong here; the log says what")) or defaults.server_error(request)


def _as(request: HttpRequest, error: StewardError) -> HttpResponseBase | None:
    return problem.json_response(error) if request.path.startswith("/api/") else None
