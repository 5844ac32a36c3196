"""Data sets with their versions, runs and their reproductions."""

from mlops_site.core.laws import append_only
from training.models.dataset import Dataset, DatasetVersion
from training.models.record import RunNote, UnrecordedRun
from training.models.reproduction import Reproduction, Training
from training.models.run import Run, RunLine

LAWS = [*append_only("training_datasetversion"), *append_only("training_runnote")]

__all__ = [
    "LAWS",
    "Dataset",
    "DatasetVersion",
    "Reproduction",
    "Run",
    "RunLine",
    "RunNote",
    "Training",
    "UnrecordedRun",
]
