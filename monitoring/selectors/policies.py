"""Retrain policies, what they decided, and what a new training would be made from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Exists, Field, JSONField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Concat
from django_celery_beat.models import PeriodicTask

from mlops_site.core.choices import JobState
from mlops_site.core.errors import NotFound
from mlops_site.core.jobs import find
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, Actor, visible
from monitoring.choices import UNRESOLVED, Outcome, PredictionStatus, Trigger
from monitoring.models import (
    Alert,
    Label,
    Prediction,
    RetrainDecision,
    RetrainPolicy,
    RetrainRules,
    TeamRetrainPolicy,
)
from monitoring.selectors.schedules import WATCHING
from registry.choices import Stage
from registry.models import RegisteredModel, StageInterval
from registry.selectors import in_production
from registry.services.guards import one_of
from training.models import DatasetVersion, DataSource, Run
from training.selectors.keeping import gone
from training.selectors.sources import SCHEDULED

RETRAINING = "retraining: "  # and the model's name: the rows from which Beat reads the intervals of policies
NOT_TAKEN = "not_taken"  # every outcome but a run
PRODUCTION = "production"  # the source in the lineage of a data set made of predictions and labels


def policy_of(model: RegisteredModel) -> RetrainPolicy:
    """The model's policy, or else its team's; where neither is set, the defaults, switched off and by nobody."""
    found = RetrainPolicy.objects.select_related("model__team", "set_by").filter(model=model).first()
    if found is None and (team := team_policy_of(model.team)):
        return applied(team, model)
    return found or RetrainPolicy(model=model, enabled=False)


def team_named(actor: Actor, name: str) -> Team:
    """A team of the actor's; NotFound for any other."""
    found = Team.objects.filter(pk__in=actor.teams(Action.VIEW), name=name).first()
    if found is None:
        raise NotFound(f"there is no team {name[:80]!r} of yours", code="unknown_team")
    return found


def team_policy_of(team: Team) -> TeamRetrainPolicy | None:
    return TeamRetrainPolicy.objects.select_related("team", "set_by").filter(team=team).first()


def applied(team: TeamRetrainPolicy, model: RegisteredModel) -> RetrainPolicy:
    """A team's policy as it holds for one of its models; never stored."""
    shared = [field.attname for field in RetrainRules._meta.get_fields() if isinstance(field, Field)]
    policy = RetrainPolicy(model=model, **{name: getattr(team, name) for name in shared})
    policy.set_by = team.set_by
    return policy


def policies_in_force() -> Iterator[RetrainPolicy]:
    """The policies that are switched on: models' own, then teams' for the models that have none and something in
    production to train again."""
    yield from RetrainPolicy.objects.filter(enabled=True).select_related("model__team", "set_by")
    own = RetrainPolicy.objects.filter(model=OuterRef("pk"))
    serving = StageInterval.objects.open().filter(stage=Stage.PRODUCTION).values("version__model")
    for team in TeamRetrainPolicy.objects.filter(enabled=True).select_related("team", "set_by"):
        rows = RegisteredModel.objects.filter(~Exists(own), team=team.team, pk__in=serving)
        yield from (applied(team, model) for model in rows.select_related("team"))


def taken_since(moment: datetime, *, model: RegisteredModel | None = None, team: Team | None = None) -> list[datetime]:
    """When retrainings were started after that, oldest first: of one model, or of all models of a team."""
    rows = RetrainDecision.objects.filter(outcome=Outcome.TAKEN, decided_at__gt=moment)
    rows = rows.filter(model=model) if model else rows.filter(model__team=team)
    return list(rows.order_by("decided_at").values_list("decided_at", flat=True))


def all_decisions(actor: Actor, *, model: str = "", trigger: str = "", outcome: str = "") -> QuerySet[RetrainDecision]:
    """What came of every reason to train a model of the actor's teams again, newest first; with `outcome`
    `not_taken` those that led to no run. A model that is not there has none."""
    rows = visible(actor, RetrainDecision.objects.all(), team="model__team")
    if model:
        rows = rows.filter(model__name=model)
    if trigger:
        rows = rows.filter(trigger=one_of("trigger", trigger, list(Trigger.values)))
    if outcome == NOT_TAKEN:
        rows = rows.exclude(outcome=Outcome.TAKEN)
    elif outcome:
        rows = rows.filter(outcome=one_of("outcome", outcome, [*Outcome.values, NOT_TAKEN]))
    return rows.select_related("model", "decided_by").order_by("-decided_at", "-pk")


def decisions(model: RegisteredModel) -> QuerySet[RetrainDecision]:
    """What came of each reason to train again, newest first."""
    rows = RetrainDecision.objects.filter(model=model).select_related("alert", "decided_by")
    return rows.order_by("-decided_at")


def last_taken(model: RegisteredModel) -> RetrainDecision | None:
    return RetrainDecision.objects.filter(model=model, outcome=Outcome.TAKEN).order_by("-decided_at").first()


