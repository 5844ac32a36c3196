"""Writes of training: data set versions, feature sets, runs and their reproductions."""

from training.services.config import RunConfig
from training.services.datasets import create_dataset_version
from training.services.feature_tables import load_feature_table
from training.services.feature_values import load_feature_values
from training.services.features import define_feature_set
from training.services.reproductions import cancel_reproduction, request_reproduction
from training.services.runs import cancel_run, request_run
from training.services.training_sets import build_training_set

__all__ = [
    "RunConfig",
    "build_training_set",
    "cancel_reproduction",
    "cancel_run",
    "create_dataset_version",
    "define_feature_set",
    "load_feature_table",
    "load_feature_values",
    "request_reproduction",
    "request_run",
]
