"""The rows of a run on a large table: its features stay in the file, only what belongs to a row is in memory.

Keys, truth, weights, folds and scores are vectors of 8 bytes a row. The holdout is a frame, of at most about
`HELD_ROWS` rows: it decides as finely as anybody needs, and all that looks at it is as for a short table.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_site.core.errors import Invalid
from mlops_site.stats.columns import encode, infer_kinds
from training.choices import Stage
from training.ml import estimators, splits
from training.ml.executors import Executor
from training.ml.parted import Parted, Table
from training.ml.stored import Stored
from training.ml.told import Asked, of_part
from training.models import Run, Share, Training
from training.pipeline import quality
from training.pipeline.data import Part, Rows, classes_of, rows_of, rows_of_a_side, weights_of
from training.pipeline.steps import say
from training.selectors.keeping import opened_data
from training.services.large import executor, trains_in_parts
from training.services.schema import columns_of

HELD_ROWS, HELD_SHARE = 200_000, 0.2
Job = Training | Share


@contextmanager
def opened(run: Job) -> Iterator[Rows]:
    """The rows of a run, in one frame or in parts; raises what `data.rows_of` does, Invalid `not_in_parts` for a model
    type that must see all rows at once."""
    if not trains_in_parts(run.dataset):
        yield rows_of(run)
        return
    _check_types(run)
    with tempfile.TemporaryDirectory(prefix="steward-rows-") as folder, executor() as work:
        path = Path(folder) / "table.parquet"
        with opened_data(run.dataset) as source, path.open("wb") as file:
            shutil.copyfileobj(source, file)
        stored = Stored(path)
        say(run, f"{stored.rows:,} rows of {len(stored.columns)} columns are too many for one frame: in parts")
        yield rows_in_parts(run, stored, work)


def rows_in_parts(run: Job, stored: Stored, work: Executor) -> Rows:
    """What `data.rows_of` makes of the whole table, with the training rows' features left in the file."""
    spec, declared = run.spec, run.dataset
    report = quality.of_stored(run, stored, work) if isinstance(run, Run) else None
    known = stored.whole([spec["target"]])[spec["target"]].notna().to_numpy()
    told, places = _told(run, stored, work), np.flatnonzero(known)
    try:
        held = _held(run, told)
        if (stays := rows_of_a_side(run, held, told.groups)) is not None:
            told, places, held = told.taken(stays), places[stays], held[stays]
        folds = _folds(run, told, held)
    except ValueError as error:
        raise Invalid(f"{declared} cannot be used as asked: {error}", code="unusable_data") from error
    if report is not None and isinstance(run, Run):
        found = list(quality.leaks_in(run, partial(_column, stored, places), told.twins, held, folds))
        checks = (*report.checks, *quality.at_their_places(found, places))
        quality.judge(run, Stage.TRAINING, replace(report, checks=checks))
    return _rows(run, Parted(stored, _kinds(run, stored), _short(places), work), told, held, folds)


class Told(NamedTuple):
    """Of the rows (n) that have a target: truth, side of the holdout, hash, group (a number), and time; `twins` (n, 1)
    tells apart features with target; `period` is the first and last time."""

    truth: NDArray[Any]
    sides: NDArray[np.float64]
    hashes: NDArray[np.uint64]
    groups: NDArray[np.intp] | None
    times: NDArray[np.float64] | None
    twins: pd.DataFrame
    period: tuple[str, str] | None

    def taken(self, mask: NDArray[np.bool_]) -> Told:
        """The rows of the mask (n,)."""
        groups = None if self.groups is None else self.groups[mask]
        times = None if self.times is None else self.times[mask]
        twins = self.twins[mask].reset_index(drop=True)
        return Told(self.truth[mask], self.sides[mask], self.hashes[mask], groups, times, twins, self.period)


def _told(run: Job, stored: Stored, work: Executor) -> Told:
    spec, declared = run.spec, run.dataset
    whole = spec["task_type"] == "classification" and bool(columns_of(declared)[spec["target"]]["integer"])
    group, time = declared.group_column or None, declared.time_column or None
    asked = Asked(spec["target"], spec["features"], group, time, whole)
    parts = list(work.map(partial(of_part, asked), stored.parts()))
    truth, sides, hashes, twins, groups, times, periods = zip(*parts, strict=True)
    return Told(
        _shared(list(truth)),
        np.concatenate(sides),
        np.concatenate(hashes),
        None if group is None else pd.factorize(pd.concat(groups, ignore_index=True))[0],
        None if any(each is None for each in times) else np.concatenate(times),
        pd.DataFrame({"row": np.concatenate(twins)}),
        _period([each for each in periods if each is not None]) if time else None,
    )


