"""Which drifted feature to look at first, and which one hardly matters to this model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from mlops_site.stats.judge import Drift, FeatureDrift
from monitoring.stats.losses import Loss

Kind = Literal["alarm", "information", ""]

NEGLIGIBLE_SHARE, NEGLIGIBLE_PART = 0.01, 0.1  # of all importance, or of an equal part of it
MATERIAL_LOSS = 0.01  # of the metric: a fifth of what counts as degraded
_SURE = 3.0  # standard errors


class Ranked(NamedTuple):
    """A feature in its place. `kind` is "alarm" or "information" of one that drifted, else "". `score` is its share of
    importance times its effect, None where the importance is not known. `loss` is an estimate for drifted features."""

    rank: int
    name: str
    kind: Kind
    importance: float | None
    effect: float | None
    score: float | None
    loss: Loss | None
    why: str


def triage(drift: Drift, importance: Mapping[str, float], losses: Mapping[str, Loss] | None = None) -> list[Ranked]:
    """All features, by what their shift can do to this model: those that call for an alarm first, then by importance
    times effect (by effect alone where no importance is known), then by estimated loss.

    A drifted feature is information where the model hardly uses it: it has less than 1 % of all importance, or less
    than a tenth of an equal part where there are fewer than ten features, and the estimated loss of the metric, if
    there is one, is not surely above 0.01. Importance is the loss that permuting the feature causes (Breiman 2001,
    Machine Learning 45; Fisher, Rudin and Dominici 2019, JMLR 20), so what has none cannot cost much by moving.
    """
    used = {name: max(share, 0.0) for name, share in importance.items()}
    total = sum(used.get(feature.name, 0.0) for feature in drift.features)
    rows = []
    for feature in drift.features:
        share = used.get(feature.name, 0.0) / total if total > 0 else None
        loss = (losses or {}).get(feature.name)
        kind, why = _kind(feature, share, len(drift.features), loss)
        score = None if share is None or feature.effect is None else share * feature.effect
        rows.append(Ranked(0, feature.name, kind, share, feature.effect, score, loss, why))
    rows.sort(key=_order)
    return [row._replace(rank=place) for place, row in enumerate(rows, start=1)]


def _order(row: Ranked) -> tuple[int, float, float, float, str]:
    effect = -1.0 if row.effect is None else row.effect
    loss = row.loss.loss if row.loss else 0.0
    return ("alarm", "information", "").index(row.kind), -(row.score or 0.0), -loss, -effect, row.name


def negligible(features: int) -> float:
    """The share of importance below which one of so many features hardly matters.

    >>> negligible(2), negligible(20)
    (0.05, 0.01)
    """
    return max(NEGLIGIBLE_SHARE, NEGLIGIBLE_PART / max(features, 1))


def _kind(feature: FeatureDrift, share: float | None, features: int, loss: Loss | None) -> tuple[Kind, str]:
    if not feature.drifted:
        return "", ""
    if share is None:
        return "alarm", "the importance of the features is not known"
    costs = loss is not None and loss.loss - _SURE * loss.se >= MATERIAL_LOSS
    if share >= negligible(features):
        return "alarm", ""
    if costs and loss is not None:
        return "alarm", f"hardly important, but F1 is estimated to lose {loss.loss:.2g}"
    return "information", f"has {share:.1%} of the importance: its shift can hardly change what the model answers"
