"""Data sets with their versions, feature sets with their values, runs and their reproductions."""

from mlops_site.core.laws import append_only
from training.models.dataset import Dataset, DatasetVersion
from training.models.features import (
    FEATURE_LAWS,
    FeatureLoad,
    FeatureRow,
    FeatureSet,
    FeatureSetVersion,
    FeatureUse,
)
from training.models.reproduction import Reproduction, Training
from training.models.run import Run, RunLine

LAWS = [*append_only("training_datasetversion"), *FEATURE_LAWS]

__all__ = [
    "LAWS",
    "Dataset",
    "DatasetVersion",
    "FeatureLoad",
    "FeatureRow",
    "FeatureSet",
    "FeatureSetVersion",
    "FeatureUse",
    "Reproduction",
    "Run",
    "RunLine",
    "Training",
]
