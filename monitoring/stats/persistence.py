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


def alarms(hits: Hits, *, k: int, m: int, scheduled: Hits | None = None) -> Hits:
    """`persistent` at every window of several spans at once: `hits` and the answer are (spans, windows), each span
    from old to new, with nothing before its first window. A window that was not `scheduled` is judged with the last
    scheduled ones before it, and is nothing to those after it.

    >>> alarms(np.array([[True, False, True, True, False]]), k=2, m=3).astype(int).tolist()
    [[0, 0, 1, 1, 0]]
    >>> on_time = np.array([[True, False, True, False, True]])
    >>> alarms(np.array([[False, True, True, True, True]]), k=2, m=2, scheduled=on_time).astype(int).tolist()
    [[0, 0, 0, 1, 1]]
    """
    if not 1 <= k <= m:
        raise ValueError(f"k must be between 1 and m but got {k} of {m}")
    on_time = np.ones_like(hits) if scheduled is None else scheduled
    seen = np.cumsum(on_time, axis=1, dtype=np.int64)
    # How many of the first so many scheduled windows are hits, by span.
    firsts = np.zeros((hits.shape[0], hits.shape[1] + 1), dtype=np.int64)
    firsts[np.nonzero(on_time)[0], seen[on_time]] = np.cumsum(hits & on_time, axis=1, dtype=np.int64)[on_time]
    before = seen - on_time
    past = np.take_along_axis(firsts, before, axis=1)
    past -= np.take_along_axis(firsts, np.maximum(before - (m - 1), 0), axis=1)
    answer: Hits = hits & (past + 1 >= k)
    return answer


def onsets(told: Hits) -> Hits:
    """Where an alarm begins: windows in a row that are told are one alarm.

    >>> onsets(np.array([[True, True, False, True]])).astype(int).tolist()
    [[1, 0, 0, 1]]
    """
    begins = told.copy()
    begins[:, 1:] &= ~told[:, :-1]
    return begins
