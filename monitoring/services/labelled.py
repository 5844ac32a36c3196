"""The data set for a new training, made of predictions whose outcome is known by now."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from mlops_site.core.errors import Conflict, Invalid
from mlops_site.core.permissions import Actor
from monitoring.models import RetrainPolicy
from monitoring.selectors.policies import PRODUCTION, labelled, last_production_data
from registry.models import RegisteredModel, Version
from training.models import DatasetVersion
from training.services.datasets import Prepared, parquet_of, prepare_dataset
from training.services.judging import Declaration
from training.services.quality import frame_of
from training.services.schema import label_meant

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS = 1_000_000  # the newest of the labelled rows
MAX_TABLE_ROWS, MAX_CELLS = 2_000_000, 50_000_000  # what a data set may have: training.ml.tables
CHUNK = 5_000
_COLUMNS = ("features", "label", "unit_id", "request_id", "predicted_at")


class Material(NamedTuple):
    """A prepared data set with its lineage, how many labels are new in it, and which version it goes on from."""

    ready: Prepared | DatasetVersion
    lineage: dict[str, Any]
    labels: int
    before: DatasetVersion


def material_of(
    model: RegisteredModel,
    *,
    actor: Actor,
    version: Version,
    base: DatasetVersion,
    policy: RetrainPolicy,
    until: datetime,
) -> Material:
    """The next version of the data set that `version` was trained on: the predictions that became labelled since the
    last one, after the rows of that one where the policy keeps them. Made outside any transaction.

    Every column of the data set stays: features come from what was asked, the target from the newest label, the group
    from the unit id (the request id where there is none), what is known of none of these is empty. A time column of
    numbers gets one more than the newest time before, one of ISO dates the time of the prediction.

    Raises Conflict `not_enough_labels`, Invalid where its times do not fit. Whether it passes its gate, it says itself.
    """
    before = last_production_data(model, base) or base
    since = since_of(before, model)
    rows = labelled(model, since=since, until=until)
    if (have := rows.values("pk")[: policy.min_labels].count()) < policy.min_labels:
        raise not_enough(have, policy.min_labels, since)
    table = frame_of(before)
    fresh = _fresh(rows.values_list(*_COLUMNS), table, version.signature, before)
    if len(fresh) < policy.min_labels:
        raise not_enough(len(fresh), policy.min_labels, since)
    frame = _joined(table if policy.keeps_training_rows else table.head(0), fresh)
    declared = Declaration(before.target, before.time_column, before.group_column, tuple(before.pii))
    name = before.dataset.name
    source = parquet_of(frame)
    ready = prepare_dataset(
        actor=actor,
        name=name,
        source=source,
        filename=f"{PRODUCTION}.parquet",
        declared=declared,
        keeps_useless=True,
    )
    lineage = {
        "source": PRODUCTION,
        "model": model.name,
        "version": version.number,
        "until": until.isoformat(),
        "labels": len(fresh),
        "parent": str(before),
    }
    return Material(ready, lineage, len(fresh), before)


def since_of(before: DatasetVersion, model: RegisteredModel) -> datetime | None:
    """Up to when labels are in the data set already; None where it was not made of them."""
    said = before.lineage
    is_ours = said.get("source") == PRODUCTION and said.get("model") == model.name
    return datetime.fromisoformat(said["until"]) if is_ours else None


def not_enough(have: int, need: int, since: datetime | None) -> Conflict:
    when = "" if since is None else f" since {since:%Y-%m-%d %H:%M} UTC"
    message = f"a new training needs {need:,} predictions that were labelled{when} and fit the version in production"
    return Conflict(f"{message} but there are {have:,}", code="not_enough_labels")


def _fresh(rows: Any, table: pd.DataFrame, signature: Mapping[str, Any], declared: DatasetVersion) -> pd.DataFrame:
    """The labelled predictions as rows of the data set, oldest first; read in pieces, each turned into columns."""
    import pandas as pd

    most = min(MAX_ROWS, MAX_CELLS // max(1, table.shape[1]))
    columns = _columns(table, signature, declared)
    needed = {column["name"] for column in signature["inputs"] if column["required"]}
    fits = _label_reader(signature)
    pieces = [table.head(0)]
    for chunk in _chunked(rows[:most].iterator(chunk_size=CHUNK)):
        known = [(fits(row[1]), *row) for row in chunk if needed <= row[0].keys()]
        kept = [row for row in known if row[0] is not None]
        cells = {name: [value(row) for row in kept] for name, value in columns.items()}
        pieces.append(pd.DataFrame({name: pd.Series(cells[name], dtype=_dtype(table[name])) for name in cells}))
    return pd.concat(pieces[1:] or pieces, ignore_index=True)[::-1].reset_index(drop=True)


def _chunked(rows: Iterator[Any]) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _dtype(column: pd.Series[Any]) -> str:
    from pandas.api import types

    return "float64" if types.is_numeric_dtype(column) else "str"


def _columns(
    table: pd.DataFrame, signature: Mapping[str, Any], declared: DatasetVersion
) -> dict[str, Callable[[Any], Any]]:
    """Column -> its value of a row (fitting label, features, label, unit id, request id, predicted at)."""
    asked = {column["name"] for column in signature["inputs"]}
    found: dict[str, Callable[[Any], Any]] = {}
    for name in map(str, table.columns):
        cell: Callable[[Any], Any] = _number if _dtype(table[name]) == "float64" else _text
        if name == declared.target:
            found[name] = partial(_label_cell, cell)
        elif name in asked:
            found[name] = partial(_feature_cell, cell, name)
        elif name == declared.group_column:
            found[name] = partial(_group_cell, _group_number if cell is _number else str)
        elif name == declared.time_column:
            found[name] = _time(table[name])
        else:
            found[name] = _empty_cell
    return found


def _label_cell(cell: Callable[[Any], Any], row: Any) -> Any:
    return cell(row[0])


def _feature_cell(cell: Callable[[Any], Any], name: str, row: Any) -> Any:
    return cell(row[1].get(name))


def _group_cell(cell: Callable[[Any], Any], row: Any) -> Any:
    return cell(row[3] or row[4])


def _empty_cell(row: Any) -> None:
    return None


def _label_reader(signature: Mapping[str, Any]) -> Callable[[Any], Any]:
    """What a label is in the data's own type; None where it is no class of the version, or no finite number."""
    if signature["task_type"] == "regression":
        return lambda label: None if math.isnan(value := _number(label)) else value
    classes: dict[Any, int] = dict.fromkeys(signature["classes"], 0)
    return lambda label: label_meant(label, classes)


