"""What became of the answers of a window: metrics by their labels, how late those came, what people decided, and how
slices differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from monitoring.choices import SliceSource
from monitoring.selectors.slices import error_names, fairness_of, slicings_between
from monitoring.selectors.windows import Summed
from monitoring.stats.breakdown import Breakdown
from monitoring.stats.calibration import Calibration, calibration
from monitoring.stats.fairness import Sliced, judged
from monitoring.stats.findings import plain
from monitoring.stats.followup import Failures, Lags, Overrides, failures, lags, overrides
from monitoring.stats.levels import Level, level_of
from monitoring.stats.performance import Metric
from monitoring.stats.realised import all_realised
from monitoring.stats.slicing import Slicing
from registry.models import Version


class FollowUp(NamedTuple):
    """Of one version in one window; `slices` are those that counted in it."""

    metrics: list[Metric]
    calibration: Calibration | None
    lags: Lags
    overrides: Overrides
    failures: list[Failures]
    slices: list[Sliced]
    breakdown: Breakdown


def followup(version: Version, now: Summed) -> FollowUp:
    """Two queries, and one more where an answer failed."""
    breakdown, tally = now.breakdown, now.tally
    asked = slicings_between(version.model_id, now.start, now.end)
    limits, said = fairness_of(version.model), calibration(tally)
    return FollowUp(
        metrics=all_realised(tally, breakdown, costs_of(version), said=said),
        calibration=said,
        lags=lags(tally, breakdown),
        overrides=overrides(breakdown.part("decisions")),
        failures=failures(tally, breakdown, error_names(version) if tally.errors else {}),
        slices=judged(
            [(_name(by), SliceSource(by.source).label, _levels(by, breakdown)) for by in asked],
            limits=limits.limits,
            min_rows=limits.min_rows,
        ),
        breakdown=breakdown,
    )


def costs_of(version: Version) -> Mapping[str, float] | None:
    """What outcomes cost, where the version was trained with such costs."""
    decision = version.facts.get("decision") or {}
    return decision.get("costs")


def _name(by: Slicing) -> str:
    return by.name if by.until is None else f"{by.name} (until {by.until:%d %b %H:%M})"


def _levels(by: Slicing, breakdown: Breakdown) -> list[Level]:
    """Those with answers, in the order of their places."""
    counts = breakdown.slices.get(by.id)
    if counts is None:
        return []
    found = [level_of(name, row, breakdown.shape) for name, row in zip(by.places, counts, strict=True)]
    return [level for level in found if level.rows or level.labelled]


def followup_json(found: FollowUp) -> dict[str, Any]:
    """As a report and the API tell it; the metrics are told under `performance`."""
    return {
        "calibration": None if found.calibration is None else calibration_json(found.calibration),
        "label_coverage": found.lags.coverage,
        "label_lag": {"observed": plain(found.lags.observed), "received": plain(found.lags.received)},
        "overrides": plain(found.overrides),
        "failures": [plain(each) for each in found.failures],
        "slices": [sliced_json(each) for each in found.slices],
    }


def calibration_json(found: Calibration) -> dict[str, Any]:
    curve = found.curve._asdict()
    return {
        "error": plain(found.error),
        "by_chance": found.chance,
        "slope": None if found.slope is None else plain(found.slope),
        "gap": plain(found.gap),
        "curve": [dict(zip(curve, row, strict=True)) for row in zip(*curve.values(), strict=True)],
    }


def sliced_json(found: Sliced) -> dict[str, Any]:
    """A slice with its levels and gaps."""
    return {
        "name": found.name,
        "source": found.source,
        "reference": found.reference,
        "levels": [
            {
                "level": level.name,
                "rows": level.rows,
                "errors": level.errors,
                "labelled": level.labelled,
                "error_rate": None if level.failed is None else plain(level.failed),
                "latency": plain(level.speed),
                "metrics": [plain(metric) for metric in level.metrics],
                "overrides": plain(level.decisions),
            }
            for level in found.levels
        ],
        "gaps": [plain(gap) for gap in found.gaps],
    }
