"""Beside each interval of a decision measure stands what resampling the claims themselves says."""

from __future__ import annotations

import numpy as np
import pytest

from abtesting.selectors.frozen import from_json
from abtesting.selectors.results import as_json, results
from monitoring.services import fold_all
from tests.abtesting.test_results import compared, fill, judge
from tests.abtesting.world import experiment_of, people

pytestmark = pytest.mark.django_db
RIGHT = {"a": 0.7, "b": 0.85}


def test_it_is_what_resampled_rows_say_and_is_frozen_too() -> None:
    author, _ = people()
    experiment = experiment_of(author, metrics=["accuracy", "brier"])
    arms = [fill(experiment, arm, 200, right=right, seed=1) for arm, right in RIGHT.items()]
    for rows in arms:
        judge(experiment, rows)
    fold_all()
    found = results(experiment)
    hits = [np.array([row.decision == truth for row, truth in rows]) for rows in arms]
    random = np.random.default_rng(5)
    drawn = [random.choice(own, (4_000, len(own))).mean(axis=1) for own in hits]
    expected = np.quantile(drawn[1] - drawn[0], [0.025, 0.975])
    own = compared(found, "accuracy")
    assert own.bootstrap95 == pytest.approx(expected, abs=0.02)
    assert own.bootstrap95 == pytest.approx(own.ci95, abs=0.02)
    assert compared(found, "brier").bootstrap95 is None
    assert from_json(as_json(found)) == found


def test_what_was_frozen_before_there_was_one_is_still_read() -> None:
    author, _ = people()
    experiment = experiment_of(author, metrics=["accuracy"])
    for arm, right in RIGHT.items():
        judge(experiment, fill(experiment, arm, 200, right=right, seed=1))
    fold_all()
    found = results(experiment)
    old = as_json(found)
    del old["comparisons"][0]["bootstrap95"]
    assert from_json(old).comparisons == [compared(found, "accuracy")._replace(bootstrap95=None)]
