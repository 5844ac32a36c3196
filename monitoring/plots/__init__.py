"""Figures of monitoring: info in, figure out. Colours are told apart by colour-blind people too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from typing import NamedTuple

import plotly.graph_objects as go

from mlops_site.stats.distributions import Distribution
from monitoring.stats.volume import Band

BLUE, ORANGE, GREY = "#0072b2", "#e69f00", "#8794a5"
BANDS = {BLUE: "rgba(0,114,178,0.16)", ORANGE: "rgba(230,159,0,0.18)", GREY: "rgba(135,148,165,0.16)"}
EVENTS = 8


class Event(NamedTuple):
    """Something that happened, as a mark on the axis of time."""

    at: datetime
    said: str


class Trend(NamedTuple):
    """A figure per step of time with its 95 % interval; None where a step has none. `times` are the starts."""

    name: str
    times: list[datetime]
    values: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    baseline: float | None = None  # what it was when the version was registered


class Expected(NamedTuple):
    """What was expected of each step of a trend before its labels came, with its 95 % band; None where it has none."""

    values: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    believed: bool


class Volume(NamedTuple):
    """Predictions and failures per step of `step_secs`."""

    times: list[datetime]
    rows: list[int]
    errors: list[int]
    step_secs: int


class Latency(NamedTuple):
    """Median and 95th percentile of the response time per step, in milliseconds."""

    times: list[datetime]
    p50_ms: list[float | None]
    p95_ms: list[float | None]


class DriftTrend(NamedTuple):
    """The overall score of each report, at the end of its window."""

    times: list[datetime]
    scores: list[float | None]
    medium: float
    high: float


def performance_figure(info: Trend, events: Sequence[Event] = (), expected: Expected | None = None) -> go.Figure:
    """The line with its interval as a band, what was expected as a dashed line with its own, and what it was at
    registration as a level."""
    figure, name = _figure(y=_name(info.name)), _name(info.name)
    if expected is not None:
        _expected(figure, info.times, expected)
    known = [i for i, value in enumerate(info.values) if value is not None]
    sure = [i for i in known if info.lower[i] is not None and info.upper[i] is not None]
    bounds = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    at = [info.times[i] for i in sure]
    figure.add_scatter(x=at, y=[info.lower[i] for i in sure], **bounds)
    band = {"fill": "tonexty", "fillcolor": BANDS[BLUE], **bounds}
    figure.add_scatter(x=at, y=[info.upper[i] for i in sure], **band)
    figure.add_scatter(
        x=[info.times[i] for i in known],
        y=[info.values[i] for i in known],
        mode="lines+markers",
        name=f"{name}, 95 % interval",
        line={"color": BLUE, "width": 2},
        marker={"color": BLUE, "size": 6},
        error_y=_whisker(info, sure),
    )
    if info.times:  # the whole window, however few of its steps are known
        figure.update_xaxes(range=[info.times[0], info.times[-1] + (info.times[-1] - info.times[0]) / 40])
    if info.baseline is not None and info.times:
        _level(figure, info.times, info.baseline, "at registration")
    return _marked(figure, info.times, events)


def share_figure(info: Trend) -> go.Figure:
    """Shares over time, with their intervals as a band."""
    figure = performance_figure(info)
    figure.update_layout(height=250)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def _expected(figure: go.Figure, times: Sequence[datetime], info: Expected) -> None:
    """Under the realised line; grey where it is not believed."""
    known = [i for i, value in enumerate(info.values) if value is not None]
    colour, name = (ORANGE, "estimated, 95 % band") if info.believed else (GREY, "estimated, not believed")
    bounds = {"x": [times[i] for i in known], "mode": "lines", "showlegend": False, "hoverinfo": "skip"}
    figure.add_scatter(y=[info.lower[i] for i in known], line={"width": 0}, **bounds)
    band = {"fill": "tonexty", "fillcolor": BANDS[colour], "line": {"width": 0}, **bounds}
    figure.add_scatter(y=[info.upper[i] for i in known], **band)
    line = {"color": colour, "width": 2, "dash": "dash"}
    marks = {"color": colour, "size": 5, "symbol": "diamond"}
    shown = {"mode": "lines+markers", "name": name, "line": line, "marker": marks}
    figure.add_scatter(x=bounds["x"], y=[info.values[i] for i in known], **shown)


def volume_figure(info: Volume) -> go.Figure:
    """A bar per step; failures stand in it in the second colour."""
    figure = _figure(y="predictions")
    shared = {"width": 0.9 * 1000 * info.step_secs, "offset": 0}
    answered = [rows - errors for rows, errors in zip(info.rows, info.errors, strict=True)]
    figure.add_bar(x=info.times, y=answered, name="answered", marker={"color": BLUE}, **shared)
    if any(info.errors):
        figure.add_bar(x=info.times, y=info.errors, name="failed", marker={"color": ORANGE}, **shared)
    figure.update_layout(barmode="stack", showlegend=any(info.errors))
    return figure


def latency_figure(info: Latency) -> go.Figure:
    """Both percentiles as lines."""
    figure = _figure(y="ms")
    for name, values, colour in (("median", info.p50_ms, BLUE), ("95th percentile", info.p95_ms, ORANGE)):
        figure.add_scatter(
            x=info.times, y=values, mode="lines+markers", name=name, line={"color": colour}, marker={"size": 5}
        )
    figure.update_yaxes(rangemode="tozero")
    return figure


def calibration_figure(
    predicted: Sequence[float], observed: Sequence[float], lower: Sequence[float], upper: Sequence[float]
) -> go.Figure:
    """Share that truly is positive by mean score, with its interval; right scores lie on the dashed line."""
    figure = _figure(y="truly positive", height=250)
    up = [high - value for value, high in zip(observed, upper, strict=True)]
    down = [value - low for value, low in zip(observed, lower, strict=True)]
    figure.add_scatter(
        x=predicted,
        y=observed,
        mode="lines+markers",
        name="by score, 95 % interval",
        line={"color": BLUE, "width": 2},
        error_y={"type": "data", "symmetric": False, "array": up, "arrayminus": down, "width": 4},
    )
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="right scores", line={"color": GREY, "dash": "dash"})
    figure.update_xaxes(title={"text": "score"}, range=[0, 1], tickformat=".0%")
    figure.update_yaxes(tickformat=".0%", range=[0, 1])
    return figure


def drift_figure(info: DriftTrend) -> go.Figure:
    """A point per report, and the levels from which drift is medium and high."""
    figure = _figure(y="overall drift")
    line, marker = {"color": BLUE, "width": 2}, {"color": BLUE, "size": 6}
    figure.add_scatter(x=info.times, y=info.scores, mode="lines+markers", name="reports", line=line, marker=marker)
    for level, name in ((info.medium, "medium from here"), (info.high, "high from here")):
        _level(figure, info.times, level, name)
    figure.update_yaxes(rangemode="tozero")
    return figure


def distribution_figure(info: Distribution, *, window: str, before: str = "reference (training)") -> go.Figure:
    """Both sides as bars: over each other for a number, beside each other for a category."""
    figure = _figure(y="share of rows", height=250)
    places = list(range(len(info.pieces)))
    for name, shares, colour in ((before, info.reference, BLUE), (window, info.window, ORANGE)):
        if not any(shares):  # nothing to compare with
            continue
        figure.add_bar(
            x=places,
            y=shares,
            name=name,
            marker={"color": colour},
            opacity=0.6 if info.kind == "number" else 1,
            customdata=[escape(piece, quote=False) for piece in info.pieces],
            hovertemplate="%{customdata}: %{y:.1%}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="overlay" if info.kind == "number" else "group", bargap=0.06)
    texts = [_short(text) for _, text in info.ticks]
    places_of = [place for place, _ in info.ticks]
    figure.update_xaxes(tickvals=places_of, ticktext=texts, showgrid=False, zeroline=False)
    if info.kind != "number":
        figure.update_xaxes(tickangle=-35)  # words end below their bar: else the last is hidden at the edge
    figure.update_yaxes(tickformat=".0%")
    return figure


def spark(values: Sequence[float], *, width: int = 110, height: int = 26) -> str:
    """The points of an SVG polyline, the highest value on top; empty for fewer than two.

    >>> spark([0, 2, 1], width=10, height=6)
    '0.0,5.0 5.0,1.0 10.0,3.0'
    """
    if len(values) < 2:
        return ""
    top, step = max(values) or 1.0, width / (len(values) - 1)
    return " ".join(f"{i * step:.1f},{1 + (height - 2) * (1 - v / top):.1f}" for i, v in enumerate(values))


def _figure(*, y: str, height: int = 280) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 12, "t": 28, "b": 40},
        hovermode="closest",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"showgrid": False},  # named, so that the page can give it the theme's colours
        yaxis={"title": {"text": y}},
    )
    return figure


def _level(figure: go.Figure, times: Sequence[datetime], level: float, name: str) -> None:
    line = {"color": GREY, "width": 1.5, "dash": "dash" if name != "medium from here" else "dot"}
    figure.add_scatter(x=[times[0], times[-1]], y=[level, level], mode="lines", name=name, line=line)


def _whisker(info: Trend, sure: Sequence[int]) -> dict[str, object] | None:
    """The interval of a single step, which has no band."""
    if len(sure) != 1:
        return None
    value, low, high = (side[sure[0]] or 0.0 for side in (info.values, info.lower, info.upper))
    return {"type": "data", "symmetric": False, "array": [high - value], "arrayminus": [value - low], "width": 4}


def _marked(figure: go.Figure, times: Sequence[datetime], events: Sequence[Event]) -> go.Figure:
    """With a dashed line for each of the latest events; their words stand at the top, turned aside."""
    for event in _grouped(times, events)[-EVENTS:]:
        line = {"color": GREY, "width": 1, "dash": "dash"}
        figure.add_shape(type="line", x0=event.at, x1=event.at, y0=0, y1=1, yref="paper", line=line)
        words = {"text": _short(event.said, 40), "textangle": -90, "font": {"size": 10, "color": GREY}}
        figure.add_annotation(x=event.at, y=1, yref="paper", yanchor="top", xanchor="right", showarrow=False, **words)
    return figure


def _grouped(times: Sequence[datetime], events: Sequence[Event]) -> list[Event]:
    """Events since the first of the times; those too near to each other to be read apart are one."""
    found: list[Event] = []
    apart = (times[-1] - times[0]) / 40 if times else None
    for event in sorted(events):
        if apart is None or event.at < times[0]:
            continue
        if found and event.at - found[-1].at <= apart:
            found[-1] = Event(found[-1].at, f"{found[-1].said}, {event.said}")
        else:
            found.append(event)
    return found


def _name(metric: str) -> str:
    """Plotly takes text for HTML, links included."""
    return escape(metric, quote=False).replace("_", " ")


def _short(text: str, length: int = 14) -> str:
    return escape(text if len(text) <= length else f"{text[: length - 1]}…", quote=False)


def banded(figure: go.Figure, info: Volume, expected: Band) -> go.Figure:
    """A volume figure with what other versions brought on top, and the band of what should come behind it."""
    shared = {"width": 0.9 * 1000 * info.step_secs, "offset": 0}
    if any(expected.others):
        figure.add_bar(x=info.times, y=expected.others, name="by other versions", marker={"color": GREY}, **shared)
    at = [*info.times, info.times[-1] + timedelta(seconds=info.step_secs)]
    line = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "hoverinfo": "skip"}
    figure.add_scatter(x=at, y=[*expected.lower, expected.lower[-1]], showlegend=False, **line)
    upper, band = [*expected.upper, expected.upper[-1]], {"fill": "tonexty", "fillcolor": BANDS[ORANGE]}
    figure.add_scatter(x=at, y=upper, name=f"expected by {expected.pattern}, 99 %", **band, **line)
    middle = {"color": ORANGE, "width": 1.5, "dash": "dot", "shape": "hv"}
    figure.add_scatter(x=at, y=[*expected.expected, expected.expected[-1]], mode="lines", name="expected", line=middle)
    figure.update_layout(showlegend=True)
    return figure
