"""Distances agree with SciPy's: exactly from rows, within a bin from profiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from mlops_site.stats.columns import Kind
from mlops_site.stats.compare import FeatureDrift, drift, profile_drift
from mlops_site.stats.distances import binned_wasserstein, jensen_shannon, total_variation, wasserstein
from mlops_site.stats.profile import profile, reference_bins

KINDS: dict[str, Kind] = {"cost": "number", "site": "category"}


def frame(seed: int, rows: int, shift: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    cost = random.gamma(2.0, 100.0, rows) + shift
    cost[random.random(rows) < 0.05] = np.nan
    weights = [0.5, 0.3 + shift / 2000, 0.2 - shift / 2000]
    return pd.DataFrame({"cost": cost, "site": random.choice(["a", "b", "c"], rows, p=weights)})


REFERENCE, CURRENT = frame(0, 5_000), frame(1, 3_000, shift=60.0)


def by_frames() -> dict[str, FeatureDrift]:
    return {row.name: row for row in drift(CURRENT, REFERENCE, extra=True).features}


def by_profiles() -> dict[str, FeatureDrift]:
    bins = reference_bins(REFERENCE, KINDS, salt="tests")
    found = profile_drift(profile(CURRENT, bins), profile(REFERENCE, bins), extra=True)
    return {row.name: row for row in found.features}


def scipy_wasserstein() -> float:
    before = REFERENCE["cost"].dropna()
    return float(wasserstein_distance(CURRENT["cost"].dropna(), before) / before.std(ddof=0))


def site_shares() -> tuple[np.ndarray, np.ndarray]:
    first, second = (side["site"].value_counts(normalize=True).sort_index() for side in (CURRENT, REFERENCE))
    return first.to_numpy(), second.to_numpy()


@pytest.mark.parametrize(("n", "m"), [(500, 500), (500, 137), (3, 1_000)])
def test_wasserstein_of_sorted_numbers_is_scipys(n: int, m: int) -> None:
    random = np.random.default_rng(n + m)
    first, second = np.sort(random.normal(1, 2, n)), np.sort(random.exponential(3, m))
    assert wasserstein(first, second) == pytest.approx(wasserstein_distance(first, second), rel=1e-12)


def test_frames_give_scipys_distances() -> None:
    found, (p, q) = by_frames(), site_shares()
    assert found["cost"].wasserstein == pytest.approx(scipy_wasserstein(), rel=1e-9)
    assert found["site"].wasserstein is None
    assert found["site"].js == pytest.approx(float(jensenshannon(p, q, base=2)), rel=1e-9)
    assert found["site"].tvd == pytest.approx(float(np.abs(p - q).sum() / 2), rel=1e-9)


def test_profiles_give_them_within_a_bin() -> None:
    exact, binned = by_frames(), by_profiles()
    assert binned["cost"].wasserstein == pytest.approx(exact["cost"].wasserstein, abs=0.02)
    assert binned["site"].js == pytest.approx(exact["site"].js, rel=1e-9)
    assert binned["site"].tvd == pytest.approx(exact["site"].tvd, rel=1e-9)
    assert binned["cost"].tvd == pytest.approx(exact["cost"].tvd, abs=0.02)
    assert binned["cost"].js == pytest.approx(exact["cost"].js, abs=0.02)
    for name in ("missing", "missing_reference"):
        assert getattr(binned["cost"], name) == pytest.approx(getattr(exact["cost"], name))
    assert exact["cost"].missing == pytest.approx(CURRENT["cost"].isna().mean())


def test_a_level_that_is_new_is_unseen_on_both_ways() -> None:
    current = CURRENT.assign(site=np.where(np.arange(len(CURRENT)) % 10 == 0, "new", CURRENT["site"]))
    bins = reference_bins(REFERENCE, KINDS, salt="tests")
    binned = profile_drift(profile(current, bins), profile(REFERENCE, bins), extra=True)
    for found in (drift(current, REFERENCE, extra=True), binned):
        assert [row.unseen for row in found.features if row.name == "site"] == [0.1]


def test_without_the_extras_nothing_is_said_of_them() -> None:
    (cost, _) = drift(CURRENT, REFERENCE).features
    assert (cost.wasserstein, cost.js, cost.tvd, cost.missing) == (None, None, None, None)


def test_the_same_twice_has_no_distance() -> None:
    for row in drift(REFERENCE, REFERENCE, extra=True).features:
        assert (row.wasserstein or 0.0, row.js, row.tvd) == (0.0, 0.0, 0.0)


def test_a_constant_or_empty_number_has_no_normalised_distance() -> None:
    constant = pd.DataFrame({"cost": np.full(200, 7.0)})
    assert drift(constant + 1, constant, extra=True).features[0].wasserstein is None
    empty = pd.DataFrame({"cost": np.full(200, np.nan)})
    (row,) = drift(empty, pd.DataFrame({"cost": np.arange(200.0)}), extra=True).features
    assert (row.wasserstein, row.missing, row.missing_reference) == (None, 1.0, 0.0)


def test_binned_wasserstein_where_the_difference_changes_its_sign() -> None:
    points = np.array([0.0, 1.0, 2.0, 3.0])
    sides, at = ([0.4, 0.2, 0.4], [0.2, 0.6, 0.2]), np.linspace(0, 1, 200_001)
    first, second = (np.interp(at, [0, *np.cumsum(side)], points) for side in sides)
    assert binned_wasserstein(*sides, points) == pytest.approx(np.abs(first - second).mean(), rel=1e-4)


def test_shares_of_nothing_have_no_distance() -> None:
    assert (total_variation([0, 0], [0, 0]), jensen_shannon([0, 0], [0, 0])) == (0.0, 0.0)
