"""What the registry tells a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from registry import selectors
from registry.models import PromotionRequest, RegisteredModel, StageInterval, Version
from registry.selectors.models import aliases_of, stages_of
from registry.selectors.search import tags_of


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
    owner: str
    stages: dict[str, str]
    aliases: dict[str, str]
    tags: dict[str, str]
    version_count: int
    updated_at: datetime
    archived_at: datetime | None

    @classmethod
    def of(cls, row: RegisteredModel) -> Model:
        names = ("name", "description", "task_type", "risk_tier", "version_count", "updated_at", "archived_at")
        copied = {name: getattr(row, name) for name in names}
        copied |= {"stages": stages_of(row), "aliases": aliases_of(row), "tags": tags_of(row)}
        return cls(team=row.team.name, owner=row.owner.username, **copied)


@dataclass(frozen=True)
class Found:
    """A version in the answer of a search; `deprecated` says why it should not be used, else it is empty."""

    name: str
    version: str
    stage: str
    description: str
    tags: dict[str, str]
    aliases: list[str]
    metrics: dict[str, Any]
    deprecated: str

    @classmethod
    def of(cls, row: Version) -> Found:
        remark, aliases = getattr(row, "remark", None), [alias.name for alias in row.aliases.all()]
        said = (remark.description, remark.deprecation) if remark else ("", "")
        return cls(row.model.name, row.number, row.stage, said[0], tags_of(row), aliases, row.metrics, said[1])


@dataclass(frozen=True)
class Promotion:
    """`promoted`, or `pending_approval` with the request that another person has to decide."""

    status: str
    version: str
    stage: str
    request: PromotionRequest | None
    warnings: list[str]


@dataclass(frozen=True)
class Rollback:
    """The number that serves again, the one that it replaced, the incident opened, and the numbers passed over."""

    version: str
    replaced: str
    incident: int
    skipped: list[str]


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


@dataclass(frozen=True)
class SideBySide:
    """The sections of GET /models/{name}/compare."""

    base: str
    task: str
    versions: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    overlays: dict[str, Any]
    params: dict[str, Any]
    signature: dict[str, Any]
    dataset: dict[str, Any]
    artifact: dict[str, Any]


@dataclass(frozen=True)
class Explanation:
    """The fields of GET /models/{name}/{version}/explanations; each contribution has `feature`, `value`,
    `contribution`, `standard_error` and `masked`."""

    prediction_id: str
    method: str
    output_space: str
    explained: Any
    base_value: float
    output: float
    contributions: list[Any]
    residual: float
    samples: int
    background: dict[str, Any]
