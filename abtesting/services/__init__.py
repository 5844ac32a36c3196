"""Writes of experiments: started, changed, stopped, concluded, watched."""

from abtesting.services.conclusions import conclude_experiment
from abtesting.services.endings import stop_for_transfer, stop_for_version
from abtesting.services.experiments import change_split, create_experiment, stop_experiment
from abtesting.services.watch import check_running

__all__ = [
    "change_split",
    "check_running",
    "conclude_experiment",
    "create_experiment",
    "stop_experiment",
    "stop_for_transfer",
    "stop_for_version",
]
