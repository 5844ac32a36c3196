"""Limits are derived from the reference, changed by edits, and not passed by chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats.correlations import Correlations, correlations
from mlops_site.stats.profile import profile, reference_bins
from monitoring.stats.limits import Edits, QualityFinding, limits, parts_of
from monitoring.stats.pairs import numbers_of
from monitoring.stats.quality import quality

KINDS: Any = {
    "age": "number", "cost": "number", "visits": "number", "gap": "number",
    "flag": "number", "fixed": "number", "plan": "category", "code": "category", "name": "category",
}  # fmt: skip
NUMBERS = [name for name, kind in KINDS.items() if kind == "number" and name != "fixed"]


def frame(n: int, seed: int) -> pd.DataFrame:
    """Claims: heavy tails, missing values, rare flags, long lists of codes, a constant."""
    random = np.random.default_rng(seed)
    age = random.normal(50, 15, n)
    return pd.DataFrame(
        {
            "age": age,
            "cost": np.exp(random.normal(7, 1.4, n)) * (1 + np.abs(age) / 100),
            "visits": random.poisson(3, n).astype(float),
            "gap": np.where(random.random(n) < 0.3, np.nan, random.normal(size=n) + age / 15),
            "flag": (random.random(n) < 0.02).astype(float),
            "fixed": 1.0,
            "plan": random.choice(["a", "b", "c"], n, p=[0.7, 0.25, 0.05]),
            "code": [f"c{k}" for k in random.zipf(1.25, n) % 5_000],
            "name": [f"n{k}" for k in random.integers(0, 300, n)],
        }
    )


REFERENCE = frame(5_000, 0)
BINS = reference_bins(REFERENCE, KINDS, salt="m")
PROFILE = profile(REFERENCE, BINS)
CORRELATED: Correlations = correlations(numbers_of(REFERENCE, NUMBERS), NUMBERS)


def found(window: pd.DataFrame, edits: Edits | None = None, *, by_rows: bool = True) -> list[QualityFinding]:
    """What is beyond its limit."""
    sample = window.head(1_000) if by_rows else None
    rows = quality(profile(window, BINS), PROFILE, edits=edits, sample=sample, correlated=CORRELATED)
    return [row for row in rows if row.drifted]


def derived(feature: str) -> dict[str, dict[str, Any]]:
    return {row.check: row.derived for row in limits(PROFILE, correlated=NUMBERS) if row.feature == feature}


def test_each_feature_has_the_checks_that_its_reference_supports() -> None:
    assert list(derived("age")) == ["missing", "type", "range", "constant", "correlation"]
    assert list(derived("cost")) == ["missing", "type", "range", "outliers", "constant", "correlation"]
    assert list(derived("fixed")) == ["missing", "type", "range"]  # it may stay constant
    assert list(derived("plan")) == ["missing", "type", "unseen", "cardinality", "constant"]
    assert derived("age")["range"] == {
        "min": REFERENCE["age"].min(), "max": REFERENCE["age"].max(), "max_share": 0.05,
    }  # fmt: skip
    assert derived("gap")["missing"]["max_share"] == pytest.approx(REFERENCE["gap"].isna().mean() + 0.05, abs=1e-6)


def test_the_fences_are_tukeys_at_the_next_bin() -> None:
    first, third = REFERENCE["cost"].quantile([0.25, 0.75])
    said = derived("cost")["outliers"]
    assert said["below"] is None
    assert said["above"] == pytest.approx(third + 3 * (third - first), rel=0.25)
    assert said["above"] >= third + 3 * (third - first)
    beyond = (REFERENCE["cost"] > said["above"]).mean()
    assert said["max_share"] == pytest.approx(beyond + 0.05, abs=0.001)


@pytest.mark.parametrize(
    ("check", "feature", "spoilt"),
    [
        ("outliers", "cost", lambda t: t.assign(cost=np.where(np.arange(len(t)) % 8 == 0, 40_000.0, t["cost"]))),
        ("cardinality", "plan", lambda t: t.assign(plan=t["plan"].replace({"b": "a"}))),
        ("constant", "visits", lambda t: t.assign(visits=3.0)),
        ("constant", "plan", lambda t: t.assign(plan="a")),
        ("correlation", "age", lambda t: t.assign(age=t["age"].to_numpy()[::-1])),
        ("missing", "gap", lambda t: t.assign(gap=t["gap"].mask(np.arange(len(t)) % 5 == 0))),
    ],
)
def test_each_check_sees_its_own_fault(check: str, feature: str, spoilt: Any) -> None:
    rows = found(spoilt(frame(1_000, 1)))
    assert (feature, check) in {(row.feature, row.check) for row in rows}
    assert {row.feature for row in rows} == {feature}
    (row,) = [row for row in rows if row.check == check]
    assert row.rows > 600
    assert feature in row.message
    assert f"{row.rows:,}" in row.message


def test_a_finding_says_the_limit_and_the_value() -> None:
    window = frame(1_000, 2)
    window.loc[:199, "age"] = None
    (row,) = [row for row in found(window) if row.check == "missing"]
    assert row.message == "20.0% of 1,000 values of age are missing; 0.0% in the reference, at most 5.0%"
    assert (row.share, row.limit, row.rows) == (0.2, 0.05, 1_000)


def test_the_feature_that_explains_most_pairs_is_named() -> None:
    window = frame(1_000, 3)
    (row,) = found(window.assign(age=window["age"].to_numpy()[::-1]))
    assert row.message.startswith("age is correlated otherwise in ")
    assert "with gap " in row.message  # gap and cost both follow from age, and only age is told
    assert row.limit == 0.2
    assert row.reference_share == pytest.approx(0.7, abs=0.1)


def test_an_edit_replaces_a_part_and_off_all_of_it() -> None:
    window = frame(1_000, 4)
    window.loc[:29, "age"] = None
    assert found(window) == []
    (row,) = found(window, {("age", "missing"): {"max_share": 0.01}})
    assert (row.check, row.share, row.limit) == ("missing", 0.03, 0.01)
    assert found(window, {("age", "missing"): {"max_share": 0.025}}) == []  # three hundredths may be that by chance
    window.loc[:499, "age"] = None
    assert found(window, {("age", "missing"): {"off": True}}) == []
    assert [row.check for row in found(window, {("elsewhere", "missing"): {"off": True}})] == ["missing"]


def test_bounds_that_are_set_are_judged_on_rows() -> None:
    window = frame(1_000, 5)
    window["age"] = np.clip(window["age"], 0, 90)
    assert found(window, {("age", "range"): {"min": 0, "max": 90}}) == []
    window.loc[:99, "age"] = 91.0
    (row,) = found(window, {("age", "range"): {"min": 0, "max": 90}})
    assert (row.check, row.share, row.rows) == ("range", 0.1, 1_000)
    assert "(0 to 90)" in row.message
    assert found(window, {("age", "range"): {"max": 90}}, by_rows=False) == []  # no rows, no verdict
    window.loc[:99, "age"] = 500.0
    assert found(window, {("age", "range"): {"max": 600}}) == []  # wider than the reference


def test_categories_that_are_allowed_are_not_unseen() -> None:
    window = frame(1_000, 6)
    window.loc[:199, "plan"] = "gold"
    assert [row.check for row in found(window)] == ["unseen"]
    assert found(window, {("plan", "unseen"): {"allowed": ["gold"]}}) == []
    window.loc[:99, "plan"] = "tin"
    (row,) = found(window, {("plan", "unseen"): {"allowed": ["gold"]}})
    assert row.share == 0.1


def test_what_lacks_its_column_in_the_sample_is_not_judged() -> None:
    window, sample = frame(1_000, 7), pd.DataFrame({"other": [1.0] * 200})
    edits: Edits = {("age", "range"): {"max": 1.0}, ("plan", "unseen"): {"allowed": ["x"]}}
    rows = quality(profile(window, BINS), PROFILE, edits=edits, sample=sample, correlated=CORRELATED)
    assert not [row for row in rows if row.drifted]


def test_rare_levels_of_a_small_reference_may_be_absent() -> None:
    """300 names of which each came a few times: that some do not come again says nothing."""
    small = frame(600, 8)
    bins = reference_bins(small, KINDS, salt="m")
    rows = quality(profile(frame(300, 9), bins), profile(small, bins))
    assert not [row for row in rows if row.check in ("cardinality", "constant")]


def test_parts_are_known_by_kind() -> None:
    assert parts_of(BINS, "age", "range") == ("min", "max", "max_share")
    assert parts_of(BINS, "plan", "unseen") == ("allowed", "max_share")
    for feature, check in (("plan", "range"), ("age", "unseen"), ("no", "range"), ("age", "x")):
        assert parts_of(BINS, feature, check) is None


def test_windows_like_the_reference_do_not_alarm() -> None:
    """All checks at once, correlations among them: 2 of 2,700 such windows alarmed when this was measured (0.07 %, by
    100, 300 and 1,000 rows against references of 500, 5,000 and 20,000); of these 60 none does."""
    alarms = [found(frame(n, seed)) for n in (100, 300, 1_000) for seed in range(1_000, 1_020)]
    assert sum(map(bool, alarms)) == 0
