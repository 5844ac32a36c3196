"""Which kinds of finding a report could have made: only such a report can say that something is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def could_judge(rule: str, body: Mapping[str, Any], *, min_samples: int) -> bool:
    """Whether a report with this body judged what alerts of a kind are about; `body` is that of GET
    /monitoring/reports/{id}. A window with too few rows or labels judges nothing.

    >>> could_judge("quality", {"samples": 3, "drift": {"overall_score": None}}, min_samples=100)
    False
    """
    drift, volume = body.get("drift") or {}, body.get("volume") or {}
    headline = (body.get("performance") or {}).get("headline") or {}
    if rule == "performance":
        return int(headline.get("n") or 0) >= min_samples
    if rule == "volume":
        return bool(volume) and not str(volume.get("reason", "")).startswith("not judged")
    if rule in ("drift", "quality"):
        return int(body.get("samples", 0)) >= min_samples and drift.get("overall_score") is not None
    return int(body.get("samples", 0)) >= min_samples
