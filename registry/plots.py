"""The registry's figures, from plain numbers."""

from datetime import datetime
from html import escape
from typing import Any, NamedTuple

import plotly.graph_objects as go

BLUE, ORANGE = "#0072b2", "#e69f00"
# told apart by people who do not see colours alike: Okabe and Ito (2008), and by the dashes
COLOURS = (BLUE, ORANGE, "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c6d1f", "#7f7f7f")
DASHES = ("solid", "dash", "dot", "dashdot")
STAGES = {"development": "circle-open", "staging": "circle", "production": "star", "archived": "x-thin-open"}
SPACES = {"probability": "probability", "log_odds": "log-odds", "raw": "raw score", "value": "value"}


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


class Importance(NamedTuple):
    """Mean absolute contribution of each input, the largest first, with 95 % intervals, in the output space."""

    space: str
    names: list[str]
    means: list[float]
    lower: list[float]
    upper: list[float]


class Dependence(NamedTuple):
    """One input's contribution in each row that has a value (n,), by that value: a number or a text. `missing` are the
    contributions where it has none."""

    feature: str
    space: str
    values: list[float] | list[str]
    contributions: list[float]
    missing: list[float]


class Waterfall(NamedTuple):
    """From the base value to the output: the largest contributions first, then what is left of the others and of the
    residual, each by name with its value as text."""

    space: str
    base: float
    output: float
    parts: list[tuple[str, str, float]]


def importance_figure(info: Importance) -> go.Figure:
    """A bar per input with its interval, the most important on top."""
    names = [_short(name) for name in info.names][::-1]
    means, lower, upper = info.means[::-1], info.lower[::-1], info.upper[::-1]
    error = {
        "type": "data",
        "symmetric": False,
        "thickness": 1.2,
        "width": 3,
        "color": "#8794a5",
        "array": [max(high - mean, 0.0) for mean, high in zip(means, upper, strict=True)],
        "arrayminus": [max(mean - low, 0.0) for mean, low in zip(means, lower, strict=True)],
    }
    figure = go.Figure()
    places = list(range(len(names)))  # two inputs may be the same when shortened
    figure.add_bar(y=places, x=means, orientation="h", marker={"color": BLUE}, error_x=error, hoverinfo="x")
    _laid_out(figure, height=80 + 26 * len(names), x=f"mean contribution, either way ({SPACES[info.space]})")
    figure.update_yaxes(tickvals=places, ticktext=names, showgrid=False, zeroline=False)
    return figure


def dependence_figure(info: Dependence) -> go.Figure:
    """A point per row; a text has a place on the axis for each of its values."""
    figure = go.Figure()
    is_text = any(isinstance(value, str) for value in info.values)
    marker = {"color": BLUE, "size": 7, "opacity": 0.65}
    shown = [_short(str(value)) for value in info.values] if is_text else info.values
    figure.add_scatter(x=shown, y=info.contributions, mode="markers", marker=marker, name=_short(info.feature))
    _laid_out(figure, height=300, x=_short(info.feature), y=f"contribution ({SPACES[info.space]})")
    if is_text:
        figure.update_xaxes(type="category", categoryorder="category ascending")
    return figure


def waterfall_figure(info: Waterfall) -> go.Figure:
    """A step per input, from the base value at the top to the output at the bottom."""
    names = [
        "base value",
        *(f"{_short(name)} = {_short(value)}" if value else _short(name) for name, value, _ in info.parts),
        "output",
    ]
    sizes = [size for _, _, size in info.parts]
    places = list(range(len(names)))
    figure = go.Figure()
    figure.add_waterfall(
        orientation="h",
        y=places,
        x=[info.base, *sizes, None],
        measure=["absolute", *["relative"] * len(sizes), "total"],
        increasing={"marker": {"color": ORANGE}},
        decreasing={"marker": {"color": BLUE}},
        totals={"marker": {"color": "#8794a5"}},
        connector={"line": {"color": "#8794a5", "width": 1}},
        hoverinfo="delta+x",
    )
    _laid_out(figure, height=90 + 28 * len(names), x=SPACES[info.space])
    figure.update_yaxes(tickvals=places, ticktext=names, autorange="reversed", showgrid=False, zeroline=False)
    reached = [info.base]
    for size in sizes:
        reached.append(reached[-1] + size)
    low, high = min(reached), max(reached)
    room = (high - low or abs(high) or 1.0) * 0.08
    figure.update_xaxes(range=[low - room, high + room])  # from nought the steps would be too short to see
    return figure


def _laid_out(figure: go.Figure, *, height: int, x: str, y: str = "") -> None:
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 16, "t": 12, "b": 44},
        showlegend=False,
        hovermode="closest",
        xaxis={"title": {"text": x}},
        yaxis={"title": {"text": y}},
    )


def _short(text: str, length: int = 24) -> str:
    """Plotly takes text for HTML, links included."""
    return escape(text if len(text) <= length else f"{text[: length - 1]}…", quote=False)
