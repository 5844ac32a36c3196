"""How many SQL statements each endpoint takes, kept in a committed file: an N+1 shows as a diff.

`REWRITE_QUERY_COUNTS=1 pytest tests/architecture/test_query_counts.py` writes the file again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.processes import ROOT

FILE = ROOT / "tests" / "architecture" / "query_counts.json"
NOT_COUNTED = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")  # a test's transaction adds them


def known() -> dict[str, int]:
    """Name -> count, as committed."""
    counts: dict[str, int] = json.loads(FILE.read_text()) if FILE.exists() else {}
    return counts


def statements(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if not query["sql"].startswith(NOT_COUNTED)]


@contextmanager
def count_queries(name: str) -> Iterator[None]:
    """Fail if the block takes another number of statements than the committed file says under `name`."""
    with CaptureQueriesContext(connection) as queries:
        yield
    said, counts = statements(queries), known()
    if os.environ.get("REWRITE_QUERY_COUNTS"):
        FILE.write_text(json.dumps({**counts, name: len(said)}, indent=1, sort_keys=True) + "\n")
        return
    assert name in counts, f"{name} takes {len(said)} statements; write that with REWRITE_QUERY_COUNTS=1"
    shown = "\n".join(said)
    assert counts[name] == len(said), f"{name} takes {len(said)} statements instead of {counts[name]}:\n{shown}"
