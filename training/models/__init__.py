"""Data sets with their versions and sources, runs and their reproductions."""

from mlops_site.core.laws import append_only
from training.models.dataset import Dataset, DatasetVersion
from training.models.keeping import Erasure, VersionProfile
from training.models.reproduction import Reproduction, Training
from training.models.run import Run, RunLine
from training.models.source import DataSource, Fetch

LAWS = [*append_only("training_datasetversion"), *append_only("training_versionprofile")]

__all__ = [
    "LAWS",
    "DataSource",
    "Dataset",
    "DatasetVersion",
    "Erasure",
    "Fetch",
    "Reproduction",
    "Run",
    "RunLine",
    "Training",
    "VersionProfile",
]
