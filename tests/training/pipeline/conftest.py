"""Runs that are claimed and executed in this process."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings

from mlops_site.core import jobs, mlflow
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from tests import template
from tests.training.claims import SMALL
from training.models import DatasetVersion, Run
from training.pipeline import execute
from training.services import request_run


@pytest.fixture(scope="session", autouse=True)
def mlflow_is_open() -> None:
    """MLflow imported and its database in place, with the warnings that it gives while it is opened."""
    if not (settings.STEWARD_HOME / template.MLFLOW_FILE).exists():
        template.put_mlflow(settings.STEWARD_HOME)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.opened()


@pytest.fixture
def request_small(scientist: Actor, model: RegisteredModel) -> Callable[..., Run]:
    """A queued run of three trials on the named data set."""

    def create(dataset: DatasetVersion, **changes: Any) -> Run:
        return request_run(actor=scientist, dataset=str(dataset), **{"model_name": model.name, **SMALL, **changes})

    return create


@pytest.fixture
def train(request_small: Callable[..., Run]) -> Callable[..., Run]:
    """The same, executed to its end."""

    def run(dataset: DatasetVersion, **changes: Any) -> Run:
        return executed(request_small(dataset, **changes))

    return run


def executed(run: Run) -> Run:
    """One attempt at the run, in this process."""
    claimed = jobs.claim(run, worker="test")
    assert claimed is not None
    execute(claimed)
    return Run.objects.select_related("version", "model__team").get(pk=run.pk)
