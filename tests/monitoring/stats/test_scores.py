"""Scores of two windows side by side, and counts that are made coarser."""

from __future__ import annotations

import numpy as np
import pytest

from monitoring.stats.scores import CELLS, score_distribution
from monitoring.stats.shape import LATENCY_EDGES
from monitoring.stats.tally import Answers, Shape, Tally
from monitoring.stats.totals import LATENCY_SECS, coarse, cumulative, plus

BINARY = Shape("classification", ("no", "yes"), "yes")
THREE = Shape("classification", (1, 2, 3))


def tally(scores: list[float], shape: Shape = BINARY) -> Tally:
    rows = len(scores)
    return Tally.of(Answers(["no"] * rows, scores, [0] * rows, [False] * rows, [1.0] * rows, [None] * rows), shape)


def test_each_side_is_a_share_of_its_own_answers() -> None:
    found = score_distribution(tally([0.01, 0.02, 0.51, 1.0]), tally([0.3, float("nan")]))
    assert found is not None
    assert len(found.pieces) == len(found.window) == CELLS
    assert (found.window[0], found.window[10], found.window[-1]) == (0.5, 0.25, 0.25)
    assert (sum(found.window), sum(found.reference)) == (1.0, 1.0)
    assert found.reference[5:7] in ([1.0, 0.0], [0.0, 1.0])


def test_without_scores_there_is_nothing_to_show_and_before_them_nothing_to_compare_with() -> None:
    assert score_distribution(tally([]), tally([0.3])) is None
    assert score_distribution(tally([], THREE), tally([], THREE)) is None
    found = score_distribution(tally([0.3]), tally([]))
    assert found is not None
    assert sum(found.reference) == 0


def test_coarse_counts_are_the_fine_ones_added_up() -> None:
    fine = np.random.default_rng(1).integers(0, 50, len(LATENCY_EDGES) + 1)
    found = coarse(fine)
    assert len(found) == len(LATENCY_SECS) + 1
    assert sum(found) == fine.sum()
    for secs, reached in zip(LATENCY_SECS, cumulative(found), strict=False):
        place = int(np.searchsorted(LATENCY_EDGES, round(secs * 1e6)))
        assert LATENCY_EDGES[place] == round(secs * 1e6)
        assert reached == fine[: place + 1].sum()


def test_counts_of_other_lengths_do_not_add() -> None:
    assert plus([], [1, 2]) == [1, 2]
    with pytest.raises(ValueError, match="zip"):
        plus([1], [1, 2])
