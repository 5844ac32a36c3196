"""What to do with B, and why, in a sentence. Undecided is not ship.

Every rule uses always-valid p-values at 5 %, adjusted by Holm over the success metrics, so that somebody may look, and
conclude, at any time. Without a margin B ships when it is better on at least one success metric and worse on none.
With a margin it ships when it is not worse by that much on any (non-inferiority: all must hold, so that no adjustment
is needed), and A is kept when B is worse by more than the margin on one. A sample ratio that is off, a guardrail that
holds, claims that B has not scored yet, and too few labels block a verdict altogether.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal, NamedTuple

from abtesting.stats.comparison import Comparison, Unknown
from abtesting.stats.guardrails import Guardrail
from abtesting.stats.measures import in_digits
from abtesting.stats.power import Design
from abtesting.stats.sequential import boundary
from abtesting.stats.srm import SampleRatio
from mlops_site.stats.intervals import holm
from mlops_site.stats.scored import Floats

Decision = Literal["ship_b", "keep_a", "undecided", "blocked"]

ALPHA = 0.05
LEAST_COVERAGE = 0.99
_POWER_Z = NormalDist().inv_cdf(0.8)
_MOST_LABELS = 10**8


class Evidence(NamedTuple):
    """All that a verdict rests on. `comparisons` are of the success metrics, in their order; `ratios` of the epochs;
    `coverage` is the share of A's claims that B has scored, of a shadow test; `labelled` the judged units of A and of B
    (the same number twice of pairs); `planned` the labels that were planned before the start, of both together."""

    design: Design
    comparisons: Sequence[Comparison | Unknown]
    labelled: tuple[int, int]
    ratios: Sequence[SampleRatio] = ()
    guardrails: Sequence[Guardrail] = ()
    coverage: float | None = None
    min_samples: int = 100
    margin: float | None = None
    planned: int | None = None


class Verdict(NamedTuple):
    """`samples_needed` is the number of labels that are still missing, as far as one can say; None where labels do not
    help, or not in any number that is worth waiting for."""

    verdict: Decision
    reason: str
    samples_needed: int | None


def judge(evidence: Evidence) -> Verdict:
    """The verdict at this look. ValueError without a success metric."""
    if not evidence.comparisons:
        raise ValueError("evidence must have at least one success metric but got none")
    if evidence.margin is not None and evidence.margin < 0:
        raise ValueError(f"margin must be at least 0 but got {evidence.margin}")
    blocked = _blocked(evidence)
    if blocked is not None:
        return blocked
    known = [found for found in evidence.comparisons if isinstance(found, Comparison)]
    return _by_margin(evidence, known, evidence.margin) if evidence.margin else _by_difference(evidence, known)


def _blocked(evidence: Evidence) -> Verdict | None:
    off = next((ratio for ratio in evidence.ratios if not ratio.ok), None)
    if off is not None:
        return Verdict("blocked", off.reason, None)
    stopped = next((found for found in evidence.guardrails if found.level in ("hold", "roll_back")), None)
    if stopped is not None:
        return Verdict("blocked", f"guardrail {stopped.name}: {stopped.reason}", None)
    if evidence.design == "shadow" and (evidence.coverage is None or evidence.coverage < LEAST_COVERAGE):
        share = f"{evidence.coverage:.1%}" if evidence.coverage is not None else "none"
        reason = f"B has scored {share} of the claims that A answered, of at least {LEAST_COVERAGE:.0%}"
        return Verdict("blocked", reason, None)
    missing = [max(0, evidence.min_samples - n) for n in evidence.labelled]
    if not any(missing):
        return None
    few = min(evidence.labelled)
    what = "claims that both judged have a label" if evidence.design == "shadow" else "units of an arm have a label"
    needed = max(missing) if evidence.design == "shadow" else sum(missing)
    return Verdict("blocked", f"too few: {few:,} {what}, of at least {evidence.min_samples:,}", needed)


def _by_difference(evidence: Evidence, known: Sequence[Comparison]) -> Verdict:
    adjusted = _adjusted(evidence, [found.sequential_p for found in known])
    certain = [(found, p) for found, p in zip(known, adjusted, strict=True) if p <= ALPHA]
    worse = [pair for pair in certain if pair[0].gain < 0]
    better = [pair for pair in certain if pair[0].gain > 0]
    if worse:
        also = f", though better on {_names(better)}" if better else ""
        return Verdict("keep_a", f"B is worse on {_told(worse, evidence)}{also}", 0)
    unknown = _unknown(evidence)
    if better and not unknown:
        rest = len(known) - len(better)
        also = f"; the {'other' if rest == 1 else f'{rest} others'} not certainly worse" if rest else ""
        return Verdict("ship_b", f"B is better on {_told(better, evidence)}{also}", 0)
    if unknown:
        waits = f"B is better on {_names(better)}, but " if better else ""
        return Verdict("undecided", waits + unknown, _planned(evidence))
    said = f"no success metric differs for certain: {_intervals(known)}"
    return _undecided(evidence, said, known, 0.0, every=False)


def _by_margin(evidence: Evidence, known: Sequence[Comparison], margin: float) -> Verdict:
    beyond = [found.p_beyond(margin) for found in known]
    pairs = list(zip(known, _adjusted(evidence, beyond), strict=True))
    worse = [(found, p) for found, p in pairs if p <= ALPHA and found.gain < -margin]
    if worse:
        return Verdict("keep_a", f"B is worse by more than the margin of {margin:g} on {_told(worse, evidence)}", 0)
    open_ones = [found for found, p in zip(known, beyond, strict=True) if p > ALPHA or found.gain < -margin]
    unknown = _unknown(evidence)
    if not open_ones and not unknown:
        return Verdict("ship_b", f"B is not worse by {margin:g} on any success metric: {_intervals(known)}", 0)
    if unknown:
        return Verdict("undecided", unknown, _planned(evidence))
    said = f"a loss of {margin:g} is not excluded: {_intervals(open_ones)}"
    return _undecided(evidence, said, open_ones, margin, every=True)


def _adjusted(evidence: Evidence, p_values: list[float]) -> Floats:
    """By Holm; a metric that cannot be judged yet is a test all the same."""
    unknown = [1.0] * (len(evidence.comparisons) - len(p_values))
    return holm([*p_values, *unknown])[: len(p_values)]


def _undecided(
    evidence: Evidence, said: str, open_ones: Sequence[Comparison], margin: float, *, every: bool
) -> Verdict:
    """`every` metric must be told from the margin, or one of them is enough."""
    each = [more_labels(found, margin) for found in open_ones]
    told = [needed for needed in each if needed is not None]
    needed = (max(told) if every else min(told)) if told and (len(told) == len(each) or not every) else None
    planned = _planned(evidence)
    if planned is not None:
        needed = planned if needed is None else min(needed, planned)
    if needed is None:
        return Verdict("undecided", f"{said}; more labels of this kind are not expected to decide it", None)
    return Verdict("undecided", f"{said}; about {needed:,} more labels should tell", needed)


def more_labels(found: Comparison, margin: float = 0.0) -> int | None:
    """Labels that are still missing until the gain, if it stays as it is, is told from a loss of `margin` with a chance
    of 80 %; None for more than a hundred million."""
    distance = abs(found.gain + margin)

    def told(n: int) -> bool:
        reach = boundary(n, tuned_at=found.tuned_at, level=1 - ALPHA) + _POWER_Z
        return distance >= reach * found.se * math.sqrt(found.n / n)

    if not told(_MOST_LABELS):
        return None
    low, high = found.n, _MOST_LABELS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if told(middle) else (middle + 1, high)
    return max(1, low - found.n)


def _planned(evidence: Evidence) -> int | None:
    """Labels that are still missing of those planned; None where they are in, or none were planned."""
    labels = evidence.labelled[0] if evidence.design == "shadow" else sum(evidence.labelled)
    missing = (evidence.planned or 0) - labels
    return missing if missing > 0 else None


def _unknown(evidence: Evidence) -> str:
    return "; ".join(found.why for found in evidence.comparisons if isinstance(found, Unknown))


def _names(pairs: Sequence[tuple[Comparison, float]]) -> str:
    return " and ".join(found.metric for found, _ in pairs)


def _told(pairs: Sequence[tuple[Comparison, float]], evidence: Evidence) -> str:
    over = f" after Holm over {len(evidence.comparisons)} metrics" if len(evidence.comparisons) > 1 else ""
    parts = [
        f"{found.metric} ({in_digits(found.a, 4)} to {in_digits(found.b, 4)}, always-valid p = {p:.2g}{over})"
        for found, p in pairs
    ]
    return " and ".join(parts)


def _intervals(known: Sequence[Comparison]) -> str:
    def told(value: float) -> str:
        return in_digits(value, 4, signed=True)

    return ", ".join(
        f"{found.metric} {told(found.difference)} ({' to '.join(map(told, found.sequential_ci))})" for found in known
    )
