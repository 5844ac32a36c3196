"""Whether the units of the two arms came in the ratio of the split: if not, the arms are not alike and nothing holds.

Two rules at p < 0.001. A verdict is blocked when the chi-square test of the ratio says so, and the exact binomial test
too (the chi-square limit alone is wrong too often where an arm expects few units, as in the first steps of a ramp): at
any one look at most one sound experiment in a thousand is blocked, and the block goes with the chance that caused it.
Looked at a hundred times, more than one in a thousand are blocked for a while; so an alarm is raised, and the block
stays, only when the mismatch is `proven`: by an always-valid p-value, under 0.001 in at most one sound experiment in a
thousand, however often somebody looks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy  # loads its parts at their first use

LIMIT = 0.001
# Units at which each part of the mixture finds the smallest mismatch: from a hundred to a million.
_WEIGHTS = np.array([6.0, 60.0, 600.0, 6_000.0, 60_000.0])


class SampleRatio(NamedTuple):
    """Units of each arm against B's share. `p_value` is the chi-square's; `ok` and `proven` as said above."""

    a: int
    b: int
    share_b: float
    p_value: float
    exact_p: float
    sequential_p: float
    ok: bool
    proven: bool
    reason: str


def sample_ratio(a: int, b: int, share_b: float) -> SampleRatio:
    """Judge the units that were assigned in one epoch. Units of several epochs go one by one: each has its split.

    Units, not predictions: a person with many claims is one draw of the split, and predictions would look less even
    than they are. ValueError for negative counts and a share outside (0, 1).

    >>> sample_ratio(5_000, 5_300, 0.5).ok, sample_ratio(5_000, 5_400, 0.5).ok
    (True, False)
    """
    if a < 0 or b < 0:
        raise ValueError(f"units must not be negative but got {a} and {b}")
    if not 0 < share_b < 1:
        raise ValueError(f"share_b must be between 0 and 1 but got {share_b}")
    n = a + b
    p_value = float(scipy.special.chdtrc(1, (b - n * share_b) ** 2 / (n * share_b * (1 - share_b)))) if n else 1.0
    # The exact test is asked only when it matters; its p-value is at most 1.
    exact_p = float(scipy.stats.binomtest(b, n, share_b).pvalue) if p_value < LIMIT else 1.0
    sequential_p = always_valid_p(a, b, share_b)
    ok, proven = not (p_value < LIMIT and exact_p < LIMIT), sequential_p < LIMIT
    return SampleRatio(
        a,
        b,
        share_b,
        p_value,
        exact_p,
        sequential_p,
        ok and not proven,
        proven,
        _said(a, b, share_b, p_value, ok and not proven),
    )


def always_valid_p(a: int, b: int, share_b: float) -> float:
    """The p-value that may be looked at after every unit.

    The likelihood of the units, averaged over shares drawn from a Beta distribution around the split, against that of
    the split: a martingale if the split is right, as is the mean of several such. Source: Lindon and Malek (2022),
    Anytime-valid inference for multinomial count data; Ville's inequality.

    >>> always_valid_p(50, 50, 0.5), always_valid_p(400, 600, 0.5) < 1e-6
    (1.0, True)
    """
    before_a, before_b = _WEIGHTS * (1 - share_b), _WEIGHTS * share_b
    drawn = scipy.special.betaln(before_a + a, before_b + b) - scipy.special.betaln(before_a, before_b)
    evidence = drawn - a * math.log1p(-share_b) - b * math.log(share_b)
    return min(1.0, math.exp(-min(700.0, float(scipy.special.logsumexp(evidence)) - math.log(len(_WEIGHTS)))))


def _said(a: int, b: int, share_b: float, p_value: float, ok: bool) -> str:
    if not a + b:
        return "no units yet"
    found = f"{b:,} of {a + b:,} units are in B ({b / (a + b):.2%}, the split says {share_b:.2%}; p = {p_value:.2g})"
    return found if ok else f"sample ratio mismatch: {found}: look for units that are lost or sent twice in one arm"
