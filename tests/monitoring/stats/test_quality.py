"""Bad data is seen when it is both certain and more than a little."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlops_site.stats.profile import Profile, profile, reference_bins
from monitoring.stats.limits import QualityFinding
from monitoring.stats.quality import _Failed, _p_value, quality

KINDS: Any = {"age": "number", "plan": "category"}


def frame(n: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = pd.Series(random.normal(50, 10, n), dtype=object)
    return pd.DataFrame({"age": age, "plan": random.choice(["a", "b", "c"], n)})


REFERENCE = frame(5_000)
BINS = reference_bins(REFERENCE, KINDS, salt="m")


def found(window: pd.DataFrame) -> dict[tuple[str, str], QualityFinding]:
    return {(f.feature, f.check): f for f in quality(profile(window, BINS), profile(REFERENCE, BINS))}


@pytest.mark.parametrize(
    ("check", "column", "bad"),
    [("missing", "age", None), ("type", "age", "?"), ("range", "age", 500.0), ("unseen", "plan", "z")],
)  # fmt: skip
def test_each_check_sees_its_own_fault(check: str, column: str, bad: Any) -> None:
    window = frame(1_000, seed=1)
    window.loc[:99, column] = bad
    seen = found(window)
    assert [key for key, finding in seen.items() if finding.drifted] == [(column, check)]
    assert seen[column, check].share == pytest.approx(0.1, abs=0.003)
    assert column in seen[column, check].message


def test_a_rise_must_be_material_and_certain() -> None:
    window = frame(100_000, seed=2)
    window.loc[:3_999, "age"] = None
    assert not found(window)["age", "missing"].drifted  # certain, but four in a hundred
    window = frame(30, seed=3)
    window.loc[:1, "age"] = 500.0
    assert found(window)["age", "range"].share > 0.05
    few = frame(20, seed=3)
    few.loc[:0, "plan"] = "z"
    reference = REFERENCE.head(40)
    bins = reference_bins(reference, KINDS, salt="m")
    (unseen,) = (f for f in quality(profile(few, bins), profile(reference, bins)) if f.check == "unseen")
    assert (unseen.share, unseen.drifted) == (0.05, False)  # material, but one of twenty


def test_what_the_reference_has_as_well_is_normal() -> None:
    reference, window = REFERENCE.copy(), frame(1_000, seed=4)
    reference.loc[:999, "age"] = None
    window.loc[:199, "age"] = None
    bins = reference_bins(reference, KINDS, salt="m")
    (missing,) = quality(profile(window, bins), profile(reference, bins))[:1]
    assert (missing.check, missing.reference_share, missing.drifted) == ("missing", 0.2, False)


def test_new_codes_of_a_column_that_is_full_of_them_are_normal() -> None:
    random = np.random.default_rng(5)
    codes = pd.DataFrame({"code": [f"c{k}" for k in random.zipf(1.3, 4_000)]})
    more = pd.DataFrame({"code": [f"c{k}" for k in random.zipf(1.3, 4_000)]})
    bins = reference_bins(codes, {"code": "category"}, salt="m")
    (unseen,) = quality(profile(more, bins), profile(codes, bins))
    assert unseen.share > 0.1
    assert unseen.reference_share == pytest.approx(unseen.share, abs=0.03)
    assert not unseen.drifted


def test_a_column_that_was_all_missing_has_no_range() -> None:
    reference = pd.DataFrame({"age": [None] * 200})
    bins = reference_bins(reference, {"age": "number"}, salt="m")
    window = pd.DataFrame({"age": np.arange(200.0)})
    assert quality(profile(window, bins), profile(reference, bins)) == []


def test_clean_windows_raise_no_more_than_promised() -> None:
    """20 features without a difference, of which one value in seven is missing: at most 2 % of windows alarm."""
    random = np.random.default_rng(6)
    names = [f"x{i}" for i in range(20)]

    def draw(n: int) -> pd.DataFrame:
        values = random.normal(size=(n, 20))
        values[random.random((n, 20)) < 0.15] = np.nan
        return pd.DataFrame(values, columns=names)

    reference = draw(1_000)
    bins = reference_bins(reference, dict.fromkeys(names, "number"), salt="m")
    whole = profile(reference, bins)
    alarms = sum(any(f.drifted for f in quality(profile(draw(100), bins), whole)) for _ in range(200))
    assert alarms <= 8


def test_the_test_is_fishers() -> None:
    table = np.array([[12, 88], [20, 480]])
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    assert _p_value(_Failed(12, 100), _Failed(20, 500)) == pytest.approx(expected)


def test_an_empty_window_says_nothing() -> None:
    assert quality(Profile.empty(BINS), profile(REFERENCE, BINS)) == []
    with pytest.raises(ValueError, match="same bins"):
        quality(Profile.empty(BINS), Profile.empty(reference_bins(REFERENCE, {"age": "number"}, salt="m")))
