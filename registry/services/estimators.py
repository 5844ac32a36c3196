"""A fitted scikit-learn estimator of this process as a candidate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from mlops_site.core.errors import Invalid
from mlops_site.stats.columns import encode, infer_kinds
from mlops_site.stats.correlations import of_frame
from mlops_site.stats.profile import profile, reference_bins
from registry.artifacts.engines import open_scorer
from registry.artifacts.formats import dump_skops
from registry.artifacts.graphs import exact, to_onnx
from registry.artifacts.inspection import inspect_here
from registry.artifacts.schema import sample_row
from registry.artifacts.scorer import golden
from registry.artifacts.signature import Signature, TaskType, infer
from registry.artifacts.summary import told
from registry.artifacts.trust import trusted
from registry.services.heldout import kept_of
from registry.services.versions import Candidate

if TYPE_CHECKING:
    import pandas as pd

GOLDEN_ROWS = 20


def candidate_of(
    estimator: Any,
    *,
    sample: pd.DataFrame | None = None,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    holdout: Any = None,
) -> Candidate:
    """The candidate of a fitted classifier or regressor, with its signature, golden rows and, if exact, ONNX form.

    `sample` (rows it was trained on) gives kinds and levels; without it every input is a number. `holdout` is
    (features, labels) of rows that it was not trained on, which it answers here, or its answers to such rows, as a
    frame or as mappings (see `heldout.holdout_of`). Raises Invalid for what is not fitted, holds an untrusted type or
    does not fit.
    """
    content = _dump(estimator)
    if sample is None:
        signature = Signature.from_json(inspect_here(content, None, trusted())["signature"])
        rows, extra = [sample_row(signature)], {}
    else:
        frame, signature = _framed(estimator, sample)
        rows, extra = _rows(frame.head(GOLDEN_ROWS)), _from_sample(estimator, content, frame, signature)
    if holdout is not None:
        extra |= kept_of(estimator, holdout, signature, extra.get("reference"))
    return Candidate(
        artifact_bytes=content,
        format="skops",
        signature=signature.to_json(),
        golden=golden(open_scorer(content, "skops", signature), rows),
        params=params or {},
        metrics=metrics or {},
        tags=tags or {},
        **extra,
    )


def plain(config: Any) -> dict[str, Any]:
    """A config as JSON holds it: a mapping, a dataclass or an object's attributes; what JSON lacks becomes text.

    >>> plain({"C": 1.0, "gamma": float("nan"), "kernel": len})
    {'C': 1.0, 'gamma': 'nan', 'kernel': '<built-in function len>'}
    """
    if config is None:
        return {}
    if is_dataclass(config) and not isinstance(config, type):
        config = asdict(config)
    found = _plain(config if isinstance(config, Mapping) else vars(config))
    return dict(found)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "item") and not hasattr(value, "__len__"):  # NumPy's scalars
        value = value.item()
    is_json = (
        value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
    )
    return value if is_json else str(value)


def _dump(estimator: Any) -> bytes:
    from sklearn.utils.validation import NotFittedError, check_is_fitted

    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError) as error:
        message = f"model_obj must be a fitted scikit-learn estimator but got {type(estimator).__name__}: {error}"
        raise Invalid.on("model_obj", message[:500], code="not_fitted") from error
    return dump_skops(estimator)


def _framed(estimator: Any, sample: pd.DataFrame) -> tuple[pd.DataFrame, Signature]:
    """The canonical frame of the columns that the estimator takes, and the signature that they say."""
    names = list(getattr(estimator, "feature_names_in_", sample.columns))
    if missing := [name for name in names if name not in sample.columns]:
        message = (
            f"sample must have the columns the estimator was fitted on but lacks {', '.join(map(str, missing[:10]))}"
        )
        raise Invalid.on("sample", message, code="missing_columns")
    try:
        kinds = infer_kinds(sample[names])
        frame = encode(sample[names], kinds)
    except ValueError as error:
        raise Invalid.on("sample", f"sample cannot be read: {error}", code="bad_sample") from error
    classes = getattr(estimator, "classes_", None)
    task: TaskType = "regression" if classes is None else "classification"
    return frame, infer(frame, kinds, task_type=task, target=classes)


def _from_sample(estimator: Any, content: bytes, frame: pd.DataFrame, signature: Signature) -> dict[str, Any]:
    """What only rows can give: the reference profile, explanations, and the ONNX form if it answers them the same."""
    bins = reference_bins(frame, signature.kinds, salt="reference")
    graph = to_onnx(estimator, signature.kinds).graph
    if graph is not None and not exact(graph, estimator, frame):
        graph = None
    explained = told(content, "skops", signature, frame)._asdict()
    facts = {"correlations": of_frame(frame, signature.kinds).to_json()}
    return {"reference": profile(frame, bins).to_bytes(), "onnx_bytes": graph, "facts": facts, **explained}


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as a caller would send them: a missing number is null."""
    records = frame.to_dict("records")
    return [{str(name): None if value != value else value for name, value in row.items()} for row in records]
