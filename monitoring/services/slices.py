"""By what a model's answers are told apart: declared and ended by people, and counted from then on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from django.db.models import Q
from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, FieldError, Invalid, NotFound
from mlops_site.core.permissions import Action, Actor, person, require
from monitoring.choices import SliceSource
from monitoring.models import FairnessLimits, Slice
from monitoring.selectors.slices import features_of, levels_of_feature, levels_sent, version_watched
from monitoring.stats.fairness import LIMITS
from monitoring.stats.slicing import MAX_LEVELS, MISSING, OTHER, number_of, spelled
from registry.models import RegisteredModel
from registry.services.guards import locked, one_of

MAX_SLICES = 5  # of a model in force
MAX_COUNTED = 20  # with those that ended in the last day, so that no bucket holds more
MAX_NAME = 128
# A folder that works at this moment does not know the slice yet: what it folds was received before.
UNKNOWN_TO_FOLDERS = timedelta(minutes=1)
LEAST_ROWS, MOST_ROWS = 10, 1_000_000


class _Asked(NamedTuple):
    name: str
    source: str
    levels: list[str]
    cuts: list[float]


def declare_slice(
    model: RegisteredModel,
    *,
    actor: Actor,
    name: object,
    source: str,
    levels: Sequence[object] | None = None,
    cuts: Sequence[object] | None = None,
) -> Slice:
    """Count the answers that are received from a minute from now on by a feature, or by a name in their `slices`: by up
    to 10 levels, the rest together, or of a number between up to 9 cuts. Without either, a feature takes its frequent
    levels or its quartiles in the training data, a name the most frequent texts of the latest answers.

    Raises Invalid naming the field, Conflict `slice_exists` or `too_many_slices`, Forbidden.
    """
    with locked(model) as row:
        require(actor, Action.SLICES_SET, row.team, subject=row.subject)
        asked = _asked(row, name, source, levels, cuts)
        _check_room(row, asked)
        now = timezone.now()
        made = Slice.objects.create(
            model=row,
            **asked._asdict(),
            counts_from=now + UNKNOWN_TO_FOLDERS,
            declared_by=person(actor),
            declared_at=now,
        )
        data = {**asked._asdict(), "counts_from": made.counts_from.isoformat()}
        events.record("slice.declared", actor=actor, subject=row.subject, team=row.team.name, data=data)
    return made


def end_slice(model: RegisteredModel, slice_id: int, *, actor: Actor) -> Slice:
    """Count answers by it no more; what it has counted stays, and labels of those answers are still added. NotFound
    for one that is not in force, Forbidden."""
    with locked(model) as row:
        require(actor, Action.SLICES_SET, row.team, subject=row.subject)
        found = Slice.objects.select_for_update().filter(model=row, pk=slice_id, counts_until=None).first()
        if found is None:
            raise NotFound(f"{row.name} has no slice {slice_id} in force", code="unknown_slice")
        found.counts_until = max(timezone.now(), found.counts_from) + UNKNOWN_TO_FOLDERS
        found.save(update_fields=["counts_until"])
        data = {"name": found.name, "source": found.source, "counts_until": found.counts_until.isoformat()}
        events.record("slice.ended", actor=actor, subject=row.subject, team=row.team.name, data=data)
    return found


def set_fairness_limits(
    model: RegisteredModel, *, actor: Actor, limits: Mapping[str, object] | None = None, min_rows: object = None
) -> FairnessLimits:
    """From which gap between levels an alert is raised, by measure; null leaves a measure out, what is not named stays.
    `min_rows` is how many rows a rate needs to be compared. Raises Invalid naming every field at fault, Forbidden."""
    errors = [*_wrong_limits(limits or {}), *_wrong_rows(min_rows)]
    with locked(model) as row:
        require(actor, Action.SLICES_SET, row.team, subject=row.subject)
        if errors:
            raise Invalid(errors[0].message, code=errors[0].code, errors=errors)
        found = FairnessLimits.objects.filter(model=row).first() or FairnessLimits(model=row)
        found.limits = {**found.limits, **(limits or {})}
        found.min_rows = found.min_rows if min_rows is None else min_rows  # type: ignore[assignment]
        found.set_by, found.updated_at = person(actor), timezone.now()
        found.save()
        data = {"limits": found.limits, "min_rows": found.min_rows}
        events.record("fairness_limits.set", actor=actor, subject=found.subject, team=row.team.name, data=data)
    return found


def _asked(
    model: RegisteredModel,
    name: object,
    source: str,
    levels: Sequence[object] | None,
    cuts: Sequence[object] | None,
) -> _Asked:
    said = name.strip() if isinstance(name, str) else ""
    if not 0 < len(said) <= MAX_NAME or not said.isprintable():
        message = f"name must be a text of 1 to {MAX_NAME} printable characters but got {name!r:.80}"
        raise Invalid.on("name", message, code="invalid")
    one_of("source", source, list(SliceSource.values))
    version = version_watched(model)
    if source == SliceSource.FEATURE and version is not None and said not in (known := features_of(version)):
        message = f"name must be an input of {version} ({', '.join(known)[:300]}) but got {said!r:.80}"
        raise Invalid.on("name", message, code="unknown_feature")
    if levels and cuts:
        raise Invalid.on("cuts", "cuts must be left out where levels are given", code="not_applicable")
    if not levels and not cuts:
        chosen = _chosen(model, said, source)
        return _Asked(said, source, *chosen)
    return _Asked(said, source, _levels(levels or []), _cuts(cuts or []))


def _chosen(model: RegisteredModel, name: str, source: str) -> tuple[list[str], list[float]]:
    version = version_watched(model)
    if source == SliceSource.SLICE:
        found: tuple[list[str], list[float]] = levels_sent(model, name), []
    else:
        found = levels_of_feature(version, name) if version is not None else ([], [])
    if not any(found):
        message = f"levels or cuts must be given: no answer or training data tells which values {name!r:.80} has"
        raise Invalid.on("levels", message, code="unknown_levels")
    return found


def _levels(given: Sequence[object]) -> list[str]:
    texts = [spelled(level) for level in given]
    wrong = [
        text for text in texts if not 0 < len(text) <= MAX_NAME or text in (OTHER, MISSING) or not text.isprintable()
    ]
    if len(texts) > MAX_LEVELS or len(set(texts)) < len(texts) or wrong:
        message = (
            f"levels must be 1 to {MAX_LEVELS} different texts of up to {MAX_NAME} printable characters, none of them "
            f"{OTHER} or {MISSING}, but got {list(given)!r:.80}"
        )
        raise Invalid.on("levels", message, code="invalid")
    return texts


def _cuts(given: Sequence[object]) -> list[float]:
    numbers = [number_of(cut) for cut in given]
    known = [number for number in numbers if number is not None]
    rising = all(low < high for low, high in pairwise(known))
    if len(known) < len(numbers) or len(known) >= MAX_LEVELS or not rising:
        message = f"cuts must be 1 to {MAX_LEVELS - 1} numbers that rise but got {list(given)!r:.80}"
        raise Invalid.on("cuts", message, code="invalid")
    return known


def _check_room(model: RegisteredModel, asked: _Asked) -> None:
    now = timezone.now()
    recent = Slice.objects.filter(model=model)
    recent = recent.filter(Q(counts_until=None) | Q(counts_until__gt=now - timedelta(days=1)))
    known = list(recent.values_list("name", "source", "counts_until"))
    in_force = [(name, source) for name, source, until in known if until is None]
    if (asked.name, asked.source) in in_force:
        message = f"{model.name} is sliced by {asked.name!r} already; end that slice to count by other levels"
        raise Conflict(message, code="slice_exists")
    if len(in_force) >= MAX_SLICES or len(known) >= MAX_COUNTED:
        message = (
            f"{model.name} has {len(in_force)} slices in force (at most {MAX_SLICES}) and {len(known)} with those that "
            f"ended in the last day (at most {MAX_COUNTED}); end one, or wait"
        )
        raise Conflict(message, code="too_many_slices")


def _wrong_limits(limits: Mapping[str, object]) -> Iterator[FieldError]:
    for name, limit in limits.items():
        field = f"limits.{name!s:.80}"
        if name not in LIMITS:
            yield FieldError(field, "unknown_field", f"{field} is no measure; known: {', '.join(LIMITS)}")
        elif limit is not None and (
            isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit <= 10
        ):
            message = f"{field} must be above 0 and up to 10, or null to leave it out, but got {limit!r:.80}"
            yield FieldError(field, "out_of_range", message)


def _wrong_rows(value: object) -> Iterator[FieldError]:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (is_whole and LEAST_ROWS <= value <= MOST_ROWS):  # type: ignore[operator]
        message = f"min_rows must be a whole number from {LEAST_ROWS} to {MOST_ROWS:,} but got {value!r:.80}"
        yield FieldError("min_rows", "out_of_range", message)


def limits_in_force(row: FairnessLimits) -> dict[str, Any]:
    """Each measure with its limit, whether it was set or is the default."""
    return {**LIMITS, **row.limits}
