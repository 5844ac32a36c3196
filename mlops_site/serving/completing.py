"""Features that a caller left out, taken from the feature sets that the version reads. Whoever sends all of them pays
for nothing here but a comparison."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from mlops_site.core.errors import FieldError, Invalid
from monitoring.models import Completion, Prediction
from training.models import FeatureRow
from training.selectors.completing import lacking, taken, why_not
from training.selectors.features import Planned, latest_rows, plan_of


def complete(rows: Sequence[Prediction], version_id: int, names: Sequence[str]) -> None:
    """Give each row of a unit the features (of `names`, the version's inputs) that it lacks, where a fresh value was
    known when it was asked: one statement for all rows, and none where nothing is missing or the version reads no
    feature set. What was sent stays, be it null. What is found is told in `row.completion`, which is kept with it."""
    short = [row for row in rows if row.unit_id and len(row.features) < len(names)]
    plan = plan_of(version_id) if short else ()
    if not plan:
        return
    wanted = [(row, list(lacking(row.features, plan, names))) for row in short]
    units = sorted({row.unit_id for row, lacks in wanted if lacks})
    if not units:
        return
    as_of = short[0].predicted_at
    known = latest_rows([each.pk for each in plan], units, as_of)
    for row, lacks in wanted:
        found = taken(lacks, {each.pk: known.get((each.pk, row.unit_id)) for each in plan}, as_of)
        if found:
            row.features = {**row.features, **{name: each.row.values[name] for name, each in found.items()}}
            Completion(prediction=row, as_of=as_of, features={name: each.told() for name, each in found.items()})


def restore(row: Prediction) -> None:
    """The row as it was sent, for another version to be asked."""
    if Prediction.completion.is_cached(row):
        row.features = sent(row)
        Prediction.completion.related.delete_cached_value(row)


def recall(rows: Collection[Prediction]) -> None:
    """Read back what was completed for predictions of units that are kept already."""
    read = {row.pk: row for row in rows if plan_of(row.version_id)}
    for found in Completion.objects.filter(prediction__in=read) if read else ():
        read[found.pk].completion = found


def sent(row: Prediction) -> dict[str, Any]:
    """The features as the caller sent them: what was read for the caller may be personal, and is not told."""
    taken = row.completion.features if Prediction.completion.is_cached(row) else {}
    return {name: value for name, value in row.features.items() if name not in taken}


def why_missing(error: Invalid, version_id: int, by_place: dict[str, Prediction]) -> Invalid:
    """The same refusal, which also says of each missing feature why the version's feature sets did not give it."""
    plan = plan_of(version_id)
    if not plan or not any(each.code == "missing" for each in error.errors):
        return error
    units = sorted({row.unit_id for row in by_place.values() if row.unit_id})
    known = latest_rows([each.pk for each in plan], units, next(iter(by_place.values())).predicted_at)
    errors = [_explained(each, plan, by_place, known) for each in error.errors]
    return Invalid(f"{errors[0].field}: {errors[0].message}", code=error.code, errors=errors)


def _explained(
    error: FieldError, plan: Sequence[Planned], by_place: dict[str, Prediction], known: dict[Any, FeatureRow]
) -> FieldError:
    place, _, name = error.field.partition("features.")
    planned = next((each for each in plan if name in each.columns), None)
    row = by_place.get(place)
    if error.code != "missing" or planned is None or row is None:
        return error
    if not row.unit_id:
        return error._replace(message=f"{error.message}; or give the unit_id to read it from {planned.reference}")
    why = why_not(planned, row.unit_id, known.get((planned.pk, row.unit_id)))
    return error._replace(message=f"{error.message}; {why}")
