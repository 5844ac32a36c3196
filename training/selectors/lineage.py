"""Where a data set version came from and what came of it, and the same from a model version."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import OuterRef, QuerySet, Subquery

from mlops_site.core.permissions import Actor
from registry.models import PromotionRequest, StageInterval, Version
from training.models import DatasetVersion, DataSource, Run
from training.selectors import dataset_versions, runs
from training.selectors.keeping import gone

MOST = 100


class Origin(NamedTuple):
    """Where a version's rows are from: `kind` is uploaded, registered, production, or that of a source. `source_name`
    is the source's where it is still there for the actor, `parent_version` the one that these rows went on from."""

    kind: str
    said: dict[str, Any]
    source_name: str
    parent_version: str


class Outcome(NamedTuple):
    """A run on the data: the version it registered, the stage that this is in, and how its latest request stands."""

    run: str
    state: str
    model: str
    version: str
    stage: str
    request: int | None
    request_status: str
    by: str
    started: datetime


class Lineage(NamedTuple):
    """Both ways of one data set version; of `runs` the newest 100."""

    dataset: str
    digest: str
    erased: bool
    origin: Origin
    children: list[str]
    runs: list[Outcome]


def lineage_of(actor: Actor, version: DatasetVersion) -> Lineage:
    """What the actor may see of it."""
    after = dataset_versions(actor).filter(dataset=version.dataset_id, lineage__parent=str(version))
    children = [f"{version.dataset}@{number}" for number in after.values_list("version", flat=True)]
    outcomes = [_outcome(run) for run in _with_ends(runs(actor).filter(dataset=version))[:MOST]]
    return Lineage(str(version), version.digest, bool(gone(version)), origin_of(actor, version), children, outcomes)


def origin_of(actor: Actor, version: DatasetVersion) -> Origin:
    said = dict(version.lineage)
    name, parent = str(said.pop("source", "")), str(said.pop("parent", ""))
    kind = str(said.pop("kind", "")) or name or "uploaded"
    is_known = bool(name) and "fetch" in said and DataSource.objects.filter(name=name, team__in=actor.roles).exists()
    return Origin(kind, said, name if is_known else "", parent)


def of_model_version(actor: Actor, version: Version) -> dict[str, Any]:
    """From a model version back: its run, its data set and where that came from; None for what it does not have."""
    run = runs(actor).filter(version=version).order_by("created_at").first()
    if run is None:
        return {"run": None, "dataset": version.lineage.get("dataset"), "digest": version.data_digest, "origin": None}
    origin = origin_of(actor, run.dataset)._asdict()
    return {"run": str(run.pk), "dataset": str(run.dataset), "digest": run.dataset.digest, "origin": origin}


def _with_ends(rows: QuerySet[Run]) -> QuerySet[Run]:
    asked = PromotionRequest.objects.filter(version=OuterRef("version")).order_by("-created_at")
    stage = StageInterval.objects.open().filter(version=OuterRef("version")).values("stage")[:1]
    return rows.annotate(
        stage_now=Subquery(stage),
        request_pk=Subquery(asked.values("pk")[:1]),
        request_status=Subquery(asked.values("status")[:1]),
    )


def _outcome(run: Any) -> Outcome:
    number = run.version.number if run.version else ""
    ends = (run.stage_now or "", run.request_pk, run.request_status or "")
    return Outcome(str(run.pk), run.state, run.model.name, number, *ends, run.requested_by.username, run.created_at)
