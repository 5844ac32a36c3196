"""A team, its people, a model and small data sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import pytest

from mlops_site.core.choices import Role
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from registry.services import create_model
from tests.kept import kept_fixture
from tests.people import actor
from tests.training.claims import claims, csv_of
from training.models import DatasetVersion
from training.services import create_dataset_version


@kept_fixture
def engineer(db: None) -> Actor:
    return actor("enno", Role.ML_ENGINEER)


@kept_fixture
def scientist(db: None) -> Actor:
    return actor("dana", Role.DATA_SCIENTIST)


@kept_fixture
def outsider(db: None) -> Actor:
    """An engineer of another team."""
    return actor("otto", Role.ML_ENGINEER, team="elsewhere")


@kept_fixture
def model(engineer: Actor) -> RegisteredModel:
    return create_model(actor=engineer, name="high_cost_claim", task_type="classification")


def uploaded(scientist: Actor, frame: pd.DataFrame | None = None, **changes: Any) -> DatasetVersion:
    """A frame, by default the claims under the name hie."""
    source = csv_of(claims() if frame is None else frame)
    given = {"actor": scientist, "name": "hie", "filename": "hie.csv", "target": "high_cost"}
    declared = {"group_column": "person", "time_column": "year"}
    return create_dataset_version(**{"source": source, **given, **declared, **changes})


@pytest.fixture
def upload(scientist: Actor) -> Callable[..., DatasetVersion]:
    return partial(uploaded, scientist)


@kept_fixture
def dataset(scientist: Actor) -> DatasetVersion:
    return uploaded(scientist)
