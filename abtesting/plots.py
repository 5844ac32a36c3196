"""Figures of experiments: each from its numbers, which its table shows too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

import plotly.graph_objects as go

from abtesting.stats.comparison import Comparison, Unknown
from abtesting.stats.guardrails import Guardrail, Limits

BLUE, ORANGE, GREY = "#0072b2", "#e69f00", "#8a94a6"
_BAND = "rgba(0,114,178,0.18)"
_BEST = -0.5  # guardrails are about harm: how much better B is than that is in the table


class Band(NamedTuple):
    """The difference (B less A) of one metric at the end of each day, with its always-valid interval; None while there
    is nothing to compare. `margin` is how much worse B may be, as a difference: below 0 where more is better."""

    metric: str
    days: list[date]
    difference: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    n: list[int]
    greater_is_better: bool | None
    margin: float | None


class Counts(NamedTuple):
    """Something of both arms, summed up to each day."""

    days: list[date]
    a: list[int]
    b: list[int]


class Splits(NamedTuple):
    """B's share of the units from `at` on, epoch by epoch; the last time is the end, or now."""

    at: list[datetime]
    share_b: list[float]
    epochs: list[int]


class Rails(NamedTuple):
    """Guardrails: how much worse B is (the day's estimate and what is certain), as parts of the strictest limit that
    stops something; None where too little is known or nothing stops."""

    names: list[str]
    estimate: list[float | None]
    certain: list[float | None]
    warn: list[float | None]


def band(metric: str, days: Sequence[date], found: Sequence[Comparison | Unknown], margin: float | None) -> Band:
    """Of one metric of a timeline."""
    known = [one if isinstance(one, Comparison) else None for one in found]
    better = next((one.greater_is_better for one in known if one), None)
    return Band(
        metric,
        list(days),
        [one and one.difference for one in known],
        [one and one.sequential_ci[0] for one in known],
        [one and one.sequential_ci[1] for one in known],
        [one.n if one else 0 for one in known],
        better,
        None if not margin or better is None else (-margin if better else margin),
    )


def band_figure(info: Band) -> go.Figure:
    """The interval as a band around the difference, with lines at no difference and at the margin."""
    figure = _figure(y=f"{info.metric.replace('_', ' ')}, B less A")
    known = [place for place, value in enumerate(info.difference) if value is not None]
    days = [info.days[place] for place in known]
    for values, name, more in (
        (info.upper, "upper end", {}),
        (info.lower, "always-valid 95 %", {"fill": "tonexty", "fillcolor": _BAND}),
    ):
        line = {"color": BLUE, "width": 0.5}
        shown = [values[place] for place in known]
        figure.add_scatter(
            x=days, y=shown, mode="lines", line=line, name=name, showlegend=bool(more), hoverinfo="skip", **more
        )
    figure.add_scatter(
        x=days,
        y=[info.difference[place] for place in known],
        mode="lines+markers",
        name="difference",
        line={"color": BLUE, "width": 2},
        marker={"size": 5},
        error_y=_whisker(info, known),
        customdata=[[info.lower[place], info.upper[place], info.n[place]] for place in known],
        hovertemplate="%{y:+.4f} (%{customdata[0]:+.4f} to %{customdata[1]:+.4f}), %{customdata[2]:,} labels"
        "<extra></extra>",
    )
    _by_day(figure, days)
    if days:
        _level(figure, days, 0.0, "no difference", "dash")
        if info.margin is not None:
            _level(figure, days, info.margin, "margin", "dot", colour=ORANGE)
    return figure


def _whisker(info: Band, known: Sequence[int]) -> dict[str, object] | None:
    """The interval of a single day, which has no band."""
    if len(known) != 1:
        return None
    value, low, high = (side[known[0]] or 0.0 for side in (info.difference, info.lower, info.upper))
    return {"type": "data", "symmetric": False, "array": [high - value], "arrayminus": [value - low], "width": 4}


def counts_figure(info: Counts, *, what: str) -> go.Figure:
    """A line for each arm."""
    figure = _figure(y=what)
    for name, values, colour in (("A", info.a, BLUE), ("B", info.b, ORANGE)):
        line = {"color": colour, "width": 2}
        figure.add_scatter(x=info.days, y=values, mode="lines+markers", name=name, line=line, marker={"size": 5})
    figure.update_yaxes(rangemode="tozero")
    _by_day(figure, info.days)
    return figure


def splits_figure(info: Splits) -> go.Figure:
    """Steps: a share holds until the next change."""
    figure = _figure(y="B's share of the units", height=220)
    line = {"color": ORANGE, "width": 2, "shape": "hv"}
    said = [f"split {number}" for number in info.epochs]
    figure.add_scatter(
        x=info.at, y=info.share_b, mode="lines+markers", line=line, name="B", text=said, fill="tozeroy",
        fillcolor="rgba(230,159,0,0.15)", hovertemplate="%{y:.1%}, %{text}<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%")
    return figure


def rails(judged: Sequence[Guardrail], limits: dict[str, Limits]) -> Rails:
    """Of guardrails and their limits; those without a limit, and those that too little is known of, have no bar."""
    found = Rails([], [], [], [])
    for one in judged:
        own = limits.get(one.name, Limits())
        stop = next((limit for limit in (own.hold, own.roll_back, own.warn) if limit), None)
        known = stop is not None and one.certain is not None
        found.names.append(one.name)
        found.estimate.append(one.estimate / stop if known and stop else None)
        found.certain.append(one.certain / stop if known and stop and one.certain is not None else None)
        found.warn.append(own.warn / stop if stop and own.warn is not None else None)
    return found


def rails_figure(info: Rails) -> go.Figure:
    """A bar from what is certain to the estimate of each guardrail; 1 is the limit at which something stops."""
    figure = _figure(y="", height=90 + 42 * max(len(info.names), 1))
    names = [name.replace("_", " ") for name in info.names]
    for values, name, colour, symbol in (
        (info.certain, "certain", BLUE, "circle"),
        (info.estimate, "estimate", ORANGE, "diamond"),
        (info.warn, "people are told", GREY, "line-ns-open"),
    ):
        figure.add_scatter(
            x=[None if value is None else max(value, _BEST) for value in values],
            y=names,
            mode="markers",
            name=name,
            marker={"color": colour, "size": 11, "symbol": symbol},
            customdata=values,
            hovertemplate="%{customdata:.2f} of the limit",
        )
    line = {"color": GREY, "width": 1.5, "dash": "dash"}
    figure.add_shape(type="line", x0=1, x1=1, y0=0, y1=1, yref="paper", line=line)
    figure.update_xaxes(title={"text": "harm, as a part of the limit"}, zeroline=True)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _figure(*, y: str, height: int = 280) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 12, "t": 28, "b": 40},
        hovermode="closest",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"showgrid": False},
        yaxis={"title": {"text": y}},
    )
    return figure


def _level(figure: go.Figure, days: Sequence[date], level: float, name: str, dash: str, *, colour: str = GREY) -> None:
    line = {"color": colour, "width": 1.5, "dash": dash}
    about = {"name": name, "line": line, "hoverinfo": "skip", "showlegend": level != 0}
    figure.add_scatter(x=[days[0], days[-1]], y=[level] * 2, mode="lines", **about)


def _by_day(figure: go.Figure, days: Sequence[date]) -> None:
    """Marks at days alone: few of them would else be parted into hours."""
    if 0 < len(days) <= 12:
        figure.update_xaxes(tickvals=list(days), tickformat="%d %b")
