"""What should come is learnt from the hours of weeks; what strays from it is told, and nights and good days are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.volume import MODELS, delay, judged, month, rates
from mlops_site.stats.scored import Floats
from monitoring.stats.expected import DAY, WEEK, at_least, at_most, baseline, interval
from monitoring.stats.volume import Cut, Volume, band, expected_volume


def steady(weeks: int, seed: int = 0, per_hour: float = 50.0) -> Floats:
    random = np.random.default_rng(seed)
    return random.poisson(rates(random, weeks, per_hour)).astype(np.float64)


def on(history: Floats, hours: Floats, cut: Cut = Cut()) -> Volume:  # noqa: B008
    known = baseline(history)
    assert known is not None
    return expected_volume(int(hours.sum()), 500, known=known, hours=hours, cut=cut, min_samples=100)


@pytest.mark.parametrize(
    ("days", "pattern"),
    [(56, "hour of week"), (21, "hour of week"), (20, "hour of day"), (7, "hour of day"), (6, "flat"), (1, "flat")],
)
def test_the_pattern_is_as_fine_as_the_history_allows(days: int, pattern: str) -> None:
    counts = steady(9)
    known = baseline(counts[: days * DAY] + 1)
    assert known is not None
    assert (known.pattern, known.days) == (pattern, days)


def test_less_than_a_day_and_nothing_at_all_is_no_history() -> None:
    assert baseline(np.ones(23)) is None
    assert baseline(np.zeros(500)) is None
    assert baseline(np.full(500, np.nan)) is None
    assert baseline(np.concatenate([np.zeros(500), np.ones(23)])) is None  # before the first nobody asked


def test_hours_of_the_week_are_found() -> None:
    random = np.random.default_rng(1)
    rate = np.tile(np.where(np.arange(WEEK) % DAY < 12, 10.0, 100.0) * np.where(np.arange(WEEK) < 120, 1, 0.2), 9)
    known = baseline(random.poisson(rate[: 8 * WEEK]).astype(float))
    assert known is not None
    assert known.expected(0, WEEK) == pytest.approx(rate[:WEEK], rel=0.25, abs=3.5)
    assert known.expected(0, WEEK).sum() == pytest.approx(rate[:WEEK].sum(), rel=0.02)
    assert known.dispersion(24) < 0.03  # Poisson's counts have none


def test_few_predictions_keep_their_mean() -> None:
    """Of counts that are mostly 0 the median is 0; the sum of a week is not."""
    counts = np.random.default_rng(2).poisson(0.3, 8 * WEEK).astype(float)
    known = baseline(counts)
    assert known is not None
    assert known.expected(0, WEEK).sum() == pytest.approx(counts.sum() / 8, rel=0.15)


def test_an_outage_in_the_history_is_not_what_is_expected() -> None:
    counts = steady(9)
    hole = counts.copy()
    hole[5 * WEEK : 5 * WEEK + 2 * DAY] = 0
    hole[3 * WEEK : 3 * WEEK + DAY] *= 5
    plain, other = (baseline(each[: 8 * WEEK]) for each in (counts, hole))
    assert plain is not None
    assert other is not None
    assert other.expected(0, WEEK).sum() == pytest.approx(plain.expected(0, WEEK).sum(), rel=0.08)
    assert other.dispersion(24) < 2.5 * plain.dispersion(24)


def test_unknown_hours_are_left_out() -> None:
    counts = steady(9)
    counts[2 * WEEK : 3 * WEEK] = np.nan
    known = baseline(counts[: 8 * WEEK])
    assert known is not None
    assert (known.pattern, known.days) == ("hour of week", 49)
    assert np.isfinite(known.expected(0, WEEK)).all()
    hours = counts[8 * WEEK : 8 * WEEK + DAY].copy()
    hours[-2] = np.nan  # stretches that hold it are not judged
    rows = int(known.expected(0, DAY).sum())
    assert expected_volume(rows, rows, known=known, hours=hours, min_samples=100).stretch is None


def test_dispersion_is_measured_and_grows_with_what_hours_share() -> None:
    random = np.random.default_rng(3)
    days = np.repeat(random.gamma(25, 1 / 25, 56), DAY)  # a standard deviation of 0.2, the same for a whole day
    known = baseline(random.poisson(100 * days).astype(float))
    assert known is not None
    assert known.dispersion(24) == pytest.approx(0.2, abs=0.07)
    assert known.dispersion(WEEK) < 0.8 * known.dispersion(24)


def test_growth_is_followed_and_a_silence_is_not() -> None:
    grown = np.random.default_rng(4).poisson(50 * 1.1 ** (np.arange(8 * WEEK) / WEEK)).astype(float)
    known = baseline(grown)
    assert known is not None
    assert known.expected(0, DAY).sum() == pytest.approx(24 * 50 * 1.1**7.7, rel=0.06)
    silent = steady(9)
    silent[7 * WEEK :] = 0
    found = on(silent[: 8 * WEEK], silent[8 * WEEK : 8 * WEEK + DAY])
    assert found.drop


def test_tails_are_those_of_scipy() -> None:
    for mean, tau in ((40.0, 0.3), (3.0, 1.2)):
        shape = 1 / tau**2
        same = stats.nbinom(shape, shape / (shape + mean))
        assert same.var() == pytest.approx(mean + (tau * mean) ** 2)
        assert at_most(5, mean, tau) == pytest.approx(same.cdf(5))
        assert at_least(60, mean, tau) == pytest.approx(same.sf(59))
    assert at_most(5, 9.0, 0.0) == pytest.approx(stats.poisson(9).cdf(5))
    assert at_least(15, 9.0, 0.0) == pytest.approx(stats.poisson(9).sf(14))
    assert (at_most(3, 0.0, 0.1), at_least(3, 0.0, 0.1), at_least(0, 5.0, 0.1)) == (1.0, 0.0, 1.0)
    low, high = interval(np.array([0.0, 40.0]), 0.3)
    assert (low[0], high[0]) == (0.0, 0.0)
    assert low[1] < 40 < high[1]


def test_a_quiet_night_is_no_silence_and_a_quiet_day_is() -> None:
    """Of a model that is asked twice an hour: 1 prediction in a night, 50 in a day."""
    counts = steady(9, per_hour=2.0)
    for day in range(7):
        at = 7 * WEEK + day * DAY
        assert not on(counts[: at + 20], np.zeros(10)).drop  # 20:00 to 06:00
    found = on(counts[: 8 * WEEK + 9], np.zeros(6))  # Monday 09:00 to 15:00
    assert found.drop
    assert found.reason.startswith("0 rows where about ")
    assert " expected (-100%) by hour of week, from 56 days" in found.reason


def test_a_silence_of_the_last_hours_is_seen_before_the_window_has_halved() -> None:
    counts = steady(9)
    window = counts[8 * WEEK - 9 : 8 * WEEK + 15].copy()  # ends on Monday at 15:00
    window[-3:] = 0
    found = on(counts[: 8 * WEEK - 9], window)
    assert (found.drop, found.stretch, found.stretch_rows) == (True, 3, 0)
    assert found.change is not None
    assert found.change > -0.5
    assert "0 rows in the last 3 hours where about " in found.reason


def test_a_flood_is_a_spike_and_a_few_more_at_night_are_not() -> None:
    counts = steady(9)
    window = counts[8 * WEEK : 8 * WEEK + 12].copy()
    window[2] += 60  # at night
    assert not on(counts[: 8 * WEEK], window[:3]).spike
    found = on(counts[: 8 * WEEK], window * 4)
    assert (found.spike, found.drop) == (True, False)


def test_a_clock_that_changes_is_no_alarm() -> None:
    """The pattern moves by an hour, steep in the morning."""
    rate = np.tile(np.where((np.arange(DAY) >= 7) & (np.arange(DAY) < 19), 200.0, 4.0), 9 * 7)
    counts = np.random.default_rng(5).poisson(rate).astype(float)
    for shift in (-1, 1):
        moved = np.random.default_rng(6).poisson(np.roll(rate, shift)).astype(float)
        for end in range(1, DAY + 1):
            found = on(counts[: 8 * WEEK], moved[8 * WEEK : 8 * WEEK + end])
            assert not found.drop, (shift, end)
            assert not found.spike, (shift, end)


def test_parts_of_hours_count_in_part() -> None:
    flat = np.random.default_rng(7).poisson(60, 8 * WEEK).astype(float)
    found = on(flat, np.full(1, 60.0), Cut(lead=0.75, part=0.25))  # a half hour across the full one
    assert found.expected == pytest.approx(30, rel=0.1)
    short = on(flat, np.empty(0), Cut(lead=0.25, part=0.5))
    assert short.expected == pytest.approx(15, rel=0.1)


def test_in_the_first_week_the_window_before_decides() -> None:
    counts = steady(9)[: 3 * DAY]
    known = baseline(counts)
    assert known is not None
    fell = expected_volume(400, 1_000, known=known, hours=np.full(24, 400 / 24), min_samples=100)
    assert (fell.drop, fell.baseline, fell.change) == (True, "window before", -0.6)
    assert not expected_volume(600, 1_000, known=known, hours=np.full(24, 25.0), min_samples=100).drop


def test_the_band_of_a_chart_is_by_its_steps() -> None:
    counts = steady(9)
    known = baseline(counts[: 8 * WEEK])
    assert known is not None
    found = band(known, np.arange(0, 48, 6.0), np.minimum(np.arange(6, 54, 6.0), 45.0), [0] * 8)
    assert sum(found.expected) == pytest.approx(known.expected(0, 45).sum())
    assert all(low <= mean <= high for low, mean, high in zip(found.lower, found.expected, found.upper, strict=True))


def test_false_alarms_are_few_and_changes_are_seen() -> None:
    """A whole run of `benchmarks.volume` has the figures; these are the first of its draws."""
    middle, high = MODELS[2], MODELS[5]
    assert month(MODELS[0], 0) == (0, 0, 0, 0)
    silences = [delay(high, 0.0, number) for number in range(4)]
    assert silences == [1, 1, 1, 1]
    assert all((delay(middle, 3.0, number) or 999) <= 48 for number in range(4))
    assert all((delay(middle, 0.0, number) or 999) <= 24 for number in range(4))


def test_a_window_is_judged_by_what_came_before_it() -> None:
    counts = steady(10)
    assert judged(counts, 9 * WEEK, 56).baseline == "hour of week"
