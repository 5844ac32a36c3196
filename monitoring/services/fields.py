"""The fields of a logged prediction: what each may hold, and what it means for a version of some shape."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from mlops_site.core.rows import MAX_ID, MAX_TEXT, Refused, check_scalar, is_finite, number, shown, text
from monitoring.choices import PredictionStatus
from monitoring.stats.tally import Shape

MAX_FEATURES = 1_000
MAX_SLICES = 20
OK, ERROR = PredictionStatus.OK.value, PredictionStatus.ERROR.value
_SCALARS = frozenset({str, int, float, bool, type(None)})
FIELDS = frozenset(
    {
        "model_name",
        "model_version",
        "request_id",
        "features",
        "prediction",
        "score",
        "decision",
        "unit_id",
        "predicted_at",
        "latency_ms",
        "status",
        "error_code",
        "slices",
    }
)


class Said(NamedTuple):
    """What a row tells of an answer."""

    status: str
    prediction: Any = None
    score: float | None = None
    decision: int | None = None
    error_code: str = ""


def features(value: Any) -> Mapping[str, Any]:
    """Any names and plain values: what does not fit the version's inputs is a matter of data quality, and counted."""
    if value is None:
        raise Refused("required", "features", "features must be given: an object")
    if type(value) is not dict:
        raise Refused("wrong_type", "features", f"features must be an object but got {shown(value)}")
    if len(value) > MAX_FEATURES:
        message = f"features must be up to {MAX_FEATURES} but are {len(value)}"
        raise Refused("too_many_features", "features", message)
    if not _are_plain(value):
        _check_cells(value)
    return value


def _are_plain(value: Mapping[str, Any]) -> bool:
    """Whether all cells are good, without a look at each by itself; False may only mean that one should be had."""
    texts = [cell for cell in value.values() if cell.__class__ is str]
    numbers = [cell for cell in value.values() if cell.__class__ is float or cell.__class__ is int]
    if len(texts) + len(numbers) != len(value) or max(map(len, [*value, *texts]), default=0) > MAX_TEXT:
        return False
    try:
        return isfinite(sum(numbers))
    except OverflowError:
        return False


def _check_cells(value: Mapping[str, Any]) -> None:
    for name, cell in value.items():
        kind = type(cell)
        if kind not in _SCALARS:
            field = f"features.{name[:80]}"
            raise Refused("nested", field, f"{field} must be a number, a text or null but got {shown(cell)}")
        if len(name) > MAX_TEXT or (kind is str and len(cell) > MAX_TEXT):
            field = f"features.{name[:80]}"
            raise Refused("too_long", field, f"{field} must have up to {MAX_TEXT} characters")
        if (kind is float or kind is int) and not is_finite(cell):
            field = f"features.{name[:80]}"
            raise Refused("not_finite", field, f"{field} must be a finite number but got {shown(cell)}")


def storable(written: str) -> str:
    """The same JSON, if databases keep its texts. Raises Refused for a NUL and for half a surrogate pair."""
    if not written.isascii() and any("\ud800" <= c <= "\udfff" for c in written):
        raise Refused("bad_text", "features", "features must not hold half a surrogate pair")
    if "\\u0000" in written.replace("\\\\", ""):
        raise Refused("bad_text", "features", "features must not hold the character NUL")
    return written


def slices(value: Any) -> Mapping[str, str]:
    if value is None:
        return {}
    if type(value) is not dict or not all(type(part) is str for part in value.values()):
        raise Refused("wrong_type", "slices", f"slices must be an object of texts but got {shown(value)}")
    if len(value) > MAX_SLICES:
        raise Refused("too_many_slices", "slices", f"slices must be up to {MAX_SLICES} but are {len(value)}")
    if any(len(part) > MAX_ID for pair in value.items() for part in pair):
        raise Refused("too_long", "slices", f"names and texts of slices must have up to {MAX_ID} characters")
    if not all(part.isprintable() for pair in value.items() for part in pair):
        raise Refused("bad_text", "slices", f"names and texts of slices must be printable but got {shown(value)}")
    return value


def answer(row: Mapping[str, Any], shape: Shape) -> Said:
    """The answer or the failure that a row tells of, of a version of this shape."""
    status = OK if row.get("status") is None else row["status"]
    if status not in (OK, ERROR):
        raise Refused("unknown_status", "status", f"status must be ok or error but got {shown(status)}")
    for field in ("prediction", "score", "decision") if status == ERROR else ("error_code",):
        if row.get(field) is not None:
            raise Refused("not_applicable", field, f"{field} must be left out where status is {status}")
    if status == ERROR:
        return Said(status, error_code=text(row, "error_code", longest=80))
    return Said(status, _prediction(row.get("prediction"), shape), *_score(row, shape))


def _prediction(value: Any, shape: Shape) -> Any:
    if value is None:
        raise Refused("required", "prediction", "prediction must be given where status is ok")
    check_scalar(value, "prediction")
    return fitting(value, shape, "prediction", "unfit_prediction")


def fitting(value: Any, shape: Shape, field: str, code: str) -> Any:
    """A plain value as the version writes it: one of its classes, or a number. Refused where it is neither."""
    if shape.task_type == "regression":
        if type(value) in (int, float):
            return value
        raise Refused(code, field, f"{field} must be a number but got {shown(value)}")
    for known in shape.classes:
        if known == value:
            return known
    classes = ", ".join(map(repr, shape.classes[:20]))
    raise Refused(code, field, f"{field} must be one of {classes} but got {shown(value)}")


def _score(row: Mapping[str, Any], shape: Shape) -> tuple[float | None, int | None]:
    """Score and decision, which only classifiers of two classes have."""
    if not shape.is_binary:
        for field in ("score", "decision"):
            if row.get(field) is not None:
                raise Refused("not_applicable", field, f"{field} must be left out unless there are two classes")
        return None, None
    decision = number(row, "decision", 0, 1)
    if decision not in (None, 0, 1):
        raise Refused("out_of_range", "decision", f"decision must be 0 or 1 but got {shown(row['decision'])}")
    return number(row, "score", 0, 1), None if decision is None else int(decision)
