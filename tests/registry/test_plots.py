"""The registry's figures."""

from __future__ import annotations

from registry.plots import MetricHistory, history_figure

INTERVALS: list[float | None] = [None, None]


def test_a_metric_s_name_is_text_and_no_html() -> None:
    """Plotly draws tags and links that stand in a title, and anybody may name a metric."""
    figure = history_figure(
        MetricHistory("<a href='//x'>auc</a>", ["1.0.0", "1.1.0"], [0.7, 0.8], INTERVALS, INTERVALS)
    )
    assert "<a" not in figure.to_json()
    assert figure.layout.yaxis.title.text == "&lt;a href='//x'&gt;auc&lt;/a&gt;"
