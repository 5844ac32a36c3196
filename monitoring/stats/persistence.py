"""Whether a finding has lasted long enough to wake somebody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_site.stats.judge import Q_LIMIT

K, M = 2, 3
Hits = NDArray[np.bool_]


class AlarmRule(NamedTuple):
    """A feature drifts in a window at a Benjamini-Hochberg q-value of at most `q` and an effect of at least `effect`;
    it is told when at least `k` of the last `m` windows have such a feature, the last one among them."""

    q: float
    effect: float
    k: int
    m: int


def standard_rule(threshold: float) -> AlarmRule:
    """What holds for a model whose alarm budget nobody has set."""
    return AlarmRule(Q_LIMIT, threshold, K, M)


def persistent(hits: Sequence[bool], *, k: int = K, m: int = M) -> bool:
    """Whether the last window is a hit and at least `k` of the last `m` are; `hits` runs from old to new.

    One window in fifty that alarms by chance becomes one in about 1,250.

    >>> persistent([True, False, True]), persistent([True, True, False]), persistent([True], k=1, m=1)
    (True, False, True)
    """
    if not 1 <= k <= m:
        raise ValueError(f"k must be between 1 and m but got {k} of {m}")
    return bool(hits) and hits[-1] and sum(hits[-m:]) >= k


def alarms(hits: Hits, *, k: int, m: int) -> Hits:
    """`persistent` at every window of several spans at once: `hits` and the answer are (spans, windows), each span
    from old to new, with nothing before its first window.

    >>> alarms(np.array([[True, False, True, True, False]]), k=2, m=3).astype(int).tolist()
    [[0, 0, 1, 1, 0]]
    """
    if not 1 <= k <= m:
        raise ValueError(f"k must be between 1 and m but got {k} of {m}")
    sums = np.cumsum(hits, axis=1, dtype=np.int64)
    before = np.zeros_like(sums)
    before[:, m:] = sums[:, :-m]
    answer: Hits = hits & (sums - before >= k)
    return answer


def onsets(told: Hits) -> Hits:
    """Where an alarm begins: windows in a row that are told are one alarm.

    >>> onsets(np.array([[True, True, False, True]])).astype(int).tolist()
    [[1, 0, 0, 1]]
    """
    begins = told.copy()
    begins[:, 1:] &= ~told[:, :-1]
    return begins