def _number(value: object) -> float:
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return math.nan


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _group_number(unit: str) -> float:
    """A unit's own number, else one made of its name: below zero, and the same in every data set."""
    try:
        found = float(unit)
    except ValueError:
        found = math.nan
    return found if math.isfinite(found) else -1.0 - int(hashlib.sha256(unit.encode()).hexdigest()[:12], 16)


def _time(times: pd.Series[Any]) -> Callable[[Any], Any]:
    known = times.dropna()
    if _dtype(times) == "float64":
        after = float(known.max()) + 1 if len(known) else 0.0
        return lambda row: after
    newest = str(known.max()) if len(known) else ""
    try:
        sample = datetime.fromisoformat(newest)
    except ValueError:
        message = f"the time of a prediction cannot be written as the time column {times.name!r} is: {newest!r:.40}"
        raise Invalid(message, code="time_column") from None
    if len(newest) == len("2026-11-24"):
        return lambda row: row[5].date().isoformat()
    return lambda row: (row[5] if sample.tzinfo else row[5].replace(tzinfo=None)).isoformat()


def _joined(before: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """The rows before (the last ones, if they are too many) and the new ones, in columns of the kind before."""
    import pandas as pd

    kept = before.tail(max(0, min(MAX_TABLE_ROWS, MAX_CELLS // max(1, before.shape[1])) - len(fresh)))
    whole = pd.concat([kept, fresh], ignore_index=True) if len(kept) else fresh
    for name in before.columns[before.dtypes == "int64"]:
        values = whole[name]
        if values.notna().all() and (values == values.round()).all():
            whole[name] = values.astype("int64")
    return whole
