"""Units are dealt the same way everywhere, evenly, and independently of every other experiment."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from abtesting.stats.assignment import RAMP, Split, assign, assign_all, next_step, place, seen_in_both

UNITS = [f"person-{number}" for number in range(200_000)]
texts = st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable())


@given(st.lists(texts, max_size=20), st.floats(0.01, 1), st.floats(0, 0.9), st.integers(1, 3))
def test_a_frame_is_dealt_as_its_units_are_one_by_one(
    units: list[str], share: float, holdout: float, epoch: int
) -> None:
    split = Split("s", share, holdout, epoch, epoch)
    assert assign_all(split, units).tolist() == [assign(split, unit) for unit in units]


@given(texts)
def test_the_place_is_the_formula_of_the_docstring(unit: str) -> None:
    assert place("salt", 3, unit) == int(sha256(f"salt/3/{unit}".encode()).hexdigest()[:13], 16) / 16**13


def test_known_places_never_change() -> None:
    assert place("claims-7", 1, "1001") == 0xB0CD01952842B / 16**13
    assert place("claims-7", 2, "ä") == 0xCE0B201036BF1 / 16**13


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_the_shares_are_those_of_the_split(share: float) -> None:
    arms = assign_all(Split(f"share-{share}", share), UNITS)
    assert stats.binomtest(int((arms == "b").sum()), len(UNITS), share).pvalue > 1e-3


def test_places_are_uniform() -> None:
    places = [place("uniform", 1, unit) for unit in UNITS]
    assert stats.kstest(places, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("other", [Split("two", 0.5), Split("one", 0.5, epoch=2, draw=2)])
def test_experiments_and_draws_are_independent(other: Split) -> None:
    one, two = assign_all(Split("one", 0.5), UNITS), assign_all(other, UNITS)
    table = [[int(((one == x) & (two == y)).sum()) for y in "ab"] for x in "ab"]
    assert stats.chi2_contingency(table, correction=False).pvalue > 1e-3


def test_a_growing_share_takes_nobody_out_of_b_and_a_shrinking_one_draws_anew() -> None:
    split, before = Split("ramp", RAMP[0]), set()
    for share in RAMP[1:]:
        before = {unit for unit, arm in zip(UNITS, assign_all(split, UNITS), strict=True) if arm == "b"}
        split = split.changed(share)
        now = {unit for unit, arm in zip(UNITS, assign_all(split, UNITS), strict=True) if arm == "b"}
        assert before < now
    assert (split.epoch, split.draw) == (6, 1)
    assert split.changed(0.5) == Split("ramp", 0.5, 0.0, 7, 7)
    assert Split("x", 0.1).changed(0.2, redraw=True).draw == 2


def test_the_holdout_stays_the_same_in_every_epoch_and_takes_from_both_arms_alike() -> None:
    split = Split("h", 0.3, 0.1)
    first, second = assign_all(split, UNITS), assign_all(split.changed(0.2), UNITS)
    assert ((first == "holdout") == (second == "holdout")).all()
    assert stats.binomtest(int((first == "holdout").sum()), len(UNITS), 0.1).pvalue > 1e-3
    dealt = first[first != "holdout"]
    assert stats.binomtest(int((dealt == "b").sum()), len(dealt), 0.3).pvalue > 1e-3


def test_all_may_be_b_at_the_end_of_a_ramp() -> None:
    assert set(assign_all(Split("s", 1.0), UNITS[:1000])) == {"b"}
    assert [next_step(share) for share in (0.0, 0.01, 0.3, 1.0)] == [0.01, 0.05, 0.5, None]


def test_units_of_both_arms_are_named_and_the_holdout_is_no_arm() -> None:
    assert seen_in_both(["x", "y", "x", "z", "y"], ["a", "b", "b", "a", "holdout"]) == ["x"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"salt": "a/b"}, "salt must be"),
        ({"salt": ""}, "salt must be"),
        ({"share_b": 0.0}, "share_b must be above 0"),
        ({"share_b": 1.1}, "share_b must be above 0"),
        ({"share_b": float("nan")}, "share_b must be above 0"),
        ({"holdout": 1.0}, "holdout must be"),
        ({"draw": 2}, "draw must be an epoch from 1 to 1 but got 2"),
    ],
)
def test_an_impossible_split_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Split(**{"salt": "s", "share_b": 0.5, **change})


def test_a_unit_is_a_text() -> None:
    with pytest.raises(TypeError, match=r"unit_id must be text but got 7\.0"):
        assign(Split("s", 0.5), 7.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must not be empty"):
        assign(Split("s", 0.5), "")
    with pytest.raises(ValueError, match="surrogates"):
        assign(Split("s", 0.5), "\ud800")
    assert assign_all(Split("s", 0.5), []).tolist() == np.array([]).tolist()
