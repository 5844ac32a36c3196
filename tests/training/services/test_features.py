"""Defining feature sets: versions, names, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from mlops_site.core.errors import Forbidden, Invalid, NotFound, StewardError
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from tests.people import actor
from tests.training.features import feature_set
from training.models import FeatureSetVersion
from training.selectors.features import feature_set_named, feature_sets


def test_a_changed_definition_is_the_next_version(scientist: Actor) -> None:
    first = feature_set(scientist)
    assert (str(first), first.owner, first.kinds) == (
        "claim_history@1", scientist.user, {"visits": "number", "plan": "category"},
    )  # fmt: skip
    assert first.personal == {"plan"}
    assert feature_set(scientist) == first
    second = feature_set(scientist, freshness_secs=60)
    assert str(second) == "claim_history@2"
    assert str(feature_set(scientist)) == "claim_history@3"  # of the newest, not of all
    said = [r.data for r in AuditRecord.objects.filter(action="feature_set.defined").order_by("seq")]
    assert [each["version"] for each in said] == [1, 2, 3]
    assert said[1]["columns"] == first.columns


def test_a_definition_never_changes(scientist: Actor) -> None:
    found = feature_set(scientist)
    changes: list[Callable[[], Any]] = [found.save, found.delete, lambda: FeatureSetVersion.objects.update(entity="x")]
    for change in changes:
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


def test_the_owner_is_a_person_of_the_team(scientist: Actor, outsider: Actor) -> None:
    actor("enno", "ml_engineer")
    assert feature_set(scientist, owner="enno").owner.username == "enno"
    with pytest.raises(Invalid) as caught:
        feature_set(scientist, owner="otto")
    assert caught.value.code == "unknown_owner"


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"name": "Claims"}, "name", "bad_name"),
        ({"entity": "a person"}, "entity", "bad_name"),
        ({"columns": []}, "columns", "wrong_type"),
        ({"columns": [{"name": "a", "kind": "number"}] * 2}, "columns[1].name", "duplicate_column"),
        ({"columns": [{"name": "a", "kind": "date"}]}, "columns[0].kind", "unknown_kind"),
        ({"columns": [{"name": "a" * 10_000, "kind": "number"}]}, "columns[0].name", "bad_name"),
        ({"columns": [{"name": "a\u202eb", "kind": "number"}]}, "columns[0].name", "bad_name"),
        ({"columns": [{"name": "a", "kind": "number", "pii": "yes"}]}, "columns[0].pii", "wrong_type"),
        ({"columns": [{"name": "a", "kind": "number", "dtype": 1}]}, "columns[0]", "wrong_type"),
        ({"columns": ["a"]}, "columns[0]", "wrong_type"),
        ({"columns": [{"name": f"c{n}", "kind": "number"} for n in range(501)]}, "columns", "wrong_type"),
        ({"freshness_secs": 0}, "freshness_secs", "out_of_range"),
        ({"freshness_secs": 1.5}, "freshness_secs", "out_of_range"),
        ({"description": "x" * 2001}, "description", "too_long"),
        ({"source": "a\x00b"}, "source", "control_character"),
    ],
)
def test_what_is_wrong_is_named(scientist: Actor, changes: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        feature_set(scientist, **changes)
    assert (field, code) in [(error.field, error.code) for error in caught.value.errors]
    assert not FeatureSetVersion.objects.exists()


def test_another_teams_set_is_not_there_and_its_name_is_taken(scientist: Actor, outsider: Actor) -> None:
    feature_set(scientist)
    assert not feature_sets(outsider).exists()
    asks: list[Callable[[], Any]] = [
        lambda: feature_set_named(outsider, "claim_history@1"),
        lambda: feature_set(outsider),
    ]
    for ask in asks:
        with pytest.raises(NotFound) as caught:
            ask()
        assert caught.value.code == "unknown_feature_set"


def test_who_only_reads_defines_none(db: None) -> None:
    with pytest.raises(Forbidden):
        feature_set(actor("vera", "viewer"))
    assert AuditRecord.objects.filter(action="feature.define.refused").exists()


@pytest.mark.parametrize("reference", ["nothing", "claim_history@9", "claim_history@0", 7, "a b"])
def test_a_reference_that_names_nothing(scientist: Actor, reference: Any) -> None:
    feature_set(scientist)
    with pytest.raises(StewardError):
        feature_set_named(scientist, reference)
    assert [each["name"] for each in feature_set_named(scientist, "claim_history").columns] == ["visits", "plan"]
