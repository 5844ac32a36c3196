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
    """One model with what is in production through the services; the others as these would have written them."""
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
    model = services.create_model(
        actor=author, name=name_of(0), task_type="classification", description="Claims of kind 0"
    )
    for minor in range(VERSIONS):
        made = candidate(params={"C": minor}, golden=rows)
        first = services.register_version(model, actor=author, candidate=made)
        if minor == 0:
            services.move_stage(first, actor=author, target_stage="staging", reason="ready")
            request = services.request_promotion(first, actor=author, reason="the first")
            services.review_request(request, actor=approver, decision="approve", comment="looked at")
    _copy(model, models)
    file = Path(settings.STEWARD_HOME) / "upload.skops"
    file.write_bytes(artifact(1))
    engineer, decider = (tokens.create_token(person)[1] for person in people.values())
    return Filled(engineer, decider, str(file))


def _copy(model: Any, models: int) -> None:
    """The model and all that hangs on it again under other names, in the order in which the laws let it pass."""
    from registry import models as tables

    news = tables.RegisteredModel.objects.bulk_create(
        _again(model, name=name_of(i), description=f"Claims of kind {i}", words=f"{name_of(i)} claims of kind {i}")
        for i in range(1, models)
    )
    for of in (tables.DeployPolicy, tables.Version):
        rows = list(of.objects.filter(model=model))
        of.objects.bulk_create((_again(row, model_id=new.pk) for new in news for row in rows), batch_size=CHUNK)
    first = {v.model_id: v.pk for v in tables.Version.objects.filter(minor=0).only("model")}
    served = model.versions.get(minor=0)
    (request,) = served.requests.all()
    (review,) = request.reviews.all()
    asked = tables.PromotionRequest.objects.bulk_create(
        _again(request, model_id=new.pk, version_id=first[new.pk], status="pending") for new in news
    )
    tables.Review.objects.bulk_create(_again(review, request_id=each.pk) for each in asked)
    tables.PromotionRequest.objects.filter(status="pending").update(status="approved")
    requests = {each.model_id: each.pk for each in asked}
    life = list(served.intervals.order_by("pk"))
    for stage in life:
        tables.StageInterval.objects.bulk_create(
            _again(
                stage, model_id=new.pk, version_id=first[new.pk], ended_at=None,
                request_id=requests[new.pk] if stage.request_id else None,
            )
            for new in news
        )  # fmt: skip
        if stage.ended_at:
            ended = tables.StageInterval.objects.filter(stage=stage.stage, version__minor=0, ended_at=None)
            ended.update(ended_at=stage.ended_at)
    others = tables.Version.objects.filter(minor__gt=0).exclude(model=model).only("model")
    tables.StageInterval.objects.bulk_create(
        (_again(life[0], model_id=v.model_id, version_id=v.pk, ended_at=None) for v in others), batch_size=CHUNK
    )


def _again(row: Any, **changes: Any) -> Any:
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return type(row)(**{**values, "id": None, **changes})


def mlflow(models: int, store: str) -> None:
    """One model through MLflow's own store, with tags where the site has parameters and metrics; then its rows again
    under the other names."""
    import psycopg2
    from mlflow.entities import model_registry
    from mlflow.store.model_registry import sqlalchemy_store

    tag: Any = model_registry.ModelVersionTag
    opened: Any = sqlalchemy_store.SqlAlchemyStore
    registry = opened(store)
    registry.create_registered_model(name_of(0), description="Claims of a kind")
    for number in range(VERSIONS):
        tags = [tag("C", str(number)), tag("roc_auc", "0.75")]
        registry.create_model_version(name_of(0), source="s3://models/m", tags=tags)
    registry.set_registered_model_alias(name_of(0), "production", "1")
    connection = psycopg2.connect(store.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        for table in ("registered_models", "model_versions", "model_version_tags", "registered_model_aliases"):
            cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s", [table])
            columns = [name for (name,) in cursor.fetchall()]
            taken = ["'claim_model_' || lpad(i::text, 5, '0')" if name == "name" else name for name in columns]
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(taken)} FROM {table},"
                f" generate_series(1, {models - 1}) i"
            )
    connection.close()


if __name__ == "__main__":
    if sys.argv[1] == "site":
        print(json.dumps(site(int(sys.argv[2]))._asdict()))
    else:
        mlflow(int(sys.argv[2]), sys.argv[3])
