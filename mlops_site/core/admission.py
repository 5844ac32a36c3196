"""The admission limit: beyond it a request is turned away at once, so that a thread is always left for /livez."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from mlops_site.core.api import problem
from mlops_site.core.errors import TooManyRequests

ALWAYS = "/livez"
RETRY_SECS = 1


def admitted_of(threads: int) -> int:
    """How many requests at a time one process works on: three quarters of its threads, one left at least.

    >>> [admitted_of(n) for n in (2, 4, 16)]
    [1, 3, 12]
    """
    return threads - max(1, threads // 4)


class Admission:
    """The first middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._places = threading.BoundedSemaphore(admitted_of(settings.WEB_THREADS))

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path == ALWAYS:
            return self.get_response(request)
        if not self._places.acquire(blocking=False):
            detail = f"this process already works on {admitted_of(settings.WEB_THREADS)} requests; try again"
            return problem.json_response(TooManyRequests(detail, retry_after_secs=RETRY_SECS))
        try:
            return self.get_response(request)
        finally:
            self._places.release()
