"""Data sets with their versions and expectations, runs and their reproductions, and what the gates found."""

from mlops_site.core.laws import append_only
from training.models.dataset import Dataset, DatasetVersion
from training.models.quality import QUALITY_LAWS, Expectations, GateReport, Waiver
from training.models.reproduction import Reproduction, Training
from training.models.run import Run, RunLine

LAWS = [*append_only("training_datasetversion"), *QUALITY_LAWS]

__all__ = [
    "LAWS",
    "Dataset",
    "DatasetVersion",
    "Expectations",
    "GateReport",
    "Reproduction",
    "Run",
    "RunLine",
    "Training",
    "Waiver",
]
