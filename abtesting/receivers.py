"""What follows in experiments from facts below them."""

from __future__ import annotations

from typing import Any

from abtesting import services
from abtesting.selectors.evidence import experiment_evidence
from abtesting.services import sums
from mlops_site.core.models import Team
from mlops_site.core.permissions import Actor
from monitoring.signals import Folded
from registry.models import RegisteredModel, StageInterval, Version


def stop_experiment_of(*, version: Version, stage: str, before: str, interval: StageInterval, **_: Any) -> None:
    """A version that an experiment rests on has left its place: in that transaction."""
    services.stop_for_version(version, before=before, stage=stage, interval=interval)


def stop_transferred(*, model: RegisteredModel, before: Team, actor: Actor, **_: Any) -> None:
    """A model has gone to another team: in that transaction."""
    services.stop_for_transfer(model, before=before, actor=actor)


def count_outcomes(*, folded: list[Folded], **_: Any) -> None:
    """What monitoring has folded is added to the sums of the running experiments, each item once as there."""
    sums.count_folded(folded)


def add_experiment(*, version: Version, **_: Any) -> dict[str, Any]:
    """What a concluded experiment says of a candidate against what it would replace."""
    return experiment_evidence(version)
