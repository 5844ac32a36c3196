"""The figures of a training run, from plain numbers. Colours are told apart by colour-blind people too."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import plotly.graph_objects as go

from mlops_site.stats.distributions import Distribution

BLUE, ORANGE, GREY = "#0072b2", "#e69f00", "#8794a5"
LABEL = 18  # characters of a level under its bar
FEW = 12  # trials that each get a number on the axis
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")


class TrialPoint(NamedTuple):
    """A finished trial, in the order in which trials ended: 1, 2, ... `value` is None when it was pruned."""

    order: int
    model_type: str
    number: int
    state: str
    value: float | None
    best: float | None  # so far, over all model types
    secs: float | None


class History(NamedTuple):
    """All finished trials of a run, and which way is better."""

    metric: str
    greater_is_better: bool
    points: list[TrialPoint]


class Importance(NamedTuple):
    """How much of the variation of a model type's metric each parameter explains; shares sum to 1 (fANOVA)."""

    model_type: str
    shares: list[tuple[str, float]]
    note: str = ""  # why there are none


def best_so_far(values: Sequence[float | None], *, greater_is_better: bool) -> list[float | None]:
    """The best value up to each position; None until there is one.

    >>> best_so_far([None, 0.7, 0.6, 0.8], greater_is_better=True)
    [None, 0.7, 0.7, 0.8]
    """
    found: list[float | None] = []
    best: float | None = None
    for value in values:
        if value is not None and (best is None or (value > best) == greater_is_better):
            best = value
        found.append(best)
    return found


def history_figure(info: History) -> go.Figure:
    """Every trial as a point, the best so far as a line."""
    figure = _figure(x="trial", y=info.metric.replace("_", " "))
    types = list(dict.fromkeys(point.model_type for point in info.points))
    for model_type, symbol in zip(types, SYMBOLS * len(types), strict=False):
        mine = [p for p in info.points if p.model_type == model_type and p.value is not None]
        marker = {"color": BLUE, "symbol": symbol, "size": 8, "opacity": 0.75}
        figure.add_scatter(
            x=[p.order for p in mine],
            y=[p.value for p in mine],
            mode="markers",
            name=model_type.replace("_", " "),
            marker=marker,
        )
    if len(info.points) <= FEW:
        figure.update_xaxes(dtick=1)  # there is no trial 1.5
    best = [p for p in info.points if p.best is not None]
    line = {"color": ORANGE, "width": 2, "shape": "hv"}
    figure.add_scatter(x=[p.order for p in best], y=[p.best for p in best], mode="lines", name="best so far", line=line)
    return figure


def importance_figure(info: Importance) -> go.Figure:
    """A bar per parameter, the most important on top."""
    figure = _figure(x="share of the variation explained", y="", height=96 + 34 * len(info.shares))
    shares = info.shares[::-1]
    names = [name.replace("_", " ") for name, _ in shares]
    figure.add_bar(
        x=[share for _, share in shares], y=names, orientation="h", marker={"color": BLUE}, name="importance"
    )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    return figure


def sides_figure(info: Distribution, *, before: str, after: str) -> go.Figure:
    """A column of two versions as bars: over each other for a number, beside each other for a category."""
    is_number = info.kind == "number"
    figure = _figure(x="", y="share of rows", height=250)
    for name, shares, colour in ((before, info.reference, BLUE), (after, info.window, ORANGE)):
        figure.add_bar(
            x=list(range(len(info.pieces))),
            y=shares,
            name=name,
            marker={"color": colour},
            opacity=0.6 if is_number else 1,
            customdata=[escape(piece, quote=False) for piece in info.pieces],
            hovertemplate="%{customdata}: %{y:.1%}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(barmode="overlay" if is_number else "group", bargap=0.06)
    texts = [escape(text if len(text) <= LABEL else f"{text[: LABEL - 1]}…", quote=False) for _, text in info.ticks]
    figure.update_xaxes(tickvals=[place for place, _ in info.ticks], ticktext=texts, showgrid=False, zeroline=False)
    if not is_number:
        figure.update_xaxes(tickangle=-35)
    figure.update_yaxes(tickformat=".0%")
    return figure


def _figure(*, x: str, y: str, height: int = 300) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 12, "t": 28, "b": 44},
        hovermode="closest",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"title": {"text": x}},
        yaxis={"title": {"text": y}},
    )
    return figure
