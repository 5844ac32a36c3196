"""Experiments as rows, without the services that check what is asked."""

from __future__ import annotations

from typing import Any

from abtesting.models import Epoch, Experiment
from mlops_site.core.permissions import Actor
from registry import services
from registry.models import Version
from tests.registry.parts import candidate, user


def challenger(a: Version, *, author: Actor, seed: int = 1, **changes: Any) -> Version:
    """Another version of A's model, in staging."""
    parts = {"params": {"C": 2.0}, "threshold": 0.4, **changes}
    version = services.register_version(a.model, actor=author, candidate=candidate(seed, **parts))
    services.move_stage(version, actor=author, target_stage="staging", reason="ready")
    return version


def begun(a: Version, b: Version, *, author: Actor, share_b: float = 0.5, **changes: Any) -> Epoch:
    """The first epoch of an experiment that runs."""
    parts = {"name": "retrained", "design": "ab", "metrics": ["recall"], "min_samples": 100, "salt": "s1", **changes}
    by = user(author)
    test = Experiment.objects.create(model=a.model, version_a=a, version_b=b, created_by=by, **parts)
    return Epoch.objects.create(experiment=test, number=1, draw=1, share_b=share_b, by=by)
