"""What training adds to what the registry does."""

from __future__ import annotations

from typing import Any

from registry.models import Version
from training.models import Run
from training.selectors.quality import Verdict, verdicts_of
from training.services.feature_uses import keep_version_uses


def add_gate(version: Version, **_: Any) -> dict[str, Any]:
    """The verdict on the run that made the version, whatever a requester says of it, and what its quality gates found;
    nothing where there is none."""
    run = Run.objects.filter(version=version, gate__isnull=False).defer("diff").order_by("-finished_at").first()
    if run is None:
        return {}
    found = verdicts_of(run)
    return {"gate": run.gate, **({"quality_gates": [_short(verdict) for verdict in found]} if found else {})}


def _short(verdict: Verdict) -> dict[str, Any]:
    """What did not pass, and under which waiver: evidence is digested, so nothing that is told elsewhere."""
    said = verdict.to_json()
    names = ("name", "column", "severity", "message", "waiver")
    failed = [{name: check[name] for name in names} for check in said["checks"] if not check["passed"]]
    return {name: said[name] for name in ("stage", "expectations", "passed")} | {"failed": failed}


def keep_feature_sets(version: Version, **_: Any) -> None:
    """The feature sets that it says it reads: with one that it cannot read it is not registered."""
    keep_version_uses(version)
