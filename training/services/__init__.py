"""Writes of training: data set versions and their quality gates, runs and their reproductions."""

from training.services.config import RunConfig
from training.services.datasets import create_dataset_version
from training.services.quality import (
    check_dataset,
    infer_expectations,
    revoke_waiver,
    set_expectations,
    waive_check,
)
from training.services.reproductions import cancel_reproduction, request_reproduction
from training.services.runs import cancel_run, request_run

__all__ = [
    "RunConfig",
    "cancel_reproduction",
    "cancel_run",
    "check_dataset",
    "create_dataset_version",
    "infer_expectations",
    "request_reproduction",
    "request_run",
    "revoke_waiver",
    "set_expectations",
    "waive_check",
]
