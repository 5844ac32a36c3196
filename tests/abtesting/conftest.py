"""One lab for each test that asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.abtesting.lab import Lab
from tests.kept import kept_fixture
from tests.registry.fixtures import approver, author, model, served

__all__ = ["approver", "author", "lab", "lab_with_metrics", "model", "salt", "served"]


@pytest.fixture(autouse=True, scope="module")
def salt() -> Iterator[None]:
    """The same in every run, so that the same units are in the same arms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("abtesting.services.experiments.token_hex", lambda size: "5a" * size)
        yield


@kept_fixture
def lab(db: None) -> Lab:
    return Lab()


@kept_fixture
def lab_with_metrics(db: None) -> Lab:
    """The same, whose version in production was registered with metrics, so that a plan can be made."""
    values = {"recall": 0.8, "precision": 0.5, "accuracy": 0.9}
    return Lab(metrics={name: {"value": at, "ci95": None} for name, at in values.items()})
