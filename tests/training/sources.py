"""A source as an engineer sets it, and a look as its worker leaves it: pages and lists only read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from mlops_site.core.choices import JobState
from mlops_site.core.permissions import Actor, person
from training.models import DatasetVersion, DataSource, Fetch, Run


def source(engineer: Actor, dataset: DatasetVersion, *, name: str = "warehouse", **fields: Any) -> DataSource:
    """A daily query that starts a run."""
    given: dict[str, Any] = {
        "kind": "sql",
        "location": "warehouse",
        "query": "SELECT * FROM claims ORDER BY person",
        "dataset_name": dataset.dataset.name,
        "target": dataset.target,
        "every": timedelta(days=1),
        "run_config": {"model_name": "high_cost_claim", "n_trials": 6},
    }
    user = person(engineer)
    return DataSource.objects.create(
        name=name, team=dataset.dataset.team, owner=user, created_by=user, **{**given, **fields}
    )


def look(made: DataSource, version: DatasetVersion | None, run: Run | None = None, **fields: Any) -> Fetch:
    """A look that succeeded, unless the fields say otherwise."""
    now = timezone.now()
    given: dict[str, Any] = {"state": JobState.SUCCEEDED, "step": "done", "started_at": now, "finished_at": now}
    note = f"{version} is kept" if version else "nothing new: every file is as it was at the last look"
    return Fetch.objects.create(
        source=made, requested_by=made.owner, version=version, run=run, attempt=1, **{"note": note, **given, **fields}
    )


def looked_at(engineer: Actor, dataset: DatasetVersion, run: Run) -> DataSource:
    """A source with one look, which brought the version and started the run."""
    made = source(engineer, dataset)
    look(made, dataset, run)
    return made
