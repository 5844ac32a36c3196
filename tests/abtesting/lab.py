"""A model with one version in production and one in staging, an experiment on them, and claims that are answered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone

from abtesting import services
from abtesting.choices import ShadowState
from abtesting.models import Epoch, Experiment, ShadowAnswer
from abtesting.services.sums import count_scored
from abtesting.stats.assignment import assign
from monitoring.models import Label, Prediction
from monitoring.services import fold_all
from registry import services as registry
from registry.models import Version
from tests.people import actor
from tests.registry.parts import candidate, into_production, user
from tests.traffic import reference

NAME = "high_cost"
HIT, MISS = 0.9, 0.2  # scores of what a version finds, and of what it does not


class Lab:
    """Its people, versions and claims. Of ten claims three are positive; `changes` are of the version in production."""

    def __init__(self, *, name: str = NAME, team: str = "claims", **changes: Any) -> None:
        self.engineer = actor(f"eva-{name}", "ml_engineer", team=team)
        self.scientist = actor(f"sofia-{name}", "data_scientist", team=team)
        self.approver = actor(f"ben-{name}", "approver", team=team)
        self.model = registry.create_model(actor=self.engineer, name=name, task_type="classification")
        people = {"author": self.engineer, "approver": self.approver}
        self.a = into_production(self.model, **people, seed=1, reference=reference(), **changes)
        self.b = self.staged(2)
        self.numbers: Iterator[int] = count()
        self.random = np.random.default_rng(7)

    def staged(self, seed: int, **changes: Any) -> Version:
        parts = candidate(seed, params={"C": float(seed)}, reference=reference(), **changes)
        version = registry.register_version(self.model, actor=self.engineer, candidate=parts)
        registry.move_stage(version, actor=self.engineer, target_stage="staging", reason="to be tried")
        return version

    def body(self, **changes: Any) -> dict[str, Any]:
        """What POST /ab-testing/create takes."""
        about = {"model_name": self.model.name, "version_a": self.a.number, "version_b": self.b.number}
        return {**about, "success_metrics": ["recall"], "traffic_split": 0.5, **changes}

    def start(self, **changes: Any) -> Experiment:
        about = {"model_name": self.model.name, "version_a": self.a.number, "version_b": self.b.number}
        terms: dict[str, Any] = {**about, "metrics": ["accuracy"], "traffic_split": 0.5, **changes}
        if terms.get("design") == "ramp":
            terms["traffic_split"] = None
        return services.create_experiment(actor=self.engineer, **terms)

    def answer(
        self,
        experiment: Experiment,
        claims: int,
        *,
        right_a: float = 0.7,
        right_b: float = 0.7,
        failing_b: float = 0.0,
        labelled: bool = True,
        at: datetime | None = None,
        share_of_arm: dict[str, float] | None = None,
    ) -> list[Prediction]:
        """Claims, each of a unit of its own, answered under the split in force, labelled and folded. `share_of_arm`
        loses the rest of an arm's claims on the way."""
        epoch = Epoch.objects.get(experiment=experiment, ended_at=None)
        split, paired = epoch.split(experiment), experiment.is_paired
        rows, labels, me = [], [], user(self.engineer)
        for number in (next(self.numbers) for _ in range(claims)):
            arm = assign(split, f"unit-{number}")
            if self.random.random() > (share_of_arm or {}).get(arm, 1.0):
                continue
            is_b, label = arm == "b" and not paired, int(number % 10 < 3)
            failed = is_b and self.random.random() < failing_b
            said = label if self.random.random() < (right_b if is_b else right_a) else 1 - label
            about = {"model": self.model, "request_id": f"claim-{number}"}
            rows.append(
                Prediction(
                    **about,
                    version=self.b if is_b and not failed else self.a,
                    payload_digest="0" * 64,
                    unit_id=f"unit-{number}",
                    arm="a" if paired and arm == "b" else arm,
                    epoch=None if arm == "holdout" or (paired and arm == "a") else epoch.pk,
                    features={"age": 40.0 + number % 30, "visits": 2.0},
                    prediction=said,
                    score=HIT if said else MISS,
                    decision=said,
                    threshold=0.5,
                    error_code="arm_failed" if failed else "",
                    latency_ms=2.0,
                    predicted_at=at or timezone.now(),
                )
            )
            labels.append(Label(**about, revision=1, label=label, created_by=me))
        Prediction.objects.bulk_create(rows)
        Label.objects.bulk_create(labels if labelled else [])
        fold_all()
        return rows

    def score_silently(self, experiment: Experiment, *, right: float, limit: int | None = None) -> None:
        """What B would say of the claims that wait for it, written as the scorer writes it."""
        labels = {f"claim-{n}": int(n % 10 < 3) for n in range(next(self.numbers))}
        waiting = ShadowAnswer.objects.filter(epoch__experiment=experiment, state=ShadowState.QUEUED)
        with transaction.atomic():
            rows = list(waiting.select_for_update().order_by("queued_at", "pk")[:limit])
            asked = Prediction.objects.in_bulk([row.pk for row in rows])
            for row in rows:
                label = labels[asked[row.pk].request_id]
                said = label if self.random.random() < right else 1 - label
                row.state, row.scored_at = ShadowState.SCORED, timezone.now()
                row.prediction = row.decision = said
                row.score, row.threshold, row.latency_ms = HIT if said else MISS, 0.5, 2.0
            names = ["state", "scored_at", "prediction", "decision", "score", "threshold", "latency_ms"]
            ShadowAnswer.objects.bulk_update(rows, names)
            count_scored(rows)


def later(hours: float) -> datetime:
    return timezone.now() + timedelta(hours=hours)
