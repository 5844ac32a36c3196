"""Blocks of units add up exactly, and what is drawn from them is what is drawn from the rows."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from abtesting.stats.assignment import Split, assign
from abtesting.stats.blocks import BLOCKS, Blocks, block_of
from abtesting.stats.inference import Comparison, compare_pairs
from abtesting.stats.measures import measures
from abtesting.stats.pairs import Answers, PairTally, Shape
from abtesting.stats.resample import Drawn, drawn_blocks, pooled
from mlops_site.stats.intervals import paired_bootstrap
from mlops_site.stats.scored import scored_rows

VALUE = Shape("regression")
KNOWN = measures(VALUE, paired=True)
ROWS = st.lists(st.tuples(st.integers(0, BLOCKS - 1), st.floats(-1e60, 1e60)), max_size=30)


def blocks_of(rows: Any) -> Blocks:
    block, values = (np.array([row[place] for row in rows]) for place in (0, 1))
    return Blocks.of(block.astype(np.int64), {"mae_a": values.astype(float)})


def said(label: Any, values: Any) -> Answers:
    none = [np.nan] * len(label)
    return Answers(values, none, [None] * len(label), [False] * len(label), [1.0] * len(label), label)


def tally(seed: int, *, units: int = 300, each: int = 1, alike: float = 0.0) -> tuple[PairTally, Any, Any]:
    """Claims of units, the share `alike` of whose errors is the unit's; labels with both answers; the units."""
    rng, n = np.random.default_rng(seed), units * each
    label, unit = rng.normal(100, 20, n), np.repeat(np.arange(units), each)
    own = [rng.normal(0, 6 - side, units)[unit] * alike + rng.normal(0, 6 - side, n) * (1 - alike) for side in (0, 1)]
    answers = [label + part for part in own]
    block = [block_of("test", str(each)) for each in unit]
    a, b = (said(label, part) for part in answers)
    found = PairTally.of(a, b, VALUE, scored=[True] * n, block=block)
    return found, [scored_rows("regression", label, prediction=part) for part in answers], unit


@given(ROWS, ROWS)
def test_they_add_and_take_away_without_rounding(first: Any, second: Any) -> None:
    one, two = blocks_of(first), blocks_of(second)
    both = blocks_of([*first, *second])
    assert one.plus(two) == two.plus(one) == both
    assert both.plus(two, -1) == one
    assert both.sums["mae_a"].power == one.plus(two).sums["mae_a"].power  # so that equal sums are equal bytes
    for number in range(BLOCKS):
        exact = sum((Fraction(value) for at, value in [*first, *second] if at == number), Fraction(0))
        assert Fraction(both.sums["mae_a"].whole[number], 2 ** both.sums["mae_a"].power) == exact
    assert Blocks.sum_of_json(both.counts, [one.to_json(), two.to_json()], ["mae_a"]) == both


def test_a_unit_is_in_one_block_whatever_its_arm() -> None:
    units = [f"person-{n}" for n in range(20_000)]
    table = np.zeros((2, BLOCKS))
    for unit in units:
        table[int(assign(Split("claims-7", 0.5), unit) == "b"), block_of("claims-7", unit)] += 1
    assert stats.chi2_contingency(table).pvalue > 0.001
    assert stats.chisquare(table.sum(axis=0)).pvalue > 0.001


@pytest.mark.parametrize("name", ["mae", "rmse"])
def test_the_interval_is_that_of_resampled_rows(name: str) -> None:
    found, rows, _ = tally(3, units=2_000)
    assert found.blocks is not None
    drawn = pooled(KNOWN[name], [drawn_blocks(KNOWN[name], found.blocks)], [1.0])
    by_rows = paired_bootstrap(name, *rows, draws=2_000, seed=1)
    assert drawn.estimate == pytest.approx(by_rows.estimate, rel=1e-9)
    assert drawn.se == pytest.approx(by_rows.se, rel=0.2)  # of 64 blocks, it is known to about 9 %
    fixed = compare_pairs(KNOWN[name], found)
    assert isinstance(fixed, Comparison)
    assert (drawn.lower, drawn.upper) == pytest.approx(fixed.ci95, abs=0.5 * fixed.se)


def test_what_claims_of_a_unit_have_in_common_is_drawn_together() -> None:
    found, rows, unit = tally(4, units=400, each=6, alike=0.9)
    assert found.blocks is not None
    drawn = pooled(KNOWN["mae"], [drawn_blocks(KNOWN["mae"], found.blocks)], [1.0])
    by_unit = paired_bootstrap("mae", *rows, groups=unit, draws=1_000, seed=1)
    fixed = compare_pairs(KNOWN["mae"], found)
    assert isinstance(fixed, Comparison)
    assert drawn.se == pytest.approx(by_unit.se, rel=0.25)
    assert drawn.se > 1.7 * fixed.se  # which takes the claims as independent


def test_epochs_are_drawn_each_by_itself_and_keep_their_weights() -> None:
    random = np.random.default_rng(5)
    parts = [Drawn(1.0, random.normal(1, 1, 20_000), 64), Drawn(4.0, random.normal(4, 2, 20_000), 64)]
    found = pooled(KNOWN["mae"], parts, [0.1, 0.2])
    assert found.estimate == pytest.approx(1.6)
    assert found.se == pytest.approx(np.hypot(0.8 * 1, 0.2 * 2), rel=0.02)
    reach = np.sqrt(128 / 126) * stats.t(126).ppf(0.975)
    assert (found.upper - found.lower) / 2 == pytest.approx(reach * found.se, rel=0.02)
    alone = pooled(KNOWN["mae"], [parts[0]._replace(blocks=0)], [7.0])
    assert (alone.upper - alone.lower) / 2 == pytest.approx(stats.norm.ppf(0.975), rel=0.02)


def test_units_in_few_blocks_say_nothing() -> None:
    found, *_ = tally(6, units=4, each=20)
    assert found.blocks is not None
    with pytest.raises(ValueError, match="at least 10 blocks but got 4"):
        drawn_blocks(KNOWN["mae"], found.blocks)


def test_bytes_hold_them_and_what_was_kept_before_them_is_read() -> None:
    new, *_ = tally(7)
    assert PairTally.from_bytes(new.to_bytes(), VALUE).blocks == new.blocks
    old = PairTally.from_bytes(replace(new, blocks=None).to_bytes(), VALUE)
    assert old.blocks is None
    assert old == new
    assert (old + new).blocks is None  # not all of its claims are in blocks
    assert (new - new) == PairTally.empty(VALUE)
    other = replace(new, blocks=tally(8)[0].blocks)
    assert other != new
    assert (PairTally.empty(VALUE) + new).blocks == new.blocks
    assert PairTally.sum_of_bytes([new.to_bytes()] * 3, VALUE) == new + new + new


def test_a_block_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 63 but got 3 to 64"):
        Blocks.of(np.array([3, 64]), {"mae_a": np.array([1.0, 2.0])})
