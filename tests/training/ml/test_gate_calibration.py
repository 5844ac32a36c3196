"""How often the gate is wrong and right about a difference that is known: the short form of benchmarks/gate.py."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import gate
from mlops_site.stats import metrics

DRAWS, RESAMPLES, ROWS = 120, 200, 1_000


@pytest.mark.parametrize("metric", gate.CHAMPION)
def test_the_drawn_models_truly_have_the_metric_they_are_said_to_have(metric: str) -> None:
    case = gate.Case(metric, 2.0, "superior", 400_000)
    levels = [
        float(metrics.METRICS[metric].formula(rows, np.ones((1, len(rows))))[0]) for rows in gate.holdout(case, 0)
    ]
    assert levels == pytest.approx([0.80, 0.80 + 2 * gate.MARGIN], abs=0.004)


@pytest.mark.parametrize(
    "case", [case._replace(rows=ROWS) for case in gate.WRONG], ids=lambda c: f"{c.metric}-{c.need}"
)
def test_a_challenger_that_should_not_pass_seldom_does(case: gate.Case) -> None:
    assert gate.passes(case, range(DRAWS), RESAMPLES) / DRAWS <= gate.most_wrong(DRAWS)


@pytest.mark.parametrize("case", gate.RIGHT, ids=lambda c: c.metric)
def test_one_that_is_better_by_twice_the_margin_mostly_does(case: gate.Case) -> None:
    assert gate.passes(case, range(60), RESAMPLES) / 60 >= gate.LEAST_RIGHT - 2 * np.sqrt(0.9 * 0.1 / 60)
