"""Statements whose SQL is built once per process and, on PostgreSQL, planned once per connection: on a hot path both
take longer than running them."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection, connections, models
from django.db.backends.utils import CursorWrapper

M = TypeVar("M", bound=models.Model)
_populators: Any = models.query.get_related_populators
_MARK, _LARGEST = 2_000_000_000, 2**63 - 1
_PLAIN = frozenset({str, int, float})
_numbers = itertools.count()


class Prepared:
    """A query of plain columns. `build` takes a value for each parameter and uses each once, in that order (one
    `filter` each: Django sorts what stands in one), in a `values_list`. Rows come back as the driver gives them, JSON
    as text."""

    def __init__(self, build: Callable[..., models.QuerySet[Any, tuple[Any, ...]]]) -> None:
        self._build = build
        self._sql = ""

    def __call__(self, *values: Any) -> list[tuple[Any, ...]]:
        adapted = [_adapted(value) for value in values]
        if not self._sql:
            self._sql = self._compiled(values, adapted)
        wrapper: Any = connections[DEFAULT_DB_ALIAS]
        # The statement itself shows whether the kept connection is alive; Django would ask SELECT 1 before it.
        wrapper.health_check_done = True
        try:
            return self._rows(adapted)
        except (OperationalError, InterfaceError):
            if wrapper.in_atomic_block or wrapper.is_usable():
                raise
            wrapper.close()
            return self._rows(adapted)

    def _rows(self, adapted: Sequence[Any]) -> list[tuple[Any, ...]]:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            _execute(cursor, self._sql, adapted)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def _compiled(self, values: Sequence[Any], adapted: Sequence[Any]) -> str:
        sql, params = self._build(*values).query.sql_with_params()
        if list(params) != list(adapted):
            name = self._build.__name__
            raise RuntimeError(f"the parameters of {name} must be used once and in order but are {params}")
        return str(sql)


@models.ForeignKey.register_lookup
@models.Field.register_lookup
class Among(models.Lookup):
    """`pk__among=keys`: what `__in` finds, with all keys as one parameter. So one statement does for every number of
    keys, and PostgreSQL does not read a hundred parameters of it each time."""

    lookup_name = "among"

    def get_prep_lookup(self) -> list[int]:
        return list(self.rhs)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        sql, params = self.process_lhs(compiler, connection)
        test = "= ANY(%s)" if connection.vendor == "postgresql" else "IN (SELECT value FROM json_each(%s))"
        return f"{sql} {test}", (*params, _parameter(self.rhs))


class PreparedObjects(Generic[M]):
    """The same for whole objects, with select_related, annotations, deferred columns and prefetches, or for a
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
        marks = [_parameter(mark) for mark in given]
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
        given = [_parameter(value) for value in values]
        params = [place.param(given) for place in self.places]
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            _execute(cursor, self.sql, params)
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


def _parameter(value: Any) -> Any:
    """A list of keys as the engine takes it in one parameter."""
    return value if not isinstance(value, list) or connection.vendor == "postgresql" else json.dumps(value)


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


def insert(rows: Sequence[models.Model]) -> None:
    """All rows of one model in one statement, so all or none even outside a transaction. Raises IntegrityError.

    What `save` would do beyond that (signals, keys made by the database, defaults in the database) is not done.
    """
    wrapper, meta = connections[DEFAULT_DB_ALIAS], rows[0]._meta
    fields = meta.concrete_fields
    head, places = _insertion(meta.db_table, tuple(str(field.column) for field in fields))
    values = [_prepared(field, getattr(row, field.attname), wrapper) for row in rows for field in fields]
    with wrapper.cursor() as cursor:
        if len(rows) == 1:
            _execute(cursor, head + places, values)
        else:  # each number of rows would be a statement of its own to keep
            cursor.execute(head + ", ".join([places] * len(rows)), values)
    for row in rows:
        row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def _prepared(field: models.Field[Any, Any], value: Any, wrapper: Any) -> Any:
    """As the driver takes it: a text or a number as it is, unless it is one inside JSON."""
    if type(value) in _PLAIN and not isinstance(field, models.JSONField):
        return value
    return field.get_db_prep_save(value, wrapper)


@functools.cache
def _insertion(table: str, columns: tuple[str, ...]) -> tuple[str, str]:
    quote = connection.ops.quote_name
    names = ", ".join(quote(column) for column in columns)
    return f"INSERT INTO {quote(table)} ({names}) VALUES ", f"({', '.join(['%s'] * len(columns))})"  # noqa: S608


def _execute(cursor: CursorWrapper, sql: str, params: Sequence[Any]) -> None:
    wrapper: Any = cursor.db
    # The setting says that a pool may give each transaction another connection, where nothing stays prepared.
    if wrapper.vendor != "postgresql" or wrapper.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        cursor.execute(sql, params)
        return
    name, numbered = _statement(sql)
    kept, names = wrapper.__dict__.get("prepared", (None, set()))
    if kept is not wrapper.connection:  # another connection than the one that they were prepared on
        kept, names = wrapper.prepared = (wrapper.connection, set())
    if name not in names:
        with kept.cursor() as plain:
            plain.execute(f"PREPARE {name} AS {numbered}")
        names.add(name)
    cursor.execute(f"EXECUTE {name} ({', '.join(['%s'] * len(params))})", params)


@functools.cache
def _statement(sql: str) -> tuple[str, str]:
    """A name for it, and its text as PREPARE wants it: $1, $2, … in place of %s."""
    places = itertools.count(1)
    return f"steward_{next(_numbers)}", re.sub("%s", lambda _: f"${next(places)}", sql)


def _adapted(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
