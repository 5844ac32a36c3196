"""Back to the last good production version, past those whose artifacts are damaged."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlops_site.core import events
from mlops_site.core.errors import Conflict
from mlops_site.core.permissions import Action, Actor, person, require
from registry import selectors
from registry.artifacts.scorer import preflight
from registry.choices import Cause, IncidentKind, Stage
from registry.models import Incident, RegisteredModel, Version
from registry.services.guards import locked, reason_given, touch
from registry.services.incidents import open_incident
from registry.services.intervals import swap


class Skipped(NamedTuple):
    """A version that a rollback passed over, and why it could not serve."""

    version: Version
    why: str


class Rollback(NamedTuple):
    """The version that serves again, the one that it replaced, the incident that says why, and what was passed over."""

    version: Version
    replaced: Version
    incident: Incident
    skipped: list[Skipped]


class _Way(NamedTuple):
    """Where a rollback goes, found before the lock: pre-flights may load large models."""

    target: Version
    skipped: list[Skipped]
    replaced: Version

    @property
    def passed(self) -> list[int]:
        return [*(skipped.version.pk for skipped in self.skipped), self.target.pk]


def rollback(model: RegisteredModel, *, actor: Actor, reason: str) -> Rollback:
    """Put the last good production version back in place of the present one, which returns to staging.

    A version that fails its pre-flight is passed over for the one before it, and the answer, the incident and the event
    say so. Conflict `nothing_to_roll_back_to`, `preflight_failed` when none passes, or `production_changed` when
    someone was faster; nothing is changed then.
    """
    why = reason_given(reason)
    with events.atomic():
        require(actor, Action.ROLLBACK, model.team, subject=model.subject)
    way = _way(model)
    with locked(model) as row:
        require(actor, Action.ROLLBACK, row.team, subject=row.subject)
        _check_same(row, way)
        swap(way.target, way.replaced, cause=Cause.ROLLED_BACK, by=person(actor), reason=why)
        touch(row)
        incident = _open_incidents(way, actor, why)
        _say(way, incident, actor, why)
    return Rollback(way.target, way.replaced, incident, way.skipped)


def _ends(model: RegisteredModel) -> tuple[list[Version], Version]:
    """What a rollback may go back to, latest first, and what it would replace, as of now."""
    targets, replaced = selectors.rollback_targets(model), selectors.in_production(model)
    if not targets or replaced is None:
        state = "nothing is in production" if replaced is None else f"{replaced.number} is the only version that served"
        raise Conflict(f"{model} has nothing to go back to: {state}", code="nothing_to_roll_back_to")
    return targets, replaced


def _way(model: RegisteredModel) -> _Way:
    targets, replaced = _ends(model)
    skipped: list[Skipped] = []
    for target in targets:
        failures = preflight(target)
        if not failures:
            return _Way(target, skipped, replaced)
        skipped.append(Skipped(target, "; ".join(failures)[:500]))
    said = " ".join(f"{one.version} did not pass its pre-flight: {one.why}." for one in skipped)
    raise Conflict(said[:2000], code="preflight_failed")


def _check_same(row: RegisteredModel, way: _Way) -> None:
    targets, replaced = _ends(row)
    if replaced.pk != way.replaced.pk or [target.pk for target in targets[: len(way.passed)]] != way.passed:
        message = (
            f"production of {row} changed while the rollback was checked: {replaced.number} serves now; look again"
        )
        raise Conflict(message, code="production_changed")


def _open_incidents(way: _Way, actor: Actor, why: str) -> Incident:
    """One for the version taken out, and one for each damaged version on the way that has none open."""
    known = Incident.objects.filter(model=way.replaced.model, kind=IncidentKind.DAMAGED_ARTIFACT, closed_at=None)
    open_already = set(known.values_list("version_id", flat=True))
    for skipped in way.skipped:
        if skipped.version.pk not in open_already:
            found = f"A rollback passed over {skipped.version.number}, which could not serve: {skipped.why}"
            open_incident(skipped.version, kind=IncidentKind.DAMAGED_ARTIFACT, what=found, actor=actor)
    passed = "".join(f", passing over {one.version.number} ({one.why})" for one in way.skipped)
    what = f"{way.replaced.number} was taken out of production and {way.target.number} put back{passed}: {why}"
    return open_incident(way.replaced, kind=IncidentKind.ROLLED_BACK, what=what, actor=actor)


def _say(way: _Way, incident: Incident, actor: Actor, why: str) -> None:
    data: dict[str, Any] = {
        "stage": str(Stage.PRODUCTION),
        "cause": str(Cause.ROLLED_BACK),
        "replaced": way.replaced.number,
        "reason": why,
        "incident": incident.pk,
        "skipped": [{"version": one.version.number, "why": one.why} for one in way.skipped],
    }
    team = way.target.model.team.name
    events.record("version.rolled_back", actor=actor, subject=way.target.subject, team=team, data=data)
