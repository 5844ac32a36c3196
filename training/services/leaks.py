"""What a run may be told of time and groups, so that its folds can be made and nothing of the future gets in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlops_site.core.errors import FieldError
from training.choices import CrossValidation
from training.models import DatasetVersion
from training.services.config import RunConfig
from training.services.schema import columns_of

MAX_TIMED = 2_000
BY_TIME = (CrossValidation.TIME, CrossValidation.GROUP_TIME)
BY_GROUP = (CrossValidation.GROUP, CrossValidation.GROUP_TIME)


def time_problems(config: RunConfig, version: DatasetVersion) -> Iterator[FieldError]:
    """What is wrong with `available_at`."""
    asked: Any = config.available_at
    if asked is None:
        return
    if not isinstance(asked, Mapping) or not 1 <= len(asked) <= MAX_TIMED:
        yield _wrong("available_at", f"must be an object of features and columns of times but got {asked!r:.80}")
        return
    if not version.time_column:
        message = f"needs the data set's time_column to compare with, which {version} has not"
        yield _wrong("available_at", message, "no_time_column")
    columns = columns_of(version)
    for name, column in asked.items():
        for part in (name, column):
            if not isinstance(part, str) or part not in columns:
                message = f"must name columns of {version} but got {part!r:.80}"
                yield FieldError(f"available_at.{name!s:.80}", "unknown_column", f"available_at {message}")


def split_problems(config: RunConfig, version: DatasetVersion) -> Iterator[FieldError]:
    """Rows, groups and times that are too few for the folds, as far as the schema tells; the run sees the rest."""
    folds = config.cv_folds
    if type(folds) is not int:
        return
    columns = columns_of(version)
    scheme = config.cv or (CrossValidation.GROUP if version.group_column else "")
    for column, what, unit in (
        ("" if scheme in BY_TIME else version.group_column, "too_few_groups", "groups"),
        (version.time_column if scheme in BY_TIME else "", "too_few_times", "times"),
    ):
        known = columns[column]["distinct"] if column in columns else None
        if known is not None and known <= folds:
            message = f"must be fewer than the {known} {unit} of {column!r}, for some are held out, but got {folds}"
            yield _wrong("cv_folds", message, what)
    if version.rows <= folds:
        yield _wrong(
            "cv_folds", f"must be fewer than the {version.rows} rows of {version} but got {folds}", "too_few_rows"
        )


def _wrong(field: str, message: str, code: str = "invalid") -> FieldError:
    return FieldError(field, code, f"{field} {message}")
