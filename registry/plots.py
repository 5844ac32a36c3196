"""The registry's figures, from plain numbers."""

from html import escape
from typing import NamedTuple

import plotly.graph_objects as go

BLUE, ORANGE = "#0072b2", "#e69f00"
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
