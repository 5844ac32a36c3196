"""A csv over the limit goes through the gate in parts, and comes out the same."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from tests.training.claims import claims, csv_of
from training.models import DatasetVersion
from training.services import create_dataset_version, large

pytestmark = pytest.mark.django_db
ROLES: dict[str, Any] = {"target": "high_cost", "group_column": "person", "pii": ("person",)}


@pytest.fixture
def in_parts(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: what the cluster adds, `tests/training/ml/test_large.py` tells."""
    monkeypatch.setattr(large, "find_spec", lambda name: None)
    monkeypatch.setattr("training.ml.conversion.BLOCK_BYTES", 4_000)
    settings.LARGE_TABLE_BYTES = 1_000


def made(actor: Actor, name: str, rows: int = 300, **changes: Any) -> DatasetVersion:
    frame = claims(rows).assign(**changes)
    return create_dataset_version(actor=actor, name=name, source=csv_of(frame), filename="claims.csv", **ROLES)


def test_it_is_the_same_version(scientist: Actor, in_parts: None, settings: Settings) -> None:
    parts = made(scientist, "parts")
    settings.LARGE_TABLE_BYTES = 2**30
    whole = made(scientist, "whole")
    for field in ("digest", "rows", "schema", "quality", "source_digest", "pii"):
        assert getattr(parts, field) == getattr(whole, field), field


def test_the_next_version_is_compared_with_it(scientist: Actor, in_parts: None) -> None:
    made(scientist, "hie")
    later = made(scientist, "hie", rows=200, plan="other", age=400)
    said = {check["name"] for check in later.quality["checks"] if not check["passed"]}
    assert (later.version, said) == (2, {"schema_range", "schema_levels", "constant_column"})


def test_it_is_refused_for_the_same_reasons(scientist: Actor, in_parts: None) -> None:
    with pytest.raises(Invalid) as refused:
        made(scientist, "hie", high_cost=1)
    assert [(error.field, error.code) for error in refused.value.errors] == [("target", "classes")]
    with pytest.raises(Invalid, match="must be finite") as refused:
        made(scientist, "hie", dollars="inf")
    assert [error.field for error in refused.value.errors] == ["file.dollars"]
    assert not DatasetVersion.objects.exists()


def test_a_short_file_and_a_parquet_file_are_read_at_once(settings: Settings) -> None:
    settings.LARGE_TABLE_BYTES = 1_000
    file = csv_of(claims(300))
    assert large.is_large(file, "Claims.CSV")
    assert not large.is_large(file, "claims.parquet")
    assert not large.is_large(csv_of(claims(10)), "claims.csv")
    assert file.tell() == 0
