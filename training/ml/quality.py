"""The gate for data: what a table must be to train on it, what is suspicious, and in which rows."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from mlops_site.stats.scored import TaskType
from training.ml import expectations, leakage
from training.ml.findings import MASK, Check, QualityReport, Severity, rows_where
from training.ml.schemas import infer_schema
from training.ml.splits import moments

__all__ = ["Check", "QualityReport", "check", "infer_schema", "infer_task_type"]

MIN_USABLE_ROWS = 50
MAX_CLASSES = 100
_MAX_REPEATED = 0.5
_MAX_DISTINCT = 0.5


@dataclass(frozen=True, eq=False)
class _Table:
    frame: pd.DataFrame
    target: str
    task_type: TaskType
    time_column: str | None
    group_column: str | None
    features: Sequence[str]
    copies: Severity
    private: Collection[str]

    @property
    def truth(self) -> "pd.Series[Any]":
        return self.frame[self.target]

    def told(self, column: str, value: object) -> str:
        """A value in a message, hidden where its column has personal data."""
        return MASK if column in self.private else repr(value)


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
    expected: dict[str, Any] | None = None,
    features: Sequence[str] | None = None,
    copies: Severity = "warn",
    private: Collection[str] = (),
) -> QualityReport:
    """Check a canonical frame of n rows, and against a document of `expectations` if one is given.

    Rows without a target are reported and left to the caller to drop. `features` are all columns without a role if
    left out; one that is the target under another name is a `copies`. Values of `private` columns are not told.
    """
    absent = list(_absent(frame, target=target, time=time_column, group=group_column))
    if absent:
        return QualityReport(len(frame), 0, tuple(absent))
    task = task_type or infer_task_type(frame[target])
    if features is None:
        features = [name for name in frame.columns if name not in (target, time_column, group_column)]
    table = _Table(frame, target, task, time_column, group_column, features, copies, private)
    checks = [found for rule in (*_OF_ROWS, *_OF_FEATURES) for found in rule(table)]
    if expected is not None:
        checks += against(frame, expected, private=private)
    return QualityReport(len(frame), int(frame[target].notna().sum()), tuple(checks))


def of_feature(
    column: pd.DataFrame,
    name: str,
    *,
    target: str,
    task_type: TaskType,
    copies: Severity,
    private: Collection[str],
) -> list[Check]:
    """Those checks of a whole frame that look at one feature, of which the column and the target (n rows) are given."""
    table = _Table(column, target, task_type, None, None, [name], copies, private)
    return [found for rule in _OF_FEATURES for found in rule(table)]


def repeats(hashes: NDArray[np.uint64]) -> Check:
    """The check of repeated rows, of what tells rows (n) apart; sorted, which takes half the memory of a table."""
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    again = np.zeros(len(hashes), dtype=np.bool_)
    again[order[1:][ranked[1:] == ranked[:-1]]] = True
    return _repeated(again)


def against(
    frame: pd.DataFrame,
    expected: dict[str, Any],
    *,
    features: Collection[str] | None = None,
    private: Collection[str] = (),
) -> list[Check]:
    """What a canonical frame (n rows) breaks of a document of `expectations`, and which of the features (of all columns
    if left out) were known only after the prediction, as far as the document says when they were."""
    found = expectations.check(frame, expected, private=private)
    times = expectations.known_at(expected, frame.columns if features is None else features)
    if times:
        found += leakage.after_prediction(
            frame, times, prediction_time=str(expected.get("prediction_time")), private=private
        )
    return found


def _absent(frame: pd.DataFrame, **roles: str | None) -> Iterator[Check]:
    for role, name in roles.items():
        if name is not None and name not in frame.columns:
            known = ", ".join(map(str, frame.columns[:20])) + (", ..." if frame.shape[1] > 20 else "")
            message = f"The {role} column must be in the table but {name!r} is not among {known}."
            yield Check(f"{role}_column", name, "block", False, message)


def _target(table: _Table) -> Iterator[Check]:
    missing = table.truth.isna()
    count = int(missing.sum())
    severity: Severity = "block" if count == len(missing) else "warn"
    message = f"The target {table.target!r} is missing in {count:,} of {len(missing):,} rows"
    message += "; these rows are left out." if 0 < count < len(missing) else "."
    yield Check("target_missing", table.target, severity, count == 0, message, rows_where(missing), count, 0)
    usable = len(missing) - count
    message = f"{usable:,} rows have a target; at least {MIN_USABLE_ROWS} are needed."
    enough = usable >= MIN_USABLE_ROWS
    yield Check("usable_rows", None, "block", enough, message, (), usable, f"at least {MIN_USABLE_ROWS}")


def _target_values(table: _Table) -> Iterator[Check]:
    known = table.truth.dropna()
    distinct = int(known.nunique())
    if known.empty:
        return
    first = table.told(table.target, known.iloc[0].item() if isinstance(known.iloc[0], np.generic) else known.iloc[0])
    if table.task_type == "regression" and not types.is_numeric_dtype(known):
        message = f"The target of a regression must be numbers but {table.target!r} holds text such as {first}."
        where = rows_where(table.truth.notna())
        yield Check("target_kind", table.target, "block", False, message, where, "text", "numbers")
    elif table.task_type == "regression":
        message = f"The target {table.target!r} has {distinct:,} distinct values"
        message += f": only {first}." if distinct == 1 else "."
        yield Check("constant_target", table.target, "block", distinct > 1, message, (), distinct, "more than 1")
    else:
        message = f"The target {table.target!r} has {distinct:,} classes"
        message += f": only {first}." if distinct == 1 else f"; 2 to {MAX_CLASSES} are needed."
        good = 2 <= distinct <= MAX_CLASSES
        yield Check("classes", table.target, "block", good, message, (), distinct, f"2 to {MAX_CLASSES}")


def _duplicates(table: _Table) -> Iterator[Check]:
    yield _repeated(table.frame.duplicated().to_numpy())


def _repeated(repeated: NDArray[np.bool_]) -> Check:
    count, share = int(repeated.sum()), float(repeated.mean())
    message = f"{count:,} of {len(repeated):,} rows ({share:.1%}) repeat an earlier row in full."
    severity: Severity = "block" if share > _MAX_REPEATED else "warn"
    told: dict[str, Any] = {"observed": round(share, 6), "expected": 0}
    return Check("duplicate_rows", None, severity, count == 0, message, rows_where(repeated), **told)


def _group(table: _Table) -> Iterator[Check]:
    if table.group_column is not None:
        missing = table.frame[table.group_column].isna()
        groups, name = table.frame[table.group_column].nunique(), table.group_column
        message = f"The group column {name!r} has {groups:,} groups and is empty in {int(missing.sum()):,} rows."
        count = int(missing.sum())
        yield Check("group_missing", name, "block", not count, message, rows_where(missing), count, 0)


def _time(table: _Table) -> Iterator[Check]:
    if table.time_column is not None:
        name, message, passed = table.time_column, "All times can be put in order.", True
        try:
            moments(table.frame[name])
        except ValueError as problem:
            said = "a value is no time" if name in table.private else problem
            message, passed = f"The time column {name!r} cannot be put in order: {said}.", False
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
    return f"Column {column!r} is {table.told(column, str(values.iloc[0])[:60])} in every row." if only else None


def _crowded(table: _Table, column: str) -> str | None:
    values = table.frame[column].dropna()
    if types.is_numeric_dtype(values) or values.nunique() <= max(1, _MAX_DISTINCT * len(values)):
        return None
    share = values.nunique() / len(values)
    return f"Column {column!r} has {values.nunique():,} levels in {len(values):,} rows ({share:.0%}): an identifier?"


def _copies(table: _Table) -> Iterator[Check]:
    yield from leakage.target_copies(table.frame, table.target, table.features, table.task_type, severity=table.copies)


_Rules = tuple[Callable[[_Table], Iterable[Check]], ...]
_OF_ROWS: _Rules = (_target, _target_values, _duplicates, _group, _time)
_OF_FEATURES: _Rules = (
    _suspicious("empty_column", "Every feature has values.", _empty),
    _suspicious("constant_column", "No feature is constant.", _constant),
    _suspicious("many_levels", "No category looks like an identifier.", _crowded),
    _copies,
)
