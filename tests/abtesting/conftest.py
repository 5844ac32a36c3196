"""One lab for each test that asks."""

from __future__ import annotations

import pytest

from tests.abtesting.lab import Lab


@pytest.fixture
def lab(db: None) -> Lab:
    return Lab()
