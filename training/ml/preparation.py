"""How the columns of a frame become the numbers that an estimator takes, and the memory of what was prepared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from cachetools import LRUCache
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlops_site.stats.columns import Kind
from training.ml import merged
from training.ml.parted import Blocks, Parted, Table

MAX_LEVELS = 50  # of one category; rarer levels share a column
KNOWN_LEVELS = 10_000  # of one category; the rarest of more are as if never seen
MAX_BYTES = 256 << 20
DENSE_BYTES = 512 << 20

Kinds = Mapping[str, Kind]
Prepare = Callable[[Kinds], ColumnTransformer]
Positions = NDArray[np.intp]


def scaled(kinds: Kinds) -> ColumnTransformer:
    """Numbers imputed and scaled, for what weighs columns against each other."""
    return _columns(kinds, Pipeline([("impute", _median()), ("scale", StandardScaler())]), _one_hot())


def imputed(kinds: Kinds) -> ColumnTransformer:
    """Numbers imputed."""
    return _columns(kinds, _median(), _one_hot())


def native(kinds: Kinds) -> ColumnTransformer:
    """Numbers as they are, missing ones too: the learner knows what to do."""
    # Its own treatment of categories is built with functools.partial, which no trusted file may hold.
    return _columns(kinds, "passthrough", _one_hot(sparse_output=False))


def _median() -> SimpleImputer:
    # No missing indicator: skl2onnx does not convert it. A column without any value must not vanish either.
    return SimpleImputer(strategy="median", keep_empty_features=True)


def _one_hot(*, sparse_output: bool = True) -> OneHotEncoder:
    # "infrequent_if_exist" would fail in ONNX Runtime at the first unseen level.
    return OneHotEncoder(handle_unknown="ignore", max_categories=MAX_LEVELS, sparse_output=sparse_output)


def _columns(kinds: Kinds, number: Any, category: Any) -> ColumnTransformer:
    parts = {"number": number, "category": category}
    chosen = [(kind, part, [name for name in kinds if kinds[name] == kind]) for kind, part in parts.items()]
    return ColumnTransformer([step for step in chosen if step[2]])


def signs(columns: ColumnTransformer, width: int, monotone: Mapping[str, int]) -> list[int]:
    """For each of `width` prepared columns -1, 0 or 1: numbers come first, one column each, then categories."""
    numbers = [name for step, _, chosen in columns.transformers_ if step == "number" for name in chosen]
    found = [monotone.get(name, 0) for name in numbers]
    return found + [0] * (width - len(found))


def dense(matrix: Any, *, max_bytes: int = DENSE_BYTES) -> Any:
    """Prepared columns (n, columns) with their zeros, in the single precision of trees; as they are if that is more
    than `max_bytes`."""
    n_bytes = matrix.shape[0] * matrix.shape[1] * np.dtype(np.float32).itemsize
    sparse: Any = matrix if issparse(matrix) and n_bytes <= max_bytes else None
    return matrix if sparse is None else sparse.astype(np.float32).toarray()


class Plan(NamedTuple):
    """What a model type wants of its columns."""

    prepare: Prepare
    kinds: Kinds
    takes_empty_columns: bool = True

    def fitted(self, frame: Table) -> Prepared:
        """Fit on n rows and prepare them; ValueError if no column has a value."""
        if isinstance(frame, Parted):
            found = merged.columns_of(self.prepare, frame, MAX_LEVELS, KNOWN_LEVELS)
            return Prepared(found, Blocks(frame, found))
        kinds = self.kinds
        if not self.takes_empty_columns:
            kinds = {name: kind for name, kind in kinds.items() if frame[name].notna().any()}
        if not kinds:
            raise ValueError("kinds must name at least one feature with a value but got none")
        columns = self.prepare(kinds)
        known = _known(frame, [name for name in kinds if kinds[name] == "category"])
        if known is None:
            return Prepared(columns, columns.fit_transform(frame))
        matrix = columns.set_params(category__categories=known).fit_transform(frame)
        columns.set_params(category__categories="auto")
        columns.named_transformers_["category"].categories = "auto"
        return Prepared(columns, matrix)


def _known(frame: pd.DataFrame, names: list[str]) -> list[list[str]] | None:
    """The levels that are known of each category; None where those are all of all of them."""
    if len(frame) <= KNOWN_LEVELS or all(frame[name].nunique() <= KNOWN_LEVELS for name in names):
        return None
    counts: list[dict[Any, int]] = [frame[name].value_counts(dropna=False).to_dict() for name in names]
    return [merged.frequent(found, KNOWN_LEVELS) for found in counts]


class Prepared(NamedTuple):
    """Fitted columns and what they make of the rows that they were fitted on."""

    columns: ColumnTransformer
    matrix: Any


class Preparations:
    """What was prepared of a frame, for the trials of a search: trials differ in the estimator's parameters alone.

    Kept by content (the plan, the training rows and the rows prepared), the least recently used going first once there
    are more than `max_bytes`. It is no part of any model.
    """

    def __init__(self, frame: Table, *, max_bytes: int = MAX_BYTES) -> None:
        self.frame = frame
        self.hits = self.misses = 0
        self._kept: LRUCache[tuple[bytes, ...], Prepared] = LRUCache(max_bytes, getsizeof=_size)

    def fold(self, plan: Plan, train: Positions, test: Positions) -> tuple[Prepared, Any]:
        """The columns fitted on the rows at `train`, these rows, and the rows at `test` prepared."""
        key = self._key(plan, train)
        fitted = self._get((key,), lambda: plan.fitted(self.frame.iloc[train]))
        columns = fitted.columns
        rest = self._get((key, self._digest(test)), lambda: Prepared(columns, self._transformed(columns, test)))
        return fitted, rest.matrix

    def _transformed(self, columns: ColumnTransformer, test: Positions) -> Any:
        if isinstance(self.frame, Parted):
            return Blocks(self.frame.iloc[test], columns)
        return columns.transform(self.frame.iloc[test])

    @property
    def nbytes(self) -> int:
        """What is held, in bytes."""
        return int(self._kept.currsize)

    def _get(self, key: tuple[bytes, ...], make: Callable[[], Prepared]) -> Prepared:
        found = self._kept.get(key)
        if found is not None:
            self.hits += 1
            return found
        self.misses += 1
        made = make()
        _freeze(made.matrix)
        if _size(made) <= self._kept.maxsize:
            self._kept[key] = made
        return made

    def _key(self, plan: Plan, train: Positions) -> bytes:
        told = repr((plan.prepare.__name__, list(plan.kinds.items()), plan.takes_empty_columns)).encode()
        return hashlib.sha256(told + self._digest(train)).digest()

    def _digest(self, rows: Positions) -> bytes:
        return hashlib.sha256(self._hashes[rows].tobytes()).digest()

    @cached_property
    def _hashes(self) -> NDArray[Any]:
        if isinstance(self.frame, Parted):
            return self.frame.places  # in the one file of a run a place is its content
        return pd.util.hash_pandas_object(self.frame, index=False).to_numpy()


def _parts(matrix: Any) -> list[NDArray[Any]]:
    if isinstance(matrix, Blocks):
        return []
    return [matrix] if isinstance(matrix, np.ndarray) else [matrix.data, matrix.indices, matrix.indptr]


def _size(prepared: Prepared) -> int:
    return sum(part.nbytes for part in _parts(prepared.matrix))


def _freeze(matrix: Any) -> None:
    """What one trial wrote would be training data of the next."""
    for part in _parts(matrix):
        part.flags.writeable = False
