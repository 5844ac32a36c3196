"""The rows of a run: the data set's canonical table as features and target, split once for every model type."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_site.core.errors import Invalid
from mlops_site.stats.columns import Kind, encode, infer_kinds
from mlops_site.stats.scored import TaskType
from training.choices import CrossValidation
from training.ml import evaluate, splits
from training.ml.parted import Parted, Table
from training.ml.told import hashes_of
from training.models import Share, Training
from training.pipeline import quality
from training.pipeline.steps import say
from training.services.quality import frame_of
from training.services.schema import added_rows, columns_of

SAMPLE_ROWS = 20_000
F = TypeVar("F", bound=Table, covariant=True)


@dataclass(frozen=True, eq=False)
class Part(Generic[F]):
    """Some rows (n): canonical features (in their file where a run's rows are many), truth (n,), their group (n,) or
    None, a key for each row (n,), how much each counts in a fit (n,), None where all count alike; their time (n,) or
    None."""

    frame: F
    truth: NDArray[Any]
    groups: NDArray[Any] | None
    keys: NDArray[Any]
    weights: NDArray[np.float64] | None = None
    times: NDArray[Any] | None = None

    def taken(self, mask: NDArray[np.bool_]) -> Part[F]:
        """The rows of the mask (n,)."""
        more = (None if part is None else part[mask] for part in (self.groups, self.weights, self.times))
        groups, weights, times = more
        own: Table = self.frame
        frame = own.iloc[mask] if isinstance(own, Parted) else own[mask].reset_index(drop=True)
        return Part(cast("F", frame), self.truth[mask], groups, self.keys[mask], weights, times)

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, eq=False)
class Rows:
    """All rows of a run. `classes` has the negative one of two first, and is None for a regression;
    `holdout_table` has every column of the held-out rows, for a champion that wants other features."""

    kinds: dict[str, Kind]
    task_type: TaskType
    classes: tuple[Any, ...] | None
    training: Part[Table]
    holdout: Part[pd.DataFrame]
    holdout_table: pd.DataFrame
    folds: list[splits.Fold]
    period: tuple[str, str] | None  # first and last time of all rows, where they have one

    @property
    def told(self) -> pd.DataFrame:
        """What all rows have of values: the rows themselves; of a file in parts a frame that has what they have."""
        frame = self.training.frame
        told = frame.told() if isinstance(frame, Parted) else frame
        return pd.concat([told, self.holdout.frame])

    @cached_property
    def sample(self) -> pd.DataFrame:
        """Training rows for what needs them whole: all of them; of a file in parts at most 20,000 by a hash."""
        frame = self.training.frame
        return frame.iloc[frame.sample(SAMPLE_ROWS)].read() if isinstance(frame, Parted) else frame


def rows_of(run: Training | Share) -> Rows:
    """Read, encode and split. The same run gives the same rows on every attempt and machine.

    Raises ArtifactDamaged when the stored bytes are not those of the digest, Conflict `data_gone` when there are none,
    Invalid when the data cannot be split as asked or its quality gate holds it back.
    """
    spec, declared = run.spec, run.dataset
    whole_table = frame_of(declared)
    weights = weights_of(run, whole_table[spec["target"]].notna().to_numpy())
    report = quality.of_table(run, whole_table)
    table, places = _usable(run, whole_table)
    features = table[spec["features"]]
    kinds = infer_kinds(features)
    try:
        frame = encode(features, kinds)
        groups = table[declared.group_column].to_numpy() if declared.group_column else None
        times = table[declared.time_column].to_numpy() if declared.time_column else None
        held = splits.holdout_split(table, cv=spec["cv"], groups=groups, times=times)
        whole = Part(frame, table[spec["target"]].to_numpy(), groups, _keys(table), weights, times)
        if (stays := rows_of_a_side(run, held, groups)) is not None:
            table, places = table[stays].reset_index(drop=True), places[stays]
            held, whole = held[stays], whole.taken(stays)
        training, holdout = whole.taken(~held), whole.taken(held)
        folds = splits.folds(
            spec["cv"],
            training.truth,
            task_type=spec["task_type"],
            n_folds=spec["cv_folds"],
            seed=run.seed,
            groups=training.groups,
            times=training.times,
        )
    except ValueError as error:
        raise Invalid(f"{declared} cannot be used as asked: {error}", code="unusable_data") from error
    quality.before_training(run, report, table, rows=places, held=held, folds=folds)
    parts = (classes_of(whole.truth, spec), training, holdout, table[held], folds)
    return Rows(kinds, spec["task_type"], *parts, splits.period(times))


def rows_of_a_side(run: Training | Share, held: NDArray[np.bool_], groups: Any) -> NDArray[np.bool_] | None:
    """Mask (n,) of the rows that are trained on or held out, where some are neither: earlier ones, by time with groups
    apart, of groups (n,) in the holdout. ValueError if nothing would be left to train on."""
    if run.spec["cv"] != CrossValidation.GROUP_TIME:
        return None
    earlier = splits.earlier_rows(held, groups)
    say(run, f"{int(earlier.sum()):,} rows are left out: they are earlier ones of groups that are held out")
    return ~earlier


def _usable(run: Training | Share, table: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """The rows (n) with a target, and their places (n,) in the data set."""
    spec, declared = run.spec, run.dataset
    target = spec["target"]
    known: pd.DataFrame = table[table[target].notna()].reset_index(drop=True)
    if spec["task_type"] == "classification" and columns_of(declared)[target]["integer"]:
        known = known.astype({target: np.int64})  # a gap among whole numbers made them floats, but classes are 0 and 1
    return known, np.flatnonzero(table[target].notna())


def weights_of(run: Training | Share, known: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """By row that has a target (`known`, of all rows): those that the data set's last version added are at its end (see
    `added_rows`)."""
    asked = run.spec.get("new_rows_weight")
    if asked is None:
        return None
    added = added_rows(run.dataset)
    before = len(known) - added
    say(run, f"in a fit each of the {added:,} new rows counts {asked:g} times as much as one of the {before:,} before")
    weights: NDArray[np.float64] = np.where(np.arange(len(known)) < before, 1.0, asked)[known]
    return weights


def classes_of(truth: NDArray[Any], spec: dict[str, Any]) -> tuple[Any, ...] | None:
    if spec["task_type"] == "regression":
        return None
    return evaluate.class_order(truth, positive=spec["positive_class"])


def _keys(table: pd.DataFrame) -> NDArray[Any]:
    """A name for each row by what it holds, the same in every version of the data; repeated rows are counted."""
    hashes = pd.Series(hashes_of(table))
    repeats = hashes.groupby(hashes).cumcount()
    return np.array([f"{key:016x}-{repeat}" for key, repeat in zip(hashes, repeats, strict=True)])
