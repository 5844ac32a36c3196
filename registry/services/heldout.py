"""What a model answered to rows held out from its training: as its uploader sends it, or as it answers here."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlops_site.core.errors import Invalid
from mlops_site.core.events import digest_of
from mlops_site.stats.columns import encode
from mlops_site.stats.losses import Losses
from mlops_site.stats.profile import Profile
from registry.artifacts.signature import Signature

if TYPE_CHECKING:
    import pandas as pd

LONGEST_KEY = 200
_SHAPES = "holdout must be (features, labels), the features as a frame, or a frame of labels and answers"


class _Answered(NamedTuple):
    """n rows with a label each, and what the estimator answered: P(positive) of two classes, else classes or values."""

    frame: pd.DataFrame
    labels: list[Any]
    answers: list[Any]


def kept_of(estimator: Any, holdout: Any, signature: Signature, reference: bytes | None) -> dict[str, Any]:
    """What a candidate keeps of its `holdout`: (features, labels), which `estimator` answers here, or its answers as a
    frame or as mappings. Of values and of many classes performance can be estimated only where the features are there,
    and a `reference` to see how they change by. Invalid `bad_holdout` for what does not fit."""
    if not isinstance(holdout, tuple):
        rows = holdout.to_dict("records") if hasattr(holdout, "to_dict") else holdout
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise Invalid.on("holdout", f"{_SHAPES} but got {type(holdout).__name__}", code="bad_holdout")
        return {"holdout_bytes": holdout_of(rows, signature)}
    if len(holdout) != 2 or not hasattr(holdout[0], "columns"):
        raise Invalid.on("holdout", f"{_SHAPES} but got a tuple of {len(holdout)}", code="bad_holdout")
    found = _answered(estimator, *holdout, signature)
    kept: dict[str, Any] = {"holdout_bytes": holdout_of(_rows(found, holdout[0], signature), signature)}
    if reference is not None and not signature.is_binary:
        kept["held_out"] = _losses(found, signature, Profile.from_bytes(reference))
    return kept


def _answered(estimator: Any, frame: pd.DataFrame, labels: Any, signature: Signature) -> _Answered:
    truth, names = np.asarray(labels).ravel().tolist(), list(getattr(estimator, "feature_names_in_", frame.columns))
    missing = [str(name) for name in names if name not in frame.columns]
    if len(truth) != len(frame) or missing:
        lacks = f", and lacks {', '.join(missing[:10])}" if missing else ""
        message = f"holdout must have every input and a label a row but has {len(truth)} for {len(frame)} rows{lacks}"
        raise Invalid.on("holdout", message, code="bad_holdout")
    asked = frame[names]
    if not signature.is_binary:
        return _Answered(asked, truth, np.asarray(estimator.predict(asked)).tolist())
    place = list(estimator.classes_).index(signature.positive_class)
    return _Answered(asked, truth, estimator.predict_proba(asked)[:, place].tolist())


def _rows(found: _Answered, frame: pd.DataFrame, signature: Signature) -> list[dict[str, Any]]:
    """A row's key is what it holds, so that versions are compared on the rows that they share."""
    import pandas as pd

    said, hashes = "score" if signature.is_binary else "prediction", pd.util.hash_pandas_object(frame, index=False)
    keys = [f"{key:016x}:{nth}" for key, nth in zip(hashes, hashes.groupby(hashes).cumcount(), strict=True)]
    columns = zip(found.labels, found.answers, keys, strict=True)
    return [{"label": label, said: answer, "row_key": key} for label, answer, key in columns]


def _losses(found: _Answered, signature: Signature, reference: Profile) -> bytes | None:
    """A model of the losses, by which performance without labels is estimated (DLE)."""
    frame = encode(found.frame, signature.kinds)
    if signature.classes is None:
        said = np.asarray(found.answers, dtype=np.float64)
        missed = np.abs(said - np.asarray(found.labels, dtype=np.float64))
        fitted = Losses.fit(frame, {"mae": missed, "rmse": np.square(missed)}, reference.bins, said=said)
    else:
        wrong = np.array([one != other for one, other in zip(found.answers, found.labels, strict=True)], dtype=float)
        fitted = Losses.fit(frame, {"accuracy": wrong}, reference.bins, said=None)
    return None if fitted is None else fitted.to_bytes()


def holdout_of(rows: Sequence[Mapping[str, Any]], signature: Signature, *, field: str = "holdout") -> bytes | None:
    """Rows as the Parquet that a version keeps; None without rows. Each has a `label` and the `score` of the positive
    class, of two classes, else the `prediction`; and, where versions are to be compared on it, a `row_key`.

    Invalid names the first row that does not fit the signature.
    """
    import pandas as pd  # not needed by whoever uploads none

    if not rows:
        return None
    said = "score" if len(signature.classes or ()) == 2 else "prediction"
    for place, row in enumerate(rows):
        if wrong := _wrong(row, said, signature):
            raise Invalid.on(f"{field}.{place}", f"{field}.{place} {wrong}", code="bad_holdout")
    own = digest_of([dict(row) for row in rows])[:16]  # rows without a key are nobody else's
    keys = [str(row.get("row_key", f"{own}:{place}")) for place, row in enumerate(rows)]
    if len(set(keys)) < len(keys):
        raise Invalid.on(field, f"{field} must name each row_key once", code="bad_holdout")
    columns = {"row_key": keys, **{name: [row[name] for row in rows] for name in ("label", said)}}
    sink = io.BytesIO()
    pd.DataFrame(columns).to_parquet(sink, index=False)
    return sink.getvalue()


def _wrong(row: Mapping[str, Any], said: str, signature: Signature) -> str:
    """What is wrong with a row; empty where nothing is."""
    if not {"label", said} <= row.keys() <= {"label", said, "row_key"}:
        return f"must have label, {said} and at most a row_key but got {sorted(map(str, row))[:5]}"
    if len(str(row.get("row_key", ""))) > LONGEST_KEY:
        return f"must have a row_key of at most {LONGEST_KEY} characters"
    if signature.classes is None:
        bad = [name for name in ("label", said) if not _is_number(row[name])]
        return f"must have numbers but got {bad[0]} {row[bad[0]]!r:.40}" if bad else ""
    named = ["label"] if said == "score" else ["label", said]
    unknown = [name for name in named if not any(_same(row[name], known) for known in signature.classes)]
    if unknown:
        return f"must have a {unknown[0]} of {list(signature.classes)!r:.80} but got {row[unknown[0]]!r:.40}"
    if said == "score" and not (_is_number(row[said]) and 0 <= row[said] <= 1):
        return f"must have a score between 0 and 1 but got {row[said]!r:.40}"
    return ""


def _same(value: object, known: object) -> bool:
    """Alike, and of one kind: 1 and True are not."""
    return (
        isinstance(value, bool) == isinstance(known, bool) and isinstance(value, type(known) | int) and value == known
    )


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e150 and math.isfinite(value)
    )
