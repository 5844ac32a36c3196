"""What reads a feature set: checked when a run is asked for and when a version is registered, then kept for good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlops_site.core.errors import FieldError, Invalid
from mlops_site.core.models import Team
from registry.models import Version
from training.models import DatasetVersion, FeatureSetVersion, FeatureUse
from training.models.features import REFERENCE

MAX_SETS = 20
FIELD = "feature_sets"


def sets_named(references: Any, team: Team) -> list[FeatureSetVersion]:
    """The feature sets of a team that texts such as claim_history@2 name: each in one version, at most once, and all of
    one entity, for one key is looked up in all of them. Invalid says which is not so."""
    if not isinstance(references, list | tuple) or len(references) > MAX_SETS:
        raise _wrong("wrong_type", f"must be a list of up to {MAX_SETS} texts such as claim_history@2")
    found = [_named(reference, team) for reference in references]
    names = [each.feature_set.name for each in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _wrong("repeated", f"must be different but name {', '.join(twice)} more than once")
    entities = {each.entity: str(each) for each in found}
    if len(entities) > 1:
        of = ", ".join(f"{name} is of {entity}" for entity, name in sorted(entities.items()))
        raise _wrong("different_entities", f"must be of one entity, for one unit_id is looked up in all, but {of}")
    return found


def _named(reference: Any, team: Team) -> FeatureSetVersion:
    match = REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if match is None or not match[2]:
        raise _wrong("malformed", f"must be texts such as claim_history@2 but got {reference!r:.80}")
    rows = FeatureSetVersion.objects.select_related("feature_set__team").filter(feature_set__team=team)
    found = rows.filter(feature_set__name=match[1], version=match[2]).first()
    if found is None:
        raise _wrong("unknown_feature_set", f"must be the team's but there is no {reference} in {team.name}")
    return found


def check_fit(found: Sequence[FeatureSetVersion], inputs: Mapping[str, str]) -> None:
    """Invalid unless each set has an input (name -> number or category) of its kind, and no input is in two of them."""
    errors = list(_misfits(found, inputs))
    if errors:
        raise Invalid(errors[0].message, code=errors[0].code, errors=errors)


def _misfits(found: Sequence[FeatureSetVersion], inputs: Mapping[str, str]) -> Iterator[FieldError]:
    for name in inputs:
        having = [str(each) for each in found if name in each.kinds]
        if len(having) > 1:
            message = f"feature_sets must not have a feature twice but {' and '.join(having)} have {name}"
            yield FieldError(FIELD, "ambiguous_feature", message)
    for each in found:
        shared = inputs.keys() & each.kinds.keys()
        if not shared:
            yield FieldError(FIELD, "unused_feature_set", f"feature_sets names {each}, which has no input of the model")
        for name in sorted(shared):
            if each.kinds[name] != inputs[name]:
                message = f"{name} of {each} is a {each.kinds[name]} but the model's input is a {inputs[name]}"
                yield FieldError(FIELD, "feature_kind", message)


def keep_version_uses(version: Version) -> None:
    """What a new version says that it reads, checked and kept with it."""
    references = version.lineage.get(FIELD)
    if not references:
        return
    found = sets_named(references, version.model.team)
    check_fit(found, {column["name"]: column["kind"] for column in version.signature["inputs"]})
    FeatureUse.objects.bulk_create(FeatureUse(feature_set=each, version=version) for each in found)


def keep_dataset_uses(dataset: DatasetVersion, found: Iterable[FeatureSetVersion]) -> None:
    rows = [FeatureUse(feature_set=each, dataset=dataset) for each in found]
    FeatureUse.objects.bulk_create(rows, ignore_conflicts=True)


def sets_of(dataset: DatasetVersion, features: Sequence[str]) -> list[str]:
    """The feature sets that a data set was made with, as far as these features are theirs."""
    uses = FeatureUse.objects.filter(dataset=dataset).select_related("feature_set__feature_set").order_by("pk")
    return [str(use.feature_set) for use in uses if use.feature_set.kinds.keys() & set(features)]


def _wrong(code: str, message: str) -> Invalid:
    return Invalid.on(FIELD, f"{FIELD} {message}", code=code)
