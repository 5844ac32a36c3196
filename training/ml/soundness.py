"""Whether a model that was made may be registered: its answers, what it expects, and whether it repeats itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mlops_site.stats.scored import Floats
from training.ml.findings import Check, rows_where

MAX_OUTSIDE = 0.01  # of a regression's answers may lie beyond the targets by more than their whole width
PERFECT = 0.9999
TOLERANCE = 1e-9


def answers(said: Floats, truth: Any, *, classes: tuple[Any, ...] | None) -> Iterator[Check]:
    """Checks of what the model answers on the holdout: scores (n,), a column a class (n, k), or values (n,); `truth`
    are the targets (n,), whose range bounds the values of a regression."""
    rows = said if said.ndim == 1 else said.max(axis=1)
    finite = np.isfinite(said) if said.ndim == 1 else np.isfinite(said).all(axis=1)
    count = int((~finite).sum())
    message = f"{count:,} of {len(rows):,} answers on the holdout are no finite number."
    yield Check("scores_finite", None, "block", not count, message, rows_where(~finite), count, 0)
    if count:
        return
    distinct = len(np.unique(said, axis=0))
    message = f"The holdout of {len(rows):,} rows gets {distinct:,} different answers."
    yield Check("scores_vary", None, "block", distinct > 1, message, (), distinct, "more than 1")
    yield _in_range(said, truth) if classes is None else _probable(said)


def _probable(said: Floats) -> Check:
    low, high = float(said.min()), float(said.max())
    beyond = (said < -TOLERANCE) | (said > 1 + TOLERANCE)
    outside = beyond.reshape(len(said), -1).any(axis=1)
    message = f"Scores on the holdout are from {low:.4g} to {high:.4g}; a probability is from 0 to 1."
    told: dict[str, Any] = {"observed": {"min": low, "max": high}, "expected": {"min": 0, "max": 1}}
    return Check("predictions_in_range", None, "block", not outside.any(), message, rows_where(outside), **told)


def _in_range(said: Floats, truth: Any) -> Check:
    """A regression may go beyond the targets by as much as they span; more than that blocks where many rows do."""
    known = np.asarray(truth, np.float64)
    low, high = float(known.min()), float(known.max())
    width = high - low
    outside = (said < low - width) | (said > high + width)
    share = float(outside.mean())
    message = f"{int(outside.sum()):,} of {len(said):,} answers lie far from the targets, {low:.6g} to {high:.6g}."
    told: dict[str, Any] = {
        "observed": {"min": float(said.min()), "max": float(said.max())},
        "expected": {"min": low - width, "max": high + width},
    }
    severity: Any = "block" if share > MAX_OUTSIDE else "warn"
    return Check("predictions_in_range", None, severity, not outside.any(), message, rows_where(outside), **told)


def columns(inputs: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> Check:
    """Whether the signature asks for exactly the features of the data, each of its kind."""
    asked = {str(column["name"]): str(column["kind"]) for column in inputs}
    wrong = sorted(name for name in {*asked, *kinds} if asked.get(name) != kinds.get(name))
    message = f"The model asks for the {len(kinds)} features that it was trained on."
    if wrong:
        name = wrong[0]
        message = (
            f"The model must ask for {name!r} as {kinds.get(name, 'nothing')} but asks for {asked.get(name, 'nothing')}"
        ) + (f", and {len(wrong) - 1} more differ." if len(wrong) > 1 else ".")
    return Check("signature_columns", None, "block", not wrong, message, (), len(asked), len(kinds))


def repeats(first: Sequence[Mapping[str, Any]], again: Sequence[Mapping[str, Any]]) -> Check:
    """Whether the stored model, loaded anew, answers its golden rows as it did."""
    pairs = list(zip(first, again, strict=True))
    differing = [at for at, (one, other) in enumerate(pairs) if not _same(one, other)]
    message = f"{len(differing)} of {len(pairs)} golden rows are answered otherwise when the model is loaded again."
    where = tuple(at + 1 for at in differing[:5])
    return Check("golden_rows", None, "block", not differing, message, where, len(differing), 0)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one["score"] is None and isinstance(one["prediction"], float):
        return bool(abs(one["prediction"] - other["prediction"]) <= TOLERANCE * max(1.0, abs(one["prediction"])))
    near = one["score"] is None or abs(one["score"] - other["score"]) <= TOLERANCE
    return bool(near and one["prediction"] == other["prediction"])


def too_good(metrics: Mapping[str, Mapping[str, Any]]) -> Check:
    """A holdout that is told without a mistake is more often a leak than a masterpiece."""
    for name in ("roc_auc", "r2"):
        found = metrics.get(name, {}).get("estimate")
        if found is not None:
            message = f"{name} on the holdout is {found:.4f}" + (
                "." if found < PERFECT else ": hardly any model is so good."
            )
            return Check(
                "too_good", None, "warn", found < PERFECT, message, (), round(float(found), 6), f"below {PERFECT}"
            )
    return Check("too_good", None, "warn", True, "Nothing on the holdout is told without a mistake.")
