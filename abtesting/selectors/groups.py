"""Groups of claims, by the text of one feature or slice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from abtesting.models import Experiment
from monitoring.models import Prediction

MOST, LONGEST = 20, 64
OTHER, MISSING = "other", "missing"


class Groups:
    """The groups of answers of some experiments. Which groups there are is kept with the experiment: the first 20 that
    were met. So an answer and its labels are in the same group, whenever they are counted."""

    def __init__(self, taking_part: Iterable[tuple[UUID, Experiment]]) -> None:
        names = {pk: experiment.group_by for pk, experiment in taking_part if experiment.group_by}
        rows = Prediction.objects.filter(pk__in=names).values_list("pk", "slices", "features") if names else []
        self._values = {pk: group_text(names[pk], slices, features) for pk, slices, features in rows}
        self.grown: set[Experiment] = set()  # those that met a new one

    def of(self, experiment: Experiment, answer_id: UUID) -> tuple[str, ...]:
        """ "" for all, and the own one; the experiment must be locked if the answer is to be counted."""
        if not experiment.group_by:
            return ("",)
        group = self._values.get(answer_id, MISSING)
        if group not in experiment.groups:
            if group == OTHER or len(experiment.groups) >= MOST:
                return ("", OTHER)
            experiment.groups = [*experiment.groups, group]
            self.grown.add(experiment)
        return ("", group)


def group_text(name: str, slices: Mapping[str, Any], features: Mapping[str, Any]) -> str:
    """The group of a claim: its slice of that name, else its feature.

    >>> group_text("age", {}, {"age": 51}), group_text("region", {"region": "north"}, {}), group_text("x", {}, {})
    ('51', 'north', 'missing')
    """
    value = slices.get(name, features.get(name))
    if value is None:
        return MISSING
    return (value if isinstance(value, str) else json.dumps(value))[:LONGEST] or MISSING
