"""The shared count of SQL statements, as a fixture."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests import query_counts


@pytest.fixture
def count_queries() -> Callable[[str], AbstractContextManager[None]]:
    return query_counts.count_queries
