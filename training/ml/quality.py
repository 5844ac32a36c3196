"""The gate for data: what a table must be to train on it, what is suspicious, and in which rows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from mlops_site.stats.scored import TaskType
from training.ml import schemas
from training.ml.schemas import infer_schema
from training.ml.splits import moments

__all__ = ["Check", "QualityReport", "check", "infer_schema", "infer_task_type"]

Severity = Literal["block", "warn"]
MIN_USABLE_ROWS = 50
MAX_CLASSES = 100
_MAX_REPEATED = 0.5
_MAX_DISTINCT = 0.5
_SHOWN = 5


@dataclass(frozen=True)
class Check:
    """One condition on the table or a column; `where` holds the first failing data rows, counted from 1."""

    name: str
    column: str | None
    severity: Severity
    passed: bool
    message: str
    where: tuple[int, ...] = ()


@dataclass(frozen=True)
class QualityReport:
    """All checks of a table; it may be trained on when no blocking check failed."""

    rows: int
    usable_rows: int
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return not self.blocks

    @property
    def blocks(self) -> list[Check]:
        return [check for check in self.checks if not check.passed and check.severity == "block"]

    @property
    def warnings(self) -> list[Check]:
        return [check for check in self.checks if not check.passed and check.severity == "warn"]

    def to_json(self) -> dict[str, Any]:
        checks = [{**asdict(check), "where": list(check.where)} for check in self.checks]
        return {"passed": self.passed, "rows": self.rows, "usable_rows": self.usable_rows, "checks": checks}


@dataclass(frozen=True, eq=False)
class _Table:
    frame: pd.DataFrame
    target: str
    task_type: TaskType
    time_column: str | None
    group_column: str | None

    @property
    def truth(self) -> "pd.Series[Any]":
        return self.frame[self.target]

    @property
    def features(self) -> list[str]:
        known = {self.target, self.time_column, self.group_column}
        return [name for name in self.frame.columns if name not in known]


def infer_task_type(target: "pd.Series[Any]") -> TaskType:
    """Classification for text and for at most two distinct numbers, else regression.

    >>> infer_task_type(pd.Series([0, 1, 1])), infer_task_type(pd.Series([0.5, 1.0, 7.0]))
    ('classification', 'regression')
    """
    few = not types.is_numeric_dtype(target) or target.nunique() <= 2
    return "classification" if few else "regression"


def check(
    frame: pd.DataFrame,
    *,
    target: str,
    task_type: TaskType | None = None,
    time_column: str | None = None,
    group_column: str | None = None,
    schema: dict[str, Any] | None = None,
    strict: bool = False,
) -> QualityReport:
    """Check a canonical frame of n rows, and against a schema of `infer_schema` if one is given.

    Rows without a target are reported and left to the caller to drop. What departs from the schema warns,
    but for missing columns and changed kinds, which block; `strict` makes all of it block.
    """
    absent = list(_absent(frame, target=target, time=time_column, group=group_column))
    if absent:
        return QualityReport(len(frame), 0, tuple(absent))
    task = task_type or infer_task_type(frame[target])
    table = _Table(frame, target, task, time_column, group_column)
    checks = [found for rule in _RULES for found in rule(table)]
    if schema is not None:
        checks += [_departure(fault, strict) for fault in schemas.departures(frame, schema)] or [
            Check("schema", None, "block", True, f"All {len(schema['columns'])} columns agree with the schema.")
        ]
    return QualityReport(len(frame), int(frame[target].notna().sum()), tuple(checks))


def _absent(frame: pd.DataFrame, **roles: str | None) -> Iterator[Check]:
    for role, name in roles.items():
        if name is not None and name not in frame.columns:
            known = ", ".join(map(str, frame.columns[:20])) + (", ..." if frame.shape[1] > 20 else "")
            message = f"The {role} column must be in the table but {name!r} is not among {known}."
            yield Check(f"{role}_column", name, "block", False, message)


def _departure(fault: schemas.Departure, strict: bool) -> Check:
    severity: Severity = "block" if strict or fault.rule in ("missing", "kind") else "warn"
    return Check(f"schema_{fault.rule}", fault.column, severity, False, fault.message, fault.where)


def _rows_where(mask: "pd.Series[bool]") -> tuple[int, ...]:
    return tuple(int(at) + 1 for at in np.flatnonzero(mask.to_numpy())[:_SHOWN])


def _target(table: _Table) -> Iterator[Check]:
    missing = table.truth.isna()
    count = int(missing.sum())
    severity: Severity = "block" if count == len(missing) else "warn"
    message = f"The target {table.target!r} is missing in {count:,} of {len(missing):,} rows"
    message += "; these rows are left out." if 0 < count < len(missing) else "."
    yield Check("target_missing", table.target, severity, count == 0, message, _rows_where(missing))
    usable = len(missing) - count
    message = f"{usable:,} rows have a target; at least {MIN_USABLE_ROWS} are needed."
    yield Check("usable_rows", None, "block", usable >= MIN_USABLE_ROWS, message)


def _target_values(table: _Table) -> Iterator[Check]:
    known = table.truth.dropna()
    distinct = int(known.nunique())
    if known.empty:
        return
    first = repr(known.iloc[0].item() if isinstance(known.iloc[0], np.generic) else known.iloc[0])
    if table.task_type == "regression" and not types.is_numeric_dtype(known):
        message = f"The target of a regression must be numbers but {table.target!r} holds text such as {first}."
        yield Check("target_kind", table.target, "block", False, message, _rows_where(table.truth.notna()))
    elif table.task_type == "regression":
        message = f"The target {table.target!r} has {distinct:,} distinct values"
        message += f": only {first}." if distinct == 1 else "."
        yield Check("constant_target", table.target, "block", distinct > 1, message)
    else:
        message = f"The target {table.target!r} has {distinct:,} classes"
        message += f": only {first}." if distinct == 1 else f"; 2 to {MAX_CLASSES} are needed."
        yield Check("classes", table.target, "block", 2 <= distinct <= MAX_CLASSES, message)


def _duplicates(table: _Table) -> Iterator[Check]:
    repeated = table.frame.duplicated()
    count, share = int(repeated.sum()), float(repeated.mean())
    message = f"{count:,} of {len(repeated):,} rows ({share:.1%}) repeat an earlier row in full."
    severity: Severity = "block" if share > _MAX_REPEATED else "warn"
    yield Check("duplicate_rows", None, severity, count == 0, message, _rows_where(repeated))


def _group(table: _Table) -> Iterator[Check]:
    if table.group_column is not None:
        missing = table.frame[table.group_column].isna()
        groups, name = table.frame[table.group_column].nunique(), table.group_column
        message = f"The group column {name!r} has {groups:,} groups and is empty in {int(missing.sum()):,} rows."
        yield Check("group_missing", name, "block", not missing.any(), message, _rows_where(missing))


def _time(table: _Table) -> Iterator[Check]:
    if table.time_column is not None:
        name, message, passed = table.time_column, "All times can be put in order.", True
        try:
            moments(table.frame[name])
        except ValueError as problem:
            message, passed = f"The time column {name!r} cannot be put in order: {problem}.", False
        yield Check("time_order", name, "block", passed, message)


def _suspicious(name: str, good: str, judge: Callable[[_Table, str], str | None]) -> Any:
    """A rule that warns for each feature about which `judge` has something to say."""

    def rule(table: _Table) -> Iterator[Check]:
        said = {column: judge(table, column) for column in table.features}
        found = [Check(name, column, "warn", False, text) for column, text in said.items() if text]
        yield from found or [Check(name, None, "warn", True, good)]

    return rule


def _empty(table: _Table, column: str) -> str | None:
    return f"Column {column!r} has no value in any row." if table.frame[column].isna().all() else None


def _constant(table: _Table, column: str) -> str | None:
    values = table.frame[column]
    only = values.nunique() == 1 and not values.isna().any()
    return f"Column {column!r} is {str(values.iloc[0])[:60]!r} in every row." if only else None


def _crowded(table: _Table, column: str) -> str | None:
    values = table.frame[column].dropna()
    if types.is_numeric_dtype(values) or values.nunique() <= max(1, _MAX_DISTINCT * len(values)):
        return None
    share = values.nunique() / len(values)
    return f"Column {column!r} has {values.nunique():,} levels in {len(values):,} rows ({share:.0%}): an identifier?"


def _copied(table: _Table, column: str) -> str | None:
    both = table.frame[[column, table.target]].dropna()
    values, truth = both[column], both[table.target]
    # Values that never repeat are in one-to-one relation with anything.
    repeats = 1 < truth.nunique() <= _MAX_DISTINCT * len(both)
    pairs = values.nunique() == truth.nunique() == len(both.drop_duplicates()) if repeats else False
    if pairs or _is_linear(values, truth):
        return f"Column {column!r} tells the target {table.target!r} exactly: is it known when predicting?"
    return None


def _is_linear(values: "pd.Series[Any]", truth: "pd.Series[Any]") -> bool:
    if len(values) < 3 or not (types.is_numeric_dtype(values) and types.is_numeric_dtype(truth)):
        return False
    if values.nunique() < 2 or truth.nunique() < 2:
        return False
    return abs(float(np.corrcoef(values, truth)[0, 1])) > 1 - 1e-9


_RULES: tuple[Callable[[_Table], Iterable[Check]], ...] = (
    _target,
    _target_values,
    _duplicates,
    _group,
    _time,
    _suspicious("empty_column", "Every feature has values.", _empty),
    _suspicious("constant_column", "No feature is constant.", _constant),
    _suspicious("many_levels", "No category looks like an identifier.", _crowded),
    _suspicious("target_copy", "No feature tells the target exactly.", _copied),
)
