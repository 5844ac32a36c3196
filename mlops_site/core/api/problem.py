"""Every refusal as application/problem+json (RFC 9457) with a stable code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response

from mlops_site.core.errors import (
    FieldError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    StewardError,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 100


def document(error: StewardError) -> dict[str, Any]:
    """The problem document of an error."""
    body: dict[str, Any] = {
        "type": f"urn:steward:problem:{error.code}", "title": error.title, "status": error.status, "code": error.code,
        "detail": error.detail,
    }
    if error.errors:
        body["errors"] = [e._asdict() for e in error.errors[:MAX_ERRORS]]
    return body


def headers(error: StewardError) -> dict[str, str]:
    out = {"Retry-After": str(error.retry_after_secs)} if error.retry_after_secs is not None else {}
    return out | ({"WWW-Authenticate": "Bearer"} if error.status == 401 else {})


def json_response(error: StewardError) -> JsonResponse:
    """For plain Django views."""
    return JsonResponse(document(error), status=error.status, content_type=MEDIA_TYPE, headers=headers(error))


def handle(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. What is not a refusal is left to Django (500, logged)."""
    error = translate(exc)
    if error is None:
        return None
    context["request"]._request.refused_with = error
    return Response(document(error), status=error.status, content_type=MEDIA_TYPE, headers=headers(error))


def translate(exc: Exception) -> StewardError | None:
    """DRF's and Django's own exceptions as ours."""
    if isinstance(exc, StewardError):
        return exc
    if isinstance(exc, exceptions.ValidationError):
        errors = list(_fields(exc.detail, ""))
        return Invalid(errors[0].message if errors else "invalid", errors=errors)
    if isinstance(exc, Http404 | exceptions.NotFound):
        return NotFound("no such thing here, or it belongs to another team")
    if isinstance(exc, RequestDataTooBig):
        return TooLarge("the body is larger than this endpoint takes")
    return _drf(exc)


def _drf(exc: Exception) -> StewardError | None:
    known: tuple[tuple[tuple[type[Exception], ...], type[StewardError], str], ...] = (
        ((exceptions.NotAuthenticated, exceptions.AuthenticationFailed), Unauthenticated, "not_authenticated"),
        ((exceptions.PermissionDenied, PermissionDenied), Forbidden, "forbidden"),
        ((exceptions.ParseError,), Malformed, "malformed"),
        ((exceptions.Throttled,), TooManyRequests, "too_many_requests"),
    )
    for classes, ours, code in known:
        if isinstance(exc, classes):
            return ours(str(exc) or ours.title, code=code)
    if isinstance(exc, exceptions.APIException):
        error = StewardError(str(exc.detail), code=str(exc.default_code))
        error.status, error.title = exc.status_code, str(exc.default_detail)  # type: ignore[misc]
        return error
    return None


def _fields(detail: Any, path: str) -> Iterator[FieldError]:
    """DRF's nested details as flat field errors: `rows[3].features`."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            prefix = path if name == "non_field_errors" else f"{path}.{name}" if path else str(name)
            yield from _fields(inner, prefix)
    elif isinstance(detail, list):
        yield from _items(detail, path)
    else:
        yield FieldError(path, str(getattr(detail, "code", "invalid")), str(detail))


def _items(details: Iterable[Any], path: str) -> Iterator[FieldError]:
    for index, inner in enumerate(details):
        yield from _fields(inner, f"{path}[{index}]" if isinstance(inner, dict) else path)
