"""The join as of a time, against an oracle that looks at every value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from training.ml.point_in_time import INSTANT, latest

START = datetime(2026, 1, 1, tzinfo=UTC)
ticks = st.integers(0, 12).map(lambda n: START + timedelta(hours=n))  # few, so that times meet
units = st.sampled_from("abc")


class Value(NamedTuple):
    entity: str
    event_at: datetime
    ingested_at: datetime


values_strategy = st.lists(st.builds(Value, units, ticks, ticks), max_size=30, unique=True)
asked_strategy = st.lists(st.tuples(units, ticks), max_size=12)


def frames(asked: list[tuple[str, datetime]], values: list[Value]) -> tuple[pd.DataFrame, pd.DataFrame]:
    left = pd.DataFrame(asked, columns=["entity", "at"]).astype({"at": INSTANT})
    right = pd.DataFrame(values, columns=list(Value._fields))
    return left, right.astype({"event_at": INSTANT, "ingested_at": INSTANT})


def oracle(unit: str, at: datetime, values: list[Value], freshness: timedelta | None) -> int:
    seen = [v for v in values if v.entity == unit and v.event_at <= at and v.ingested_at <= at]
    if not seen:
        return -1
    best = max(seen, key=lambda v: (v.event_at, v.ingested_at))
    return -1 if freshness is not None and at - best.event_at > freshness else values.index(best)


@given(asked_strategy, values_strategy, st.none() | st.integers(0, 6).map(lambda n: timedelta(hours=n)))
def test_it_finds_what_the_oracle_finds(asked: Any, values: Any, freshness: timedelta | None) -> None:
    found = latest(*frames(asked, values), freshness=freshness)
    assert found.tolist() == [oracle(unit, at, values, freshness) for unit, at in asked]


@given(asked_strategy, values_strategy, st.lists(st.builds(Value, units, ticks, ticks), min_size=1, max_size=10))
def test_values_that_arrive_later_change_nothing_before(asked: Any, values: Any, late: Any) -> None:
    """Whatever event time a value has: before it was ingested no question is answered with it."""
    after = max(v.ingested_at for v in values) if values else START
    late = [v._replace(ingested_at=after + timedelta(hours=1)) for v in late]
    before = [(unit, at) for unit, at in asked if at <= after]
    left, right = frames(before, values)
    assert latest(left, right).tolist() == latest(left, frames(before, [*values, *late])[1]).tolist()


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def one(hour: int, *values: Value, **options: Any) -> int:
    return int(latest(*frames([("a", at(hour))], list(values)), **options)[0])


def test_both_ends_count() -> None:
    assert one(5, Value("a", at(5), at(5))) == 0
    assert one(5, Value("a", at(5), at(5) + timedelta(microseconds=1))) == -1
    assert one(5, Value("a", at(2), at(2)), freshness=timedelta(hours=3)) == 0
    assert one(5, Value("a", at(2), at(2)), freshness=timedelta(hours=3) - timedelta(microseconds=1)) == -1


def test_a_late_value_waits_for_its_ingestion() -> None:
    values = Value("a", at(1), at(1)), Value("a", at(3), at(8))
    assert [one(hour, *values) for hour in (0, 1, 3, 7, 8, 9)] == [-1, 0, 0, 0, 1, 1]


def test_of_one_event_the_last_correction_holds_once_it_is_known() -> None:
    values = Value("a", at(1), at(6)), Value("a", at(1), at(2))
    assert [one(hour, *values) for hour in (1, 2, 5, 6)] == [-1, 1, 1, 0]


def test_an_old_event_that_arrives_last_does_not_replace_a_newer_one() -> None:
    assert one(9, Value("a", at(5), at(5)), Value("a", at(1), at(8))) == 0


def test_a_stale_value_is_not_replaced_by_an_older_one() -> None:
    assert one(9, Value("a", at(5), at(5)), Value("a", at(4), at(6)), freshness=timedelta(hours=3)) == -1


def test_nothing_asked_and_nothing_known() -> None:
    assert latest(*frames([], [])).tolist() == []
    assert latest(*frames([("a", at(1))], [])).tolist() == [-1]
