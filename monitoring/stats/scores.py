"""What was answered in two windows, side by side."""

from __future__ import annotations

import numpy as np

from mlops_site.stats.distributions import Distribution
from mlops_site.stats.scored import Floats
from monitoring.stats.shape import SCORE_BINS
from monitoring.stats.tally import Tally

CELLS = 20


def score_cells() -> tuple[list[str], list[tuple[float, str]]]:
    """Names of 20 equal cells of a score, and ticks of an axis on which cell i lies at i."""
    cells = [f"{cell / CELLS:.2f} to {(cell + 1) / CELLS:.2f}" for cell in range(CELLS)]
    return cells, [(cell - 0.5, f"{cell / CELLS:g}") for cell in range(0, CELLS + 1, 5)]


def score_distribution(now: Tally, before: Tally) -> Distribution | None:
    """Shares of the scores of two classes in 20 cells, of both windows; None for other shapes, and without scores
    now. A window before without scores has shares of nought."""
    if not len(now.scores) or not now.scores[0].sum():
        return None
    cells, ticks = score_cells()
    sides = [_shares(tally) for tally in (before, now)]
    return Distribution("score", "number", cells, sides[0].tolist(), sides[1].tolist(), ticks)


def _shares(tally: Tally) -> Floats:
    counts = tally.scores[0].reshape(CELLS, SCORE_BINS // CELLS).sum(axis=1)
    found: Floats = counts / max(int(counts.sum()), 1)
    return np.asarray(found)
