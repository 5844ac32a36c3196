"""What an experiment has to say for a promotion."""

from __future__ import annotations

from typing import Any

from abtesting.choices import Status
from abtesting.models import Experiment
from registry.models import Version
from registry.selectors import in_production

SECTION = "experiment"


def experiment_evidence(version: Version) -> dict[str, Any]:
    """The section of the evidence: the newest concluded experiment in which the version was B against what is in
    production now, as it was frozen. Nothing where there is none: one against a version that left says little about
    what would be replaced."""
    serving = in_production(version.model)
    if serving is None:
        return {}
    rows = Experiment.objects.filter(version_a=serving, version_b=version, status=Status.CONCLUDED)
    newest = rows.select_related("ended_by").order_by("-ended_at", "-pk").first()
    return {} if newest is None else {SECTION: shown(newest)}


def shown(experiment: Experiment) -> dict[str, Any]:
    """A frozen result with its digest, and who concluded it."""
    by, at = experiment.ended_by, experiment.ended_at
    about = {
        "experiment": experiment.pk,
        "name": experiment.name,
        "concluded_by": None if by is None else by.username,
        "ended_at": None if at is None else at.isoformat(),
    }
    return {**about, **(experiment.result or {}), "digest": experiment.result_digest}
