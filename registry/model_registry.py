"""The registry from a notebook or a script: the same rules and records as over HTTP.

    registry = ModelRegistry()
    found = registry.register_model(model_name="fraud_detection", model_obj=pipeline, metrics={"f1_score": 0.8})
    registry.promote_model(model_name=found.name, version=found.version, target_stage=ModelStage.PRODUCTION)

It acts as the person whose token is in STEWARD_TOKEN; embedded and without one, as the local operator. Production
waits for another person here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from mlops_site.core import face

face.ready()

from mlops_site.core import events, store  # noqa: E402  (models can be imported once Django is set up)
from mlops_site.core.errors import Conflict, NotFound  # noqa: E402
from mlops_site.core.permissions import Actor  # noqa: E402
from registry import selectors, services  # noqa: E402
from registry.artifacts.formats import load_skops  # noqa: E402
from registry.artifacts.scorer import load as load_scorer  # noqa: E402
from registry.choices import ArtifactFormat  # noqa: E402
from registry.models import PromotionRequest, RegisteredModel, StageInterval, Version  # noqa: E402
from registry.selectors.models import stages_of  # noqa: E402
from registry.services.estimators import candidate_of, plain  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "Model", "ModelRegistry", "ModelStage", "ModelVersion", "Promotion", "Rollback", "Stay"]

R = TypeVar("R")
FROM_HERE = "asked for in a notebook"


class ModelStage(StrEnum):
    """Where a version can be."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"


@dataclass(frozen=True)
class Stay:
    """One stage of a version's life; `to` is None while it lasts."""

    stage: str
    from_: datetime
    to: datetime | None
    by: str | None
    reason: str

    @classmethod
    def of(cls, row: StageInterval) -> Stay:
        return cls(row.stage, row.started_at, row.ended_at, None if row.by is None else row.by.username, row.reason)


@dataclass(frozen=True)
class ModelVersion:
    """The fields of GET /models/{name}/{version}; printed, it is its name and number."""

    name: str
    version: str
    stage: str
    artifact: dict[str, Any]
    metrics: dict[str, Any]
    params: dict[str, Any]
    signature: dict[str, Any]
    lineage: dict[str, Any]
    mlflow: dict[str, Any]
    intervals: list[Stay]
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, row: Version) -> ModelVersion:
        file = {"digest": row.artifact.digest, "format": row.artifact.format, "size": row.artifact.size}
        names = ("metrics", "params", "signature", "lineage", "created_at", "stage")
        copied = {name: getattr(row, name) for name in names} | {"mlflow": selectors.in_mlflow(row)}
        stays = [Stay.of(interval) for interval in selectors.intervals(row)]
        by = row.created_by.username
        return cls(name=row.model.name, version=row.number, artifact=file, intervals=stays, created_by=by, **copied)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Model:
    """The fields of a row of GET /models."""

    name: str
    description: str
    team: str
    task_type: str
    risk_tier: str
    stages: dict[str, str]
    version_count: int
    updated_at: datetime

    @classmethod
    def of(cls, row: RegisteredModel) -> Model:
        names = ("name", "description", "task_type", "risk_tier", "version_count", "updated_at")
        copied = {name: getattr(row, name) for name in names}
        return cls(team=row.team.name, stages=stages_of(row), **copied)


@dataclass(frozen=True)
class Promotion:
    """`promoted`, or `pending_approval` with the request that another person has to decide."""

    status: str
    version: str
    stage: str
    request: PromotionRequest | None


@dataclass(frozen=True)
class Rollback:
    """The number that serves again, and the one that it replaced."""

    version: str
    replaced: str


@dataclass(frozen=True)
class Comparison:
    """The sections of GET /models/{name}/compare/{v1}/{v2}."""

    v1: str
    v2: str
    metrics: list[dict[str, Any]]
    params: dict[str, Any]
    signature: dict[str, Any]
    dataset: dict[str, Any]
    artifact: dict[str, Any]


