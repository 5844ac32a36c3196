"""Profile and quality of a canonical Parquet file of any length: by parts on an executor, as one frame would have them.

Profiles and row hashes are of some rows each, checks of one column each with the target: what is in memory at once is a
few row groups, or two columns, for each worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlops_site.stats import reference
from mlops_site.stats.bins import Bins
from mlops_site.stats.columns import Kind, infer_kinds
from mlops_site.stats.profile import Profile, profile
from mlops_site.stats.reference import Seen, bins_of, present_in, sampled, seen
from mlops_site.stats.scored import Floats, TaskType
from training.ml import quality
from training.ml.executors import Executor
from training.ml.quality import Check, QualityReport

Frame = pd.DataFrame


class Stored(NamedTuple):
    """A canonical Parquet file; what is read of it is canonical too."""

    path: Path

    @property
    def columns(self) -> list[str]:
        return list(pq.read_schema(self.path).names)

    @property
    def rows(self) -> int:
        return int(pq.read_metadata(self.path).num_rows)

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[Frame]:
        """Its rows in order, a row group at a time."""
        file = pq.ParquetFile(self.path, pre_buffer=False)
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=columns, use_threads=False).to_pandas(
                split_blocks=True, self_destruct=True
            )

    def whole(self, columns: Sequence[str]) -> Frame:
        """All rows of a few columns."""
        table = pq.read_table(self.path, columns=list(columns), use_threads=False, pre_buffer=False)
        frame: Frame = table.to_pandas(split_blocks=True, self_destruct=True)
        return frame


def profile_of(stored: Stored, executor: Executor, *, salt: str, columns: Sequence[str] | None = None) -> Profile:
    """What `profile(frame, reference_bins(frame, kinds, salt=salt))` is of the whole frame, to the last bit."""
    names = stored.columns if columns is None else list(columns)
    kinds = infer_kinds(next(stored.parts(names)))  # canonical types are those of the whole file
    bins = _bins(stored, executor, kinds, salt)
    parts = executor.map(partial(profile, bins=bins), stored.parts(names))
    return sum(parts, start=Profile.empty(bins))


def _bins(stored: Stored, executor: Executor, kinds: Mapping[str, Kind], salt: str) -> Bins:
    names = list(kinds)
    ahead = [dict.fromkeys(names, 0)]  # present numbers before each part, by column
    total = dict.fromkeys(names, Seen())
    for part in executor.map(partial(seen, kinds=kinds), stored.parts(names)):
        total = {name: total[name] + part[name] for name in names}
        ahead.append(present_in(total))
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    work = zip(stored.parts(numbers), ahead, strict=False)
    take = partial(_sampled, kinds=kinds, of=ahead[-1], salt=salt, about=reference.SAMPLE_ROWS)
    found = list(executor.map(take, work))
    return bins_of(kinds, total, {name: np.concatenate([part[name] for part in found]) for name in numbers})


def _sampled(work: tuple[Frame, dict[str, int]], *, kinds: Mapping[str, Kind], **asked: Any) -> dict[str, Floats]:
    frame, before = work
    return sampled(frame, kinds, before, **asked)


class Column(NamedTuple):
    """A column to be judged: its name ("" for the target with the time and the group), and the frame to do it on."""

    name: str
    frame: Frame
    schema: dict[str, Any] | None


def quality_of(
    stored: Stored,
    executor: Executor,
    *,
    target: str,
    task_type: TaskType | None = None,
    time_column: str | None = None,
    group_column: str | None = None,
    schema: dict[str, Any] | None = None,
    on_column: Callable[[str, Frame], None] = lambda name, frame: None,
) -> QualityReport:
    """What `quality.check` is of the whole frame; rows that repeat an earlier one are told by a hash of 64 bits.
    `on_column` is given each column by name with a frame that holds it: whoever wants to see them need not read them
    again."""
    roles = [name for name in dict.fromkeys((target, time_column, group_column)) if name is not None]
    asked: dict[str, Any] = {"target": target, "time_column": time_column, "group_column": group_column}
    if not set(roles) <= set(stored.columns):
        return replace(quality.check(next(stored.parts()).head(0), **asked), rows=stored.rows)
    truth = stored.whole([target])[target]
    task = task_type or quality.infer_task_type(truth)
    del truth
    judge = partial(_judged, **{**asked, "task_type": task})
    base, *features = executor.map(judge, _columns(stored, roles, target, schema, on_column))
    repeats = _repeats(stored, executor, target)
    return QualityReport(stored.rows, base.usable_rows, tuple(_merged(base, features, repeats, schema)))


def _columns(
    stored: Stored, roles: list[str], target: str, schema: dict[str, Any] | None, seen_by: Callable[[str, Frame], None]
) -> Iterator[Column]:
    """The roles first, then each feature beside the target; with what is expected of just these columns."""
    names = stored.columns
    absent = {} if schema is None else {entry["name"] for entry in schema["columns"]} - set(names)
    frame = stored.whole(roles)
    for name in roles:
        seen_by(name, frame[[name]])
    yield Column("", frame, _narrowed(schema, {*roles, *absent}))
    for name in (name for name in names if name not in roles):
        frame = stored.whole([name, target])
        seen_by(name, frame[[name]])
        yield Column(name, frame, _narrowed(schema, {name, target}))


def _narrowed(schema: dict[str, Any] | None, names: set[str]) -> dict[str, Any] | None:
    return schema and {**schema, "columns": [entry for entry in schema["columns"] if entry["name"] in names]}


def _judged(column: Column, *, target: str, task_type: TaskType, **roles: Any) -> QualityReport:
    roles = {} if column.name else roles
    return quality.check(column.frame, target=target, task_type=task_type, schema=column.schema, **roles)


def _repeats(stored: Stored, executor: Executor, target: str) -> Check:
    """The check of repeated rows, on their hashes."""
    hashes = np.concatenate(list(executor.map(_hashed, stored.parts())))
    checks = quality.check(pd.DataFrame({target: hashes}), target=target, task_type="regression").checks
    return next(check for check in checks if check.name == "duplicate_rows")


def _hashed(frame: Frame) -> NDArray[np.uint64]:
    numbers = frame.select_dtypes("float").columns
    plain = frame.assign(**{name: frame[name] + 0.0 for name in numbers})  # -0.0 and 0.0 are one value
    return np.asarray(pd.util.hash_pandas_object(plain, index=False), dtype=np.uint64)


def _merged(
    base: QualityReport, features: Sequence[QualityReport], repeats: Check, schema: dict[str, Any] | None
) -> Iterator[Check]:
    """The checks in the order of `quality.check`: of the roles, but for the rules that look at each feature, of which
    the failed ones stand in the place of the passed one; then the departures from the schema."""
    found = [check for report in features for check in report.checks if not check.passed]
    own = {check.column for check in base.checks if check.column is not None}
    failed = [check for check in found if check.column is not None and check.column not in own]
    for check in base.checks:
        if check.name == "duplicate_rows":
            yield repeats
        elif not check.name.startswith("schema"):
            yield from [other for other in failed if other.name == check.name] or [check]
    if schema is None:
        return
    departed = [check for check in (*base.checks, *failed) if check.name.startswith("schema_")]
    message = f"All {len(schema['columns'])} columns agree with the schema."
    yield from departed or [Check("schema", None, "block", True, message)]
