"""Metrics of amounts that are paid: deviances, and how well large ones are told from small ones.

Each takes n rows and weights (d, n) and answers d values, as `formulas` does.
"""

from __future__ import annotations

import numpy as np
import scipy  # loads its parts at their first use

from mlops_site.stats.scored import Floats, ScoredRows

TWEEDIE_POWER = 1.5  # between Poisson (1) and gamma (2): sums of claims, many of them nought


def poisson_deviance(rows: ScoredRows, weights: Floats) -> Floats:
    truth, said = _pair(rows)
    if not (truth >= 0).all() or not (said > 0).all():
        return _nothing(weights)
    return _mean(weights, 2 * (scipy.special.xlogy(truth, truth / said) - truth + said))


def gamma_deviance(rows: ScoredRows, weights: Floats) -> Floats:
    truth, said = _pair(rows)
    if not (truth > 0).all() or not (said > 0).all():
        return _nothing(weights)
    return _mean(weights, 2 * (np.log(said / truth) + truth / said - 1))


def tweedie_deviance(rows: ScoredRows, weights: Floats) -> Floats:
    """Of power 1.5. Source: Jørgensen (1987), "Exponential dispersion models"."""
    truth, said = _pair(rows)
    if not (truth >= 0).all() or not (said > 0).all():
        return _nothing(weights)
    p = TWEEDIE_POWER
    parts = truth ** (2 - p) / ((1 - p) * (2 - p)) - truth * said ** (1 - p) / (1 - p) + said ** (2 - p) / (2 - p)
    return _mean(weights, 2 * parts)


def gini(rows: ScoredRows, weights: Floats) -> Floats:
    """The Gini coefficient of the truth in the order of the predictions, as a share of what the best order would give:
    1 orders the rows as the truth does, 0 as chance does, -1 the other way round."""
    truth, said = _pair(rows)
    if not (truth >= 0).all():
        return _nothing(weights)
    best = _concentration(truth, truth, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _concentration(said, truth, weights) / best
    return np.where(best > 1e-12, found, np.nan)


def _concentration(order: Floats, truth: Floats, weights: Floats) -> Floats:
    """1 - twice the area under the Lorenz curve of `truth`, from the lowest `order` up; equal rows are one step."""
    at = np.argsort(order, kind="stable")
    ends = np.append(np.diff(order[at]) != 0, True)
    shares = []
    for amount in (weights[:, at], weights[:, at] * truth[at]):
        with np.errstate(divide="ignore", invalid="ignore"):
            grown = amount.cumsum(axis=1)
            shares.append(np.pad(grown[:, ends] / grown[:, -1:], ((0, 0), (1, 0))))
    rows, paid = shares
    return np.asarray(1.0 - (np.diff(rows, axis=1) * (paid[:, 1:] + paid[:, :-1])).sum(axis=1), np.float64)


def _pair(rows: ScoredRows) -> tuple[Floats, Floats]:
    if rows.decision is None:
        raise ValueError("prediction must be given but got None")
    return np.asarray(rows.truth, np.float64), np.asarray(rows.decision, np.float64)


def _nothing(weights: Floats) -> Floats:
    return np.full(len(weights), np.nan)


def _mean(weights: Floats, values: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = weights @ values / weights.sum(axis=1)
    return found
