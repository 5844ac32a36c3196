"""What happened to models between two days: promotions, rollbacks, waivers, incidents, what is new or retired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet

from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor, visible
from registry.choices import AutoDeploy, Cause, Stage
from registry.models import DeployPolicy, Incident, RegisteredModel, StageInterval, Version

MAX_DAYS = 1100
MAX_ROWS = 10_000

PROMOTION, ROLLBACK, WAIVER, INCIDENT = "promotion", "rollback", "waiver", "incident"
NEW, UPDATED, RETIRED = "new model", "updated model", "retired model"
KINDS = (PROMOTION, ROLLBACK, WAIVER, INCIDENT, NEW, UPDATED, RETIRED)


class Happening(NamedTuple):
    """One line of the report."""

    kind: str
    at: datetime
    model: str
    version: str | None
    team: str
    risk_tier: str
    by: str | None
    what: str
    reason: str


class Period(NamedTuple):
    """Days in UTC, both included."""

    first: date
    last: date
    happenings: list[Happening]

    def of(self, kind: str) -> list[Happening]:
        return [row for row in self.happenings if row.kind == kind]


class Span(NamedTuple):
    begin: datetime
    end: datetime  # not included

    @classmethod
    def of(cls, first: date, last: date) -> Span:
        begin, end = (datetime.combine(day, time(), tzinfo=UTC) for day in (first, last))
        return cls(begin, end + timedelta(days=1))

    def within(self, column: str) -> Q:
        return Q(**{f"{column}__gte": self.begin, f"{column}__lt": self.end})


def period_report(actor: Actor, *, first: date, last: date, team: str = "") -> Period:
    """What happened on these days to the models that the actor sees, in order of kind and time.

    Invalid when the days are in the wrong order, or too many, or too much happened for one report.
    """
    if not first <= last:
        raise Invalid.on("to", f"to must not be before from ({first}) but got {last}", code="out_of_order")
    if (last - first).days >= MAX_DAYS:
        message = f"to must be at most {MAX_DAYS} days after from ({first}) but got {last}"
        raise Invalid.on("to", message, code="too_long")
    scope = visible(actor, RegisteredModel.objects.all())
    scope = scope.filter(team__name=team) if team else scope
    found: list[Happening] = []
    for part in (_production, _waivers, _incidents, _models):
        for row in part(scope, Span.of(first, last)):
            if len(found) == MAX_ROWS:
                message = f"more than {MAX_ROWS:,} things happened from {first} to {last}; ask for fewer days or a team"
                raise Invalid.on("to", message, code="too_much")
            found.append(row)
    found.sort(key=lambda row: (KINDS.index(row.kind), row.at, row.model))
    return Period(first, last, found)


def _happening(kind: str, at: datetime, model: RegisteredModel, **said: Any) -> Happening:
    common = {"version": None, "by": None, "what": "", "reason": ""}
    return Happening(kind, at, model.name, team=model.team.name, risk_tier=model.risk_tier, **{**common, **said})


def _light(rows: QuerySet[Any], *more: str) -> Iterator[Any]:
    """With the model, its team and the version's number, without the version's heavy columns."""
    numbers = ("version__major", "version__minor", "version__patch", "version__model")
    heavy = [f"version__{field.name}" for field in Version._meta.fields if f"version__{field.name}" not in numbers]
    chosen = rows.select_related("model__team", "version", *more)
    yield from chosen.defer(*(name for name in heavy if name != "version__id")).iterator(chunk_size=500)


def _production(scope: QuerySet[RegisteredModel], span: Span) -> Iterator[Happening]:
    rows = StageInterval.objects.filter(span.within("started_at"), model__in=scope, stage=Stage.PRODUCTION)
    for row in _light(rows, "by"):
        kind = ROLLBACK if row.cause == Cause.ROLLED_BACK else PROMOTION
        yield _of_interval(kind, row, row.get_cause_display())


def _of_interval(kind: str, row: StageInterval, what: str) -> Happening:
    by = None if row.by is None else row.by.username
    number = row.version.number
    return _happening(kind, row.started_at, row.model, version=number, by=by, what=what, reason=row.reason)


def _waivers(scope: QuerySet[RegisteredModel], span: Span) -> Iterator[Happening]:
    """What passed without what is asked of everyone: into production without people or although the gate said no, or
    into the registry under a waiver."""
    into = StageInterval.objects.filter(span.within("started_at"), model__in=scope, stage=Stage.PRODUCTION)
    for row in _light(into.filter(cause=Cause.POLICY), "by"):
        yield _of_interval(WAIVER, row, "by standing policy, without the approval of people")
    for row in _light(into.filter(cause=Cause.APPROVED, request__evidence__gate__passed=False), "by"):
        yield _of_interval(WAIVER, row, "approved although the gate did not pass")
    yield from _of_data(scope, span)
    policies = DeployPolicy.objects.filter(span.within("created_at"), model__in=scope, reach=AutoDeploy.PRODUCTION)
    for policy in policies.select_related("model__team", "set_by"):
        said = "a standing policy lets candidates into production without people"
        by = policy.set_by.username
        yield _happening(WAIVER, policy.created_at, policy.model, by=by, what=said, reason=policy.reason)


def _of_data(scope: QuerySet[RegisteredModel], span: Span) -> Iterator[Happening]:
    """Versions that were registered although a quality gate of their data or of themselves said no: one line a waiver,
    as its run left it in the version's facts."""
    made = Version.objects.filter(span.within("created_at"), model__in=scope, facts__has_key="waived")
    for version in made.select_related("model__team").only(
        "major", "minor", "patch", "created_at", "facts", "model__name", "model__team__name", "model__risk_tier"
    ):
        for waived in version.facts["waived"]:
            said = {"by": waived["by"], "reason": waived["reason"]}
            what = f"registered although {waived['check']} failed, waived until {waived['until']}: {waived['message']}"
            yield _happening(WAIVER, version.created_at, version.model, version=version.number, what=what, **said)


