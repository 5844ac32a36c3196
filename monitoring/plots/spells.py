"""When alerts stood: a line each, from when it was first seen to when it was resolved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import NamedTuple

import plotly.graph_objects as go

from monitoring.plots import BLUE, GREY, ORANGE

ROW, LEAST = 26, 120  # pixels
WORDS = 34
_LOOK = {  # red and green would not be told apart by everybody; width and words say it too
    "critical": (ORANGE, 9),
    "high": (ORANGE, 5),
    "medium": (BLUE, 5),
    "low": (GREY, 5),
}


class Spell(NamedTuple):
    """An alert from `start` to `end`, which is that of the window where it still stands."""

    subject: str
    severity: str
    start: datetime
    end: datetime
    is_open: bool
    summary: str


def spells_figure(info: Sequence[Spell], *, start: datetime, end: datetime) -> go.Figure:
    """Each subject has its row, so what came again stands in one; the newest on top."""
    names = list(dict.fromkeys(spell.subject for spell in sorted(info, key=lambda spell: spell.start)))
    figure = go.Figure()
    for severity, (colour, width) in _LOOK.items():
        chosen = [spell for spell in info if spell.severity == severity]
        for number, spell in enumerate(chosen):
            figure.add_scatter(
                x=[max(spell.start, start), min(spell.end, end)],
                y=[names.index(spell.subject)] * 2,
                mode="lines+markers",
                name=severity,
                legendgroup=severity,
                showlegend=number == 0,
                line={"color": colour, "width": width},
                marker={"color": colour, "size": width + 3, "symbol": ["circle", "line-ns" if spell.is_open else "x"]},
                text=[escape(spell.summary[:120], quote=False)] * 2,
                hovertemplate="%{text}<br>%{x}<extra>%{fullData.name}</extra>",
            )
    return _laid_out(figure, names, start, end)


def _laid_out(figure: go.Figure, names: Sequence[str], start: datetime, end: datetime) -> go.Figure:
    texts = [escape(name if len(name) <= WORDS else f"{name[: WORDS - 1]}…", quote=False) for name in names]
    figure.update_layout(
        template="none",
        height=max(LEAST, 80 + ROW * len(names)),
        margin={"l": 56, "r": 12, "t": 28, "b": 40},
        hovermode="closest",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"showgrid": False, "range": [start, end]},
        yaxis={
            "tickvals": list(range(len(names))),
            "ticktext": texts,
            "range": [-0.6, len(names) - 0.4],
            "zeroline": False,
        },
    )
    return figure
