"""Arms and pairs made from counts, as if from that many answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from abtesting.stats.pairs import PairTally
from abtesting.stats.tally import ArmTally, Shape
from monitoring.stats.tally import Tally

BINARY = Shape("classification", (0, 1), 1)


def arm_of(cells: Any, **more: Any) -> ArmTally:
    """An arm whose judged answers are (tp, fp, fn, tn)."""
    tp, fp, fn, tn = np.asarray(cells).tolist()
    n, empty = tp + fp + fn + tn, Tally.empty(BINARY)
    counts = empty.counts.copy()
    counts[BINARY.slices["totals"]] = [n, 0, n, n, tp + tn]
    counts[BINARY.slices["confusion"]] = [tn, fp, fn, tp]
    return ArmTally(Tally(BINARY, counts, empty.sums, empty.moments), alerts=tp + fp, **more)


def pairs_of(cells: Any) -> PairTally:
    """Pairs with the eight counts, all of them judged."""
    n = int(np.sum(cells))
    empty = PairTally.empty(BINARY)
    return PairTally(BINARY, np.array([n, n, 0, 0]), np.asarray(cells), empty.moments)
