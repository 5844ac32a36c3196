"""Every refusal as application/problem+json (RFC 9457) with a stable code."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, JsonResponse
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions
from rest_framework.response import Response

from mlops_site.core import events
from mlops_site.core.errors import (
    FieldError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    StewardError,
    StorageFull,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 100


def document(error: StewardError) -> dict[str, Any]:
    """The problem document of an error."""
    body: dict[str, Any] = {
        "type": f"urn:steward:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
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
    request = context["request"]
    error = translate(exc, data=request.data if isinstance(exc, exceptions.ValidationError) else None)
    if error is None:
        return None
    request._request.refused_with = error
    if isinstance(error, Forbidden) and not error.is_recorded:
        events.record_refusal(error)
    return Response(document(error), status=error.status, content_type=MEDIA_TYPE, headers=headers(error))


def translate(exc: Exception, *, data: Any = None) -> StewardError | None:
    """DRF's and Django's own exceptions as ours; `data` is what was sent, for the actual values."""
    if isinstance(exc, StewardError):
        return exc
    if (full := StorageFull.of(exc)) is not None:
        return full
    if isinstance(exc, exceptions.ValidationError):
        errors = list(_fields(exc.detail, "", data))
        said = f"{errors[0].field}: {errors[0].message}" if errors and errors[0].field else str(errors[0].message)
        return Invalid(said, errors=errors)
    if isinstance(exc, Http404 | exceptions.NotFound):
        return NotFound("no such thing here, or it belongs to another team")
    if isinstance(exc, RequestDataTooBig):
        return TooLarge("the body is larger than this endpoint takes")
    if isinstance(exc, SuspiciousOperation | MultiPartParserError):
        return Malformed(str(exc)[:300] or Malformed.title)
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
        error.status, error.title = exc.status_code, HTTPStatus(exc.status_code).phrase
        return error
    return None


def _fields(detail: Any, path: str, data: Any) -> Iterator[FieldError]:
    """DRF's nested details as flat field errors, `rows[3].features`, each with the value that was sent."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            if name == "non_field_errors":
                yield from _fields(inner, path, data)
            else:
                yield from _fields(inner, _step(path, name), _inside(data, name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            if isinstance(inner, dict):
                yield from _fields(inner, _step(path, index), _inside(data, index))
            else:
                yield from _fields(inner, path, data)
    else:
        yield FieldError(path, str(getattr(detail, "code", "invalid")), _with_value(str(detail), data))


def _step(path: str, name: str | int) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


def _inside(data: Any, name: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(name)
    is_there = isinstance(data, list) and isinstance(name, int) and name < len(data)
    return data[name] if is_there else None


def _with_value(message: str, value: Any) -> str:
    """The message, naming a plain value where it does not already."""
    if value is None or isinstance(value, dict | list) or str(value)[:80] in message:
        return message
    return f"{message.rstrip('.')} but got {str(value)[:80]!r}"
