"""Data sets with their versions, runs with the parts of others in their trials, and their reproductions."""

from mlops_site.core.laws import append_only
from training.models.dataset import Dataset, DatasetVersion
from training.models.reproduction import Reproduction, Training
from training.models.run import Run, RunLine
from training.models.share import Share

LAWS = append_only("training_datasetversion")

__all__ = ["LAWS", "Dataset", "DatasetVersion", "Reproduction", "Run", "RunLine", "Share", "Training"]
