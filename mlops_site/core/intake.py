"""What a request's address and headers alone are refused for, before anything reads its body.

Django's CSRF check parses a form, and keeps its files in the temporary folder, before any view or login is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from mlops_site.core.api import problem
from mlops_site.core.errors import LengthRequired, Malformed, StewardError, TooLarge


class Intake:
    """Before the CSRF check. A view class that takes a file names its field in `file_field` and gets the longer limit;
    the form around the file may have as much as any other body."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        error = refusal(request, file_field_of(view))
        return None if error is None else problem.json_response(error)


def refusal(request: HttpRequest, file_field: str) -> StewardError | None:
    """Why the body will not be read: a NUL in the address, no length or an odd one, or more than `limit_of` allows."""
    if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):  # PostgreSQL refuses to look for it
        return Malformed("the address must not contain the character NUL")
    if "HTTP_TRANSFER_ENCODING" in request.META:  # Django would take such a body for an empty one
        return LengthRequired("a body must come with its Content-Length; chunks without one are not read")
    said = request.META.get("CONTENT_LENGTH") or "0"
    if not (said.isascii() and said.isdigit()) or len(said) > 18:
        return Malformed(f"Content-Length must be a whole number but got {said[:40]!r}")
    limit = limit_of(file_field)
    if int(said) <= limit:
        return None
    message = f"the body must be at most {limit:,} bytes but has {int(said):,}"
    return TooLarge.on(file_field, message, code="too_large") if file_field else TooLarge(message)


def limit_of(file_field: str) -> int:
    """In bytes."""
    form = int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return int(settings.MAX_UPLOAD_BYTES) + form if file_field else form


def file_field_of(view: Any) -> str:
    """Of the class behind a view function: DRF's `cls`, Django's `view_class`."""
    return str(getattr(getattr(view, "cls", None) or getattr(view, "view_class", None), "file_field", ""))
