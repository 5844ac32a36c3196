"""Registries with many models: `python -m benchmarks._filled site MODELS` in the site's environment, through its
services, prints tokens; `python -m benchmarks._filled mlflow MODELS STORE` fills MLflow's."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

VERSIONS = 10
FIRST = "1.0.0"  # the one in production
CHUNK = 1_000


class Filled(NamedTuple):
    """Tokens of two people, and a file to upload."""

    engineer: str
    approver: str
    artifact: str


def name_of(i: int) -> str:
    return f"claim_model_{i:05}"


def site(models: int) -> Filled:
    """Models and what is in production through the services; the other versions as these would write them."""
    import django

    django.setup()
    from django.conf import settings

    from mlops_site.core import teams, tokens
    from mlops_site.core.permissions import Actor
    from registry import services
    from registry.artifacts.engines import open_scorer
    from registry.artifacts.schema import sample_row
    from registry.artifacts.scorer import golden
    from registry.artifacts.signature import Signature
    from tests.registry.parts import SIGNATURE, artifact, candidate

    people = {role: teams.create_user(role, role=role, team="claims")[0] for role in ("ml_engineer", "approver")}
    author, approver = (Actor.of(person) for person in people.values())
    signature = Signature.from_json(SIGNATURE)
    rows = golden(open_scorer(artifact(), "skops", signature), [sample_row(signature)])
    for i in range(models):
        model = services.create_model(
            actor=author, name=name_of(i), task_type="classification", description=f"Claims of kind {i}"
        )
        first = services.register_version(model, actor=author, candidate=candidate(params={"C": -1.0}, golden=rows))
        services.move_stage(first, actor=author, target_stage="staging", reason="ready")
        request = services.request_promotion(first, actor=author, reason="the first")
        services.review_request(request, actor=approver, decision="approve", comment="looked at")
    _more_versions()
    file = Path(settings.STEWARD_HOME) / "upload.skops"
    file.write_bytes(artifact(1))
    engineer, decider = (tokens.create_token(person)[1] for person in people.values())
    return Filled(engineer, decider, str(file))


def _more_versions() -> None:
    """1.1.0 to 1.9.0 of each model, in development."""
    from django.utils import timezone

    from registry.models import StageInterval, Version

    for first in Version.objects.all().iterator():
        made = []
        for minor in range(1, VERSIONS):
            fields: dict[str, Any] = {f.attname: getattr(first, f.attname) for f in Version._meta.concrete_fields}
            fields |= {"id": None, "minor": minor, "params": {"C": minor}, "config_digest": f"{minor:064}"}
            made.append(Version(**{**fields, "content_digest": f"{minor:064}"}))
        Version.objects.bulk_create(made)
        StageInterval.objects.bulk_create(
            StageInterval(
                version=version, model_id=version.model_id, stage="development", cause="registered",
                started_at=timezone.now(), by_id=version.created_by_id,
            )
            for version in made
        )  # fmt: skip


def mlflow(models: int, store: str) -> None:
    """The same names and numbers, with tags where the site has parameters and metrics."""
    from mlflow.entities import model_registry
    from mlflow.store.model_registry import sqlalchemy_store

    tag: Any = model_registry.ModelVersionTag
    opened: Any = sqlalchemy_store.SqlAlchemyStore
    registry = opened(store)
    for i in range(models):
        registry.create_registered_model(name_of(i), description=f"Claims of kind {i}")
        for number in range(VERSIONS):
            tags = [tag("C", str(number)), tag("roc_auc", "0.75")]
            registry.create_model_version(name_of(i), source="mlflow-artifacts:/models/m", tags=tags)
        registry.set_registered_model_alias(name_of(i), "production", "1")


if __name__ == "__main__":
    if sys.argv[1] == "site":
        print(json.dumps(site(int(sys.argv[2]))._asdict()))
    else:
        mlflow(int(sys.argv[2]), sys.argv[3])
