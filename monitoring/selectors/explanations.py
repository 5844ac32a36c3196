"""Explanations of predictions as people read them: each input with its value and what it contributed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from monitoring.models import Explanation


class Contribution(NamedTuple):
    """What one input added, in the output space. `standard_error` is None where nothing was sampled; the value of a
    column with personal data is masked: None."""

    feature: str
    value: Any
    contribution: float
    standard_error: float | None
    masked: bool


class Explained(NamedTuple):
    """`output` = `base_value` + all contributions + `residual`, in `output_space`; `explained` is the class meant."""

    prediction_id: str
    method: str
    output_space: str
    explained: Any
    base_value: float
    output: float
    contributions: list[Contribution]  # the largest first
    residual: float
    samples: int
    background: dict[str, Any]  # {"digest", "rows"}


def explained(
    prediction_id: UUID, features: Mapping[str, Any], content: Mapping[str, Any], *, masked: Collection[str] = ()
) -> Explained:
    """What is kept of an explanation, with the values that the prediction has."""
    errors = content["errors"]
    found = [
        Contribution(name, None if name in masked else features.get(name), size, errors.get(name), name in masked)
        for name, size in content["contributions"].items()
    ]
    found.sort(key=lambda each: (-abs(each.contribution), each.feature))
    kept = ("method", "output_space", "explained", "base_value", "output", "residual", "samples", "background")
    return Explained(prediction_id=str(prediction_id), contributions=found, **{name: content[name] for name in kept})


def told(prediction_ids: Collection[UUID]) -> dict[UUID, Mapping[str, Any]]:
    """Prediction id -> its explanation, of those that have one; one query."""
    return dict(Explanation.objects.filter(pk__in=prediction_ids).values_list("pk", "content"))