def _incidents(scope: QuerySet[RegisteredModel], span: Span) -> Iterator[Happening]:
    for row in _light(Incident.objects.filter(span.within("opened_at"), model__in=scope), "opened_by"):
        by = None if row.opened_by is None else row.opened_by.username
        said = {"version": row.version.number, "by": by, "what": f"{row.get_kind_display()}: {row.what}"}
        yield _happening(INCIDENT, row.opened_at, row.model, **said, reason=row.resolution or "still open")


def _models(scope: QuerySet[RegisteredModel], span: Span) -> Iterator[Happening]:
    made = scope.filter(span.within("created_at")).select_related("team", "created_by")
    for model in made:
        yield _happening(NEW, model.created_at, model, by=model.created_by.username, what=model.description)
    registered = Version.objects.filter(span.within("created_at"), model__in=scope)
    earlier = Version.objects.filter(model=OuterRef("model"), created_at__lt=OuterRef("created_at"))
    updates = registered.filter(Exists(earlier)).select_related("model__team", "created_by")
    for version in updates.only(
        "major", "minor", "patch", "created_at", "created_by__username", "model__name", "model__team__name",
        "model__risk_tier",
    ):  # fmt: skip
        by, what = version.created_by.username, "version registered"
        yield _happening(UPDATED, version.created_at, version.model, version=version.number, by=by, what=what)
    yield from _retired(scope, span)


def _retired(scope: QuerySet[RegisteredModel], span: Span) -> Iterator[Happening]:
    """Models that were archived in the period, and those whose last version that was not archived was."""
    for model in scope.filter(span.within("archived_at")).select_related("team"):
        assert model.archived_at is not None
        yield _happening(RETIRED, model.archived_at, model, what="the model was archived")
    alive = StageInterval.objects.open().filter(model=OuterRef("model")).exclude(stage=Stage.ARCHIVED)
    later = StageInterval.objects.open().filter(model=OuterRef("model"), pk__gt=OuterRef("pk"))
    last = StageInterval.objects.open().filter(span.within("started_at"), model__in=scope, stage=Stage.ARCHIVED)
    last = last.filter(model__archived_at=None)
    for row in _light(last.filter(~Exists(alive), ~Exists(later)), "by"):
        yield _of_interval(RETIRED, row, "its last version was archived")


PERIOD_HEAD = ("kind", "at", "model", "version", "team", "risk_tier", "by", "what", "reason")
