"""What training adds to what the registry does."""

from __future__ import annotations

from typing import Any

from registry.models import Version
from training.models import Run
from training.services.feature_uses import keep_version_uses


def add_gate(version: Version, **_: Any) -> dict[str, Any]:
    """The verdict on the run that made the version, whatever a requester says of it; nothing where there is none."""
    runs = Run.objects.filter(version=version, gate__isnull=False).order_by("-finished_at")
    gate = runs.values_list("gate", flat=True).first()
    return {} if gate is None else {"gate": gate}


def keep_feature_sets(version: Version, **_: Any) -> None:
    """The feature sets that it says it reads: with one that it cannot read it is not registered."""
    keep_version_uses(version)
