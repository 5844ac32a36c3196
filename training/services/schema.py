"""What a data set's columns are, kept with its version so that a request can be checked without the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from training.models import DatasetVersion

if TYPE_CHECKING:
    import pandas as pd

MAX_LABELS = 50


def schema_of(frame: pd.DataFrame, target: str, time_column: str | None, group_column: str | None) -> dict[str, Any]:
    """The schema of `training.ml.schemas`, with "missing" and "labels" for each column: rows per label, in order,
    [[label, rows], ...], or null beyond 50 different values."""
    from training.ml import schemas  # imports pandera, which no web process needs before somebody uploads

    found = schemas.infer_schema(frame, target=target, time_column=time_column, group_column=group_column)
    for column in found["columns"]:
        values = frame[column["name"]]
        column["missing"] = int(values.isna().sum())
        column["labels"] = _labels(values, whole=column["integer"])
    return found


def _labels(values: pd.Series[Any], *, whole: bool) -> list[list[Any]] | None:
    counts = values.value_counts().sort_index()
    if len(counts) > MAX_LABELS:
        return None
    # Whole numbers with a gap among them are stored as floats, but as labels they are 0 and 1, not 0.0 and 1.0.
    pairs: dict[Any, int] = counts.to_dict()
    return [[int(label) if whole else label, int(count)] for label, count in pairs.items()]


def profile_of(frame: pd.DataFrame, *, salt: str) -> tuple[bytes, list[dict[str, str]]]:
    """How the columns are distributed, as `VersionProfile.counts` keeps it, and which look like personal data:
    [{"column", "kind", "why"}, ...]."""
    from mlops_site.stats.columns import infer_kinds
    from mlops_site.stats.profile import profile, reference_bins
    from training.ml import personal

    bins = reference_bins(frame, infer_kinds(frame), salt=salt)
    return profile(frame, bins).to_bytes(), [found._asdict() for found in personal.suggested(frame)]


def columns_of(version: DatasetVersion) -> dict[str, dict[str, Any]]:
    """The columns of a data set's schema, by name."""
    return {column["name"]: column for column in version.schema["columns"]}


def labels_of(version: DatasetVersion, target: str) -> dict[Any, int]:
    """Rows per label of a column with at most 50 different values; nothing for others."""
    return dict(columns_of(version)[target]["labels"] or [])


def default_features(version: DatasetVersion, target: str) -> list[str]:
    """Every column but the target, the declared group, time and personal data, and empty columns."""
    left_out = {target, version.target, version.group_column, version.time_column, *version.pii}
    columns = columns_of(version)
    return [name for name, column in columns.items() if name not in left_out and column["distinct"] > 0]


def guessed_task(version: DatasetVersion, target: str) -> str:
    """The task that a target looks like: texts and two numbers are classes."""
    column = columns_of(version).get(target)
    is_class = column is None or column["kind"] == "category" or column["distinct"] <= 2
    return "classification" if is_class else "regression"


def label_meant(positive: object, labels: Mapping[Any, int]) -> Any:
    """The label that is meant, in the data's own type: 1, 1.0 and "1" mean the same."""
    return next((label for label in labels if label == positive or str(label) == str(positive)), None)


def added_rows(version: DatasetVersion) -> int:
    """How many rows at the end of the data set were added to those of the version before it; 0 where it is not made so
    or has no others."""
    labels = version.lineage.get("labels", 0)
    return labels if isinstance(labels, int) and 0 < labels < version.rows else 0
