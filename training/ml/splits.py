"""Who is held out and who is in which fold: the same for every model type of a run, and stated by data alone."""

import hashlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from mlops_site.stats.scored import TaskType

Scheme = Literal["stratified", "group", "time", "group_time"]
Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
SCHEMES: tuple[Scheme, ...] = ("stratified", "group", "time", "group_time")
_ADVICE = "; use fewer folds, or cv 'time', which lets a group's past tell of its future"
BY_TIME, BY_GROUP = ("time", "group_time"), ("group", "group_time")


def sides(rows: pd.DataFrame, *, group: str | None = None, salt: str = "holdout") -> NDArray[np.float64]:
    """Where each row (n,) stands in [0, 1) by a hash of the salt and its group, else its own values: what is below the
    share is held out. Rows in parts stand where they would in one frame."""
    return _hashed_rows(rows, salt) if group is None else _hashed(rows[group], salt)


def holdout_split(
    rows: pd.DataFrame | NDArray[np.float64],
    *,
    cv: Scheme,
    groups: ArrayLike | None = None,
    times: ArrayLike | None = None,
    share: float = 0.2,
    salt: str = "holdout",
) -> NDArray[np.bool_]:
    """Mask (n,) of the rows held out.

    Without time order a row's side is a hash of its group (else of its own values) and the salt, so that a person
    or a repeated row keeps its side in every version of the data set; `share` is met on average; `rows` may be the
    `sides` instead of a frame. In time order it is the latest distinct times whose share of the rows comes nearest to
    `share`; by "group_time" the earlier rows of their groups belong to neither side, see `earlier_rows`.

    Raises:
        ValueError: something is missing, or one side would be empty.
    """
    _check_scheme(cv, groups, times)
    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1 but got {share}")
    if cv in BY_TIME:
        return _latest(moments(times), share)
    if isinstance(rows, pd.DataFrame):
        rows = _hashed(pd.Series(np.asarray(groups)), salt) if groups is not None else _hashed_rows(rows, salt)
    mask = rows < share
    if mask.all() or not mask.any():
        what = "groups" if groups is not None else "rows"
        raise ValueError(f"holdout must leave {what} on both sides but {int(mask.sum())} of {len(mask)} rows are in")
    return mask


def folds(
    cv: Scheme,
    y: ArrayLike,
    *,
    task_type: TaskType,
    n_folds: int,
    seed: int,
    groups: ArrayLike | None = None,
    times: ArrayLike | None = None,
) -> list[Fold]:
    """Positions (train, test) of each fold: stratified, no group in two folds, or trained on the past only.

    Groups are kept together in the stratified scheme too when they are given. By "time" they are not looked at, as in
    scikit-learn's TimeSeriesSplit: a group's past may tell of its future. By "group_time" a fold is trained on the past
    rows of groups that are not in its test. Raises ValueError naming the counts when rows, groups, times or a class are
    fewer than the folds need.
    """
    _check_scheme(cv, groups, times)
    truth = np.asarray(y)
    if not 2 <= n_folds <= len(truth):
        raise ValueError(f"n_folds must be between 2 and the {len(truth)} rows but got {n_folds}")
    if cv in BY_TIME:
        made = _expanding(moments(times), n_folds)
        made = made if cv == "time" else _apart(made, groups)
    else:
        members = None if groups is None else pd.factorize(np.asarray(groups))[0]
        _check_members(truth, members, task_type, n_folds)
        made = _shuffled(truth, members, task_type, n_folds, seed)
    if task_type == "classification":
        _check_classes(truth, made)
    return made


def earlier_rows(held: NDArray[np.bool_], groups: ArrayLike | None) -> NDArray[np.bool_]:
    """Mask (n,) of the rows that are not held out but whose group is.

    Raises:
        ValueError: there would be nothing left to train on.

    >>> earlier_rows(np.array([False, False, True]), ["a", "b", "a"]).tolist()
    [True, False, False]
    """
    members = pd.factorize(np.asarray(groups))[0]
    earlier: NDArray[np.bool_] = ~held & np.isin(members, members[held])
    if (earlier | held).all():
        raise ValueError(f"all {int(earlier.sum())} rows before the holdout are of groups that are in it{_ADVICE}")
    return earlier


def moments(times: Any) -> NDArray[np.float64]:
    """Times (n,) as numbers in order: numbers as they are, text as ISO dates in seconds since 1970.

    Raises:
        ValueError: a time is missing or is no date.
    """
    column = pd.Series(np.asarray(times))
    if pd.api.types.is_numeric_dtype(column):
        found = column.to_numpy(dtype=np.float64)
    else:
        stamps = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
        found = ((stamps - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)).to_numpy(dtype=np.float64)
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found))[0])
        raise ValueError(f"times must be numbers or ISO dates but row {row + 1} holds {column.tolist()[row]!r}")
    return found


def period(times: Any) -> tuple[str, str] | None:
    """The first and the last of times (n,), as they are written; None without times, or where one is no time.

    >>> period(["2025-03-01", "2024-12-31"])
    ('2024-12-31', '2025-03-01')
    """
    if times is None or not len(times):
        return None
    try:
        order = moments(times)
    except ValueError:  # a column that is declared but not split by may have gaps
        return None
    first, last = (np.asarray(times)[at] for at in (order.argmin(), order.argmax()))
    return str(first), str(last)


