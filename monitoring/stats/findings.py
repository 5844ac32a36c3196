"""What of a report somebody should be told: one finding for each thing to look at."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from mlops_site.stats.compare import Drift, FeatureDrift
from monitoring.stats.performance import Degradation
from monitoring.stats.quality import QualityFinding
from monitoring.stats.volume import Volume

LONGEST_SUMMARY = 300
_SHOWN = 3


class Judged(NamedTuple):
    """What a report is made of; None where it could not be judged."""

    drift: Drift | None
    quality: list[QualityFinding]
    volume: Volume | None
    degradation: Degradation | None


class Finding(NamedTuple):
    """`subject` is the metric or the feature, "" the whole model; `raised` says whether it is told now, and `held` why
    it is not."""

    rule: str
    subject: str
    summary: str
    evidence: dict[str, Any]
    raised: bool = True
    held: str = ""


def findings(judged: Judged) -> list[Finding]:
    """The worst first: performance, then drift of all features as one, then quality by feature, then volume."""
    found = []
    if judged.degradation is not None and judged.degradation.degraded:
        found.append(_of_performance(judged.degradation))
    if judged.drift is not None and judged.drift.drifted:
        found.append(_of_drift(judged.drift))
    worse = [finding for finding in judged.quality if finding.drifted]
    for feature in dict.fromkeys(finding.feature for finding in worse):
        found.append(_of_quality(feature, [finding for finding in worse if finding.feature == feature]))
    if judged.volume is not None and judged.volume.drop:
        found.append(_finding("volume", "", f"prediction volume fell: {judged.volume.reason}", plain(judged.volume)))
    return found


def _finding(rule: str, subject: str, summary: str, evidence: dict[str, Any]) -> Finding:
    return Finding(rule, subject, summary[:LONGEST_SUMMARY], evidence)


def _of_performance(found: Degradation) -> Finding:
    low, high = found.ci95 or (math.nan, math.nan)
    summary = (
        f"{found.metric} is {found.value:.4g} (95 % interval {low:.4g} to {high:.4g}, {found.n:,} labelled rows) "
        f"instead of {found.baseline:.4g}"
    )
    return _finding("performance", found.metric, summary, plain(found))


def _of_drift(drift: Drift) -> Finding:
    drifted = sorted((feature for feature in drift.features if feature.drifted), key=lambda f: -(f.effect or 0.0))
    names = ", ".join(f"{feature.name[:60]} ({feature.effect or 0.0:.2f})" for feature in drifted[:_SHOWN])
    rest = f" and {len(drifted) - _SHOWN} more" if len(drifted) > _SHOWN else ""
    evidence = {
        "overall_score": drift.overall_score,
        "severity": drift.severity,
        "drifted": drift.drifted,
        "total": drift.total,
        "features": [feature_json(feature) for feature in drifted],
    }
    return _finding("drift", "", f"{drift.drifted} of {drift.total} features drifted: {names}{rest}", evidence)


def _of_quality(feature: str, worse: list[QualityFinding]) -> Finding:
    summary = "; ".join(finding.message for finding in worse)
    return _finding("quality", feature, summary, {"feature": feature, "checks": [plain(each) for each in worse]})


def feature_json(feature: FeatureDrift) -> dict[str, Any]:
    """A feature's drift as JSON."""
    return _json(vars(feature).items())


def plain(row: NamedTuple) -> dict[str, Any]:
    """A named tuple as JSON: nothing infinite or undefined, which JSON does not know."""
    return _json(row._asdict().items())


def _json(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: _known(value) for name, value in items}


def _known(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_known(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
