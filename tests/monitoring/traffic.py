"""Made-up traffic of a watched version: answers, labels, and reports on them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from mlops_site.core.permissions import Actor
from monitoring.models import Label, MonitoringRun, Prediction, Report
from monitoring.services import fold_all
from registry import services
from registry.models import RegisteredModel, Version
from tests.monitoring.production import watched

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
METRICS = {"f1_score": {"value": 0.75, "ci95": [0.7, 0.8]}, "accuracy": {"value": 0.8, "ci95": None}}


def model_of(author: Actor, name: str = "high_cost") -> RegisteredModel:
    return services.create_model(actor=author, name=name, task_type="classification")


def version_of(author: Actor, *, name: str = "high_cost", **changes: Any) -> Version:
    """A version with a reference: age and visits, both normal(50, 10)."""
    return watched(model_of(author, name), author, **{"metrics": METRICS, **changes})


def answer(version: Version, count: int, *, start: datetime, seed: int = 0, **how: Any) -> list[Prediction]:
    """Answers spread over a day from `start`. `shift` moves age by so many deviations, `missing` is the share of
    visits that are missing, `right` the share of right answers among those labelled, `labelled` the share labelled."""
    random = np.random.default_rng(seed)
    age = random.normal(50 + 10 * how.get("shift", 0.0), 10, count)
    visits = np.where(random.random(count) < how.get("missing", 0.0), np.nan, random.normal(50, 10, count))
    truth = random.random(count) < 0.4
    said = np.where(random.random(count) < how.get("right", 0.9), truth, ~truth).astype(int)
    rows = [
        Prediction(
            model=version.model,
            version=version,
            request_id=f"{start:%m%d%H%M}-{seed}-{i}",
            payload_digest="0" * 64,
            features={"age": age[i], "visits": None if np.isnan(visits[i]) else visits[i]},
            prediction=int(said[i]),
            score=0.2 + 0.6 * said[i],
            decision=int(said[i]),
            threshold=0.5,
            latency_ms=1.5,
            predicted_at=start + DAY * i / count,
        )
        for i in range(count)
    ]
    Prediction.objects.bulk_create(rows)
    known = rows[: round(count * how.get("labelled", 0.0))]
    Label.objects.bulk_create(
        Label(
            model=version.model,
            request_id=row.request_id,
            revision=1,
            label=int(truth[i]),
            created_by=version.created_by,
        )
        for i, row in enumerate(known)
    )
    fold_all()
    return rows


def kept(run: MonitoringRun) -> Report:
    run.refresh_from_db()
    assert run.report is not None, run.error
    return run.report
