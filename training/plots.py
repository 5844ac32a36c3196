"""The figures of a training run, from plain numbers. Colours are told apart by colour-blind people too."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import plotly.graph_objects as go

from mlops_site.stats.distributions import Distribution

BLUE, ORANGE, GREY = "#0072b2", "#e69f00", "#8794a5"
LABEL = 18  # characters of a level under its bar
SLICES_A_ROW = 3
BANDS = (0.15, 0.3, 0.5, 0.8)  # opacities, from the worst quarter of the trials to the best
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


class Parameter(NamedTuple):
    """A parameter's value in each trial (numbers, texts, truth values or None), and whether it is searched by orders of
    magnitude."""

    name: str
    values: list[Any]
    is_log: bool


class Tried(NamedTuple):
    """The n complete trials of one model type: their metric, and the parameters that all of them have."""

    model_type: str
    metric: str
    greater_is_better: bool
    values: list[float]
    parameters: list[Parameter]

    @property
    def rows(self) -> list[tuple[list[Any], float]]:
        """The parameters' values and the metric of each trial."""
        columns = [parameter.values for parameter in self.parameters]
        return [(list(cells), value) for *cells, value in zip(*columns, self.values, strict=True)]


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


def slice_figure(info: Tried) -> go.Figure:
    """The metric against each parameter by itself; later trials are darker."""
    from plotly.subplots import make_subplots

    count = len(info.parameters)
    columns = min(count, SLICES_A_ROW)
    rows = -(-count // columns)
    figure = make_subplots(rows=rows, cols=columns, shared_yaxes=True, vertical_spacing=0.28 / rows)
    order = list(range(1, len(info.values) + 1))
    for at, parameter in enumerate(info.parameters):
        row, column = at // columns + 1, at % columns + 1
        marker = {
            "color": order,
            "colorscale": "Blues",
            "cmin": -len(order) // 2,
            "line": {"color": GREY, "width": 0.5},
        }
        shown = parameter.values if is_numeric(parameter) else [_level(value) for value in parameter.values]
        figure.add_scatter(
            x=shown, y=info.values, mode="markers", marker={**marker, "size": 7}, text=order, row=row, col=column,
            hovertemplate="trial %{text}<br>%{x}<br>%{y:.4f}<extra></extra>",
        )  # fmt: skip
        kind = "-" if is_numeric(parameter) else "category"
        figure.update_xaxes(
            title_text=parameter.name.replace("_", " "),
            type="log" if parameter.is_log and is_numeric(parameter) else kind,
            row=row,
            col=column,
        )
    figure.update_yaxes(title_text=info.metric.replace("_", " "), col=1)
    figure.update_layout(
        template="none", height=80 + 190 * rows, margin={"l": 56, "r": 12, "t": 16, "b": 48}, showlegend=False
    )
    return figure


def parallel_figure(info: Tried) -> go.Figure:
    """A line for each trial through its parameters to its metric: the better the stronger, the best in orange.

    Drawn from plain lines: Plotly's own parallel coordinates need WebGL."""
    metric = Parameter(info.metric, list(info.values), False)
    axes = [_axis(parameter) for parameter in (*info.parameters, metric)]
    order = sorted(range(len(info.values)), key=lambda at: info.values[at], reverse=not info.greater_is_better)
    figure = _figure(x="", y="", height=340)
    for band, opacity in enumerate(BANDS):
        mine = order[band * len(order) // len(BANDS) : (band + 1) * len(order) // len(BANDS)]
        line = {"color": BLUE, "width": 1.5}
        figure.add_scatter(**_lines(axes, mine), mode="lines", line=line, opacity=opacity, hoverinfo="skip")
    figure.add_scatter(**_lines(axes, order[-1:]), mode="lines", line={"color": ORANGE, "width": 3}, hoverinfo="skip")
    for at, axis in enumerate(axes):
        for place, label in axis.ticks:
            figure.add_annotation(
                x=at, y=place, text=label, showarrow=False, xanchor="left", xshift=4, font={"size": 10}
            )
    figure.update_xaxes(
        tickvals=list(range(len(axes))),
        ticktext=[axis.name.replace("_", " ") for axis in axes],
        range=[-0.1, len(axes) - 0.55],
        showgrid=True,
    )
    figure.update_yaxes(visible=False, range=[-0.08, 1.08])
    figure.update_layout(showlegend=False, margin={"r": 44})  # room for the numbers of the last axis
    return figure


def is_numeric(parameter: Parameter) -> bool:
    """Whether all its values are numbers."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in parameter.values)


class Axis(NamedTuple):
    """An axis of parallel coordinates: where each trial is on it, 0 to 1, and what is written beside it."""

    name: str
    places: list[float]
    ticks: list[tuple[float, str]]


def _axis(parameter: Parameter) -> Axis:
    """By orders of magnitude or by levels where the parameter is."""
    if not is_numeric(parameter):
        levels = sorted({_level(value) for value in parameter.values})
        top = max(len(levels) - 1, 1)
        places = [levels.index(_level(value)) / top for value in parameter.values]
        return Axis(parameter.name, places, [(at / top, level) for at, level in enumerate(levels)])
    values = [math.log10(value) if parameter.is_log else float(value) for value in parameter.values]
    low, high = min(values), max(values)
    places = [(value - low) / (high - low) if high > low else 0.5 for value in values]
    ends = sorted(set(parameter.values)) if high > low else parameter.values[:1]
    ticks = [(0.0, f"{ends[0]:.4g}"), (1.0, f"{ends[-1]:.4g}")] if high > low else [(0.5, f"{ends[0]:.4g}")]
    return Axis(parameter.name, places, ticks)


def _lines(axes: Sequence[Axis], trials: Sequence[int]) -> dict[str, list[float | None]]:
    """The lines of several trials as one trace, with a gap after each."""
    x: list[float | None] = []
    y: list[float | None] = []
    for trial in trials:
        x += [*range(len(axes)), None]
        y += [*(axis.places[trial] for axis in axes), None]
    return {"x": x, "y": y}


def _level(value: Any) -> str:
    return "none" if value is None else "yes" if value is True else "no" if value is False else str(value)


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
