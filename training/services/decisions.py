"""What a run may be told of its decisions: the cost of mistakes, and how many rows can be looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mlops_site.core.errors import FieldError
from registry.models import RegisteredModel
from training.choices import Calibration
from training.models import DatasetVersion
from training.services.config import RunConfig
from training.services.schema import columns_of, labels_of

OUTCOMES = ("true_positive", "false_positive", "false_negative", "true_negative")
CAPACITY = ("at_most", "of_rows")
MOST = 1e12


def decision_problems(config: RunConfig, model: RegisteredModel, version: DatasetVersion) -> Iterator[FieldError]:
    """What is wrong with `cost_matrix`, `capacity` and `calibration`."""
    target = config.target or version.target
    known = target in columns_of(version)
    is_two = str(model.task_type) == "classification" and (not known or len(labels_of(version, target)) == 2)
    for field in ("cost_matrix", "capacity", "calibration"):
        asked: Any = getattr(config, field)
        if asked is None:
            continue
        if not is_two:
            yield _wrong(field, f"must be left out: {target!r:.80} has not two classes", "not_two_classes")
        elif field == "calibration":
            if asked not in Calibration.values:
                yield _wrong(field, f"must be one of {', '.join(Calibration.values)} but got {asked!r:.80}")
        elif not isinstance(asked, Mapping):
            yield _wrong(field, f"must be an object but got {asked!r:.80}")
        else:
            yield from _costs(asked) if field == "cost_matrix" else _capacity(asked)


def _wrong(field: str, message: str, code: str = "invalid") -> FieldError:
    return FieldError(field, code, f"{field} {message}")


def _number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= MOST and not math.isnan(value)


def _costs(asked: Mapping[str, Any]) -> Iterator[FieldError]:
    wrong = list(_entries("cost_matrix", asked, OUTCOMES))
    yield from wrong
    if wrong:
        return
    cost = {name: asked.get(name, 0) for name in OUTCOMES}
    # Else one answer would be right for every row, whatever its score.
    for mistake, right in (("false_positive", "true_negative"), ("false_negative", "true_positive")):
        if cost[mistake] <= cost[right]:
            message = f"must have {mistake} above {right} but got {cost[mistake]} and {cost[right]}"
            yield _wrong("cost_matrix", message, "no_mistake")


def _capacity(asked: Mapping[str, Any]) -> Iterator[FieldError]:
    wrong = list(_entries("capacity", asked, CAPACITY))
    yield from wrong
    if wrong:
        return
    if missing := [name for name in CAPACITY if name not in asked]:
        yield _wrong("capacity", f"must have at_most and of_rows but lacks {missing[0]}", "required")
    elif not 0 < asked["at_most"] <= asked["of_rows"]:
        message = f"must have 0 < at_most <= of_rows but got {asked['at_most']} of {asked['of_rows']}"
        yield _wrong("capacity", message, "out_of_range")


def _entries(field: str, asked: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[FieldError]:
    for name, value in asked.items():
        if name not in known:
            message = f"must have {', '.join(known)} only but got {name!r:.80}"
            yield FieldError(f"{field}.{name!s:.80}", "unknown", f"{field} {message}")
        elif not _number(value):
            message = f"must be a finite number within {MOST:g} but got {value!r:.80}"
            yield FieldError(f"{field}.{name}", "out_of_range", f"{field}.{name} {message}")
