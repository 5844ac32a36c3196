"""Which input each prepared column of a pipeline is made of, where every column is made of one input alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# One column in, one column out; each value by itself.
_ONE_TO_ONE = frozenset(
    {
        "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "PowerTransformer", "QuantileTransformer",
        "Binarizer", "OrdinalEncoder",
    }
)  # fmt: skip


def split(model: Any) -> tuple[Any | None, Any]:
    """A fitted model as what prepares its columns, or None, and the estimator behind it."""
    from sklearn.pipeline import Pipeline

    if not isinstance(model, Pipeline):
        return None, model
    return (model[:-1] if len(model.steps) > 1 else None), model[-1]


def owners(prepare: Any, inputs: Sequence[str]) -> list[int] | None:
    """For each column that `prepare` makes, the position of its input; None where a column mixes inputs (principal
    components, products) or a step is not known here."""
    return _through(prepare, list(range(len(inputs))), list(inputs))


def _through(step: Any, given: list[int], names: list[str] | None) -> list[int] | None:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    if step is None or (isinstance(step, str) and step == "passthrough"):
        return given
    if isinstance(step, Pipeline):
        for _, part in step.steps:
            found = _through(part, given, names)
            if found is None:
                return None
            given, names = found, None  # what comes out of a step is an array without names
        return given
    if isinstance(step, ColumnTransformer):
        return _columns(step, given, names)
    return _elementwise(step, given)


def _columns(step: Any, given: list[int], names: list[str] | None) -> list[int] | None:
    found: list[int] = []
    for _, part, chosen in step.transformers_:
        if isinstance(part, str) and part == "drop":
            continue
        places = _places(chosen, names, len(given))
        made = None if places is None else _through(part, [given[place] for place in places], None)
        if made is None:
            return None
        found += made
    return found


def _places(chosen: Any, names: list[str] | None, width: int) -> list[int] | None:
    """The positions that a column choice of a fitted transformer means."""
    if isinstance(chosen, slice) and not isinstance(chosen.start, str) and not isinstance(chosen.stop, str):
        return list(range(width))[chosen]
    picked = np.atleast_1d(np.asarray(chosen, dtype=object)).tolist()
    if picked and all(isinstance(each, bool | np.bool_) for each in picked):
        return np.flatnonzero(np.asarray(picked, bool)).tolist()
    if names is not None and all(isinstance(each, str) and each in names for each in picked):
        return [names.index(each) for each in picked]
    return [int(each) for each in picked] if all(isinstance(each, int | np.integer) for each in picked) else None


def _elementwise(step: Any, given: list[int]) -> list[int] | None:
    kind = type(step).__name__ if type(step).__module__.startswith("sklearn.") else ""
    if kind in _ONE_TO_ONE or (kind == "FunctionTransformer" and step.func is None):  # what "passthrough" becomes
        return given
    if kind == "SimpleImputer" and not step.add_indicator:
        kept = step.keep_empty_features or not any(value != value for value in step.statistics_)
        return given if kept else None
    if kind == "OneHotEncoder":
        return [owner for at, owner in enumerate(given) for _ in range(_levels(step, at))]
    return None


def _levels(encoder: Any, at: int) -> int:
    """How many columns a one-hot encoder makes of its input number `at`."""
    found = len(encoder.categories_[at])
    rare = getattr(encoder, "infrequent_categories_", None)
    if rare is not None and rare[at] is not None:
        found += 1 - len(rare[at])
    dropped = encoder.drop_idx_
    return found - (dropped is not None and dropped[at] is not None)
