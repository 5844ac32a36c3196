"""The registry's figures."""

from __future__ import annotations

from datetime import UTC, datetime

from registry.plots import (
    Chart,
    Line,
    MetricHistory,
    TrendLine,
    history_figure,
    overlay_figure,
    served_figure,
    trend_figure,
)

INTERVALS: list[float | None] = [None, None]


def test_a_metric_s_name_is_text_and_no_html() -> None:
    """Plotly draws tags and links that stand in a title, and anybody may name a metric."""
    figure = history_figure(
        MetricHistory("<a href='//x'>auc</a>", ["1.0.0", "1.1.0"], [0.7, 0.8], INTERVALS, INTERVALS)
    )
    assert "<a" not in figure.to_json()
    assert figure.layout.yaxis.title.text == "&lt;a href='//x'&gt;auc&lt;/a&gt;"


def test_each_version_has_a_line_of_its_own_colour_and_its_name_is_text() -> None:
    lines = [Line(f"<b>{at}</b>", [0.0, 1.0], [0.0, 1.0]) for at in range(8)]
    figure = overlay_figure(Chart("x", "y", lines, diagonal=True, unit=True))
    assert len({(trace.line.color, trace.line.dash) for trace in figure.data[1:]}) == 8
    assert "<b>" not in figure.to_json()
    assert figure.data[0].x == (0, 1)  # the diagonal


def test_a_trend_marks_stages_and_shows_what_served() -> None:
    day = [datetime(2026, 1, at, tzinfo=UTC) for at in (1, 2, 3)]
    stays = [(day[0], day[1], "1.0.0", 0.7), (day[1], day[2], "1.0.1", 0.8)]
    info = TrendLine("roc_auc", ["1.0.0", "1.0.1"], [0.7, 0.8], [0.6, None], [0.75, None],
                     ["archived", "production"], stays)  # fmt: skip
    traces = {trace.name: trace for trace in trend_figure(info).data}
    assert set(traces) == {"archived", "production"}
    assert (traces["archived"].error_y.array, traces["production"].error_y.array) == ((0.050000000000000044,), (0,))
    first, second = served_figure(info).data
    assert (first.x[1], second.x[0], first.y, second.y) == (day[1], day[1], (0.7, 0.7), (0.8, 0.8))
