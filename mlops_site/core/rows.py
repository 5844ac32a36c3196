"""Rows of a batch, judged one by one: a row at fault is refused with a code and its field, and the others go on.

Written by hand because a serializer takes a second for what takes a hundredth here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from mlops_site.core.errors import Conflict, FieldError, Invalid, NotFound, StewardError, TooLarge

MAX_ROWS = 10_000
MAX_ID = 128
MAX_TEXT = 1_000
OLDEST, NEWEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
AHEAD = timedelta(minutes=5)  # so far may the caller's clock be before ours

_ERRORS: dict[str, type[StewardError]] = {
    "request_id_conflict": Conflict,
    "unknown_model": NotFound,
    "unknown_version": NotFound,
    "unknown_prediction": NotFound,
    "too_many_waiting": Conflict,
}
T = TypeVar("T")


class Refused(Exception):
    """One row's fault; `field` is "" where the row itself is."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.code, self.field, self.message = code, field, message

    def as_error(self) -> StewardError:
        """The same, of a request that is this one row."""
        return _ERRORS.get(self.code, Invalid).on(self.field, self.message, code=self.code)


@dataclass(frozen=True, slots=True)
class Rejection:
    index: int
    code: str
    field: str
    message: str


class Ingested(NamedTuple):
    """What became of a batch; the three add up to the rows that were sent."""

    accepted: int
    duplicate: int
    rejected: list[Rejection]

    @classmethod
    def of(cls, outcomes: Sequence[Any], is_duplicate: Callable[[Any], bool]) -> Ingested:
        """From an outcome per row: Refused, or anything that `is_duplicate` can judge."""
        rejected = [
            Rejection(index, outcome.code, outcome.field, outcome.message)
            for index, outcome in enumerate(outcomes)
            if isinstance(outcome, Refused)
        ]
        duplicate = sum(not isinstance(outcome, Refused) and is_duplicate(outcome) for outcome in outcomes)
        found = cls(len(outcomes) - duplicate - len(rejected), duplicate, rejected)
        if found.accepted or found.duplicate:
            return found
        errors = [FieldError(f"rows[{r.index}].{r.field}".rstrip("."), r.code, r.message) for r in rejected]
        raise Invalid(f"none of {len(outcomes)} rows was good; see errors", code="no_good_row", errors=errors)


def check_count(rows: object) -> None:
    """Invalid for what is no list or an empty one, TooLarge for more than 10,000 rows."""
    if not isinstance(rows, list | tuple) or not rows:
        raise Invalid.on(
            "", f"the body must be a list of 1 to {MAX_ROWS} rows but got {shown(rows)}", code="wrong_type"
        )
    if len(rows) > MAX_ROWS:
        raise too_many_rows(len(rows))


def too_many_rows(got: object) -> TooLarge:
    message = f"a batch must be at most {MAX_ROWS} rows but got {got}; send it in parts"
    return TooLarge.on("", message, code="too_many_rows")


def attempt(check: Callable[..., T], row: object, *given: Any) -> T | Refused:
    """What the check makes of a row, or why it refuses it. A row that could not be read is its parser's error."""
    if isinstance(row, StewardError):
        return Refused(row.code, "", row.detail)
    try:
        return check(row, *given)
    except Refused as refused:
        return refused


def texts_of(rows: Sequence[Any], field: str) -> set[str]:
    """The values of a field that may be names."""
    found = (row.get(field) for row in rows if isinstance(row, dict))
    return {text for text in found if isinstance(text, str)}


def check_object(row: Any, known: frozenset[str]) -> Mapping[str, Any]:
    if type(row) is not dict:
        raise Refused("wrong_type", "", f"a row must be an object but got {shown(row)}")
    if not known.issuperset(row):
        name = str(next(name for name in row if name not in known))[:80]
        raise Refused("unknown_field", name, f"{name} is not a field here; known: {', '.join(sorted(known))}")
    return row


def text(row: Mapping[str, Any], field: str, *, longest: int = MAX_ID, required: bool = False) -> str:
    """A printable text; "" for one that is left out."""
    value = row.get(field)
    if value is None and not required:
        return ""
    if value is None:
        raise Refused("required", field, f"{field} must be given")
    if type(value) is not str or not value.isprintable() or not value:
        raise Refused("wrong_type", field, f"{field} must be a printable text but got {shown(value)}")
    if len(value) > longest:
        raise Refused("too_long", field, f"{field} must have up to {longest} characters but got {len(value)}")
    return value


def number(row: Mapping[str, Any], field: str, low: float, high: float) -> float | None:
    """A number between two; None for one that is left out."""
    value = row.get(field)
    if value is None:
        return None
    if type(value) not in (int, float):
        raise Refused("wrong_type", field, f"{field} must be a number but got {shown(value)}")
    if not low <= value <= high:  # NaN fails it too
        raise Refused("out_of_range", field, f"{field} must be between {low:g} and {high:g} but got {shown(value)}")
    return float(value)


def moment(row: Mapping[str, Any], field: str, now: datetime, *, anytime: bool = False) -> datetime:
    """A time with its zone, as RFC 3339 writes it, in UTC; now for one that is left out. Unless it may be `anytime`,
    one before 2000 or ahead of our clock is refused."""
    value = row.get(field)
    if value is None:
        return now
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise ValueError
        found = found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        message = f"{field} must be a time with its zone, such as 2026-11-24T09:30:00Z, but got {shown(value)}"
        raise Refused("bad_time", field, message) from None
    if anytime:
        return found
    if found > now + AHEAD:
        raise Refused("in_future", field, f"{field} must not be in the future but got {shown(value)}")
    if found < OLDEST:
        raise Refused("out_of_range", field, f"{field} must be after {OLDEST:%Y} but got {shown(value)}")
    return found


def check_scalar(value: Any, field: str) -> None:
    """A number, a text or a truth value, of a size that can be kept."""
    if type(value) is str:
        if len(value) > MAX_TEXT:
            raise Refused("too_long", field, f"{field} must have up to {MAX_TEXT} characters but got {len(value)}")
    elif type(value) in (int, float):
        if not is_finite(value):
            raise Refused("not_finite", field, f"{field} must be a finite number but got {shown(value)}")
    elif type(value) is not bool:
        raise Refused("wrong_type", field, f"{field} must be a number or a text but got {shown(value)}")


def is_finite(value: float) -> bool:
    """Whether a double holds the number."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def shown(value: object) -> str:
    """A value in a message: short, and nothing of what is nested."""
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, dict | list) else repr(value)[:80]
