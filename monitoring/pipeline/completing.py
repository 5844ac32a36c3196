"""Columns that a file lacks, read from the feature sets of the version as they were known when the scoring was asked
for: the same on every attempt, whatever is loaded meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from monitoring.models import BatchRun
from registry.artifacts.frames import Fault
from registry.artifacts.signature import Signature
from training.models import FeatureRow
from training.selectors.completing import Taken, lacking, rows_then, taken, why_not
from training.selectors.features import Planned, plan_of

if TYPE_CHECKING:
    import pandas as pd

Told = dict[str, dict[str, str]]  # of a row: what is kept of each value that was read


class Read(NamedTuple):
    """The frame with the columns that were read, a fault for each row (by position) that has no value for one of them
    that it must have, and by row what was read; nothing where the file lacks nothing."""

    frame: pd.DataFrame
    faults: dict[int, Fault]
    told: list[Told]


def completed(frame: pd.DataFrame, signature: Signature, run: BatchRun, units: Sequence[str | None] | None) -> Read:
    """A piece of a file, whose rows are of `units`; without a column of these nothing is read."""
    plan = plan_of(run.version_id) if units is not None else ()
    wanted = list(lacking(frame.columns, plan, signature.names))
    if units is None or not wanted:
        return Read(frame, {}, [])
    known = rows_then(sorted({each.pk for _, each in wanted}), [(unit, run.created_at) for unit in units if unit])
    latest = [_latest(unit, wanted, known, run) for unit in units]
    found = [taken(wanted, rows, run.created_at) for rows in latest]
    required = {column.name for column in signature.inputs if column.required}
    faults: dict[int, Fault] = {}
    for at, unit in enumerate(units):
        for name, planned in wanted:
            if name in required and name not in found[at]:
                faults.setdefault(at, _fault(name, planned, unit, latest[at].get(planned.pk)))
    whole = frame.assign(**{name: _column(name, found, signature.kinds[name]) for name, _ in wanted})
    return Read(whole, faults, [{name: each.told() for name, each in row.items()} for row in found])


def _latest(
    unit: str | None, wanted: Sequence[tuple[str, Planned]], known: Any, run: BatchRun
) -> dict[int, FeatureRow]:
    sets = {planned.pk for _, planned in wanted} if unit else ()
    return {pk: row for pk in sets if (row := known.get((pk, (unit, run.created_at))))}


def _column(name: str, found: Sequence[dict[str, Taken]], kind: str) -> pd.Series[Any]:
    import pandas as pd

    values = [row[name].row.values[name] if name in row else None for row in found]
    return pd.Series(values, dtype="float64" if kind == "number" else "object")


def _fault(name: str, planned: Planned, unit: str | None, row: FeatureRow | None) -> Fault:
    why = why_not(planned, unit, row) if unit else f"the row has no id to read it from {planned.reference}"
    return Fault("missing", name, f"{name} is no column of the file; {why}")
