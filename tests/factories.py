"""A small, lively site made through the services: people, a model with a history, runs, data, predictions."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from typing import Any

import numpy as np
from django.utils import timezone

from mlops_site.core import jobs
from mlops_site.core.models import User
from mlops_site.core.permissions import Actor
from monitoring.models import Alert, BatchRun, Channel, Prediction
from monitoring.pipeline import execute
from monitoring.services import create_channel, fold_all, request_scoring
from registry import services as registry
from registry.models import Incident, PromotionRequest, RegisteredModel, Transfer, Version
from tests import traffic
from tests.monitoring.parts import finding, raised
from tests.people import actor
from tests.registry.parts import candidate, explained, holdout
from tests.training import sources
from tests.training.features import feature_set, known
from tests.training.runs import GATE, dataset_version, succeeded_run, working_run
from training.models import DatasetVersion, FeatureSetVersion, Run

REPORT = b"# Validation\n\nChecked on the claims of last year, by site and by age.\n"
PASSWORD = "a password of the tests"
TEAM, OTHER_TEAM = "claims", "others"


@dataclass
class Scene:
    """One team at work, and one person of another team."""

    author: Actor
    scientist: Actor
    approver: Actor
    auditor: Actor
    admin: Actor
    outsider: Actor
    model: RegisteredModel
    served: Version  # in production
    staged: Version  # with a pending request
    request: PromotionRequest
    dataset: DatasetVersion
    run: Run  # succeeded
    working: Run
    alert: Alert  # open, of the served version
    incident: Incident  # open, of the served version
    transfer: Transfer  # offered to the other team, and declined
    batch: BatchRun  # succeeded
    prediction: Prediction  # the first of the served version
    others: dict[str, Any] = field(default_factory=dict)


def log_in_as(user: User) -> None:
    """Give a person the password that the browser types."""
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])


def scene(*, trials: bool = False) -> Scene:
    """Everything above, in a few dozen rows; the trials of its runs are there when asked for."""
    people: dict[str, Any] = {
        "author": actor("ada", "ml_engineer", team=TEAM),
        "scientist": actor("sofia", "data_scientist", team=TEAM),
        "approver": actor("ben", "approver", team=TEAM),
        "auditor": actor("olga", "auditor", team=TEAM),
        "admin": actor("tom", "admin", team=TEAM),
        "outsider": actor("zoe", "approver", team=OTHER_TEAM),
    }
    author, approver = people["author"], people["approver"]
    words = "Will a claim be among the top tenth?"
    model = registry.create_model(actor=author, name="high_cost_claim", task_type="classification", description=words)
    dataset = dataset_version(people["scientist"])
    run = succeeded_run(people["scientist"], model, dataset, trials=trials)
    working = working_run(people["scientist"], model, dataset, trials=trials)
    first = version(model, author, run, seed=1, auc=0.731)
    into_production(first, author, approver)
    second = version(model, author, run, seed=2, auc=0.749)
    registry.move_stage(second, actor=author, target_stage="staging", reason="Better on the same holdout.")
    report = registry.attach_report(second, actor=approver, name="validation.md", content=BytesIO(REPORT))
    request = registry.request_promotion(
        second,
        actor=author,
        reason="It finds more high-cost claims at the same number of reviews.",
        why_material="Each reviewer sees fifty claims a day; of those more than before are worth it.",
        evidence={"gate": GATE},
    )
    Run.objects.filter(pk=run.pk).update(version=second)
    predictions(first, 30)
    fold_all()
    (alert,) = raised(first, finding("drift", summary="2 of 2 features drifted; the overall score is 0.22."))
    incident = registry.open_incident(first, kind="rolled_back", what="It missed half of the claims.", actor=approver)
    transfer = remarks(first, people)
    return Scene(
        **people,
        model=model,
        served=first,
        staged=second,
        request=request,
        dataset=dataset,
        run=run,
        working=working,
        alert=alert,
        incident=incident,
        transfer=transfer,
        others={"report": report, "channel": on_call(author), **about_data(people, dataset, run)},
        batch=scored(first, author, "age,visits\n41,2\n66,nine\n"),
        prediction=Prediction.objects.filter(model=model).earliest("predicted_at"),
    )


def on_call(author: Actor) -> Channel:
    """Where the team's worse alerts are told."""
    address = "https://hooks.slack.com/services/T0/B0/a-secret"
    fields = {"name": "on call", "address": address, "min_severity": "high", "time_zone": "Europe/Zurich"}
    return create_channel(actor=author, kind="slack", fields=fields).channel


