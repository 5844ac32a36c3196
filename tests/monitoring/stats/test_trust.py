"""When an estimate is believed, and when no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mlops_site.stats.heldout import HeldOut
from monitoring.stats.estimation import Cbpe
from monitoring.stats.tally import Answers, Tally
from monitoring.stats.trust import LEAST_LABELLED, Period, Trust, backtest
from tests.monitoring.stats.test_estimation import SHAPE, drawn

START, DAY = datetime(2026, 11, 1, tzinfo=UTC), timedelta(days=1)


@pytest.fixture(scope="module")
def by() -> Cbpe:
    return Cbpe.from_held_out(HeldOut.of(*drawn(10_000, 0), 0.3))


def day(number: int, rows: int = 800, *, drift: float = 0.0, labelled: float = 0.6) -> Period:
    score, truth = drawn(rows, 50 + number, drift=drift)
    known = np.random.default_rng(number).random(rows) < labelled
    label = [("yes" if each else "no") if has else None for each, has in zip(truth, known, strict=True)]
    decision = (score >= 0.3).astype(int)
    parts = np.array(["no", "yes"])[decision], score, decision, np.zeros(rows, bool), np.full(rows, 2.0), label
    return Period(START + number * DAY, START + (number + 1) * DAY, Tally.of(Answers(*parts), SHAPE))


def status(found: dict[str, Trust]) -> set[str]:
    return {trust.status for trust in found.values()}


def test_without_drift_it_is_believed_and_most_bands_held(by: Cbpe) -> None:
    found = backtest([day(number) for number in range(30)], by)
    assert status(found) == {"trusted"}
    f1 = found["f1_score"]
    assert len(f1.past) == 30
    assert f1.covered is not None
    assert f1.covered >= 0.85
    assert f1.mean_error is not None
    assert f1.mean_error < 0.05
    first = f1.past[0]
    assert (first.start, first.end) == (START, START + DAY)
    assert first.labelled == day(0).tally.labelled
    assert first.error == pytest.approx(first.realised - first.estimated)
    assert first.covered == (first.ci95[0] <= first.realised <= first.ci95[1])
    assert f1.reason.startswith("the realised F1 lay in the band in ")


def test_a_large_drift_is_noticed_at_once_a_small_one_later(by: Cbpe) -> None:
    before = [day(number) for number in range(20)]
    at_once = backtest([*before, day(20, drift=0.2)], by)
    assert at_once["recall"].status == "distrusted"
    assert "over the last period with labels" in at_once["recall"].reason
    assert "concept drift" in at_once["recall"].reason
    small = [day(number, drift=0.06) for number in range(20, 30)]
    noticed = [number for number in range(1, 11) if "distrusted" in status(backtest([*before, *small[:number]], by))]
    assert noticed
    assert noticed[0] > 1
    assert noticed == list(range(noticed[0], 11))


def test_once_the_labels_agree_again_it_is_believed_again(by: Cbpe) -> None:
    bad = [day(number, drift=0.2) for number in range(3)]
    assert "distrusted" in status(backtest(bad, by))
    later = [day(number) for number in range(3, 17)]
    assert "distrusted" in status(backtest([*bad, *later[:1]], by))
    assert status(backtest([*bad, *later], by)) == {"trusted"}


def test_periods_with_few_labels_are_joined_and_none_says_so(by: Cbpe) -> None:
    few = [day(number, rows=100, labelled=0.5) for number in range(8)]
    joined = backtest(few, by)["accuracy"].past
    assert 1 < len(joined) < 8
    assert all(past.labelled >= LEAST_LABELLED for past in joined)
    assert joined[1].start == joined[0].end
    assert backtest([], by) == {}
    assert backtest([day(0, labelled=0.0)], by) == {}


def test_a_miss_that_misleads_nobody_is_tolerated() -> None:
    """200,000 labels are certain of a miss of a hundredth; nobody would act on it."""
    certain = Cbpe.from_held_out(HeldOut.of(*drawn(400_000, 0), 0.3))
    found = backtest([day(0, rows=200_000, drift=0.012, labelled=1.0)], certain)["precision"]
    assert not found.past[0].covered
    assert -0.02 < found.past[0].error < -0.005
    assert found.status == "trusted"
