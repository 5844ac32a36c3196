"""What pages show of what became of answers: labels, calibration, decisions of people, failures, slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from monitoring import plots
from monitoring.selectors.charts import Followed
from monitoring.selectors.dashboard import Dashboard
from monitoring.selectors.followup import followup_json

COLUMNS = (
    "selection_rate",
    "accuracy",
    "recall",
    "false_positive_rate",
    "calibration_gap",
    "mae",
    "actual_over_expected",
)
AS_GAP = {"recall": "true_positive_rate"}  # a metric, by the name that the gap of it has


class Cell(NamedTuple):
    """A metric of a level, and the gap to the reference level if it was compared."""

    value: float | None
    ci95: Sequence[float] | None
    gap: Mapping[str, Any] | None


class Row(NamedTuple):
    """`failed` is the share that failed, `speed` the response times; empty in reports of before they were told."""

    level: str
    is_reference: bool
    rows: int
    labelled: int
    cells: list[Cell]
    overrides: Mapping[str, Any]
    failed: Mapping[str, Any]
    speed: Mapping[str, Any]


class SliceTable(NamedTuple):
    """A slice as a table; `alarms` are the gaps that are certain and too large, the largest first."""

    name: str
    source: str
    reference: str
    columns: list[str]
    rows: list[Row]
    alarms: list[Mapping[str, Any]]
    compared: int

    @property
    def is_timed(self) -> bool:
        """Whether any level has response times."""
        return any(row.speed.get("n") for row in self.rows)


def slice_tables(slices: Sequence[Mapping[str, Any]]) -> list[SliceTable]:
    """From the slices of a report or of a dashboard."""
    return [_table(each) for each in slices if each["levels"]]


def _table(found: Mapping[str, Any]) -> SliceTable:
    metrics = [{metric["name"]: metric for metric in level["metrics"]} for level in found["levels"]]
    columns = [name for name in COLUMNS if any(name in known for known in metrics)]
    gaps = {(gap["level"], gap["measure"]): gap for gap in found["gaps"]}
    rows = [
        Row(
            level["level"],
            level["level"] == found["reference"],
            level["rows"],
            level["labelled"],
            [_cell(known.get(name), gaps.get((level["level"], AS_GAP.get(name, name)))) for name in columns],
            level["overrides"],
            level.get("error_rate") or {},
            level.get("latency") or {},
        )
        for level, known in zip(found["levels"], metrics, strict=True)
    ]
    alarms = sorted((gap for gap in found["gaps"] if gap["alarm"]), key=lambda gap: -abs(gap["difference"]))
    return SliceTable(found["name"], found["source"], found["reference"], columns, rows, alarms, len(gaps))


def _cell(metric: Mapping[str, Any] | None, gap: Mapping[str, Any] | None) -> Cell:
    return Cell(None, None, None) if metric is None else Cell(metric["value"], metric["ci95"], gap)


def followed_facts(found: Dashboard) -> dict[str, Any]:
    """The facts of monitoring/followup.html."""
    followed, steps = found.followed, found.series.followed
    reviewed = followed.overrides.reviewed > 0
    curve = followed.calibration.curve if followed.calibration else None
    return {
        "followed": followed,
        "slice_tables": slice_tables(followup_json(followed)["slices"]),
        "coverage_json": _coverage(steps) if found.now.tally.labelled else "",
        "overrides_json": _overrides(steps) if reviewed else "",
        "calibration_json": plots.calibration_figure(*curve[:4]).to_json() if curve else "",
        "curve_rows": list(zip(*curve, strict=True)) if curve else [],
        "followed_steps": [step for step in steps[::-1] if step.coverage is not None],
    }


def _coverage(steps: Sequence[Followed]) -> str:
    none: list[float | None] = [None] * len(steps)
    return _shares("share labelled", steps, [step.coverage for step in steps], (none, none))


def _overrides(steps: Sequence[Followed]) -> str:
    low, high = ([step.overrides.ci95[end] if step.overrides.ci95 else None for step in steps] for end in (0, 1))
    return _shares("override rate", steps, [step.overrides.rate for step in steps], (low, high))


def _shares(name: str, steps: Sequence[Followed], values: list[float | None], ends: tuple[list[Any], list[Any]]) -> str:
    info = plots.Trend(name, [step.at for step in steps], values, *ends, None)
    return str(plots.share_figure(info).to_json())
