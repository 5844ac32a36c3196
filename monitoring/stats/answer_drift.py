"""Whether a model answers differently than it did, and whether the truth is spread differently: from tallies alone."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy  # loads its parts at their first use

from mlops_site.stats.bins import Counts
from mlops_site.stats.effects import chi_square_difference, ks_difference
from mlops_site.stats.exact import Moments
from monitoring.stats.tally import Tally

FEWEST = 100  # answers or labels on either side


class AnswerDrift(NamedTuple):
    """One of "score", "prediction" and "label" against what it was: n now, m then. `effect` is in [0, 1] as a
    feature's; `now` and `before` are the mean score, the mean value, or the share of the class that changed most,
    which is `level`. All figures are None where `note` says why."""

    subject: str
    test: str
    statistic: float | None
    p_value: float | None
    effect: float | None
    now: float | None
    before: float | None
    level: str
    n: int
    m: int
    drifted: bool
    note: str


def answer_drift(
    now: Tally,
    before: Tally,
    *,
    q: float,
    effect: float,
    min_samples: int = FEWEST,
    said: tuple[Counts, Counts] | None = None,
) -> list[AnswerDrift]:
    """Scores (two classes: Kolmogorov-Smirnov on 200 bins), predicted classes (`said`, all answers by class on both
    sides; left out, of judged answers), labels, or of values their means (Welch's z, from moments). Drifted at a
    Bonferroni p of `q` over the rows and an effect of at least `effect`. The effect of a difference of d standard
    deviations is the KS distance of two such normal distributions, 2 Phi(d / 2) - 1. Nothing here raises an alarm:
    labels come late and not from everywhere, and answers move with the features, whose alarms have a budget."""
    if now.shape != before.shape:
        raise ValueError(f"tallies must have one shape but got {now.shape} and {before.shape}")
    if now.shape.task_type == "regression":
        found = [_of_values(name, now.moments[name], before.moments[name], min_samples) for name in _VALUES]
    else:
        found = [_of_scores(now.scores[0], before.scores[0], min_samples)] if now.shape.is_binary else []
        classes = [str(each) for each in now.shape.classes]
        for subject, axis in (("prediction", 0), ("label", 1)):
            ours, theirs = now.confusion.sum(axis=axis), before.confusion.sum(axis=axis)
            if said is not None and subject == "prediction":
                ours, theirs = said
            if len(ours):
                found.append(_of_classes(subject, ours, theirs, classes, min_samples))
    level = q / max(len(found), 1)
    return [row._replace(drifted=_is(row.p_value, level, row.effect, effect)) for row in found]


_VALUES = ("prediction", "label")


def _is(p_value: float | None, level: float, effect: float | None, least: float) -> bool:
    return p_value is not None and effect is not None and p_value <= level and effect >= least


def _few(n: int, m: int, least: int) -> str:
    if min(n, m) >= least:
        return ""
    return f"too few {'now' if n < least else 'to compare with'} ({min(n, m)} of at least {least})"


def _nothing(subject: str, test: str, n: int, m: int, note: str) -> AnswerDrift:
    return AnswerDrift(subject, test, None, None, None, None, None, "", n, m, False, note)


def _of_scores(ours: Counts, theirs: Counts, least: int) -> AnswerDrift:
    n, m = int(ours.sum()), int(theirs.sum())
    if note := _few(n, m, least):
        return _nothing("score", "ks", n, m, note)
    distance = float(np.abs(np.cumsum(ours) / n - np.cumsum(theirs) / m).max())
    found = ks_difference(distance, n, m, table=(ours, theirs))
    middles = (np.arange(len(ours)) + 0.5) / len(ours)
    means = float(middles @ ours / n), float(middles @ theirs / m)
    return AnswerDrift("score", "ks", found.statistic, found.p_value, found.effect, *means, "", n, m, False, "")


def _of_classes(subject: str, ours: Counts, theirs: Counts, classes: list[str], least: int) -> AnswerDrift:
    n, m = int(ours.sum()), int(theirs.sum())
    if note := _few(n, m, least):
        return _nothing(subject, "chi_square", n, m, note)
    found = chi_square_difference(ours, theirs)
    shares = ours / n, theirs / m
    most = int(np.argmax(np.abs(shares[0] - shares[1])))
    values = float(shares[0][most]), float(shares[1][most])
    return AnswerDrift(
        subject, "chi_square", found.statistic, found.p_value, found.effect, *values, classes[most], n, m, False, ""
    )


def _of_values(subject: str, ours: Moments, theirs: Moments, least: int) -> AnswerDrift:
    n, m = ours.count, theirs.count
    if note := _few(n, m, least):
        return _nothing(subject, "z", n, m, note)
    now, before = ours.mean or 0.0, theirs.mean or 0.0
    spread = math.sqrt((ours.variance or 0.0) / n + (theirs.variance or 0.0) / m)
    deviation = math.sqrt(theirs.variance or 0.0)
    if not spread or not deviation:
        return _nothing(subject, "z", n, m, "the values do not vary")
    z = (now - before) / spread
    p_value = float(scipy.special.erfc(abs(z) / math.sqrt(2)))
    effect = float(scipy.special.erf(abs(now - before) / deviation / 2 / math.sqrt(2)))
    return AnswerDrift(subject, "z", z, p_value, effect, now, before, "", n, m, False, "")
