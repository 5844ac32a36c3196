"""Which features have drifted, and how bad it is over all: every comparison is judged here alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from mlops_site.stats.columns import Kind
from mlops_site.stats.distances import Distances
from mlops_site.stats.effects import Difference
from mlops_site.stats.intervals import benjamini_hochberg

Severity = Literal["low", "medium", "high", "unknown"]

Q_LIMIT = 0.02
MEDIUM, HIGH = 0.1, 0.2
_TESTS: dict[Kind, str] = {"number": "ks", "category": "chi_square"}


@dataclass(frozen=True)
class FeatureDrift:
    """One feature. `effect` is in [0, 1]; all figures are None where `note` says "not computable: why"."""

    name: str
    kind: Kind
    test: str
    statistic: float | None
    p_value: float | None
    q_value: float | None
    effect: float | None
    psi: float | None
    drifted: bool
    note: str
    wasserstein: float | None = None  # in standard deviations of the reference; None of a category
    js: float | None = None
    tvd: float | None = None
    missing: float | None = None  # share of the window's rows, and of the reference's
    missing_reference: float | None = None
    unseen: float | None = None  # share of the window's rows with a level that the reference has not; None of a number


@dataclass(frozen=True)
class Drift:
    """All features in their order, `drifted` of `total`, and the mean effect weighted by importance.

    `overall_score` is None and `severity` "unknown" where nothing could be computed.
    """

    overall_score: float | None
    severity: Severity
    drifted: int
    total: int
    features: tuple[FeatureDrift, ...]


@dataclass(frozen=True)
class Finding:
    """A feature before all are judged together; without a `difference` the `note` says why."""

    name: str
    kind: Kind
    difference: Difference | None
    note: str
    extra: Extra | None = None


class Extra(NamedTuple):
    """What is known of a feature beside its test."""

    distances: Distances
    missing: float
    missing_reference: float
    unseen: float | None = None


def not_computable(name: object, kind: Kind, why: str) -> Finding:
    """A feature without figures, which is left out of the mean."""
    return Finding(str(name), kind, None, f"not computable: {why}")


def too_few(rows: int, min_samples: int) -> str:
    """Why nothing can be said about that many rows, or "" if it can."""
    least = max(1, min_samples)
    return f"too few rows ({rows} of at least {least})" if rows < least else ""


def unreadable(lost: int, rows: int, side: str, *, why: str = "") -> str:
    """Why a column cannot be judged (no rows, or more than half of its cells of no use), or ""."""
    if not rows:
        return f"the {side} data has no rows"
    if 2 * lost > rows:
        return f"{lost} of {rows} {side} values cannot be read{f': {why}' if why else ''}"
    return ""


def notes(*parts: str) -> str:
    """The parts that say something, in one line."""
    return "; ".join(filter(None, parts))


def left_out(lost: int, *, why: str = "") -> str:
    """The note on cells that could not be read and took no part, or ""."""
    return f"{lost} unreadable values left out{f': {why}' if why else ''}" if lost else ""


def judge(
    found: list[Finding], *, threshold: float, importance: Mapping[str, float] | None, q_limit: float = Q_LIMIT
) -> Drift:
    """Significance over all features together, materiality one by one, and the weighted mean."""
    p_values = [each.difference.p_value if each.difference else np.nan for each in found]
    q_values = benjamini_hochberg(p_values).tolist()
    features = tuple(_feature(each, q, threshold, q_limit) for each, q in zip(found, q_values, strict=True))
    score = _overall(features, importance)
    drifted = sum(feature.drifted for feature in features)
    return Drift(score, severity(score), drifted, len(features), features)


def _feature(found: Finding, q_value: float, threshold: float, q_limit: float) -> FeatureDrift:
    test, figures = _TESTS[found.kind], found.difference
    if figures is None:
        return FeatureDrift(found.name, found.kind, test, None, None, None, None, None, False, found.note)
    return FeatureDrift(
        found.name,
        found.kind,
        test,
        figures.statistic,
        figures.p_value,
        q_value,
        figures.effect,
        figures.psi,
        q_value <= q_limit and figures.effect >= threshold,
        found.note,
        **_beside(found.extra),
    )


def _beside(extra: Extra | None) -> dict[str, float | None]:
    if extra is None:
        return {}
    shares = {"missing": extra.missing, "missing_reference": extra.missing_reference, "unseen": extra.unseen}
    return {**extra.distances._asdict(), **shares}


def _overall(features: Iterable[FeatureDrift], importance: Mapping[str, float] | None) -> float | None:
    """Mean effect, weighted by importance above 0; uniform if none of the features has any."""
    effects = {feature.name: feature.effect for feature in features if feature.effect is not None}
    given = [float((importance or {}).get(name, 0.0)) for name in effects]
    if not np.isfinite(given).all():
        raise ValueError(f"importance must be finite but got {dict(importance or {})}")
    if not effects:
        return None
    weights = np.maximum(given, 0.0)
    return float(np.average(list(effects.values()), weights=weights if weights.any() else None))


def severity(score: float | None) -> Severity:
    """Band of an overall score: low < 0.1 <= medium < 0.2 <= high; "unknown" for None."""
    if score is None:
        return "unknown"
    return "high" if score >= HIGH else "medium" if score >= MEDIUM else "low"
