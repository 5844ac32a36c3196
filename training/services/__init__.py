"""Writes of training: data set versions, runs and their reproductions."""

from training.services.config import RunConfig
from training.services.datasets import create_dataset_version
from training.services.downloads import download_dataset
from training.services.notes import add_note
from training.services.reproductions import cancel_reproduction, request_reproduction
from training.services.runs import cancel_run, request_run

__all__ = [
    "RunConfig",
    "add_note",
    "cancel_reproduction",
    "cancel_run",
    "create_dataset_version",
    "download_dataset",
    "request_reproduction",
    "request_run",
]
