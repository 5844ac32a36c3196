"""Bins drawn from a reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats import reference
from mlops_site.stats.bins import Bins, CategoryBins, NumericBins
from mlops_site.stats.cells import Cells
from mlops_site.stats.columns import Kind
from mlops_site.stats.profile import profile
from mlops_site.stats.reference import reference_bins

RANDOM = np.random.default_rng(4)


def bins_of(values: object, kind: Kind = "number", salt: str = "model") -> NumericBins | CategoryBins:
    return reference_bins(pd.DataFrame({"x": values}), {"x": kind}, salt=salt).features["x"]


def counts_on_itself(values: object) -> list[int]:
    frame = pd.DataFrame({"x": values})
    return [*map(int, profile(frame, reference_bins(frame, {"x": "number"}, salt="model")).counts_of("x"))]


def test_many_values_have_a_hundred_bins_of_equal_mass_and_nothing_outside() -> None:
    below, *regular, above, missing, unreadable = counts_on_itself(RANDOM.normal(size=5000))
    assert len(regular) == 100
    assert set(regular) == {50}
    assert (below, above, missing, unreadable) == (0, 0, 0, 0)


def test_few_values_have_a_bin_each() -> None:
    assert counts_on_itself([3, 1, 1, 7, None]) == [0, 2, 1, 1, 0, 1, 0]
    assert counts_on_itself(np.repeat(np.arange(100), 2)) == [0, *[2] * 100, 0, 0, 0]


def test_a_constant_column_has_one_bin_and_an_empty_one_none() -> None:
    assert counts_on_itself([5, 5, 5]) == [0, 3, 0, 0, 0]
    assert counts_on_itself([np.nan, np.nan]) == [0, 0, 2, 0]
    assert bins_of([np.nan]) == NumericBins(())


def test_a_heavy_value_has_a_bin_of_its_own() -> None:
    values = np.where(np.arange(10_000) % 10 < 6, 0.0, RANDOM.normal(size=10_000))
    assert 6000 in counts_on_itself(values)
    assert len(counts_on_itself(values)) <= 104


def test_the_sample_depends_on_the_salt_alone_and_keeps_the_extremes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "SAMPLE_ROWS", 2000)
    values = RANDOM.normal(size=20_000)
    first, again, other = bins_of(values), bins_of(values), bins_of(values, salt="another")
    assert first == again != other
    assert isinstance(first, NumericBins)
    assert (first.edges[0], first.edges[-1]) == (values.min(), values.max())
    counts = np.array(counts_on_itself(values)[1:-3])
    assert (counts.min(), counts.max()) > (60, 150)  # 200 each, but for the sample's noise
    assert counts.max() < 400
    rare = np.r_[np.zeros(19_999), 9.0]
    assert bins_of(rare) in (NumericBins((0.0, 9.0)), NumericBins((0.0, 0.0, 9.0)))


def test_the_hash_picks_about_as_many_rows_as_wanted() -> None:
    chosen = reference._sampled(400_000, "salt", 0, 400_000, reference.SAMPLE_ROWS)
    assert chosen.sum() == pytest.approx(100_000, rel=0.01)
    assert chosen[:200_000].mean() == pytest.approx(0.25, abs=0.01)
    assert reference._sampled(100_000, "salt", 0, 100_000, reference.SAMPLE_ROWS).all()
    tail = reference._sampled(400_000, "salt", 300_000, 100_000, reference.SAMPLE_ROWS)
    assert (tail == chosen[300_000:]).all()


def test_frequent_levels_have_a_bin_and_the_others_are_known_by_hash() -> None:
    levels = [f"l{i:03}" for i in range(150)]
    found = bins_of([level for i, level in enumerate(levels) for _ in range(200 - i)] + ["once"], "category")
    assert isinstance(found, CategoryBins)
    assert found.levels == tuple(levels[:100])
    assert (len(found.rest), found.singletons, found.open) == (51, 1, False)
    assert found.count(Cells(pd.array(["l000", "l149", "new", "", "once"], dtype="str"), 2))[-4:].tolist() == [
        2,
        1,
        1,
        2,
    ]


def test_a_level_is_not_ranked_by_luck_nor_kept_when_it_is_long() -> None:
    tail = bins_of([f"l{i}" for i in range(200) for _ in range(20)], "category")
    few = bins_of(["a" * 500, "b", "b"], "category")
    assert isinstance(tail, CategoryBins)
    assert isinstance(few, CategoryBins)
    assert (tail.levels, len(tail.rest)) == ((), 200)
    assert (few.levels, few.count(Cells(pd.array(["a" * 500, "b", "c"], dtype="str"), 0)).tolist()) == (
        ("b",),
        [1, 1, 1, 0, 0],
    )


def test_a_vocabulary_without_end_has_no_unseen_level() -> None:
    found = bins_of([f"claim {i}" for i in range(11_000)], "category")
    assert found == CategoryBins((), open=True)
    assert found.count(Cells(pd.array(["claim 3", "never", ""], dtype="str"), 0)).tolist() == [2, 0, 1, 0]


def test_a_bad_column_breaks_no_other() -> None:
    frame = pd.DataFrame({"bad": ["a", "b", 3], "good": [1, 2, 2]})
    found = reference_bins(frame, {"bad": "number", "absent": "category", "good": "number"}, salt="")
    assert found.features["bad"] == NumericBins((3.0, 3.0))
    assert found.features["absent"] == CategoryBins(())
    assert found.features["good"] == NumericBins((1.0, 1.0, 2.0))


def test_bins_travel_as_json_and_their_digest_tells_them_apart() -> None:
    frame = pd.DataFrame({"x": [1.5, 2.25], "y": ["a", None]})
    bins = reference_bins(frame, {"x": "number", "y": "category"}, salt="")
    swapped = reference_bins(frame, {"y": "category", "x": "number"}, salt="")
    assert Bins.from_json(bins.as_json()) == bins
    assert Bins.from_json(bins.as_json()).digest == bins.digest != swapped.digest


@pytest.mark.parametrize("edges", [(1.0,), (2.0, 1.0), (1.0, 2.0, 2.0), (0.0, np.inf), tuple(map(float, range(102)))])
def test_edges_that_cannot_be_bins_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="edges must"):
        NumericBins(edges)


@pytest.mark.parametrize("levels", [("a", "a"), ("",), tuple(map(str, range(101)))])
def test_levels_that_cannot_be_bins_are_refused(levels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="levels must be up to 100 different texts"):
        CategoryBins(levels)


def test_counting_agrees_with_comparing() -> None:
    bins, values = NumericBins((0.0, 1.0, 2.5)), np.array([-0.1, 0.0, 1.0, 1.1, 2.5, 2.6, np.nan])
    assert bins.count(Cells(values, 4)).tolist() == [1, 2, 2, 1, 1, 4]