def run_under_way(model: RegisteredModel) -> Run | None:
    """A training run of the model that waits or works, the oldest."""
    rows = Run.objects.filter(model=model, state__in=[JobState.QUEUED, JobState.RUNNING])
    return rows.order_by("created_at").first()


def origin_of(model: RegisteredModel) -> Run | None:
    """The run that trained the version in production; None where nothing serves or it was not trained here."""
    version = in_production(model)
    run = find(version.lineage.get("run", "")) if version else None
    return run if isinstance(run, Run) else None


def last_trained_at(model: RegisteredModel) -> datetime | None:
    """When a training was last asked for (a run that failed or was cancelled is none), or else the version in
    production made; None of a model without either."""
    counted = Run.objects.filter(model=model).exclude(state__in=[JobState.FAILED, JobState.CANCELLED])
    taken, run = last_taken(model), counted.order_by("-created_at").first()
    moments = [*([taken.decided_at] if taken else []), *([run.created_at] if run else [])]
    if not moments and (version := in_production(model)):
        moments.append(version.created_at)
    return max(moments, default=None)


def last_production_data(model: RegisteredModel, base: DatasetVersion) -> DatasetVersion | None:
    """The newest version of the same data set that was made of this model's predictions and trained on."""
    return _production_data(model, base).filter(_trained_on()).first()


def held_back(model: RegisteredModel, base: DatasetVersion) -> DatasetVersion | None:
    """The newest such version, where nothing was trained on it: its gate held it back when it was made."""
    rows = _production_data(model, base).annotate(is_used=_trained_on())
    newest = rows.first()
    return None if newest is None or newest.is_used or gone(newest) else newest


def _production_data(model: RegisteredModel, base: DatasetVersion) -> QuerySet[DatasetVersion]:
    rows = DatasetVersion.objects.filter(dataset=base.dataset_id, lineage__source=PRODUCTION, lineage__model=model.name)
    return rows.select_related("dataset__team").order_by("-version")


def _trained_on() -> Exists:
    return Exists(Run.objects.filter(dataset=OuterRef("pk")))


def labels_of(model_id: int) -> str:
    """What the time at which labels of a model were received is cut by (see core.cuts)."""
    return f"labels of model {model_id}"


def labelled(model: RegisteredModel, *, since: datetime | None, until: datetime) -> QuerySet[Prediction]:
    """Answered predictions that became complete in (since, until]: the later of prediction and first label was
    received then. Those whose features are erased are left out. Each has `label`, the revision that holds at `until`.
    Newest prediction first."""
    known = Label.objects.filter(model=model, request_id=OuterRef("request_id"), received_at__lte=until)
    rows = Prediction.objects.filter(model=model, status=PredictionStatus.OK, received_at__lte=until, erased_at=None)
    if since is None:
        rows = rows.filter(Exists(known))
    else:
        first = known.filter(revision=1)
        late = Exists(first.filter(received_at__gt=since))
        rows = rows.filter(Q(late) | Q(Exists(first), received_at__gt=since))
    newest = known.order_by("-revision").values("label")[:1]
    return rows.annotate(label=Subquery(newest, output_field=JSONField())).order_by("-received_at", "-pk")


def waiting_alerts(policy: RetrainPolicy) -> QuerySet[Alert]:
    """Unresolved alerts of the model that led to no training yet, were seen since the last one, and were not refused
    under the policy as it stands; the first seen first. Where it was the data that was blocked, they wait on: somebody
    may waive what blocked it."""
    said = RetrainDecision.objects.filter(alert=OuterRef("pk"))
    for_good = Q(outcome=Outcome.REFUSED, decided_at__gte=policy.updated_at, dataset="")
    answered = said.filter(Q(outcome=Outcome.TAKEN) | for_good)
    rows = Alert.objects.filter(~Exists(answered), model=policy.model, status__in=UNRESOLVED)
    if taken := last_taken(policy.model):
        rows = rows.filter(last_seen_at__gt=taken.decided_at)
    return rows.select_related("model__team", "report", "version__model").order_by("first_seen_at")


def schedules(actor: Actor) -> QuerySet[PeriodicTask]:
    """The rows that Beat reads: everybody's, and of models and sources those that the actor may see."""
    mine = visible(actor, RegisteredModel.objects.all()).values(row=Concat(Value(RETRAINING), "name"))
    watched = visible(actor, RegisteredModel.objects.all()).values(row=Concat(Value(WATCHING), "name"))
    sources = visible(actor, DataSource.objects.all()).values(row=Concat(Value(SCHEDULED), "name"))
    shared = ~Q(name__startswith=RETRAINING) & ~Q(name__startswith=SCHEDULED) & ~Q(name__startswith=WATCHING)
    own = Q(name__in=mine) | Q(name__in=watched) | Q(name__in=sources)
    rows: QuerySet[PeriodicTask] = PeriodicTask.objects.filter(shared | own)
    return rows.select_related("interval", "crontab")
