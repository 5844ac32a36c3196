"""Whether a candidate was measured on data like that of the version it would replace."""

from __future__ import annotations

import io
import math
from functools import lru_cache
from typing import Any

import pandas as pd

from mlops_site.core import store
from mlops_site.core.errors import StewardError
from mlops_site.stats.columns import Kind
from mlops_site.stats.compare import Drift, drift
from registry.models import Version

MIN_ROWS = 100


def holdout_drift(candidate: Version, serving: Version | None) -> dict[str, Any]:
    """The label and the answers on the candidate's holdout against those on the holdout of the version in production:
    {"rows", "production_rows", "drift" or null, "note"}."""
    if candidate.holdout_id is None:
        return _nothing(f"{candidate.number} was registered without holdout predictions")
    if serving is None:
        return _nothing("nothing is in production to compare with")
    if serving.holdout_id is None:
        return _nothing(f"{serving.number} was registered without holdout predictions")
    kind: Kind = "number" if candidate.signature["task_type"] == "regression" else "category"
    try:
        return dict(_compared(candidate.holdout_id, serving.holdout_id, kind))
    except StewardError as error:  # not kept in memory: the file may be restored
        return _nothing(f"a holdout cannot be read: {error.detail}")


@lru_cache(maxsize=128)
def _compared(candidate: str, serving: str, kind: Kind) -> dict[str, Any]:
    ours, theirs = (pd.read_parquet(io.BytesIO(store.read(digest))) for digest in (candidate, serving))
    kinds: dict[str, Kind] = {"label": kind}
    if "score" in ours and "score" in theirs:
        kinds["score"] = "number"
    elif "prediction" in ours and "prediction" in theirs:
        kinds["prediction"] = kind
    found = drift(ours, theirs, kinds=kinds, min_samples=MIN_ROWS)
    return {"rows": len(ours), "production_rows": len(theirs), "drift": drift_said(found), "note": ""}


def drift_said(found: Drift) -> dict[str, Any]:
    """Drift as evidence keeps it: plain JSON, nothing infinite or undefined."""
    features = [{name: _known(value) for name, value in vars(feature).items()} for feature in found.features]
    figures = {"overall_score": found.overall_score, "severity": found.severity}
    return {**figures, "drifted": found.drifted, "total": found.total, "features": features}


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _nothing(note: str) -> dict[str, Any]:
    return {"rows": None, "production_rows": None, "drift": None, "note": note}
