"""A small experiment with rows of the ORM: two versions, their splits, answers, labels, and a scorer of shadow rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from abtesting.choices import Design, ShadowState
from abtesting.models import Epoch, Experiment, ShadowAnswer
from abtesting.selectors.attribution import ARM_FAILED
from abtesting.services.sums import count_scored
from abtesting.stats.assignment import assign
from mlops_site.core.permissions import Actor
from monitoring.models import Label, Prediction
from registry import services
from registry.models import Version
from tests.monitoring.production import watched
from tests.people import actor
from tests.registry.parts import user


def people() -> tuple[Actor, Actor]:
    """An engineer and the machine that logs."""
    return actor("author", "ml_engineer"), actor("claims-app", "service")


def experiment_of(
    author: Actor, *, share_b: float = 0.5, ago: timedelta = timedelta(days=1), **changes: Any
) -> Experiment:
    """A running one between the two versions of a new model, with one open epoch."""
    model = services.create_model(actor=author, name=changes.pop("model_name", "high_cost"), task_type="classification")
    a, b = watched(model, author), watched(model, author, params={"C": 2.0})
    started = changes.pop("started_at", timezone.now() - ago)
    parts: dict[str, Any] = {
        "name": "newer",
        "design": Design.AB,
        "metrics": ["accuracy"],
        "min_samples": 100,
        "salt": f"{model.name}-1",
        "created_by": user(author),
        "started_at": started,
    }
    experiment = Experiment.objects.create(model=model, version_a=a, version_b=b, **{**parts, **changes})
    Epoch.objects.create(experiment=experiment, number=1, share_b=share_b, draw=1, started_at=started)
    return experiment


def next_epoch(experiment: Experiment, share_b: float, *, at: datetime | None = None) -> Epoch:
    """The split changes, as services do it: under the lock of the experiment."""
    with transaction.atomic():
        locked = Experiment.objects.select_for_update(no_key=True).get(pk=experiment.pk)
        at = at or timezone.now()
        old = Epoch.objects.get(experiment=locked, ended_at=None)
        split = old.split(locked).changed(share_b)
        Epoch.objects.filter(pk=old.pk).update(ended_at=at)
        return Epoch.objects.create(
            experiment=locked, number=split.epoch, share_b=share_b, draw=split.draw, started_at=at
        )


def open_epoch(experiment: Experiment) -> Epoch:
    return Epoch.objects.get(experiment=experiment, ended_at=None)


def answer(version: Version, n: int, **changes: Any) -> Prediction:
    """A row that is not saved; what it says follows from n."""
    said = int(n % 3 == 0)
    parts: dict[str, Any] = {
        "request_id": f"r{n}",
        "payload_digest": "0" * 64,
        "features": {"age": 20 + n % 30, "visits": n % 4},
        "slices": {"region": ["north", "south"][n % 2]},
        "prediction": said,
        "score": (n % 10) / 10,
        "decision": said,
        "threshold": 0.5,
        "latency_ms": 1 + n % 5,
    }
    return Prediction(model=version.model, version=version, **{**parts, **changes})


def served(experiment: Experiment, n: int, **changes: Any) -> Prediction:
    """As `predict` answers under the open epoch; every eleventh answer of B fails, and A stands in."""
    epoch = open_epoch(experiment)
    unit = changes.get("unit_id") or f"r{n}"
    arm: str = assign(epoch.split(experiment), unit)
    if experiment.is_paired:
        parts: dict[str, Any] = {"arm": "a", "epoch": epoch.pk if arm == "b" else None}
        return answer(experiment.version_a, n, **parts, **changes)
    if arm == "b" and n % 11 == 0:
        return answer(experiment.version_a, n, arm="b", epoch=epoch.pk, error_code=ARM_FAILED, **changes)
    version = experiment.version_b if arm == "b" else experiment.version_a
    return answer(version, n, arm=arm, epoch=None if arm == "holdout" else epoch.pk, **changes)


def label(experiment: Experiment, n: int, value: Any, **changes: Any) -> Label:
    """The next revision of a label, saved."""
    known = Label.objects.filter(model=experiment.model, request_id=f"r{n}").count()
    return Label.objects.create(
        model=experiment.model,
        request_id=f"r{n}",
        revision=known + 1,
        label=value,
        created_by=experiment.created_by,
        **changes,
    )


def said_by_b(row: ShadowAnswer, n: int) -> ShadowAnswer:
    """B fails on every seventh claim, and says otherwise than A on every fourth."""
    row.scored_at, row.latency_ms = timezone.now(), 0.5 + n % 3
    if n % 7 == 0:
        row.state, row.error_code = ShadowState.FAILED, "model_failed"
        return row
    row.state = ShadowState.SCORED
    row.prediction = row.decision = int((n % 3 == 0) != (n % 4 == 0))
    row.score = (n % 9) / 9
    return row


def score(limit: int = 1_000) -> int:
    """As the scorer does it: rows are claimed, filled and counted in one transaction."""
    with transaction.atomic():
        waiting = ShadowAnswer.objects.select_for_update(skip_locked=True).filter(state=ShadowState.QUEUED)
        rows: Sequence[ShadowAnswer] = list(waiting.order_by("queued_at", "pk")[:limit])
        names = dict(Prediction.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", "request_id"))
        for row in rows:
            said_by_b(row, int(names[row.pk][1:])).save()
        count_scored(rows)
    return len(rows)
