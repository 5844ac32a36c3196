"""Data sets with their versions, and runs."""

from mlops_site.core.laws import append_only
from training.models.dataset import Dataset, DatasetVersion
from training.models.run import Run, RunLine

LAWS = append_only("training_datasetversion")

__all__ = ["LAWS", "Dataset", "DatasetVersion", "Run", "RunLine"]
