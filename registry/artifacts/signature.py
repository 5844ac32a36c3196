"""What a version expects and answers: its input columns, its classes, its kind of output.

The JSON form is part of the immutable version. `Signature.digest` covers all of it, `interface_digest` only
what callers depend on (names, kinds, output, classes), so that new data alone is no new interface.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from mlops_site.core.errors import FieldError, Invalid

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["number", "category"]
TaskType = Literal["classification", "regression"]
Label = bool | int | float | str

CLOSED_LEVELS = 100
"""A category with at most so many levels in training is closed: serving refuses a level that it never saw."""

MAX_INPUTS = 2_000
MAX_LEVELS = 10_000
MAX_TEXT = 1_000

_SIGNATURE_KEYS = {"inputs", "task_type", "classes", "positive_class", "output"}
_INPUT_KEYS = {"name", "kind", "required", "nullable", "levels", "open"}


@dataclass(frozen=True)
class Input:
    """One column. `levels` are a category's known values; `open` says that others are accepted too."""

    name: str
    kind: Kind
    required: bool = True
    nullable: bool = False
    levels: tuple[str, ...] = ()
    open: bool = False

    def to_json(self) -> dict[str, Any]:
        common = {"name": self.name, "kind": self.kind, "required": self.required, "nullable": self.nullable}
        return common if self.kind == "number" else {**common, "levels": list(self.levels), "open": self.open}


@dataclass(frozen=True)
class Signature:
    """The inputs in order, and what comes out: P(`positive_class`), class probabilities, or a value.

    >>> Signature((Input("age", "number"),), "regression").to_json()["output"]
    'value'
    """

    inputs: tuple[Input, ...]
    task_type: TaskType
    classes: tuple[Label, ...] | None = None
    positive_class: Label | None = None

    @property
    def output(self) -> Literal["probability", "value"]:
        return "probability" if self.task_type == "classification" else "value"

    @property
    def is_binary(self) -> bool:
        return self.classes is not None and len(self.classes) == 2

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.inputs)

    @property
    def kinds(self) -> dict[str, Kind]:
        return {column.name: column.kind for column in self.inputs}

    @cached_property
    def digest(self) -> str:
        """sha256 of the canonical JSON of everything."""
        return _digest(self.to_json())

    @cached_property
    def interface_digest(self) -> str:
        """sha256 of what a caller depends on; it ignores levels and nulls, which come from the data."""
        seen = {"inputs": [(column.name, column.kind, column.required) for column in self.inputs]}
        return _digest({**self.to_json(), **seen})

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": [column.to_json() for column in self.inputs],
            "task_type": self.task_type,
            "classes": None if self.classes is None else list(self.classes),
            "positive_class": self.positive_class,
            "output": self.output,
        }

    @classmethod
    def from_json(cls, data: object) -> Signature:
        """The signature that `to_json`, or a person, wrote; Invalid names the part at fault."""
        part = _object(data, "signature", _SIGNATURE_KEYS)
        task_type = _choice(part.get("task_type"), "signature.task_type", get_args(TaskType))
        inputs = _array(part.get("inputs"), "signature.inputs", 1, MAX_INPUTS)
        columns = tuple(_input(column, f"signature.inputs[{i}]") for i, column in enumerate(inputs))
        names = [column.name for column in columns]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise _wrong("signature.inputs", f"names must be unique but got {twice[:5]} more than once")
        classes, positive = _classes(part, task_type)
        signature = cls(columns, cast(TaskType, task_type), classes, positive)
        if "output" in part and part["output"] != signature.output:
            raise _wrong("signature.output", f"must be {signature.output!r} but got {part['output']!r:.80}")
        return signature


