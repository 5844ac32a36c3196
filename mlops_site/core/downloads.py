"""Stored bytes as a download: never shown as a page, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from django.http import HttpResponse, StreamingHttpResponse

from mlops_site.core import store


def attachment(digest: str, *, name: str, media_type: str) -> HttpResponse:
    """The bytes stored under the digest, checked against it. Text goes as plain text, so that nothing in it is markup;
    the sandbox is for a browser that opens it all the same."""
    shown = "text/plain; charset=utf-8" if media_type.startswith("text/") else media_type
    return HttpResponse(
        store.read(digest),
        content_type=shown,
        headers=_headers(name),
    )


def streamed(pieces: Iterator[bytes], *, name: str) -> StreamingHttpResponse:
    """The same of a file that is too large to hold, a piece at a time."""
    return StreamingHttpResponse(pieces, content_type="application/octet-stream", headers=_headers(name))


def sheet(lines: Iterator[bytes], *, name: str) -> StreamingHttpResponse:
    """A table that was computed for the one who asks, line by line."""
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=_headers(name))


def page(text: str, *, name: str) -> HttpResponse:
    """A page to be opened from a file: from here it is never shown, so that nothing of it runs on this site."""
    return HttpResponse(text, content_type="text/html; charset=utf-8", headers=_headers(name))


def _headers(name: str) -> dict[str, str]:
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
