"""What a version looks at, over its background: computed once when it is registered and kept with it."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.artifacts.archive import Format
from registry.artifacts.background import background_of, from_bytes, take, to_bytes
from registry.artifacts.engines import Scorer, open_scorer
from registry.artifacts.explainer import Budget, Explainer, Explanation
from registry.artifacts.rows import Columns
from registry.artifacts.signature import Signature

if TYPE_CHECKING:
    import pandas as pd

CELLS = 300_000  # rows that a model which is asked, not read, may be given in all
FEWEST = 5  # rows that are explained in any case
_PAIRS = 4
_DRAWS = 1_000


class Told(NamedTuple):
    """Of a candidate: its background as Parquet, the contributions to each of its first rows as Parquet (a column per
    input), and the summary of them as JSON."""

    background_bytes: bytes
    attributions_bytes: bytes
    explanation: dict[str, Any]


def told(content: bytes, form: Format, signature: Signature, frame: pd.DataFrame) -> Told:
    """`told_by` of a file."""
    return told_by(open_scorer(content, form, signature), frame)


def told_by(scorer: Scorer, frame: pd.DataFrame) -> Told:
    """Choose a background from canonical training rows and explain it. The same candidate is told the same: nothing
    here is bounded by time."""
    background = to_bytes(background_of(frame))
    digest = hashlib.sha256(background).hexdigest()
    rows = from_bytes(background, scorer.signature)
    explainer = Explainer(scorer, rows, digest)
    found = explained(explainer, rows)
    return Told(background, _parquet(found), summarised(found))


def explained(explainer: Explainer, rows: Columns) -> list[Explanation]:
    """Explanations of the first rows: of all of them where the model is read, of as many as `CELLS` allow where it is
    asked."""
    budget = Budget(pairs=_PAIRS, secs=math.inf)
    first = explainer.explain(take(rows, [0]), budget=budget)
    cost = explainer.cells(budget) if first.method in ("enumeration", "sampling") else 0
    count = min(rows.rows, max(FEWEST, CELLS // cost)) if cost else rows.rows
    return [first, *explainer.explain_all(take(rows, range(1, count)), budget=budget)]


def summarised(found: Sequence[Explanation]) -> dict[str, Any]:
    """Mean absolute contribution of each input with a 95 % interval over the rows, largest first, and how it was found.

    `digest` is of all the rest, so that what refers to a summary can tell whether it is the same. `base_value` is
    null where rows of different classes were explained.
    """
    first = found[0]
    names = list(first.contributions)
    sizes = np.abs([list(each.contributions.values()) for each in found])
    means, intervals = sizes.mean(axis=0), _intervals(sizes)
    order = sorted(range(len(names)), key=lambda i: (-means[i], names[i]))
    bases = {each.base_value for each in found}
    said: dict[str, Any] = {
        "method": first.method,
        "output_space": first.output_space,
        "explained": first.explained if len({str(each.explained) for each in found}) == 1 else None,
        "base_value": first.base_value if len(bases) == 1 else None,
        "background": first.background,
        "rows": len(found),
        "largest_residual": max(abs(each.residual) for each in found),
        "features": [{"feature": names[i], "mean_abs": float(means[i]), "ci95": intervals[i]} for i in order],
    }
    return {**said, "digest": hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()}


def _intervals(sizes: NDArray[np.float64]) -> list[list[float]]:
    """Percentile bootstrap of each column's mean, rows drawn together."""
    counts = np.random.default_rng(0).multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=_DRAWS)
    means = counts @ sizes / len(sizes)
    ends: list[list[float]] = np.quantile(means, [0.025, 0.975], axis=0).T.tolist()
    return ends


def _parquet(found: Sequence[Explanation]) -> bytes:
    import pandas as pd

    sink = io.BytesIO()
    pd.DataFrame([each.contributions for each in found]).to_parquet(sink, index=False)
    return sink.getvalue()
