"""Writes of training: data set versions, their comparisons, sources and gates, feature sets, runs and their
reproductions."""

from training.services.comparisons import cancel_comparison, request_comparison
from training.services.config import RunConfig
from training.services.datasets import create_dataset_version, register_dataset_version
from training.services.downloads import download_dataset
from training.services.feature_tables import load_feature_table
from training.services.feature_values import load_feature_values
from training.services.features import define_feature_set
from training.services.keeping import erase_dataset_version, erase_expired, set_keeping
from training.services.notes import add_note
from training.services.quality import (
    check_dataset,
    infer_expectations,
    revoke_waiver,
    set_expectations,
    waive_check,
)
from training.services.reproductions import cancel_reproduction, request_reproduction
from training.services.runs import cancel_run, request_run
from training.services.sources import cancel_fetch, create_source, fetch_on_schedule, request_fetch, set_source
from training.services.training_sets import build_training_set

__all__ = [
    "RunConfig",
    "add_note",
    "build_training_set",
    "cancel_comparison",
    "cancel_fetch",
    "cancel_reproduction",
    "cancel_run",
    "check_dataset",
    "create_dataset_version",
    "create_source",
    "define_feature_set",
    "download_dataset",
    "erase_dataset_version",
    "erase_expired",
    "fetch_on_schedule",
    "infer_expectations",
    "load_feature_table",
    "load_feature_values",
    "register_dataset_version",
    "request_comparison",
    "request_fetch",
    "request_reproduction",
    "request_run",
    "revoke_waiver",
    "set_expectations",
    "set_keeping",
    "set_source",
    "waive_check",
]
