"""Figures of monitoring: what is drawn is what was said, and no text is taken for HTML."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta

import pytest

from mlops_site.stats.distributions import Distribution
from monitoring import plots
from monitoring.plots import BLUE, DriftTrend, Event, Expected, Latency, Trend, Volume
from monitoring.plots.spells import Spell, spells_figure

START = datetime(2026, 11, 1, tzinfo=UTC)
TIMES = [START + timedelta(hours=n) for n in range(4)]
NAME = "<a href='//x'>f1_score</a>"


def test_performance_is_a_line_in_a_band_with_its_promise() -> None:
    trend = Trend("f1_score", TIMES, [0.4, None, 0.5, 0.6], [0.3, None, None, 0.5], [0.5, None, None, 0.7], 0.45)
    low, band, line, promise = plots.performance_figure(trend).data
    assert (list(low.y), list(band.y), list(band.x)) == ([0.3, 0.5], [0.5, 0.7], [TIMES[0], TIMES[3]])
    assert band.fill == "tonexty"
    assert list(line.x) == [TIMES[0], TIMES[2], TIMES[3]]  # the step without labels has no point
    assert list(line.y) == [0.4, 0.5, 0.6]
    assert (list(promise.y), promise.line.dash) == ([0.45, 0.45], "dash")


def test_what_was_expected_is_a_dashed_line_under_the_realised_one_and_grey_where_nobody_believes_it() -> None:
    trend = Trend("f1_score", TIMES, [0.4, None, None, None], [0.3, None, None, None], [0.5, None, None, None])
    expected = Expected([0.5, None, 0.6, 0.7], [0.4, None, 0.5, 0.6], [0.6, None, 0.7, 0.8], believed=True)
    low, band, line, *realised = plots.performance_figure(trend, (), expected).data
    assert (list(low.y), list(band.y), list(line.y)) == ([0.4, 0.5, 0.6], [0.6, 0.7, 0.8], [0.5, 0.6, 0.7])
    assert (line.line.dash, line.name, line.line.color) == ("dash", "estimated, 95 % band", plots.ORANGE)
    assert list(line.x) == [TIMES[0], TIMES[2], TIMES[3]]
    assert realised[2].line.color == BLUE
    missed = plots.performance_figure(trend, (), expected._replace(believed=False)).data[2]
    assert (missed.name, missed.line.color) == ("estimated, not believed", plots.GREY)


def test_without_a_promise_there_is_no_line_of_it() -> None:
    trend = Trend("f1_score", TIMES, [0.4] * 4, [0.3] * 4, [0.5] * 4)
    assert len(plots.performance_figure(trend).data) == 3


def test_a_single_step_has_its_interval_as_a_whisker_in_the_whole_window() -> None:
    trend = Trend("f1_score", TIMES, [None, None, None, 0.5], [None, None, None, 0.4], [None, None, None, 0.7])
    figure = plots.performance_figure(trend)
    whisker = figure.data[2].error_y
    assert (round(whisker.array[0], 3), round(whisker.arrayminus[0], 3)) == (0.2, 0.1)
    start, end = figure.layout.xaxis.range
    assert (start, end > TIMES[3]) == (TIMES[0], True)


def test_events_are_marked_and_those_too_near_are_one() -> None:
    trend = Trend("mae", TIMES, [1.0] * 4, [0.9] * 4, [1.1] * 4)
    events = [
        Event(TIMES[2], "alert: drift"),
        Event(START - timedelta(days=1), "before"),
        Event(TIMES[1], "1.2.0 serves"),
        Event(TIMES[1] + timedelta(minutes=1), "alert: <b>"),
    ]
    figure = plots.performance_figure(trend, events)
    assert [note.text for note in figure.layout.annotations] == ["1.2.0 serves, alert: &lt;b&gt;", "alert: drift"]
    assert [shape.x0 for shape in figure.layout.shapes] == [TIMES[1], TIMES[2]]


def test_failures_are_part_of_a_step_s_bar() -> None:
    answered, failed = plots.volume_figure(Volume(TIMES, [10, 0, 5, 4], [1, 0, 0, 4], 3600)).data
    assert (list(answered.y), list(failed.y)) == ([9, 0, 5, 0], [1, 0, 0, 4])
    assert len(plots.volume_figure(Volume(TIMES, [10, 0, 5, 4], [0] * 4, 3600)).data) == 1


def test_both_percentiles_are_drawn() -> None:
    median, slow = plots.latency_figure(Latency(TIMES, [1.0, None, 2.0, 1.5], [4.0, None, 9.0, 5.0])).data
    assert (list(median.y), list(slow.y)) == ([1.0, None, 2.0, 1.5], [4.0, None, 9.0, 5.0])


def test_drift_has_its_levels() -> None:
    scores, medium, high = plots.drift_figure(DriftTrend(TIMES, [0.05, 0.1, 0.3, None], 0.1, 0.2)).data
    assert list(scores.y) == [0.05, 0.1, 0.3, None]
    assert (medium.y[0], high.y[0]) == (0.1, 0.2)


def test_a_number_s_sides_lie_over_each_other_and_a_category_s_beside() -> None:
    number = Distribution("x", "number", ["a", "b"], [0.4, 0.6], [0.5, 0.5], [(0.0, "a"), (1.0, "b")])
    for info, mode in ((number, "overlay"), (number._replace(kind="category"), "group")):
        figure = plots.distribution_figure(info, window="last 24 hours")
        assert figure.layout.barmode == mode
        assert [list(bar.y) for bar in figure.data] == [[0.4, 0.6], [0.5, 0.5]]
        assert figure.data[0].marker.color == BLUE
        assert figure.layout.xaxis.ticktext == ("a", "b")


def test_no_name_of_a_metric_a_level_or_a_version_is_html() -> None:
    trend = Trend(NAME, TIMES, [1.0] * 4, [0.9] * 4, [1.1] * 4)
    info = Distribution("x", "category", [NAME, "b"], [0.4, 0.6], [0.5, 0.5], [(0.0, NAME), (1.0, "b")])
    figures = [plots.performance_figure(trend, [Event(TIMES[1], NAME)]), plots.distribution_figure(info, window="w")]
    assert "<a" not in str([figure.to_dict() for figure in figures])  # to_json hides it behind an escape


def test_the_examples_are_right() -> None:
    assert doctest.testmod(plots).failed == 0
    assert plots.spark([1]) == ""
    assert plots.spark([0, 0]) == "0.0,25.0 110.0,25.0"


def test_calibration_stands_beside_right_scores_with_its_interval() -> None:
    figure = plots.calibration_figure([0.2, 0.7], [0.1, 0.8], [0.05, 0.7], [0.2, 0.9])
    said, right = figure.data
    assert list(said.error_y.array) == pytest.approx([0.1, 0.1])
    assert list(said.error_y.arrayminus) == pytest.approx([0.05, 0.1])
    assert (list(right.x), list(right.y)) == ([0, 1], [0, 1])


def test_alerts_stand_in_a_row_of_their_subject_within_the_window() -> None:
    hour = timedelta(hours=1)
    start, end = START, START + 24 * hour
    told = [
        Spell("drift", "high", start - 5 * hour, start + hour, False, "<b>first</b>"),
        Spell("drift", "high", start + 3 * hour, end + 9 * hour, True, "again"),
        Spell("volume", "low", start + 2 * hour, start + 4 * hour, False, "fewer"),
    ]
    figure = spells_figure(told, start=start, end=end)
    assert [trace.name for trace in figure.data] == ["high", "high", "low"]
    assert [trace.showlegend for trace in figure.data] == [True, False, True]
    assert list(figure.data[0].x) == [start, start + hour]
    assert list(figure.data[1].x) == [start + 3 * hour, end]
    assert (figure.data[0].y[0], figure.data[1].y[0], figure.data[2].y[0]) == (0, 0, 1)
    assert list(figure.layout.yaxis.ticktext) == ["drift", "volume"]
    assert "<b>" not in figure.data[0].text[0]
