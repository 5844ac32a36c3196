"""Beside each interval of a decision measure stands what resampling the claims themselves says."""

from __future__ import annotations

import numpy as np
import pytest

from abtesting.selectors.frozen import from_json
from abtesting.selectors.recount import kept
from abtesting.selectors.results import as_json, recomputed, results
from monitoring.models import Label, Prediction
from monitoring.services import fold_all
from tests.abtesting.test_results import compared, fill, judge
from tests.abtesting.world import experiment_of, next_epoch, people, score, served

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


def test_errors_of_pairs_are_drawn_in_blocks_of_units_epoch_by_epoch() -> None:
    experiment = experiment_of(people()[0], design="shadow", share_b=1.0, metrics=["accuracy", "brier"])
    widths = []
    for numbers in (range(400), range(400, 800)):
        if numbers.start:
            next_epoch(experiment, 0.9)
        Prediction.objects.bulk_create([served(experiment, n, unit_id=f"person-{n // 2}") for n in numbers])
        about = {"model": experiment.model, "revision": 1, "created_by": experiment.created_by}
        Label.objects.bulk_create(Label(request_id=f"r{n}", label=int(n % 5 < 2), **about) for n in numbers)
        fold_all()
        while score():
            pass
        found = results(experiment)
        for name in ("accuracy", "brier"):
            own = compared(found, name)
            assert own.bootstrap95 is not None
            assert own.bootstrap95 == pytest.approx(own.ci95, abs=own.se)
        assert from_json(as_json(found)) == found
        brier = compared(found, "brier").bootstrap95
        assert brier is not None
        widths.append(brier[1] - brier[0])
    assert widths[1] == pytest.approx(widths[0] / 2**0.5, rel=0.3)
    assert kept(experiment) == recomputed(experiment)


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