def _check_scheme(cv: str, groups: Any, times: Any) -> None:
    if cv not in SCHEMES:
        raise ValueError(f"cv must be one of {', '.join(SCHEMES)} but got {cv!r}")
    for wanted, schemes, given in (("group", BY_GROUP, groups), ("time", BY_TIME, times)):
        if cv in schemes and given is None:
            raise ValueError(f"cv {cv!r} must have a {wanted} column but the data set declares none")
    if groups is not None and (empty := int(pd.isna(np.asarray(groups)).sum())):
        raise ValueError(f"groups must be known in every row but {empty} rows have none")


def _hashed(keys: "pd.Series[Any]", salt: str) -> NDArray[np.float64]:
    """A number in [0, 1) for each key, equal for equal keys."""
    codes, distinct = pd.factorize(keys)
    return np.array([_fraction(f"{salt}\0{_spelled(key)}".encode()) for key in distinct])[codes]


def _hashed_rows(rows: pd.DataFrame, salt: str) -> NDArray[np.float64]:
    # By name and as floats, so that neither the order of columns nor int against float moves a row.
    ordered = rows[sorted(rows.columns)]
    ordered = ordered.astype(dict.fromkeys(ordered.select_dtypes(["number", "bool"]).columns, np.float64))
    return _hashed(pd.util.hash_pandas_object(ordered, index=False).astype(str), salt)


def _spelled(key: Any) -> str:
    """1, 1.0 and a missing value each have one spelling."""
    if pd.isna(key):
        return ""
    if isinstance(key, (int, float, np.number)):
        return str(int(key)) if float(key).is_integer() else repr(float(key))
    return str(key)


def _fraction(data: bytes) -> float:
    return int.from_bytes(hashlib.sha256(data).digest()[:6]) / 2.0**48


def _latest(times: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    distinct, counts = np.unique(times, return_counts=True)
    if len(distinct) < 2:
        raise ValueError(f"times must have at least 2 distinct values to hold out the latest but got {len(distinct)}")
    tails = counts[::-1].cumsum()[::-1][1:] / len(times)
    mask: NDArray[np.bool_] = times >= distinct[1 + int(np.abs(tails - share).argmin())]
    return mask


def _expanding(times: NDArray[np.float64], n_folds: int) -> list[Fold]:
    """Blocks of whole times, equal in rows as far as ties allow; each is tested on all before it."""
    distinct, place = np.unique(times, return_inverse=True)
    if len(distinct) <= n_folds:
        raise ValueError(
            f"{n_folds} folds in time order must have at least {n_folds + 1} distinct times but got {len(distinct)}"
        )
    before = np.r_[0, np.bincount(place).cumsum()[:-1]]
    block = np.minimum(before * (n_folds + 1) // len(times), n_folds)
    # Crowded times leave gaps in the numbering: close them from both ends, so that no block is empty.
    block = _no_gaps(block, n_folds)
    return [(np.flatnonzero(block[place] < k), np.flatnonzero(block[place] == k)) for k in range(1, n_folds + 1)]


def _apart(made: list[Fold], groups: Any) -> list[Fold]:
    """Each fold without the training rows whose group is in its test."""
    members = pd.factorize(np.asarray(groups))[0]
    found = [(train[~np.isin(members[train], members[test])], test) for train, test in made]
    for number, ((before, _), (left, _)) in enumerate(zip(made, found, strict=True), start=1):
        if not len(left):
            message = f"all {len(before)} training rows of fold {number} are of groups that are in its test"
            raise ValueError(f"{message}{_ADVICE}")
    return found


def _no_gaps(block: NDArray[np.intp], top: int) -> NDArray[np.intp]:
    """Raise blocks so that they start at 0, never skip a number and end at `top`."""
    floor = top - np.arange(len(block))[::-1]
    settled = block.copy()
    for at in range(len(block)):
        low = settled[at - 1] if at else 0
        settled[at] = min(max(block[at], low, floor[at]), low + 1 if at else 0)
    return settled


def _check_members(truth: NDArray[Any], members: Any, task_type: TaskType, n_folds: int) -> None:
    if members is not None and (count := int(members.max()) + 1) < n_folds:
        raise ValueError(f"{n_folds} folds must have at least {n_folds} groups but got {count}")
    if task_type != "classification":
        return
    units, what = (np.arange(len(truth)), "rows") if members is None else (members, "groups")
    for label in pd.unique(truth).tolist():
        if (count := len(np.unique(units[truth == label]))) < n_folds:
            raise ValueError(
                f"{n_folds} folds must have {n_folds} {what} of class {label!r} but got {count}; use fewer folds"
            )


def _shuffled(truth: NDArray[Any], members: Any, task_type: TaskType, n_folds: int, seed: int) -> list[Fold]:
    grouped, classes = members is not None, task_type == "classification"
    splitters: dict[tuple[bool, bool], Callable[..., Any]] = {
        (False, True): StratifiedKFold,
        (True, True): StratifiedGroupKFold,
        (False, False): KFold,
        (True, False): GroupKFold,
    }
    splitter = splitters[grouped, classes](n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(truth)), truth, members))


def _check_classes(truth: NDArray[Any], made: list[Fold]) -> None:
    for number, fold in enumerate(made, start=1):
        for side, rows in zip(("training", "test"), fold, strict=True):
            if len(seen := pd.unique(truth[rows])) < 2:
                raise ValueError(
                    f"every fold must have two classes but the {side} rows of fold {number} "
                    f"({len(rows)} rows) have only {seen.tolist()}"
                )
