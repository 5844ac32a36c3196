"""A version's answers on the rows that its run held out, as its signature says to read them."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mlops_site.core import store
from mlops_site.stats.heldout import HeldOut
from mlops_site.stats.scored import ScoredRows, scored_rows
from registry.artifacts.signature import Signature
from registry.models import Version


class Side(NamedTuple):
    """What can be said of a version's holdout depends on this alone, all of it immutable: it can be kept in memory."""

    holdout: str  # digest
    signature: Signature
    threshold: float


def side_of(version: Version) -> Side | None:
    """None for a version that was registered without holdout predictions."""
    if version.holdout_id is None:
        return None
    return Side(version.holdout_id, Signature.from_json(version.signature), version.threshold)


def rows_of(side: Side) -> pd.DataFrame:
    """Its rows: row_key, label, and score or prediction. NotFound or ArtifactDamaged as `store.read` says."""
    return pd.read_parquet(io.BytesIO(store.read(side.holdout)))


def held_out_of(holdout: bytes | None, signature: Signature, threshold: float) -> bytes | None:
    """What is kept of a holdout of two classes to estimate performance by; None of others, and of one that does not fit
    the signature."""
    if holdout is None or len(signature.classes or ()) != 2:
        return None
    try:
        rows = scored(pd.read_parquet(io.BytesIO(holdout)), Side("", signature, threshold))
        return None if rows.score is None else HeldOut.of(rows.score, rows.truth == 1, threshold).to_bytes()
    except (KeyError, ValueError):  # pyarrow's are among them
        return None


def sampled(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many rows of a frame indexed by row_key; the same ones of any holdout, as a key's hash chooses."""
    if len(frame) <= most:
        return frame
    hashes = pd.util.hash_array(frame.index.to_numpy(dtype=object))
    return frame.iloc[np.sort(np.argsort(hashes, kind="stable")[:most])]


def scored(frame: pd.DataFrame, side: Side) -> ScoredRows:
    """Rows of the holdout with truth, decision and score; ValueError where they do not fit the signature."""
    signature, label = side.signature, frame["label"]
    if signature.task_type == "regression":
        return scored_rows("regression", label, prediction=frame["prediction"])
    common: dict[str, Any] = {"positive": signature.positive_class, "classes": signature.classes}
    if "score" not in frame:
        return scored_rows("classification", label, prediction=frame["prediction"], **common)
    score = frame["score"].to_numpy()
    negative, positive = sorted(signature.classes or (), key=lambda name: name == signature.positive_class)
    said = [positive if yes else negative for yes in score >= side.threshold]
    return scored_rows("classification", label, prediction=pd.Series(said), score=score, **common)