class ModelRegistry:
    """Every call raises StewardError for what the API would refuse, with the same code and message."""

    def register_model(
        self,
        *,
        model_name: str,
        model_obj: Any,
        config: Any = None,
        metrics: Mapping[str, Any] | None = None,
        sample: pd.DataFrame | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        description: str = "",
    ) -> ModelVersion:
        """Register a fitted scikit-learn estimator; the model is made if it does not exist.

        `sample` are rows that it was trained on: their kinds and levels are the signature, their profile is kept.
        Without them the signature is numbers, named as the estimator names them. `config` becomes the params.
        """
        candidate = candidate_of(model_obj, sample=sample, params=plain(config), metrics=metrics, tags=tags)

        def register(actor: Actor) -> ModelVersion:
            with events.atomic():
                model = _ensure_model(actor, model_name, candidate.signature["task_type"], description)
                made = services.register_version(model, actor=actor, candidate=candidate, number=version)
            return ModelVersion.of(selectors.version_numbered(model, made.number))

        return _as_me(register)

    def promote_model(
        self, *, model_name: str, version: str, target_stage: ModelStage | str, reason: str = FROM_HERE
    ) -> Promotion:
        """Move a version; on its way to production one in development passes through staging."""

        def promote(actor: Actor) -> Promotion:
            found = _version(actor, model_name, version)
            with events.atomic():
                if target_stage == ModelStage.PRODUCTION and found.stage == ModelStage.DEVELOPMENT:
                    services.move_stage(found, actor=actor, target_stage=ModelStage.STAGING, reason=reason)
                done = services.move_stage(found, actor=actor, target_stage=str(target_stage), reason=reason)
            return Promotion(done.status, done.version.number, done.stage, done.request)

        return _as_me(promote)

    def list_models(self, *, search: str = "", stage: ModelStage | str = "", team: str = "") -> list[Model]:
        """The models of your teams."""
        return _as_me(
            lambda actor: [Model.of(row) for row in selectors.models(actor, search=search, stage=str(stage), team=team)]
        )

    def get_model(self, model_name: str) -> Model:
        return _as_me(lambda actor: Model.of(selectors.model_named(actor, model_name)))

    def get_version(self, model_name: str, version: str) -> ModelVersion:
        return _as_me(lambda actor: ModelVersion.of(_version(actor, model_name, version)))

    def load(self, model_name: str, version: str | None = None) -> Any:
        """The model itself, checked against its digest: the fitted estimator of a .skops, a `Scorer` of an .onnx.

        Without a number it is the one in production; Conflict `no_production_version` if there is none.
        """

        def load(actor: Actor) -> Any:
            model = selectors.model_named(actor, model_name)
            found = selectors.version_numbered(model, version) if version else selectors.in_production(model)
            if found is None:
                message = f"{model_name} has no version in production; name one"
                raise Conflict(message, code="no_production_version")
            if found.artifact.format == ArtifactFormat.SKOPS:
                return load_skops(store.read(found.artifact_id))
            return load_scorer(found.artifact_id, found.artifact.format, found.signature)

        return _as_me(load)

    def compare(self, model_name: str, v1: str, v2: str, *, diff_only: bool = False) -> Comparison:
        """`v2` against `v1`, with paired 95 % intervals where both holdouts share rows."""

        def compare(actor: Actor) -> Comparison:
            first, second = (_version(actor, model_name, number) for number in (v1, v2))
            return Comparison(**selectors.comparison(first, second, diff_only=diff_only))

        return _as_me(compare)

    def rollback(self, model_name: str, *, reason: str) -> Rollback:
        """Put the last good production version back; for approvers."""

        def roll_back(actor: Actor) -> Rollback:
            done = services.rollback(selectors.model_named(actor, model_name), actor=actor, reason=reason)
            return Rollback(done.version.number, done.replaced.number)

        return _as_me(roll_back)


def _as_me(work: Callable[[Actor], R]) -> R:
    """The work's answer, done as the actor of this process where the database may be used."""
    return face.call(lambda: work(face.actor()))


def _version(actor: Actor, model_name: str, number: str) -> Version:
    return selectors.version_numbered(selectors.model_named(actor, model_name), number)


def _ensure_model(actor: Actor, name: str, task_type: str, description: str) -> RegisteredModel:
    try:
        return selectors.model_named(actor, name)
    except NotFound:
        return services.create_model(actor=actor, name=name, task_type=task_type, description=description)
