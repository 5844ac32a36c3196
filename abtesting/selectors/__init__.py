"""Reads of experiments."""

from abtesting.selectors.experiments import (
    Assigned,
    assigned,
    experiment_of,
    experiment_to_assign,
    experiments,
    is_tried,
    open_epoch,
    running_experiment,
)
from abtesting.selectors.results import as_json, results
from abtesting.selectors.standing import standing

__all__ = [
    "Assigned",
    "as_json",
    "assigned",
    "experiment_of",
    "experiment_to_assign",
    "experiments",
    "is_tried",
    "open_epoch",
    "results",
    "running_experiment",
    "standing",
]
