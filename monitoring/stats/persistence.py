"""Whether a finding has lasted long enough to wake somebody."""

from __future__ import annotations

from collections.abc import Sequence

K, M = 2, 3


def persistent(hits: Sequence[bool], *, k: int = K, m: int = M) -> bool:
    """Whether the last window is a hit and at least `k` of the last `m` are; `hits` runs from old to new.

    One window in fifty that alarms by chance becomes one in about 1,250.

    >>> persistent([True, False, True]), persistent([True, True, False]), persistent([True], k=1, m=1)
    (True, False, True)
    """
    if not 1 <= k <= m:
        raise ValueError(f"k must be between 1 and m but got {k} of {m}")
    return bool(hits) and hits[-1] and sum(hits[-m:]) >= k
