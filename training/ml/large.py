"""Profile and quality of a canonical Parquet file of any length: by parts on an executor, as one frame would have them.

Profiles and row hashes are of some rows each, checks of one column each with the target: what is in memory at once is a
few row groups, or two columns, for each worker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_site.stats import reference
from mlops_site.stats.bins import Bins
from mlops_site.stats.columns import Kind, infer_kinds
from mlops_site.stats.profile import Profile, profile
from mlops_site.stats.reference import Seen, bins_of, present_in, sampled, seen
from mlops_site.stats.scored import Floats, TaskType
from training.ml import expectations, leakage, quality
from training.ml.executors import Executor
from training.ml.findings import Check, QualityReport, Severity
from training.ml.stored import Stored

Frame = pd.DataFrame


def profile_of(stored: Stored, executor: Executor, *, salt: str, columns: Sequence[str] | None = None) -> Profile:
    """What `profile(frame, reference_bins(frame, kinds, salt=salt))` is of the whole frame, to the last bit."""
    names = stored.columns if columns is None else list(columns)
    kinds = infer_kinds(next(stored.parts(names)))  # canonical types are those of the whole file
    return profile_of_parts(stored.parts, kinds, executor, salt=salt)


def profile_of_parts(
    parts_of: Callable[[list[str]], Iterator[Frame]], kinds: Mapping[str, Kind], executor: Executor, *, salt: str
) -> Profile:
    """The same of rows in parts: `parts_of(columns)` reads them in order, as often as it is asked."""
    bins = _bins(parts_of, executor, kinds, salt)
    return sum(executor.map(partial(profile, bins=bins), parts_of(list(kinds))), start=Profile.empty(bins))


def _bins(
    parts_of: Callable[[list[str]], Iterator[Frame]], executor: Executor, kinds: Mapping[str, Kind], salt: str
) -> Bins:
    names = list(kinds)
    ahead = [dict.fromkeys(names, 0)]  # present numbers before each part, by column
    total = dict.fromkeys(names, Seen())
    for part in executor.map(partial(seen, kinds=kinds), parts_of(names)):
        total = {name: total[name] + part[name] for name in names}
        ahead.append(present_in(total))
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    work = zip(parts_of(numbers), ahead, strict=False)
    take = partial(_sampled, kinds=kinds, of=ahead[-1], salt=salt, about=reference.SAMPLE_ROWS)
    found = list(executor.map(take, work))
    return bins_of(kinds, total, {name: np.concatenate([part[name] for part in found]) for name in numbers})


def _sampled(work: tuple[Frame, dict[str, int]], *, kinds: Mapping[str, Kind], **asked: Any) -> dict[str, Floats]:
    frame, before = work
    return sampled(frame, kinds, before, **asked)


class Column(NamedTuple):
    """A column to be judged: its name ("" for the target with the time and the group), the frame to do it on, and what
    is expected of it."""

    name: str
    frame: Frame
    expected: dict[str, Any] | None


def quality_of(
    stored: Stored,
    executor: Executor,
    *,
    target: str,
    task_type: TaskType | None = None,
    time_column: str | None = None,
    group_column: str | None = None,
    expected: dict[str, Any] | None = None,
    features: Collection[str] | None = None,
    copies: Severity = "warn",
    private: Collection[str] = (),
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
    judge = partial(_judged, **asked, task_type=task, private=private, features=features, copies=copies)
    also = [name for name in roles if features is not None and name in features]
    base, *judged = executor.map(judge, _columns(stored, roles, also, target, expected, on_column), ahead=0)
    hashes = np.concatenate(list(executor.map(_hashed, stored.parts())))
    checks = list(_merged(base, judged, quality.repeats(hashes)))
    if expected is not None:
        checks += _departed(stored, [base, *judged], hashes, expected)
        checks += _late(stored, executor, expected, private, stored.columns if features is None else features)
    return QualityReport(stored.rows, base.usable_rows, tuple(checks))


def _columns(
    stored: Stored,
    roles: list[str],
    also: list[str],
    target: str,
    expected: dict[str, Any] | None,
    seen_by: Callable[[str, Frame], None],
) -> Iterator[Column]:
    """The roles first, then each feature beside the target, those roles that are features `also` among them; with what
    is expected of just these columns."""
    names = stored.columns
    absent = set((expected or {}).get("columns", {})) - set(names)
    frame = stored.whole(roles)
    for name in roles:
        seen_by(name, frame[[name]])
    about = _narrowed(expected, {*roles, *absent})
    yield Column("", frame, about and {**about, "rows": (expected or {}).get("rows")})
    truth = frame[target]
    if truth.dtype.kind == "i":
        truth = pd.to_numeric(truth, downcast="integer")  # it goes along with every column
    del frame
    for name in (name for name in names if name not in roles):
        frame = stored.whole([name]).assign(**{target: truth})
        seen_by(name, frame[[name]])
        yield Column(name, frame, _narrowed(expected, {name}))
    for name in also:
        yield Column(name, stored.whole([name]).assign(**{target: truth}), None)


def _narrowed(expected: dict[str, Any] | None, names: set[str]) -> dict[str, Any] | None:
    """What is expected of these columns by themselves."""
    if expected is None:
        return None
    rules = {name: each for name, each in expected.get("columns", {}).items() if name in names}
    alone = {name: {key: rule for key, rule in each.items() if key != "available_at"} for name, each in rules.items()}
    return {"columns": alone}


def _judged(
    column: Column,
    *,
    target: str,
    task_type: TaskType,
    private: Collection[str],
    features: Collection[str] | None,
    copies: Severity,
    **roles: Any,
) -> QualityReport:
    name, frame, expected = column
    if not name:
        asked: dict[str, Any] = {"expected": expected, "private": private, "features": [], "copies": copies}
        return quality.check(frame, target=target, task_type=task_type, **asked, **roles)
    checks: list[Check] = []
    if features is None or name in features:
        rules: dict[str, Any] = {"task_type": task_type, "copies": copies, "private": private}
        checks += quality.of_feature(frame, name, target=target, **rules)
    if expected is not None:
        checks += quality.against(frame[[name]], expected, private=private)
    return QualityReport(len(frame), len(frame), tuple(checks))


def _hashed(frame: Frame) -> NDArray[np.uint64]:
    numbers = frame.select_dtypes("float").columns
    plain = frame.assign(**{name: frame[name] + 0.0 for name in numbers})  # -0.0 and 0.0 are one value
    return np.asarray(pd.util.hash_pandas_object(plain, index=False), dtype=np.uint64)


def _merged(base: QualityReport, features: Sequence[QualityReport], repeats: Check) -> Iterator[Check]:
    """The checks in the order of `quality.check`: of the roles, but for the rules that look at each feature, of which
    the failed ones stand in the place of the passed one."""
    failed = [check for report in features for check in report.checks if not check.passed and check.column is not None]
    for check in base.checks:
        if check.name == "duplicate_rows":
            yield repeats
        elif not check.name.startswith("schema"):
            yield from [other for other in failed if other.name == check.name] or [check]


def _departed(
    stored: Stored, reports: Sequence[QualityReport], hashes: NDArray[np.uint64], expected: dict[str, Any]
) -> list[Check]:
    """What departs from what is expected of the columns and of the whole table."""
    of_columns = [check for report in reports for check in report.checks if check.name.startswith("schema_")]
    rule = {"duplicates": expected["duplicates"]} if expected.get("duplicates") else {}
    of_rows = [check for check in expectations.check(pd.DataFrame({"row": hashes}), rule) if not check.passed]
    found = [*of_columns, *expectations.extras(stored.columns, expected), *of_rows]
    message = f"All {len(expected.get('columns', {}))} columns agree with the schema."
    return found or [Check("schema", None, "block", True, message)]


def _late(
    stored: Stored,
    executor: Executor,
    expected: dict[str, Any],
    private: Collection[str],
    features: Collection[str],
) -> list[Check]:
    """Which features were known only after the prediction, as far as it is said when they were."""
    times, asked = expectations.known_at(expected, features), str(expected.get("prediction_time"))
    work = (({name: rule}, stored.whole(_there(stored, name, rule[0], asked))) for name, rule in times.items())
    judge = partial(_timed, prediction_time=asked, private=private)
    found = [check for checks in executor.map(judge, work, ahead=0) for check in checks]
    return list({(check.name, check.column): check for check in found}.values())


def _there(stored: Stored, *names: str) -> list[str]:
    return [name for name in dict.fromkeys(names) if name in stored.columns]


def _timed(
    work: tuple[dict[str, tuple[str, Severity]], Frame], *, prediction_time: str, private: Collection[str]
) -> list[Check]:
    available_at, frame = work
    return list(leakage.after_prediction(frame, available_at, prediction_time=prediction_time, private=private))
