"""Where an experiment stands: live while it runs, frozen once it is concluded."""

from __future__ import annotations

from typing import Any

from abtesting.choices import Ending, Status
from abtesting.models import Experiment
from abtesting.selectors.results import as_json, results


def standing(experiment: Experiment) -> dict[str, Any]:
    """The results as plain JSON, with `status` and, of a concluded one, its digest and the request that was filed.

    What was stopped has figures as of its end, and no verdict.
    """
    about = {"experiment": experiment.pk, "name": experiment.name, "model": experiment.model.name}
    about |= {"mode": experiment.design, "status": experiment.status, "ending": experiment.ending or None}
    frozen = {"result_digest": experiment.result_digest or None, "request": experiment.request_id}
    if experiment.status == Status.CONCLUDED:
        return {**(experiment.result or {}), **about, **frozen}
    found = as_json(results(experiment, now=experiment.ended_at))
    if experiment.status == Status.STOPPED:
        why = f"{Ending(experiment.ending).label}: {experiment.end_reason}"
        found |= {"verdict": None, "reason": why, "samples_needed": None}
    return {**about, **found, **frozen, "request_refused": ""}
