"""The registry's figures, from plain numbers."""

from html import escape
from typing import NamedTuple

import plotly.graph_objects as go

BLUE = "#0072b2"


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
