"""The numbers of a comparison and of a trend as the figures want them, each with its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.utils import timezone

from mlops_site.stats.curves import Curve, height
from registry import plots
from registry.plots import Chart, Line, TrendLine
from registry.selectors.trend import Trend

RATES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5]
SHARES = {"5 %": 5, "25 %": 25, "median": 50, "75 %": 75, "95 %": 95}  # name -> percentile of the residuals


class Drawn(NamedTuple):
    """A figure with its table: the name of its rows, their names, and a cell a version."""

    key: str
    title: str
    note: str
    figure: str  # JSON
    head: str
    rows: list[tuple[str, list[Any]]]


Series = Mapping[str, Any]


def figures(said: Mapping[str, Any]) -> list[Drawn]:
    """What can be drawn of the overlays: none for versions without holdouts."""
    makers: dict[str, Callable[[list[Series]], Drawn]] = {
        "roc": _roc,
        "precision_recall": _precision_recall,
        "calibration": _calibration,
        "fitted": _fitted,
        "residuals": _residuals,
        "classes": _classes,
    }
    found = []
    for name, make in makers.items():
        if series := [one for one in said["series"] if one[name]]:
            found.append(make(series))
    return found


def _lines(series: list[Series], part: str, x: str = "x", y: str = "y") -> list[Line]:
    return [Line(one["version"], one[part][x], one[part][y]) for one in series]


def _json(chart: Chart) -> str:
    return str(plots.overlay_figure(chart).to_json())


def _roc(series: list[Series]) -> Drawn:
    chart = Chart("false positive rate", "true positive rate", _lines(series, "roc"), diagonal=True, unit=True)
    heights = [height(Curve(**one["roc"]), RATES) for one in series]
    rows = [(f"{rate:.0%}".replace("%", " %"), [column[at] for column in heights]) for at, rate in enumerate(RATES)]
    note = "How much is found at a share of false alarms."
    return Drawn("roc", "ROC", note, _json(chart), "False positive rate", rows)


def _precision_recall(series: list[Series]) -> Drawn:
    chart = Chart("recall", "precision", _lines(series, "precision_recall"), unit=True)
    levels = [level / 10 for level in range(1, 11)]
    columns = [[_precision_at(one["precision_recall"], level) for level in levels] for one in series]
    rows = [(f"{level:.0%}".replace("%", " %"), [column[at] for column in columns]) for at, level in enumerate(levels)]
    note = "How many of those picked out are right, at a share found."
    return Drawn("pr", "Precision and recall", note, _json(chart), "Recall of at least", rows)


def _precision_at(curve: Mapping[str, list[float]], level: float) -> float:
    """The best precision at a recall of at least `level`; a line ends at a recall of 1."""
    return max(y for x, y in zip(curve["x"], curve["y"], strict=True) if x >= level - 1e-9)


def _calibration(series: list[Series]) -> Drawn:
    lines = _lines(series, "calibration", "predicted", "observed")
    chart = Chart("mean score", "share that is positive", lines, diagonal=True, unit=True, markers=True)
    note = "A score is a probability where the line lies on the diagonal."
    return Drawn("calibration", "Calibration", note, _json(chart), "Bin", _bins(series, "calibration"))


def _fitted(series: list[Series]) -> Drawn:
    lines = _lines(series, "fitted", "predicted", "observed")
    chart = Chart("predicted", "actual, mean of the bin", lines, diagonal=True, markers=True)
    note = "Predicted against actual values, in bins of as many rows each."
    return Drawn("fitted", "Predicted and actual", note, _json(chart), "Bin", _bins(series, "fitted"))


def _bins(series: list[Series], part: str) -> list[tuple[str, list[Any]]]:
    """Predicted and observed of each bin, as one cell."""
    longest = max(len(one[part]["rows"]) for one in series)
    rows: list[tuple[str, list[Any]]] = []
    for at in range(longest):
        cells = [
            f"{one[part]['predicted'][at]:.3f} → {one[part]['observed'][at]:.3f}"
            if at < len(one[part]["rows"])
            else None
            for one in series
        ]
        rows.append((str(at + 1), cells))
    return rows


def _residuals(series: list[Series]) -> Drawn:
    chart = Chart("actual minus predicted", "share of rows", _lines(series, "residuals"))
    rows = [(name, [one["residuals"]["x"][at] for one in series]) for name, at in SHARES.items()]
    return Drawn("residuals", "Residuals", "The steeper, the closer.", _json(chart), "Share of rows", rows)


def _classes(series: list[Series]) -> Drawn:
    names = [str(row["label"]) for row in series[0]["classes"]]
    recalls = [{str(row["label"]): row["recall"] for row in one["classes"]} for one in series]
    lines = [
        Line(one["version"], names, [found.get(name) for name in names])
        for one, found in zip(series, recalls, strict=True)
    ]
    chart = Chart("class", "recall", lines, points=True)
    rows = [(name, [found.get(name) for found in recalls]) for name in names]
    note = "Which share of each class is found; the most frequent class first."
    return Drawn("classes", "Recall of each class", note, _json(chart), "Class", rows)


def trend(found: Trend) -> TrendLine:
    """A trend as its figures want it."""
    now = timezone.now()
    ends = [point.ci95 or (None, None) for point in found.points]
    stays = [(stay.since, stay.to or now, point.version, point.value) for point in found.points
             for stay in point.production]  # fmt: skip
    return TrendLine(
        metric=found.metric or "",
        numbers=[point.version for point in found.points],
        values=[point.value for point in found.points],
        lower=[low for low, _ in ends],
        upper=[high for _, high in ends],
        stages=[point.stage for point in found.points],
        stays=sorted(stays),
    )
