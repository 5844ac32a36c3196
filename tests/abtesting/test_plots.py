"""The numbers behind the figures, and that a figure shows them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from abtesting import plots
from abtesting.stats.comparison import Comparison, Unknown
from abtesting.stats.guardrails import Guardrail, Limits
from abtesting.stats.inference import compare_arms
from abtesting.stats.measures import Costs, measures
from tests.abtesting.stats.arms import BINARY, arm_of

KNOWN = measures(BINARY, paired=False, costs=Costs(1, 10))
DAYS = [date(2026, 3, day) for day in (1, 2, 3)]


def compared(name: str, scale: int) -> Comparison:
    a, b = (arm_of(np.array(cells) * scale) for cells in ([40, 20, 10, 130], [44, 20, 6, 130]))
    found = compare_arms(KNOWN[name], a, b)
    assert isinstance(found, Comparison)
    return found


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def test_the_band_is_the_always_valid_interval() -> None:
    found: list[Comparison | Unknown] = [Unknown("recall", "too few"), compared("recall", 2), compared("recall", 20)]
    info = plots.band("recall", DAYS, found, 0.05)
    assert info.difference == [None, pytest.approx(0.08), pytest.approx(0.08)]
    assert (info.lower[2], info.upper[2]) == compared("recall", 20).sequential_ci
    assert info.n == [0, 800, 8000]
    assert info.margin == -0.05
    drawn = traces(plots.band_figure(info))
    assert list(drawn["difference"].x) == DAYS[1:]
    assert list(drawn["always-valid 95 %"].y) == info.lower[1:]
    assert list(drawn["no difference"].y) == [0, 0]
    assert list(drawn["margin"].y) == [-0.05, -0.05]


def test_where_less_is_better_the_margin_lies_above() -> None:
    info = plots.band("cost", DAYS[:1], [compared("cost", 5)], 0.1)
    assert info.margin == 0.1
    assert info.greater_is_better is False


def test_a_single_day_has_its_interval_as_a_whisker() -> None:
    found = compared("recall", 20)
    drawn = traces(plots.band_figure(plots.band("recall", DAYS[:1], [found], None)))["difference"]
    assert drawn.y[0] + drawn.error_y.array[0] == pytest.approx(found.sequential_ci[1])
    assert drawn.y[0] - drawn.error_y.arrayminus[0] == pytest.approx(found.sequential_ci[0])


def test_a_band_of_nothing_is_an_empty_figure() -> None:
    info = plots.band("recall", DAYS, [Unknown("recall", "too few")] * 3, 0.05)
    assert info.margin is None
    assert list(traces(plots.band_figure(info))) == ["upper end", "always-valid 95 %", "difference"]


def test_counts_have_a_line_for_each_arm() -> None:
    drawn = traces(plots.counts_figure(plots.Counts(DAYS, [1, 5, 9], [0, 2, 4]), what="units"))
    assert list(drawn["A"].y) == [1, 5, 9]
    assert list(drawn["B"].y) == [0, 2, 4]


def test_a_share_holds_until_the_next_change() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    info = plots.Splits([start, start + timedelta(days=1), start + timedelta(days=2)], [0.1, 0.5, 0.5], [1, 2, 2])
    (drawn,) = plots.splits_figure(info).data
    assert drawn.line.shape == "hv"
    assert list(drawn.y) == [0.1, 0.5, 0.5]


def test_guardrails_are_parts_of_the_limit_that_stops() -> None:
    judged = [
        Guardrail("error_rate", "hold", 0.03, 0.015, "said"),
        Guardrail("latency", "ok", 0.0, None, "too few"),
        Guardrail("cost", "ok", 1.0, 0.5, "no limits"),
    ]
    limits = {"error_rate": Limits(0.002, 0.01, 0.03), "latency": Limits(0.25, 1.0, 3.0), "cost": Limits()}
    info = plots.rails(judged, limits)
    assert info.names == ["error_rate", "latency", "cost"]
    assert info.estimate == [pytest.approx(3.0), None, None]
    assert info.certain == [pytest.approx(1.5), None, None]
    assert info.warn == [pytest.approx(0.2), pytest.approx(0.25), None]
    assert list(traces(plots.rails_figure(info))["certain"].x) == info.certain
    better = plots.rails_figure(info._replace(certain=[-4.0, None, None]))
    assert next(iter(traces(better)["certain"].x)) == -0.5  # else the rest would not be told apart
