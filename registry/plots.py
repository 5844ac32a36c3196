"""The registry's figures, from plain numbers."""

from datetime import datetime
from html import escape
from typing import Any, NamedTuple

import plotly.graph_objects as go

BLUE = "#0072b2"
# told apart by people who do not see colours alike: Okabe and Ito (2008), and by the dashes
COLOURS = (BLUE, "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c6d1f", "#7f7f7f")
DASHES = ("solid", "dash", "dot", "dashdot")
STAGES = {"development": "circle-open", "staging": "circle", "production": "star", "archived": "x-thin-open"}


class MetricHistory(NamedTuple):
    """One metric of a model's versions, oldest first, with 95 % intervals where they are known."""

    metric: str
    numbers: list[str]
    values: list[float]
    lower: list[float | None]
    upper: list[float | None]


def history_figure(info: MetricHistory) -> go.Figure:
    """A point per version with its interval."""
    figure, name = go.Figure(), escape(info.metric, quote=False)  # Plotly takes text for HTML, links included
    error = {
        "type": "data",
        "symmetric": False,
        "thickness": 1.5,
        "width": 4,
        "array": [0 if high is None else high - v for v, high in zip(info.values, info.upper, strict=True)],
        "arrayminus": [0 if low is None else v - low for v, low in zip(info.values, info.lower, strict=True)],
    }
    figure.add_scatter(
        x=info.numbers,
        y=info.values,
        mode="markers",
        name=name,
        marker={"color": BLUE, "size": 9},
        error_y=error,
    )
    figure.update_layout(
        template="none",
        height=260,
        margin={"l": 56, "r": 12, "t": 12, "b": 40},
        showlegend=False,
        xaxis={"type": "category", "title": {"text": "version"}},
        yaxis={"title": {"text": name.replace("_", " ")}},
    )
    return figure


class Line(NamedTuple):
    """One version's line; None breaks it."""

    name: str
    x: list[Any]
    y: list[Any]


class Chart(NamedTuple):
    """Lines over one another. `unit`: both axes go from 0 to 1; `diagonal`: with the line of x = y; `points`: no
    lines between, because x has no order."""

    x: str
    y: str
    lines: list[Line]
    diagonal: bool = False
    unit: bool = False
    markers: bool = False
    points: bool = False


class TrendLine(NamedTuple):
    """One metric over versions, oldest first, with stages; `stays` are (from, to, number, value) in production."""

    metric: str
    numbers: list[str]
    values: list[float]
    lower: list[float | None]
    upper: list[float | None]
    stages: list[str]
    stays: list[tuple[datetime, datetime, str, float]]


def overlay_figure(info: Chart) -> go.Figure:
    """A line a version, in colours and dashes of their own."""
    figure = go.Figure()
    if info.diagonal:
        ends = _span(info)
        figure.add_scatter(
            x=ends, y=ends, mode="lines", hoverinfo="skip", showlegend=False, line={"color": "#9aa7b8", "width": 1}
        )
    mode = "markers" if info.points else "lines+markers" if info.markers else "lines"
    for at, line in enumerate(info.lines):
        figure.add_scatter(
            x=line.x,
            y=line.y,
            mode=mode,
            name=escape(line.name, quote=False),
            line={"color": COLOURS[at % len(COLOURS)], "width": 2, "dash": DASHES[at // 2 % len(DASHES)]},
            marker={"size": 9 if info.points else 6},
        )
    axis = {"range": [-0.01, 1.01]} if info.unit else {}
    kind = {"type": "category"} if info.points else {}
    figure.update_layout(
        **_frame(340),
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"title": {"text": info.x}, **axis, **kind},
        yaxis={"title": {"text": info.y}, **axis},
    )
    return figure


def _span(info: Chart) -> list[float]:
    if info.unit:
        return [0, 1]
    values = [value for line in info.lines for value in (*line.x, *line.y) if value is not None]
    return [min(values), max(values)]


def _frame(height: int) -> dict[str, Any]:
    return {"template": "none", "height": height, "margin": {"l": 56, "r": 12, "t": 40, "b": 44}}


def trend_figure(info: TrendLine) -> go.Figure:
    """A point a version with its interval; its shape says the stage."""
    figure, name = go.Figure(), escape(info.metric, quote=False)
    for stage, symbol in STAGES.items():
        picked = [at for at, one in enumerate(info.stages) if one == stage]
        if not picked:
            continue
        values = [info.values[at] for at in picked]
        high = [_gap(info.upper[at], info.values[at]) for at in picked]
        low = [_gap(info.lower[at], info.values[at]) for at in picked]
        error = {"type": "data", "symmetric": False, "thickness": 1.2, "width": 3, "array": high, "arrayminus": low}
        figure.add_scatter(
            x=[info.numbers[at] for at in picked],
            y=values,
            mode="markers",
            name=stage,
            marker={"color": "#e69f00" if stage == "production" else BLUE, "size": 11, "symbol": symbol},
            error_y=error,
        )
    order = {"type": "category", "categoryorder": "array", "categoryarray": info.numbers}
    figure.update_layout(
        **_frame(320),
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={**order, "title": {"text": "version"}},
        yaxis={"title": {"text": name}},
    )
    return figure


def _gap(end: float | None, value: float) -> float:
    return 0 if end is None else abs(end - value)


def served_figure(info: TrendLine) -> go.Figure:
    """The metric of the version in production over time: a step where another took over."""
    figure, name = go.Figure(), escape(info.metric, quote=False)
    for since, to, number, value in info.stays:
        figure.add_scatter(
            x=[since, to],
            y=[value, value],
            mode="lines+markers+text",
            text=[number, ""],
            textposition="top right",
            name=number,
            line={"color": BLUE, "width": 3},
            marker={"size": 6},
        )
    values = [value for *_, value in info.stays]
    room = max(0.2 * (max(values) - min(values)), 0.02 * max(map(abs, values)), 1e-9) if values else 1
    ends = {"range": [min(values) - room, max(values) + room]} if values else {}
    figure.update_layout(
        **_frame(260), showlegend=False, xaxis={"type": "date"}, yaxis={"title": {"text": name}, **ends}
    )
    return figure
