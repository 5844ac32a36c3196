"""A model in production that was trained on a small data set, its predictions, labels and alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from mlops_site.core.permissions import Actor
from monitoring.choices import SEVERITY_OF, Rule
from monitoring.models import Alert, Label, Prediction, Report
from registry import services as registry
from registry.models import RegisteredModel, Version
from tests import factories
from tests.people import actor
from tests.registry.parts import user
from tests.training.runs import dataset_version, succeeded_run
from training.models import DatasetVersion, Run


@dataclass
class Production:
    """`run` trained `version` on `dataset` (hie@1: person, age, visits, plan, high_cost)."""

    engineer: Actor
    approver: Actor
    model: RegisteredModel
    dataset: DatasetVersion
    run: Run
    version: Version


def production() -> Production:
    engineer, approver = actor("ada", "ml_engineer"), actor("ben", "approver")
    model = registry.create_model(actor=engineer, name="high_cost_claim", task_type="classification")
    dataset = dataset_version(engineer)
    run = succeeded_run(engineer, model, dataset, trials=False)
    version = factories.version(model, engineer, run, seed=1)
    factories.into_production(version, engineer, approver)
    return Production(engineer, approver, model, dataset, run, version)


def answered(site: Production, count: int, *, start: int = 0, label: Any = None, **changes: Any) -> list[Prediction]:
    """`count` predictions p0, p1, ...; labelled too unless `label` is False."""
    random = np.random.default_rng(start)
    rows = [
        Prediction(
            model=site.model,
            version=site.version,
            request_id=f"p{n}",
            payload_digest="0" * 64,
            unit_id=f"{n}",
            features={"age": round(float(random.normal(55, 10)), 1), "visits": int(random.poisson(4))},
            prediction=n % 2,
            score=0.5,
            **changes,
        )
        for n in range(start, start + count)
    ]
    Prediction.objects.bulk_create(rows)
    if label is not False:
        for row in rows:
            labelled(site, row.request_id, int(row.features["visits"] > 3) if label is None else label)
    return rows


def labelled(site: Production, request_id: str, label: Any, *, revision: int = 1, **changes: Any) -> Label:
    about = {"model": site.model, "request_id": request_id, "created_by": user(site.engineer)}
    return Label.objects.create(**about, revision=revision, label=label, **changes)


def alert(site: Production, rule: str = Rule.DRIFT, *, score: float = 0.3, subject: str = "", **changes: Any) -> Alert:
    """An open alert with its report; `score` is the report's overall score."""
    now = timezone.now()
    report = Report.objects.create(
        model=site.model,
        version=site.version,
        window_from=now - timedelta(days=1),
        window_to=now,
        samples=1000,
        overall_score=score,
        severity="high",
        body=changes.pop("body", {}),
    )
    said = {"summary": f"{rule} of {site.model}", "evidence": {}, **changes}
    about = {"model": site.model, "version": site.version, "rule": rule, "subject_key": subject, "report": report}
    return Alert.objects.create(**about, severity=SEVERITY_OF[Rule(rule)], **said)