def about_data(people: dict[str, Any], dataset: DatasetVersion, run: Run) -> dict[str, Any]:
    """Where the data comes from, and what is known of units."""
    source = sources.looked_at(people["author"], dataset, run)
    return {"source": source, "feature_set": history(people["scientist"])}


def history(scientist: Actor) -> FeatureSetVersion:
    """A feature set with values of one unit, p1."""
    made = feature_set(scientist, description="What a person's claims were before.", source="the claims warehouse")
    known(made, scientist, "p1", {"visits": 3, "plan": "family"})
    return made


def remarks(version: Version, people: dict[str, Any]) -> Transfer:
    """What people said of a version and its model, and the transfer that came to nothing."""
    model, author = version.model, people["author"]
    registry.set_tag(model, actor=author, key="domain", value="inpatient")
    registry.set_tag(version, actor=author, key="site", value="5")
    registry.set_alias(model, actor=author, alias="champion", version=version)
    registry.describe_version(version, actor=author, description="Trained on the first five sites.")
    transfer = registry.offer_transfer(model, actor=people["admin"], to_team=OTHER_TEAM, reason="They own claims now.")
    others = actor("yan", "admin", team=OTHER_TEAM)
    return registry.decline_transfer(transfer, actor=others, comment="Not before next year.")


def version(model: RegisteredModel, author: Actor, run: Run | None, *, seed: int, auc: float = 0.75) -> Version:
    """A registered version with intervals, importance, lineage and a holdout of 400 shared claims."""
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 400)
    score = np.clip(0.35 * label + np.random.default_rng(seed).uniform(0, 0.65, 400) + 0.02 * seed * label, 0, 1)
    lineage = {"run": str(run.pk), "dataset": str(run.dataset), "code": run.code} if run else {}
    metrics = {"roc_auc": auc, "f1_score": auc - 0.3, "brier": 0.2 - auc / 10, "recall": auc - 0.25}
    return registry.register_version(
        model,
        actor=author,
        candidate=candidate(
            seed,
            metrics={name: {"value": value, "ci95": [value - 0.02, value + 0.02]} for name, value in metrics.items()},
            params={
                "model_type": "gradient_boosting" if seed % 2 else "random_forest",
                "max_depth": 3 + seed,
                "C": 1.0 / seed,
            },
            importance={"age": 0.7, "visits": 0.3},
            holdout_bytes=holdout(score, label=label),
            lineage=lineage,
            data_digest=run.dataset.digest if run else "",
            reference=traffic.reference(),
            **explained(seed),
        ),
    )


def into_production(version: Version, author: Actor, approver: Actor) -> None:
    """By two people, as anything gets there."""
    registry.move_stage(version, actor=author, target_stage="staging", reason="Ready to be looked at.")
    request = registry.request_promotion(version, actor=author, reason="The first that beats the rule of thumb.")
    registry.review_request(request, actor=approver, decision="approve", comment="Checked against last year.")


def scored(version: Version, author: Actor, rows: str) -> BatchRun:
    """A csv scored with the version, to its end; not logged."""
    file = io.BytesIO(rows.encode())
    run = request_scoring(
        actor=author, model_name=version.model.name, version=version.number, file=file, filename="claims.csv", log=False
    )
    claimed = jobs.claim(run, worker="test")
    assert claimed is not None
    execute(claimed)
    return BatchRun.objects.get(pk=run.pk)


def predictions(version: Version, count: int) -> None:
    now = timezone.now()
    Prediction.objects.bulk_create(
        Prediction(
            model=version.model,
            version=version,
            request_id=f"claim-{version.pk}-{n}",
            payload_digest="0" * 64,
            prediction=n % 2,
            features={"age": 30 + n, "visits": n % 5},
            score=0.3 + n / 100,
            decision=n % 2,
            threshold=0.5,
            latency_ms=1.2 + n / 50,
            predicted_at=now - timedelta(minutes=20 * n),
        )
        for n in range(count)
    )
