"""Rows with a truth and what a model said about them: checked once, so that every metric can trust them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

TaskType = Literal["classification", "regression"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """n rows. Made by `scored_rows`, which checks everything.

    Regression: `truth` and `decision` are values. Classification: both are codes into `classes`; of two
    classes the positive one is code 1 and `score` is P(positive), shape (n,); of more, `score` is (n, k).
    """

    task_type: TaskType
    truth: NDArray[Any]
    decision: NDArray[Any] | None
    score: Floats | None
    classes: tuple[Hashable, ...] = ()

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def binary(self) -> bool:
        """Two classes, of which code 1 is the positive one."""
        return len(self.classes) == 2

    @property
    def class_scores(self) -> Floats:
        """The scores with one column a class, shape (n, k)."""
        if self.score is None:
            raise ValueError("score must be given but got None")
        return np.column_stack([1.0 - self.score, self.score]) if self.binary else self.score

    @cached_property
    def outcomes(self) -> Floats:
        """Whether each row is a hit, is predicted, and is truly of the class, of each of k classes (of two: of the
        positive one alone): shape (n, 3 k)."""
        if self.decision is None:
            raise ValueError("prediction must be given but got None")
        classes = [1] if self.binary else range(len(self.classes))
        predicted, actual = ([side == code for code in classes] for side in (self.decision, self.truth))
        hits = [said & true for said, true in zip(predicted, actual, strict=True)]
        found = np.empty((len(self), 3 * len(predicted)))
        for place, column in enumerate([*hits, *predicted, *actual]):
            found[:, place] = column
        return found

    @cached_property
    def best_first(self) -> NDArray[np.intp]:
        """Places of the rows of two classes, the best score first, equal ones in any order: what ranks needs them."""
        if self.score is None:
            raise ValueError("score must be given but got None")
        return np.argsort(self.score)[::-1]

    def take(self, rows: NDArray[Any]) -> ScoredRows:
        """The rows chosen by a boolean mask or by positions; the classes stay as they are."""
        pick = [None if part is None else part[rows] for part in (self.decision, self.score)]
        return ScoredRows(self.task_type, self.truth[rows], pick[0], pick[1], self.classes)


def scored_rows(
    task_type: TaskType,
    y_true: ArrayLike,
    *,
    prediction: ArrayLike | None = None,
    score: ArrayLike | None = None,
    positive: Hashable = None,
    classes: Sequence[Hashable] | None = None,
) -> ScoredRows:
    """Check and encode n rows of truth with the predicted labels or values and the scores.

    `score` is P(positive), shape (n,), or has a column a class, shape (n, k), in the order of `classes`
    (sorted labels if left out). `positive` defaults to the rarer label, as in a signature. Raises
    ValueError for unequal lengths, missing or infinite values and labels outside `classes`.

    >>> rows = scored_rows("classification", ["no", "yes"], score=[0.2, 0.7], positive="yes")
    >>> rows.classes, rows.truth.tolist()
    (('no', 'yes'), [0, 1])
    """
    if task_type not in ("classification", "regression"):
        raise ValueError(f'task_type must be "classification" or "regression" but got {task_type!r}')
    n = len(np.asarray(y_true))
    for name, part in (("prediction", prediction), ("score", score)):
        if part is not None and len(np.asarray(part)) != n:
            raise ValueError(f"{name} must have {n} rows like y_true but got {len(np.asarray(part))}")
    if task_type == "regression":
        values = None if prediction is None else _finite("prediction", prediction)
        return ScoredRows(task_type, _finite("y_true", y_true), values, None)
    order = _class_order(y_true, prediction, positive, classes)
    labels = None if prediction is None else _codes("prediction", prediction, order)
    chance = None if score is None else _scores(score, order, classes)
    return ScoredRows(task_type, _codes("y_true", y_true, order), labels, chance, order)


def _finite(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(array if array.ndim == 1 else array.sum(axis=1)))
    if len(bad):
        raise ValueError(f"{name} must be finite but got {array[bad[0]]} in row {bad[0]}")
    return array


def _labels(values: ArrayLike) -> tuple[NDArray[np.intp], list[Hashable]]:
    """Codes and distinct labels in plain Python types; a missing label has code -1."""
    array = values.to_numpy() if isinstance(values, pd.Series) else np.asarray(values)
    codes, labels = pd.factorize(array)
    return codes, np.asarray(labels).tolist()


def _sorted(labels: Iterable[Hashable]) -> list[Hashable]:
    """In order within a type; labels of several types are told apart by the type's name."""
    return sorted(set(labels), key=lambda label: (str(type(label)), label))


def _class_order(
    y_true: ArrayLike, prediction: ArrayLike | None, positive: Hashable, classes: Sequence[Hashable] | None
) -> tuple[Hashable, ...]:
    """All classes, sorted; of two, the negative one first."""
    codes, seen = _labels(y_true)
    said = [] if prediction is None else _labels(prediction)[1]
    order = list(classes) if classes is not None else _at_least_two(_sorted([*seen, *said]), positive)
    if len(order) < 2 or (positive is not None and positive not in order):
        raise ValueError(f"positive must be one of at least two classes {order} but got {positive!r}")
    if len(order) > 2:
        return tuple(order)
    if positive is None and len(seen) < 2:
        raise ValueError(f"positive must be given where the labels are only {seen}")
    if positive is None:
        counts = dict(zip(seen, np.bincount(codes[codes >= 0]).tolist(), strict=True))
        positive = min(reversed(order), key=lambda label: counts[label])
    return tuple(sorted(order, key=lambda label: label == positive))


def _at_least_two(order: list[Hashable], positive: Hashable) -> list[Hashable]:
    """Complete the labels of rows that hold one class or none, as a slice or a small window may."""
    if len(order) > 1:
        return order
    if positive is None:
        raise ValueError(f"positive must be given where the labels are only {order}")
    others = [label for label in order if label != positive]
    return [*others, positive] if others else [f"not {positive}", positive]


def _codes(name: str, values: ArrayLike, order: tuple[Hashable, ...]) -> NDArray[np.int64]:
    codes, labels = _labels(values)
    if len(codes) and codes.min() < 0:
        raise ValueError(f"{name} must have a label in every row but row {int(codes.argmin())} has none")
    place = {label: code for code, label in enumerate(order)}
    unknown = [label for label in labels if label not in place]
    if unknown:
        raise ValueError(f"{name} must hold the classes {list(order)} but got {unknown[0]!r}")
    return np.array([place[label] for label in labels], dtype=np.int64)[codes]


def _scores(score: ArrayLike, order: tuple[Hashable, ...], classes: Sequence[Hashable] | None) -> Floats:
    array = _finite("score", score)
    if array.ndim == 1 and len(order) == 2:
        return array
    if array.ndim != 2 or array.shape[1] != len(order):
        raise ValueError(f"score must have a column for each of {list(order)} but got shape {array.shape}")
    if len(order) == 2:
        # The columns come in the order of `classes`, which need not be negative first.
        given = list(classes) if classes is not None else sorted(order, key=lambda label: (str(type(label)), label))
        return np.ascontiguousarray(array[:, given.index(order[1])])
    return array
