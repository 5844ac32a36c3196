"""Writes of training: data set versions and runs."""

from training.services.config import RunConfig
from training.services.datasets import create_dataset_version
from training.services.runs import cancel_run, request_run

__all__ = ["RunConfig", "cancel_run", "create_dataset_version", "request_run"]