def infer(
    frame: pd.DataFrame,
    kinds: Mapping[str, Kind],
    *,
    task_type: TaskType,
    target: Sequence[Any] | pd.Series | None = None,
    positive_class: Label | None = None,
) -> Signature:
    """The signature of a model trained on the canonical `frame` (`stats.columns.encode`), a column per kind.

    A column is nullable where training had a missing value. `target` (n labels) gives a classifier's classes,
    sorted as scikit-learn keeps them; `positive_class` of two defaults to the rarer, on a tie to the later.
    """
    inputs = tuple(_inferred(frame[name], name, kind) for name, kind in kinds.items())
    if task_type == "regression":
        return Signature(inputs, task_type)
    if target is None:
        raise ValueError("target must be the training labels of a classifier but got None")
    counts: dict[Label, int] = {}
    for label in target:
        plain: Label = label.item() if hasattr(label, "item") else label
        counts[plain] = counts.get(plain, 0) + 1
    classes = tuple(sorted(counts, key=lambda label: (type(label).__name__ == "str", label)))
    if positive_class is None and len(classes) == 2:
        positive_class = classes[0] if counts[classes[0]] < counts[classes[1]] else classes[1]
    if positive_class is not None and positive_class not in classes:
        raise ValueError(f"positive_class must be one of {list(classes)[:20]} but got {positive_class!r}")
    return Signature(inputs, task_type, classes, positive_class)


def _inferred(column: pd.Series, name: str, kind: Kind) -> Input:
    if kind == "number":
        return Input(name, kind, nullable=bool(column.isna().any()))
    levels = sorted({str(value) for value in column.unique()})
    known = tuple(level for level in levels if level)
    is_open = len(known) > CLOSED_LEVELS
    return Input(name, kind, nullable=len(known) < len(levels), levels=known[:MAX_LEVELS], open=is_open)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _wrong(field: str, message: str) -> Invalid:
    error = FieldError(field, "bad_signature", message)
    return Invalid(f"{field} {message}", code=error.code, errors=[error])


def _object(value: object, field: str, allowed: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(field, f"must be an object but got {type(value).__name__}")
    if extra := sorted(str(key)[:80] for key in value.keys() - allowed):
        raise _wrong(field, f"must have only {sorted(allowed)} but got also {extra[:5]}")
    return value


def _array(value: object, field: str, low: int, high: int) -> list[Any]:
    if not isinstance(value, list) or not low <= len(value) <= high:
        got = f"{len(value)} items" if isinstance(value, list) else type(value).__name__
        raise _wrong(field, f"must be a list of {low} to {high} items but got {got}")
    return value


def _choice(value: object, field: str, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise _wrong(field, f"must be one of {list(allowed)} but got {value!r:.80}")
    return value


def _text(value: object, field: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT or not value.isprintable():
        raise _wrong(field, f"must be a printable text of 1 to {MAX_TEXT} characters but got {value!r:.80}")
    return value


def _flag(part: dict[str, Any], name: str, field: str, default: bool) -> bool:
    value = part.get(name, default)
    if not isinstance(value, bool):
        raise _wrong(f"{field}.{name}", f"must be true or false but got {value!r:.80}")
    return value


def _input(value: object, field: str) -> Input:
    part = _object(value, field, _INPUT_KEYS)
    kind = cast(Kind, _choice(part.get("kind"), f"{field}.kind", get_args(Kind)))
    if kind == "number" and (part.get("levels") or part.get("open")):
        raise _wrong(field, "must not have levels or open, for its kind is number")
    listed = _array(part.get("levels", []), f"{field}.levels", 0, MAX_LEVELS)
    levels = [_text(level, f"{field}.levels") for level in listed]
    return Input(
        name=_text(part.get("name"), f"{field}.name"),
        kind=kind,
        required=_flag(part, "required", field, True),
        nullable=_flag(part, "nullable", field, False),
        levels=tuple(levels),
        open=_flag(part, "open", field, kind == "category" and not levels),
    )


def _classes(part: dict[str, Any], task_type: str) -> tuple[tuple[Label, ...] | None, Label | None]:
    positive = part.get("positive_class")
    if task_type == "regression":
        if part.get("classes") or positive is not None:
            raise _wrong("signature.classes", "must be left out for a regression")
        return None, None
    labels = _array(part.get("classes"), "signature.classes", 2, MAX_LEVELS)
    plain = all(isinstance(label, bool | int | float | str) for label in labels)
    if not plain or len(set(labels)) < len(labels):
        raise _wrong("signature.classes", f"must be different numbers or texts but got {labels!r:.80}")
    if positive is None and len(labels) == 2:
        positive = labels[1]
    if positive is not None and positive not in labels:
        raise _wrong("signature.positive_class", f"must be one of the classes but got {positive!r:.80}")
    return tuple(labels), positive
