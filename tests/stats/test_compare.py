"""The whole rule on frames and on profiles: false alarms, power, missing, unseen, bad columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlops_site.stats.columns import infer_kinds
from mlops_site.stats.compare import Drift, FeatureDrift, drift, drift_and_profiles, profile_drift, severity
from mlops_site.stats.profile import Profile, profile, reference_bins


def claims(random: np.random.Generator, n: int) -> pd.DataFrame:
    """Twelve numbers of several shapes and three categories."""
    numbers = {f"n{i}": random.normal(size=n) for i in range(6)} | {
        f"s{i}": random.lognormal(3, 1, n) for i in range(3)
    }
    counted = {f"k{i}": random.poisson(2, n) for i in range(3)}
    zipf = np.array([f"d{i}" for i in range(300)])[np.minimum(random.zipf(1.5, n), 300) - 1]
    letters = {f"c{i}": random.choice(list("abcde"), n, p=[0.5, 0.3, 0.15, 0.04, 0.01]) for i in range(2)}
    return pd.DataFrame({**numbers, **counted, **letters, "diagnosis": zipf})


REFERENCE = claims(np.random.default_rng(0), 20_000)
BINS = reference_bins(REFERENCE, infer_kinds(REFERENCE), salt="m")
PROFILE = profile(REFERENCE, BINS)


def both(current: pd.DataFrame) -> tuple[Drift, Drift]:
    return drift(current, REFERENCE), profile_drift(profile(current, BINS), PROFILE)


def named(found: Drift, name: str) -> FeatureDrift:
    return next(feature for feature in found.features if feature.name == name)


@pytest.mark.parametrize("n", [100, 300, 1000])
def test_without_drift_few_windows_raise_any_alarm(n: int) -> None:
    random, draws = np.random.default_rng(n), 40
    alarms = np.array([[found.drifted > 0 for found in both(claims(random, n))] for _ in range(draws)])
    assert (alarms.mean(axis=0) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / draws)).all()


@pytest.mark.parametrize(("n", "power"), [(1000, 0.7), (5000, 0.95)])
def test_a_shift_of_a_third_of_a_deviation_is_found_in_most_windows(n: int, power: float) -> None:
    random, hits = np.random.default_rng(n), []
    for _ in range(20):
        current = claims(random, n)
        current["n0"] += 0.3
        hits.append([named(found, "n0").drifted for found in both(current)])
    assert (np.mean(hits, axis=0) >= power).all()


def test_a_significant_but_tiny_shift_is_no_drift() -> None:
    random = np.random.default_rng(1)
    before = pd.DataFrame({"x": random.normal(size=200_000)})
    found = drift(before + 0.03, before).features[0]
    assert found.q_value is not None
    assert found.q_value < 1e-6
    assert not found.drifted


def test_the_same_rows_do_not_drift_at_all() -> None:
    for found in both(REFERENCE):
        assert (found.overall_score, found.severity, found.drifted, found.total) == (0.0, "low", 0, 15)
        assert all((f.statistic, f.effect, f.psi) == pytest.approx((0, 0, 0)) for f in found.features)
        assert [f.name for f in found.features] == list(REFERENCE)


def test_read_once_the_frames_say_what_they_say_one_after_the_other() -> None:
    """Columns of all sorts: text among numbers, times, one that is there twice or on one side only."""
    random = np.random.default_rng(6)
    frames = []
    for rows in (3_000, 60_000):
        frame = claims(random, rows)
        frame["mixed"] = np.array([1, 2.5, None, "x"], dtype=object)[random.integers(0, 4, rows)]
        frame["when"] = pd.date_range("2026", periods=rows, freq="min")
        frame["empty"], frame[f"of {rows}"], frame["far"] = np.nan, 1.0, np.where(random.random(rows) < 0.1, 1e200, 1.0)
        frame["site"] = pd.Categorical(np.array(["a", "b", None], dtype=object)[random.integers(0, 3, rows)])
        twice = frame[["n1"]]
        frames.append(pd.concat([frame, twice], axis=1))
    current, reference = frames
    found, *sides = drift_and_profiles(current, reference, salt="m", threshold=0.05, min_samples=100)
    assert found == drift(current, reference, threshold=0.05, min_samples=100, extra=True)
    kinds = {feature.name: feature.kind for feature in found.features}
    bins = reference_bins(reference, kinds, salt="m")
    assert sides == [profile(current, bins), profile(reference, bins)]
    assert {f.name for f in found.features if f.effect is None} == {
        "mixed",
        "when",
        "n1",
        "of 3000",
        "of 60000",
        "empty",
    } - {name for name in ("mixed", "empty") if named(found, name).effect is not None}


def test_statistics_on_frames_are_those_of_scipy() -> None:
    current = claims(np.random.default_rng(5), 700)
    current["n0"] += 0.2
    found = drift(current, REFERENCE)
    known = stats.ks_2samp(current["n0"], REFERENCE["n0"], method="asymp")
    feature = named(found, "n0")
    assert feature.test == "ks"
    assert (feature.statistic, feature.p_value) == pytest.approx((known.statistic, known.pvalue), rel=1e-3)
    table = pd.crosstab(np.r_[np.zeros(700), np.ones(20_000)], [*current["c0"], *REFERENCE["c0"]])
    chi = stats.chi2_contingency(table, correction=False)
    feature = named(found, "c0")
    assert feature.test == "chi_square"
    assert (feature.statistic, feature.p_value) == pytest.approx((chi.statistic, chi.pvalue))
    p_values = [f.p_value for f in found.features if f.p_value is not None]
    assert [f.q_value for f in found.features] == pytest.approx(stats.false_discovery_control(p_values))


def test_profiles_say_nearly_what_the_rows_say() -> None:
    current = claims(np.random.default_rng(6), 2000)
    current["n1"] = current["n1"] * 2 + 0.5
    current["c1"] = np.where(np.arange(2000) % 4 == 0, "e", current["c1"])
    exact, binned = both(current)
    for ours, theirs in zip(exact.features, binned.features, strict=True):
        assert ours.drifted == theirs.drifted
        assert ours.effect is not None
        assert theirs.effect == pytest.approx(ours.effect, abs=0.02 if ours.name != "diagnosis" else 0.1)
    assert [f.name for f in exact.features if f.drifted] == ["n1", "c1"]


@pytest.mark.parametrize("name", ["n0", "k0", "c0", "diagnosis"])
def test_missing_values_are_drift(name: str) -> None:
    current = claims(np.random.default_rng(7), 1000).astype({"k0": float})
    current.loc[::4, name] = None
    for found in both(current):
        assert [f.name for f in found.features if f.drifted] == [name]


def test_unseen_levels_are_drift_and_named() -> None:
    current = claims(np.random.default_rng(8), 1000)
    current.loc[::20, "c0"] = "new"
    for found in both(current):
        assert [f.name for f in found.features if f.drifted] == ["c0"]
        assert "50 values in" in named(found, "c0").note
        assert "unseen levels" in named(found, "c0").note


def test_a_long_tail_brings_unseen_levels_without_drift() -> None:
    random, alarms = np.random.default_rng(9), []
    for _ in range(25):
        before, now = (pd.DataFrame({"drug": random.zipf(1.3, n).astype(str)}) for n in (3000, 600))
        bins = reference_bins(before, {"drug": "category"}, salt="")
        counted, reference = profile(now, bins), profile(before, bins)
        assert bins.features["drug"].kind == "category"
        assert counted.counts_of("drug")[-3] > 30
        alarms.append([drift(now, before).drifted, profile_drift(counted, reference).drifted])
    assert (np.mean(alarms, axis=0) < 0.15).all()
    # The same levels as everywhere, but for a tenth of the rows that hold what the reference never held.
    now.loc[::10, "drug"] = "recalled"
    assert profile_drift(profile(now, bins), reference).drifted == 1


def test_one_bad_column_says_why_and_leaves_the_rest_as_it_is() -> None:
    current, reference = claims(np.random.default_rng(10), 500), REFERENCE.copy()
    good = drift(current, REFERENCE)
    reference["when"], current["when"] = pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-02")
    reference["gone"], current["more"] = 1.0, 1.0
    reference["turned"], current["turned"] = 1.0, "one"
    reference["twice"], current["twice"] = 1.0, 1.0
    current.insert(0, "twice", 2.0, allow_duplicates=True)
    found = drift(current, reference)
    notes = {f.name: f.note for f in found.features if f.effect is None}
    assert notes.keys() == {"when", "gone", "turned", "twice", "more"}
    assert 'column "when" must be a number or a category but got datetime64' in notes["when"]
    assert notes["gone"] == 'not computable: 500 of 500 current values cannot be read: column "gone" is absent'
    assert notes["more"] == 'not computable: 20000 of 20000 reference values cannot be read: column "more" is absent'
    assert "must be a number but got 'one' in row 0" in notes["turned"]
    assert "there more than once" in notes["twice"]
    assert found.overall_score == good.overall_score
    assert found.features[:15] == good.features
    assert all(note.startswith("not computable: ") for note in notes.values())


def test_a_profile_of_a_bad_column_says_why_too() -> None:
    current = claims(np.random.default_rng(11), 500).astype({"n0": object})
    current.loc[:299, "n0"] = "?"
    current.loc[0, "n1"] = np.inf
    found = profile_drift(profile(current.drop(columns="c0"), BINS), PROFILE)
    assert named(found, "n0").note == "not computable: 300 of 500 current values cannot be read"
    assert named(found, "c0").note == "not computable: 500 of 500 current values cannot be read"
    assert named(found, "n1").note == "1 unreadable values left out"
    assert named(found, "n1").effect is not None
    assert "must be finite but got inf in row 0" in named(drift(current, REFERENCE), "n1").note
    turned = profile_drift(Profile.empty(BINS) - profile(current, BINS), PROFILE)
    assert turned.severity == "unknown"
    mixed = profile(current, BINS)
    counts = mixed.counts.copy()
    counts[BINS.slices["n2"]][:2] += [-5, 5]
    assert named(profile_drift(replace(mixed, counts=counts), PROFILE), "n2").note == (
        "not computable: its counts are negative"
    )


def test_too_few_rows_say_so_and_raise_nothing() -> None:
    few = REFERENCE.iloc[:9]
    for found in (
        drift(few, REFERENCE, min_samples=100),
        profile_drift(profile(few, BINS), PROFILE, min_samples=100),
    ):
        assert (found.overall_score, found.severity, found.drifted, found.total) == (None, "unknown", 0, 15)
        assert {f.note for f in found.features} == {"not computable: too few rows (9 of at least 100)"}
    for found in both(REFERENCE.iloc[:0]):
        assert {f.note for f in found.features} == {"not computable: too few rows (0 of at least 1)"}
    assert drift(REFERENCE, REFERENCE.iloc[:0]).severity == "unknown"
    assert drift(pd.DataFrame(), pd.DataFrame()) == Drift(None, "unknown", 0, 0, ())


def test_the_score_is_the_mean_effect_weighted_by_importance() -> None:
    current = claims(np.random.default_rng(12), 2000)
    current["n0"] += 1.0
    uniform, all_on_it = drift(current, REFERENCE), drift(current, REFERENCE, importance={"n0": 2.0, "n1": -1.0})
    effects = [f.effect for f in uniform.features if f.effect is not None]
    assert uniform.overall_score == pytest.approx(np.mean(effects))
    assert all_on_it.overall_score == pytest.approx(named(uniform, "n0").effect)
    assert all_on_it.severity == "high"
    assert drift(current, REFERENCE, importance={"n0": 0.0}).overall_score == uniform.overall_score
    with pytest.raises(ValueError, match="importance must be finite"):
        drift(current, REFERENCE, importance={"n0": float("nan")})


def test_a_threshold_moves_the_verdict_and_not_the_figures() -> None:
    current = claims(np.random.default_rng(13), 2000)
    current["n0"] += 0.4
    usual, strict = drift(current, REFERENCE), drift(current, REFERENCE, threshold=0.5)
    assert (usual.drifted, strict.drifted) == (1, 0)
    assert usual.overall_score == strict.overall_score


def test_given_kinds_choose_and_order_the_columns() -> None:
    found = drift(REFERENCE, REFERENCE, kinds={"k0": "category", "n0": "number"})
    assert [(f.name, f.test) for f in found.features] == [("k0", "chi_square"), ("n0", "ks")]


def test_profiles_on_different_bins_are_refused() -> None:
    other = reference_bins(REFERENCE.head(50), infer_kinds(REFERENCE), salt="m")
    with pytest.raises(ValueError, match='those of "n0" differ'):
        profile_drift(profile(REFERENCE.head(50), other), PROFILE)


@pytest.mark.parametrize(
    ("score", "band"), [(None, "unknown"), (0.0, "low"), (0.0999, "low"), (0.1, "medium"), (0.2, "high"), (1.0, "high")]
)
def test_bands_begin_at_their_lower_bound(score: float | None, band: str) -> None:
    assert severity(score) == band


def test_columns_without_any_value_or_with_one_do_not_drift_from_themselves() -> None:
    frame = pd.DataFrame({"none": [np.nan] * 50, "one": [3] * 50, "same": ["a"] * 50, "empty": [None] * 50})
    bins = reference_bins(frame, infer_kinds(frame), salt="")
    for found in (drift(frame, frame), profile_drift(profile(frame, bins), profile(frame, bins))):
        assert [(f.p_value, f.effect, f.psi) for f in found.features] == [(1.0, 0.0, 0.0)] * 4
    filled = frame.assign(none=1.0, one=4, same="b", empty="c")
    for found in (drift(filled, frame), profile_drift(profile(filled, bins), profile(frame, bins))):
        assert [f.effect for f in found.features] == pytest.approx([0.985, 0.985, 1.0, 1.0], abs=0.01)
        assert found.drifted == 4
