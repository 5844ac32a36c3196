"""Whole objects by a statement that is built once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

from mlops_site.core.prepared.statements import execute, parameter

M = TypeVar("M", bound=models.Model)
_populators: Any = models.query.get_related_populators
_MARK, _LARGEST = 2_000_000_000, 2**63 - 1


class PreparedObjects(Generic[M]):
    """As `Prepared` for whole objects, with select_related, annotations, deferred columns and prefetches, or for a
    `values_list` whose values are converted as Django does. A value may also be a list of keys, for `__among`, or a
    text for `__contains`. Of `sliced` rows the last two values are how many to read and how many to skip."""

    def __init__(self, build: Callable[..., models.QuerySet[M, Any]], *, sliced: bool = False) -> None:
        self._build, self._sliced = build, sliced
        self._statement: _Objects | None = None

    def __call__(self, *values: Any) -> list[Any]:
        too_large = any(isinstance(value, int) and abs(value) > _LARGEST for value in values)
        if [] in values or too_large:  # Django too asks nothing when nothing can be found
            return []
        return self._kept(values).read(values)

    def _kept(self, values: Sequence[Any]) -> _Objects:
        if self._statement is None:
            self._statement = _Objects(self._build, values, self._sliced)
        return self._statement


class _Objects:
    """One statement: its SQL, where in its parameters the values go, and how Django makes objects of its rows."""

    def __init__(self, build: Callable[..., Any], values: Sequence[Any], sliced: bool) -> None:
        given = [_marked(number, value) for number, value in enumerate(values[: len(values) - 2 * sliced])]
        queryset = build(*given)
        self.compiler = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
        self.lookups = queryset._prefetch_related_lookups
        self.sql, params = self.compiler.as_sql()
        marks = [parameter(mark) for mark in given]
        self.places = [_place(param, marks) for param in params]
        used = {place.number for place in self.places} - {None}
        changed = any(isinstance(mark, str) and mark in str(place.constant) for mark in marks for place in self.places)
        if used != set(range(len(marks))) or changed:  # `startswith` would keep the first value and a % for ever
            raise RuntimeError(f"the parameters of {build.__name__} must be used as they are, but are {params}")
        if sliced:
            self.sql += " LIMIT %s OFFSET %s"
            self.places += [_Place(len(marks)), _Place(len(marks) + 1)]
        # What Django finds out anew at each reading of a queryset, and what takes longer there than reading a row.
        self.converters = self.compiler.get_converters([column for column, *_ in self.compiler.select])
        self.make = None if queryset._fields is not None else _maker(self.compiler)

    def read(self, values: Sequence[Any]) -> list[Any]:
        given = [parameter(value) for value in values]
        params = [place.param(given) for place in self.places]
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            execute(cursor, self.sql, params)
            rows = cursor.fetchall()
        if not rows:
            return []
        if self.converters:
            rows = self.compiler.apply_converters(rows, self.converters)
        found: list[Any] = [tuple(row) for row in rows] if self.make is None else [self.make(row) for row in rows]
        if self.lookups:
            models.prefetch_related_objects(found, *self.lookups)
        return found


class _Place(NamedTuple):
    """What a parameter of a statement is: one of the values, as it is or as LIKE looks for it, or a constant."""

    number: int | None
    constant: Any = None
    is_sought: bool = False

    def param(self, values: Sequence[Any]) -> Any:
        if self.number is None:
            return self.constant
        value = values[self.number]
        return f"%{connection.ops.prep_for_like_query(value)}%" if self.is_sought else value


def _place(param: Any, marks: list[Any]) -> _Place:
    if param in marks:
        return _Place(marks.index(param))
    sought = [number for number, mark in enumerate(marks) if isinstance(mark, str) and param == f"%{mark}%"]
    return _Place(sought[0], is_sought=True) if sought else _Place(None, param)


def _maker(compiler: Any) -> Callable[[Sequence[Any]], models.Model]:
    """What makes the object of a row, with those joined to it and its annotations, as Django's ModelIterable does."""
    about = compiler.klass_info
    kind, first, last = about["model"], about["select_fields"][0], about["select_fields"][-1] + 1
    names = [column.target.attname for column, *_ in compiler.select[first:last]]
    joined = _populators(about, compiler.select, DEFAULT_DB_ALIAS)
    annotated = list(compiler.annotation_col_map.items())

    def make(row: Sequence[Any]) -> models.Model:
        found: models.Model = kind.from_db(DEFAULT_DB_ALIAS, names, row[first:last])
        for populator in joined:
            populator.populate(row, found)
        for name, place in annotated:
            setattr(found, name, row[place])
        return found

    return make


def _marked(number: int, value: Any) -> Any:
    """A value of the same type, in the range of every column, that stands nowhere else in the statement."""
    if isinstance(value, list):
        return [_MARK + 1_000 * number]
    return f"the value {number} of a statement" if isinstance(value, str) else _MARK + 1_000 * number


def attach(owner: models.Model, relation: str, rows: Iterable[models.Model]) -> None:
    """Leaves with the owner the rows that name it, as `prefetch_related` would, whose own statement is built each
    time."""
    manager = getattr(owner, relation)
    found = manager.get_queryset()
    found._result_cache, found._prefetch_done = list(rows), True
    for row in found._result_cache:
        setattr(row, manager.field.name, owner)
    owner.__dict__.setdefault("_prefetched_objects_cache", {})[relation] = found


def detach(owner: models.Model, relation: str) -> None:
    """Undoes `attach`: whoever gets the owner next reads anew."""
    owner.__dict__.get("_prefetched_objects_cache", {}).pop(relation, None)
