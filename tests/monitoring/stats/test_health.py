"""One word, the worst thing first."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from monitoring.stats import health
from monitoring.stats.health import Signs

CALM = Signs(500, 100, 40, 0, "", 0, 15, "low")


@pytest.mark.parametrize(
    ("changes", "status", "tone"),
    [
        ({}, "healthy", "ok"),
        ({"open_alerts": 1, "worst": "critical"}, "degraded", "bad"),
        ({"fallen": "f1 score 0.41 instead of 0.47", "drifted": 9, "severity": "high"}, "degraded", "bad"),
        ({"open_alerts": 1, "worst": "high"}, "drifting", "warn"),
        ({"drifted": 2, "severity": "medium"}, "drifting", "warn"),
        ({"drifted": 1}, "attention", "warn"),
        ({"open_alerts": 1, "worst": "low"}, "attention", "warn"),
        ({"rows": 0, "labelled": 0, "drifted": None}, "no predictions", "plain"),
        ({"rows": 99, "drifted": None}, "too few", "plain"),
        ({"labelled": 0}, "no labels yet", "plain"),
    ],
)
def test_what_is_worst_is_said(changes: dict[str, Any], status: str, tone: str) -> None:
    found = health.health(CALM._replace(**changes))
    assert (found.status, found.tone) == (status, tone)


def test_the_sentence_holds_the_figures() -> None:
    signs = CALM._replace(rows=99, drifted=3, most_drifted="income", open_alerts=2, worst="high", fallen="f1 fell")
    assert health.health(signs).sentence == (
        "99 predictions, fewer than the 100 that a judgement needs, f1 fell, "
        "3 of 15 features drifted, most of all income, 40 % labelled, 2 open alerts."
    )


def test_the_examples_are_right() -> None:
    assert doctest.testmod(health).failed == 0