def _period(ends: list[Any]) -> tuple[str, str] | None:
    if not ends:
        return None
    return min(first for first, _ in ends)[1], max(last for _, last in ends)[1]


def _shared(parts: list[pd.Series[Any]]) -> NDArray[Any]:
    """Truth as an array; equal labels are one object, 8 bytes a row."""
    whole = pd.concat(parts, ignore_index=True)
    if whole.dtype.kind in "biuf":
        return whole.to_numpy()
    codes, labels = pd.factorize(whole)
    return np.asarray(labels, dtype=object)[codes]


def _held(run: Job, told: Told) -> NDArray[np.bool_]:
    cv, share = run.spec["cv"], min(HELD_SHARE, HELD_ROWS / len(told.truth))
    if cv in splits.BY_TIME and told.times is None:
        raise ValueError(f"times must be numbers or ISO dates but {run.dataset.time_column!r} holds others")
    return splits.holdout_split(told.sides, cv=cv, share=share, groups=told.groups, times=told.times)


def _folds(run: Job, told: Told, held: NDArray[np.bool_]) -> list[splits.Fold]:
    spec, rest = run.spec, told.taken(~held)
    asked: dict[str, Any] = {"n_folds": spec["cv_folds"], "seed": run.seed, "groups": rest.groups, "times": rest.times}
    folds = splits.folds(spec["cv"], rest.truth, task_type=spec["task_type"], **asked)
    return [(_short(train), _short(test)) for train, test in folds]


def _short(places: NDArray[np.intp]) -> NDArray[Any]:
    """Places in 4 bytes each where they fit: each fold has nearly all of them."""
    return places.astype(np.int32) if not len(places) or places[-1] < 2**31 else places


def _rows(run: Job, whole: Parted, told: Told, held: NDArray[np.bool_], folds: list[splits.Fold]) -> Rows:
    spec, kinds = run.spec, whole.kinds
    known = np.zeros(whole.stored.rows, dtype=np.bool_)
    known[whole.places] = True
    # A key tells a held-out row from another version's: nothing asks for those of the others.
    part: Part[Table] = Part(whole, told.truth, told.groups, told.hashes, weights_of(run, known), told.times)
    table = whole.iloc[held].plain()
    out = part.taken(held)
    frame = encode(table[list(kinds)], kinds)
    holdout = Part(frame, out.truth, out.groups, _keys(told.hashes, held), out.weights, out.times)
    classes = classes_of(told.truth, spec)
    return Rows(kinds, spec["task_type"], classes, part.taken(~held), holdout, table, folds, told.period)


def _kinds(run: Job, stored: Stored) -> Any:
    return infer_kinds(next(stored.parts(run.spec["features"])))  # canonical types are those of the whole file


def _column(stored: Stored, places: NDArray[np.intp], name: str) -> pd.Series[Any] | None:
    if name not in stored.columns:
        return None
    return stored.whole([name])[name].take(places).reset_index(drop=True)


def _keys(hashes: NDArray[np.uint64], held: NDArray[np.bool_]) -> NDArray[Any]:
    """The names of the held-out rows: hashes, with how many equal ones are ahead of each in the whole table."""
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    repeats = np.empty(len(hashes), np.intp)
    repeats[order] = np.arange(len(hashes)) - np.repeat(starts, np.diff(np.r_[starts, len(hashes)]))
    return np.array([f"{key:016x}-{again}" for key, again in zip(hashes[held], repeats[held], strict=True)])


def _check_types(run: Job) -> None:
    """The limit may have changed since the run was asked for."""
    able = estimators.in_parts(run.spec["task_type"])
    for name in run.spec["model_types"]:
        if name not in able:
            message = f"{run.dataset} is trained on in parts, which is done by {', '.join(able)} but not by {name!r}"
            raise Invalid(message, code="not_in_parts")
