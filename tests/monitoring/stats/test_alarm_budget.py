"""An alarm budget is kept by the rule that is found for it, and the simulation judges as production does."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats.columns import Kind
from mlops_site.stats.compare import profile_drift
from mlops_site.stats.profile import Profile, profile, reference_bins
from monitoring.stats.alarm_budget import Calibrated, calibrate, months_needed, told_by
from monitoring.stats.looks import Schedule
from monitoring.stats.months import EFFECTS, Watched, World, quiet_months, shifted
from monitoring.stats.persistence import AlarmRule, alarms, onsets, persistent, standard_rule
from monitoring.stats.traffic import HOURS, Traffic, traffic_of
from monitoring.stats.window_tests import judged

KINDS: dict[str, Kind] = {"age": "number", "cost": "number", "site": "category"}
FLAT = np.full(HOURS, 30.0)
BY_DAY = 30 * (1 + 0.8 * np.sin(np.arange(HOURS) / HOURS * 2 * np.pi))


def rows(seed: int, count: int, shift: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    numbers = {"age": random.normal(50 + 10 * shift, 10, count), "cost": random.gamma(2, 100, count)}
    return pd.DataFrame({**numbers, "site": random.choice(list("abc"), count, p=[0.5, 0.3, 0.2])})


@lru_cache(1)
def reference() -> Profile:
    frame = rows(0, 20_000)
    return profile(frame, reference_bins(frame, KINDS, salt="tests"))


def quiet(volume: np.ndarray = FLAT) -> Traffic:
    return Traffic(volume, 0.2, {}, {}, 3.0)


@lru_cache(4)
def found(budget: float = 1.0, smallest: float = 0.2) -> Calibrated:
    return calibrate(
        reference(),
        quiet(BY_DAY),
        budget=budget,
        smallest_shift=smallest,
        standard=standard_rule(0.1),
        months=24,
        runs=15,
    )


def test_windows_are_judged_as_production_judges_them() -> None:
    summary = reference()
    sizes = [*range(5, 60, 5), *(150 * seed for seed in range(1, 15))]
    windows = [profile(rows(size, size, shift=0.0002 * size), summary.bins) for size in sizes]
    for name in KINDS:
        counts = np.stack([each.counts_of(name)[:-1] for each in windows]).astype(float)
        before = summary.counts_of(name)[:-1]
        p_values, effects = judged(counts, before, summary.bins.features[name], np.ones(len(windows), bool))
        for each, p_value, effect in zip(windows, p_values, effects, strict=True):
            said = next(row for row in profile_drift(each, summary).features if row.name == name)
            assert effect == pytest.approx(said.effect, rel=1e-9, abs=1e-12)
            assert p_value == pytest.approx(said.p_value, rel=1e-9)


def test_rare_and_unseen_levels_are_judged_as_production_judges_them() -> None:
    """Levels that the reference holds once are expected to be unseen in the next rows."""
    random = np.random.default_rng(8)

    def text(count: int) -> pd.DataFrame:
        return pd.DataFrame({"site": np.minimum(random.zipf(1.4, count), 5_000).astype(str)})

    before = text(5_000)
    bins = reference_bins(before, {"site": "category"}, salt="tests")
    summary = profile(before, bins)
    windows = [profile(text(size), bins) for size in (30, 100, 300, 1_000, 3_000)]
    counts = np.stack([each.counts_of("site")[:-1] for each in windows]).astype(float)
    enough = np.array([True, True, False, True, True])
    p_values, effects = judged(counts, summary.counts_of("site")[:-1], bins.features["site"], enough)
    assert (p_values[2], effects[2]) == (1.0, 0.0)
    for i in np.flatnonzero(enough):
        said = profile_drift(windows[i], summary).features[0]
        assert (p_values[i], effects[i]) == pytest.approx((said.p_value, said.effect), rel=1e-9)


def looked(seed: int, schedule: Schedule) -> Watched:
    world = World.of(reference(), quiet(BY_DAY * 4), schedule)
    return next(quiet_months(world, 1, np.random.default_rng(seed)))


def test_looks_are_as_often_as_the_schedule_and_the_rows_say() -> None:
    hourly, quarter = looked(1, Schedule()), looked(1, Schedule(every_hours=0.25))
    assert (len(hourly.hours), len(quarter.hours)) == (720, 4 * 720)
    assert hourly.scheduled.all()
    assert quarter.hours[:4].tolist() == [0.25, 0.5, 0.75, 1.0]
    # 2,880 rows a day with their labels: a fiftieth of a window is new 100 times a day.
    between = looked(1, Schedule(check_after=10))
    assert 720 * 2 < len(between.hours) <= 720 * 4
    assert int(between.scheduled.sum()) == 720
    assert len(looked(1, Schedule(check_after=100_000)).hours) == 720
    assert len(looked(1, Schedule(every_hours=24)).hours) == 30


def test_a_look_in_between_is_judged_with_the_scheduled_ones_before_it() -> None:
    random = np.random.default_rng(3)
    hits, on_time = random.random((4, 200)) < 0.5, random.random((4, 200)) < 0.3
    for k, m in ((1, 1), (2, 2), (2, 3), (4, 6)):
        told = alarms(hits, k=k, m=m, scheduled=on_time)
        for span, times, row in zip(hits, on_time, told, strict=True):
            for at in range(200):
                past = [bool(hit) for hit, is_on in zip(span[:at], times[:at], strict=True) if is_on]
                assert row[at] == persistent([*past, bool(span[at])], k=k, m=m)


def test_more_looks_make_more_false_alarms_and_the_rule_keeps_the_budget_all_the_same() -> None:
    asked: dict[str, Any] = {
        "budget": 1.0,
        "smallest_shift": 0.2,
        "standard": standard_rule(0.1),
        "months": 24,
        "runs": 6,
    }
    often = calibrate(reference(), quiet(BY_DAY), schedule=Schedule(24, 100, 0.25, 100), **asked)
    assert often.reached
    assert often.chosen.upper <= 1.0
    assert often.standard.false_alarms >= found().standard.false_alarms


def test_alarms_of_spans_are_those_of_one_span() -> None:
    hits = np.random.default_rng(0).random((5, 40)) < 0.4
    for k, m in ((1, 1), (2, 3), (3, 3), (4, 6)):
        told = alarms(hits, k=k, m=m)
        for span, row in zip(hits, told, strict=True):
            assert row.tolist() == [persistent(span[: i + 1].tolist(), k=k, m=m) for i in range(len(span))]
    assert int(onsets(np.ones((2, 9), bool)).sum()) == 2
    with pytest.raises(ValueError, match="k must be between 1 and m but got 4 of 3"):
        alarms(hits, k=4, m=3)


def test_the_budget_is_kept_and_a_shift_is_found() -> None:
    said = found()
    assert said.reached
    assert said.chosen.upper <= 1.0
    assert said.chosen.false_alarms < said.chosen.upper
    hours = {delay.sd: delay.hours for delay in said.chosen.delays}
    assert set(hours) == {0.2, 0.5, 1.0}
    assert hours[0.2] is not None
    assert hours[0.5] is not None
    assert 1 <= hours[0.5] < hours[0.2] <= 48


def test_months_that_were_not_seen_keep_it_too() -> None:
    """The rule of one seed, in the months of another."""
    world, rule = World.of(reference(), quiet(BY_DAY), Schedule()), found().chosen.rule
    drawn = Watched.together(list(quiet_months(world, 20, np.random.default_rng(99))))
    count = int(onsets(told_by(rule, drawn)).sum())
    assert count <= 20 + 2 * np.sqrt(20)


def test_a_smaller_budget_is_not_more_sensitive() -> None:
    strict, generous = found(0.2), found(10.0)
    assert strict.chosen.upper <= 0.2
    assert generous.chosen.upper <= 10.0
    first, second = ({d.sd: d.hours or 1e9 for d in each.chosen.delays} for each in (strict, generous))
    assert second[0.2] <= first[0.2]


def test_only_a_large_shift_asks_for_a_larger_effect() -> None:
    assert found(smallest=1.0).chosen.rule.effect > found().chosen.rule.effect


def test_the_same_arguments_give_the_same_rule() -> None:
    given: dict[str, Any] = {"budget": 1.0, "smallest_shift": 0.5, "months": 2, "runs": 3}
    given["standard"] = standard_rule(0.1)
    assert calibrate(reference(), quiet(), **given) == calibrate(reference(), quiet(), **given)


def test_a_mix_that_changes_over_the_day_asks_for_more_in_windows_of_an_hour() -> None:
    """Nights are not drift: with one-hour windows the rule must look over them."""
    wave = 1 + 0.5 * np.sin(np.arange(HOURS) / HOURS * 2 * np.pi)[:, None]
    width = len(reference().counts_of("age")) - 1
    tilts = np.where(np.arange(width) < width // 2, wave, 2 - wave)
    given: dict[str, Any] = {"budget": 1.0, "smallest_shift": 0.5, "months": 6, "runs": 8}
    given["standard"] = standard_rule(0.1)
    hourly = Schedule(1, 30)
    plain = calibrate(reference(), quiet(5 * FLAT), schedule=hourly, **given)
    mixed = calibrate(reference(), Traffic(5 * FLAT, 0.2, {"age": tilts}, {}, 3.0), schedule=hourly, **given)
    assert mixed.standard.false_alarms > 10 > plain.standard.false_alarms
    assert mixed.chosen.rule.effect > plain.chosen.rule.effect


def test_too_little_traffic_for_any_window_finds_nothing() -> None:
    said = calibrate(
        reference(),
        quiet(np.full(HOURS, 1.0)),
        budget=1.0,
        smallest_shift=0.2,
        standard=standard_rule(0.1),
        months=24,
        runs=6,
    )
    assert said.chosen.false_alarms == 0
    assert [delay.hours for delay in said.chosen.delays] == [None, None, None]


def test_progress_is_told_and_grows() -> None:
    told: list[float] = []
    calibrate(
        reference(),
        quiet(),
        budget=1.0,
        smallest_shift=0.2,
        standard=AlarmRule(0.02, 0.1, 2, 3),
        months=2,
        runs=4,
        told=lambda step, share: told.append(share),
    )
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] < 1


def test_more_months_for_a_smaller_budget_within_bounds() -> None:
    assert [months_needed(budget) for budget in (30.0, 1.0, 0.5, 0.1)] == [24, 24, 48, 120]


def test_a_shift_of_a_number_is_as_large_as_asked() -> None:
    world = World.of(reference(), quiet(), Schedule())
    age = next(feature for feature in world.features if feature.name == "age")
    shares = age.reference / age.reference.sum()
    moved = shifted(shares, age, 0.5)
    assert moved.sum() == pytest.approx(1.0)
    distance = np.abs(np.cumsum(moved) - np.cumsum(shares)).max()
    assert distance == pytest.approx(0.1974, abs=0.01)  # 2 Phi(0.25) - 1
    site = next(feature for feature in world.features if feature.name == "site")
    levels = site.reference / site.reference.sum()
    assert np.abs(shifted(levels, site, 0.5) - levels).sum() / 2 == pytest.approx(0.1974, abs=1e-3)


def test_of_many_features_forty_stand_for_all() -> None:
    frame = pd.DataFrame({f"x{i}": np.arange(300.0) for i in range(100)})
    many = profile(frame, reference_bins(frame, dict.fromkeys(map(str, frame), "number"), salt="tests"))
    world = World.of(many, Traffic(FLAT, 0.2, {}, {}, 3.0), Schedule())
    assert (len(world.features), world.skipped) == (34, 66)
    assert len(EFFECTS) == len(set(EFFECTS))


NO_DAYS = np.empty((0, reference().bins.width))


def hours_of(seed: int, *, wave: float = 0.0, clustered: int = 1, days: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Profiles of hours whose age moves with the hour by `wave` deviations; each row stands `clustered` times."""
    summary = reference()
    hours = np.arange(days * HOURS)
    counts = []
    for hour in hours:
        own = rows(1000 * seed + int(hour), 240 // clustered, shift=wave * np.sin(hour / HOURS * 2 * np.pi))
        counts.append(profile(own, summary.bins).counts * clustered)
    return hours, np.stack(counts).astype(float)


def test_rows_that_come_evenly_have_no_mix_of_their_own() -> None:
    hours, counts = hours_of(1)
    seen = traffic_of(reference(), hours, counts, NO_DAYS)
    assert seen.rows_a_day == pytest.approx(5760)
    assert seen.days == 3
    assert np.abs(seen.tilts["age"] - 1).max() < 0.25
    assert max(seen.clustered.values()) < 1.3


def test_a_mix_that_changes_over_the_day_is_seen() -> None:
    hours, counts = hours_of(2, wave=0.5)
    seen = traffic_of(reference(), hours, counts, NO_DAYS)
    assert seen.tilts["age"][6, 1] < 0.6 < 1.4 < seen.tilts["age"][6, -3]  # at six the old ones come
    assert np.abs(seen.tilts["cost"] - 1).max() < 0.3


def test_rows_that_come_in_clusters_count_for_less() -> None:
    hours, counts = hours_of(3, clustered=4)
    seen = traffic_of(reference(), hours, counts, NO_DAYS)
    assert 3 < seen.clustered["age"] < 5


def test_hours_of_one_day_are_not_told_apart() -> None:
    hours, counts = hours_of(4, wave=0.5, days=1)
    seen = traffic_of(reference(), hours, counts, NO_DAYS)
    assert np.ptp(seen.rows) == 0
    assert (seen.tilts["age"] == 1).all()


def test_days_that_wander_are_seen_and_ask_for_more() -> None:
    """A storm is not drift: days differ by more than their rows would by chance."""
    summary = reference()
    moves = 0.4 * np.sin(np.arange(14))
    days = np.stack([profile(rows(i, 3_000, shift=move), summary.bins).counts for i, move in enumerate(moves)])
    hours, counts = hours_of(5)
    seen = traffic_of(summary, hours, counts, days.astype(float))
    assert np.corrcoef(seen.wander["age"][:, -3], moves)[0, 1] > 0.95
    assert np.abs(seen.wander["cost"] - 1).max() < 0.3
    asked: dict[str, Any] = {"budget": 1.0, "smallest_shift": 0.2, "months": 8, "runs": 4}
    calm = traffic_of(summary, hours, counts, NO_DAYS)
    first, second = (calibrate(summary, each, standard=standard_rule(0.1), **asked) for each in (seen, calm))
    assert first.standard.false_alarms > 3 > second.standard.false_alarms
    assert first.chosen.rule.effect > second.chosen.rule.effect
