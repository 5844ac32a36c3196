"""The versions that logged rows name, as far as the actor may log theirs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import QuerySet

from mlops_site.core.permissions import Action, Actor
from mlops_site.core.prepared import Prepared
from mlops_site.core.rows import Refused, text, texts_of
from monitoring.selectors.bases import bases_at
from monitoring.services.named import models_of
from monitoring.stats.tally import Shape
from registry.models import Version

FEW = 3  # models that are looked up one by one; most batches name one
_COLUMNS = ("model_id", "model__team", "model__name", "major", "minor", "patch", "pk", "content_digest")
_Row = tuple[Any, ...]


class Target(NamedTuple):
    """A version that rows name."""

    model_id: int
    version_id: int
    shape: Shape


class Targets(NamedTuple):
    models: Collection[str]  # names; others do not exist for the caller
    versions: Mapping[tuple[str, str], Target]  # by name and number


@Prepared
def _versions_of(name: str) -> QuerySet[Version, _Row]:
    return Version.objects.filter(model__name=name).values_list(*_COLUMNS)


def targets_of(rows: Sequence[Any], actor: Actor) -> Targets:
    """Raises Forbidden where the role or the token does not allow to log for a model that is there."""
    names, numbers = texts_of(rows, "model_name"), texts_of(rows, "model_version")
    found = _plain(names, actor)
    if found is None:
        models = models_of(names, actor, Action.PREDICTION_LOG)
        names, found = set(models), list(Version.objects.filter(model__in=models.values()).values_list(*_COLUMNS))
    named = {(name, ".".join(map(str, parts))): (model, pk, digest) for model, _, name, *parts, pk, digest in found}
    asked = {key: each for key, each in named.items() if key[1] in numbers}
    known = bases_at((pk, digest) for _, pk, digest in asked.values())
    return Targets(names, {key: Target(model, pk, known[pk].shape) for key, (model, pk, _) in asked.items()})


def _plain(names: set[str], actor: Actor) -> list[_Row] | None:
    """The versions of a few models that the actor may log for; None where there is more to say of one."""
    if len(names) > FEW:
        return None
    found: list[_Row] = []
    for name in names:
        rows = _versions_of(name)
        if not rows or not actor.may(Action.PREDICTION_LOG, rows[0][1]):
            return None
        found += rows
    return found


def target_of(row: Mapping[str, Any], targets: Targets) -> Target:
    """The version that a row names. Raises Refused."""
    name, number = (text(row, field, required=True) for field in ("model_name", "model_version"))
    found = targets.versions.get((name, number))
    if found is not None:
        return found
    if name not in targets.models:
        raise Refused("unknown_model", "model_name", f"no model {name!r} here, or it belongs to another team")
    raise Refused("unknown_version", "model_version", f"{name} has no version {number!r}")
