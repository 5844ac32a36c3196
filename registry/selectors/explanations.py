"""Explanations of rows by a version, and what it looks at in general."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOP = 10


def explanation_summary(explanation: Mapping[str, Any], *, top: int = TOP) -> dict[str, Any] | None:
    """What evidence says of a version's explanation: its `top` inputs by mean absolute contribution, the method and
    output space, against which rows, and the digest of the whole; None of a version registered without rows.

    >>> explanation_summary({}) is None
    True
    """
    if not explanation:
        return None
    kept = ("method", "output_space", "explained", "background", "rows", "digest")
    return {**{name: explanation[name] for name in kept}, "features": explanation["features"][:top]}
