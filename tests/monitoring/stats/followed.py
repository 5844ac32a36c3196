"""Answers with what became of them, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from monitoring.stats.answers import Answers
from monitoring.stats.followed import Followed

NAN = float("nan")


def followed(
    said: Sequence[Any],
    truth: Sequence[Any],
    *,
    score: Any = None,
    human: Sequence[Any] | None = None,
    levels: Mapping[int, Sequence[int]] | None = None,
) -> Followed:
    """n answers that did not fail, with labels or None."""
    n = len(said)
    scores = np.full(n, NAN) if score is None else np.asarray(score, dtype=np.float64)
    answers = Answers(said, scores, [None] * n, [False] * n, np.full(n, NAN), truth)
    none = np.full(n, NAN)
    places = {key: np.array(each, dtype=np.int64) for key, each in (levels or {}).items()}
    return Followed(answers, human or [None] * n, np.full(n, -1), none, none, places)
