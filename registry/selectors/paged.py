"""Lists, page by page: one statement finds the keys of a page and counts all, another reads the rows of these keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

from django.db.models import Count, Model, Q, QuerySet, Window

from mlops_site.core.prepared import PreparedObjects

M = TypeVar("M", bound=Model)
L = TypeVar("L")  # what a line of a list is
Conditions = list[tuple[str, Any]]  # lookups and their values, as `filter` takes them; all hold
Keys = list[tuple[int, int]]  # of a page, each with the count of all
MOST = 64  # combinations of conditions whose statements a process keeps


def matching(rows: QuerySet[M], conditions: Conditions) -> QuerySet[M]:
    """Of these rows those for which all conditions hold."""
    return rows.filter(Q(*conditions))


class Paged(Generic[L]):
    """Rows for a paginator. An engine that sorts ten thousand whole rows to show fifty takes a hundred times as long as
    one that sorts keys."""

    def __init__(
        self,
        rows: QuerySet[Any] | Callable[[], QuerySet[Any]],
        read: Callable[[list[int]], list[L]] | None = None,
        keys: Callable[[int, int], Keys | None] | None = None,
    ) -> None:
        """`keys` finds some pages quicker than `rows` does, and answers None for others."""
        self._rows, self._read, self._quick = rows, read or self._whole, keys
        self._count: int | None = None
        self._reached: tuple[int, int, list[int]] = (0, 0, [])  # the keys from one place to another

    @cached_property
    def rows(self) -> QuerySet[Any]:
        return self._rows if isinstance(self._rows, QuerySet) else self._rows()

    def reach(self, first: int, last: int) -> None:
        """Find a page before it is known that there is one: see core.api.pagination."""
        found = self._quick(first, last) if self._quick is not None else None
        if found is None:
            found = list(_keys(self.rows)[first:last])
        self._reached = first, last, [key for key, _ in found]
        if found:
            self._count = found[0][1]

    def count(self) -> int:
        if self._count is None:
            self._count = self.rows.count()
        return self._count

    def __len__(self) -> int:
        return self.count()

    def __getitem__(self, part: slice) -> list[L]:
        first, last = part.start, part.stop
        if first != self._reached[0] or last > self._reached[1]:
            self.reach(first, last)
        return self._read(self._reached[2][: last - first])

    def _whole(self, keys: list[int]) -> list[L]:
        return list(self.rows.filter(pk__in=keys))


def _keys(rows: QuerySet[Any]) -> QuerySet[Any, tuple[int, int]]:
    return rows.values_list("pk", Window(Count("*")))


class Kept:
    """The statements that find pages of one kind of rows, kept by what they ask for and in which order, for Django
    takes longer to build one than all else that a short page takes. What has a subquery among its conditions, or comes
    when there are `MOST`, is built anew."""

    def __init__(self, ordered: Callable[[Conditions, str], QuerySet[Any]]) -> None:
        self._ordered = ordered
        self._statements: dict[tuple[Any, ...], PreparedObjects[Any]] = {}

    def paged(self, conditions: Conditions, ordering: str, read: Callable[[list[int]], list[L]]) -> Paged[L]:
        """`ordering` is one of few: each has statements of its own."""
        asked = conditions, ordering
        return Paged(partial(self._ordered, *asked), read, partial(self._keys, *asked))

    def _keys(self, conditions: Conditions, ordering: str, first: int, last: int) -> Keys | None:
        """None where no statement is kept for these."""
        if any(isinstance(value, QuerySet) for _, value in conditions):
            return None
        shape = ordering, *(condition if _is_fixed(condition) else condition[0] for condition in conditions)
        if shape not in self._statements:
            if len(self._statements) >= MOST:
                return None
            self._statements[shape] = PreparedObjects(self._build(conditions, ordering), sliced=True)
        values = [condition[1] for condition in conditions if not _is_fixed(condition)]
        return self._statements[shape](*values, last - first, first)

    def _build(self, conditions: Conditions, ordering: str) -> Callable[..., QuerySet[Any, tuple[int, int]]]:
        def build(*values: Any) -> QuerySet[Any, tuple[int, int]]:
            left = iter(values)
            filled = [one if _is_fixed(one) else (one[0], next(left)) for one in conditions]
            return _keys(self._ordered(filled, ordering))

        return build


def _is_fixed(condition: tuple[str, Any]) -> bool:
    """Whether its value is a part of the statement's text."""
    return isinstance(condition[1], bool)
