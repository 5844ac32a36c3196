"""What the data of a model is held to, changed by people who answer for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.utils import timezone

from mlops_site.core import events
from mlops_site.core.errors import Conflict, FieldError, Invalid
from mlops_site.core.permissions import Action, Actor, person, require
from mlops_site.stats.bins import Bins
from mlops_site.stats.cells import LARGEST
from monitoring.models import QualityLimit
from monitoring.selectors.bases import basis_of
from monitoring.selectors.limits import SET, limits_of, no_reference, subject_of
from monitoring.stats.limits import parts_of
from registry.models import RegisteredModel, Version
from registry.services.guards import locked, reason_given

MAX_EDITS, MAX_ALLOWED, MAX_LEVEL, MAX_REASON = 200, 1_000, 200, 500


def set_quality_limits(version: Version, *, actor: Actor, edits: Sequence[Mapping[str, Any]], reason: str) -> None:
    """Set limits of features of a version, for its model: they hold for every version that has the feature.

    An edit is {"feature", "check", "limit"}; the limit has parts that hold instead of the derived ones, or {"off":
    true}, or is None, and then the derived limit holds again. Raises Invalid naming every part at fault, Conflict
    `no_reference` for a version without limits, Forbidden.
    """
    with locked(version.model) as row:
        require(actor, Action.LIMITS_SET, row.team, subject=subject_of(row))
        why = _reason(reason)
        bins = basis_of(version).bins
        if bins is None:
            raise Conflict(no_reference(version), code="no_reference")
        if errors := list(_faults(edits, version, bins)):
            raise Invalid(errors[0].message, code=errors[0].code, errors=errors)
        changed = [change for edit in edits if (change := _kept(row, edit, why, actor))]
        if changed:
            data = {"version": version.number, "reason": why, "changes": changed}
            events.record(SET, actor=actor, subject=subject_of(row), team=row.team.name, data=data)


def _kept(model: RegisteredModel, edit: Mapping[str, Any], why: str, actor: Actor) -> dict[str, Any] | None:
    """The change as the audit tells it; None where it is none."""
    about, said = {"feature": edit["feature"], "check_name": edit["check"]}, edit["limit"]
    row = QualityLimit.objects.filter(model=model, **about).first()
    before = row.said if row else None
    if before == said:
        return None
    if said is None:
        QualityLimit.objects.filter(model=model, **about).delete()
    else:
        changes = {"said": said, "reason": why, "set_by": person(actor), "updated_at": timezone.now()}
        QualityLimit.objects.update_or_create(model=model, **about, defaults=changes)
    return {"feature": edit["feature"], "check": edit["check"], "before": before, "after": said}


def _reason(reason: str) -> str:
    why = reason_given(reason)
    if len(why) > MAX_REASON:
        raise Invalid.on(
            "reason", f"reason must be at most {MAX_REASON} characters but got {len(why)}", code="too_long"
        )
    return why


def _faults(edits: Sequence[Mapping[str, Any]], version: Version, bins: Bins) -> Iterator[FieldError]:
    if not 1 <= len(edits) <= MAX_EDITS:
        yield FieldError("edits", "invalid", f"edits must be 1 to {MAX_EDITS} but got {len(edits)}")
        return
    derived = {(row.limit.feature, row.limit.check): row.limit.derived for row in limits_of(version).rows}
    seen: set[tuple[str, str]] = set()
    for at, edit in enumerate(edits):
        key, field = (edit["feature"], edit["check"]), f"edits.{at}"
        parts = parts_of(bins, *key)
        if edit["feature"] not in bins.features:
            message = f"{edit['feature'][:80]!r} is no feature of {version.number}"
            yield FieldError(f"{field}.feature", "unknown_feature", f"feature {message}")
        elif parts is None or (key not in derived and edit["limit"] is not None):
            message = f"check {edit['check'][:40]!r} cannot be made of {edit['feature'][:80]!r} in {version.number}"
            yield FieldError(f"{field}.check", "unknown_check", message)
        elif key in seen:
            yield FieldError(f"{field}.check", "repeated", f"{key[1]} of {key[0][:80]} is set twice")
        elif edit["limit"] is not None:
            yield from _wrong(f"{field}.limit", edit["limit"], parts, derived[key])
        seen.add(key)


def _wrong(field: str, said: Any, parts: tuple[str, ...], derived: Mapping[str, Any]) -> Iterator[FieldError]:
    known = (*parts, "off")
    if not isinstance(said, Mapping) or not said:
        message = f"limit must be null or an object with some of {', '.join(known)} but got {said!r:.80}"
        yield FieldError(field, "invalid", message)
        return
    for name, value in said.items():
        if name not in known:
            message = f"{name!s:.40} is unknown here; known: {', '.join(known)}"
            yield FieldError(f"{field}.{name!s:.40}", "unknown_field", message)
        elif why := _JUDGES[name](value):
            yield FieldError(f"{field}.{name}", "invalid", f"{name} {why}")
    low: Any
    high: Any
    low, high = ({**derived, **said}.get(name) for name in ("min", "max"))
    if _is_number(low) and _is_number(high) and low > high:
        yield FieldError(f"{field}.min", "invalid", f"min must not be above max but got {low:g} and {high:g}")
    if "min" in parts and low is None and high is None:
        yield FieldError(f"{field}.min", "invalid", "min and max must not both be null; say off instead")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST


def _share(value: Any) -> str:
    return "" if _is_number(value) and 0 <= value <= 1 else f"must be from 0 to 1 but got {value!r:.80}"


def _bound(value: Any) -> str:
    is_bound = value is None or _is_number(value)
    return "" if is_bound else f"must be a number within {LARGEST:g} or null but got {value!r:.80}"


def _change(value: Any) -> str:
    return "" if _is_number(value) and 0 <= value <= 2 else f"must be from 0 to 2 but got {value!r:.80}"


def _levels(value: Any) -> str:
    is_list = isinstance(value, list) and 1 <= len(value) <= MAX_ALLOWED
    if is_list and all(isinstance(level, str) and 1 <= len(level) <= MAX_LEVEL for level in value):
        return ""
    return f"must be a list of 1 to {MAX_ALLOWED:,} texts of 1 to {MAX_LEVEL} characters but got {value!r:.80}"


def _flag(value: Any) -> str:
    return "" if value is True else f"must be true, or the limit null to have the derived one, but got {value!r:.80}"


_JUDGES: dict[str, Callable[[Any], str]] = {
    "max_share": _share,
    "min": _bound,
    "max": _bound,
    "allowed": _levels,
    "max_change": _change,
    "off": _flag,
}
