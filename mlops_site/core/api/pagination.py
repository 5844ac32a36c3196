"""Lists as {"count", "next", "previous", "results"}."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol

from django.core.paginator import Page, Paginator
from rest_framework.pagination import PageNumberPagination

_FAR = 10**9  # rows to skip; beyond it, counting them is cheaper, and shows that there are none


class Counted(Protocol):
    """Rows that read a page and how many there are in all by one statement."""

    def reach(self, first: int, last: int) -> None:
        """Read the rows from `first` up to `last`, of which a slice is then taken, and count all."""


class CountedPaginator(Paginator):  # type: ignore[type-arg]
    """Asks rows that can be `Counted` for the page before it asks how many there are, so that they need not be looked
    for twice."""

    def page(self, number: int | str) -> Page[Any]:
        reach = getattr(self.object_list, "reach", None)
        with suppress(ValueError):  # not a number: the paginator says so
            first = (int(number) - 1) * self.per_page
            if reach is not None and 0 <= first < _FAR:
                reach(first, first + self.per_page)
        return super().page(number)


class Pages(PageNumberPagination):
    django_paginator_class: Any = CountedPaginator
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
