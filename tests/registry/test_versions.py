"""Registering: numbers, content, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from mlops_site.core import store
from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import Artifact, RegisteredModel, Version
from registry.selectors.versions import aliases_of_version
from registry.services.guards import plain_json
from registry.services.numbering import FIRST, Number, parse
from registry.signals import version_registered
from tests.people import person
from tests.registry.parts import SIGNATURE, artifact, candidate, holdout, user

WIDER = {**SIGNATURE, "inputs": [*SIGNATURE["inputs"], {"name": "plan", "kind": "category"}]}
NULLABLE = {**SIGNATURE, "inputs": [{**column, "nullable": True} for column in SIGNATURE["inputs"]]}


def register(model: RegisteredModel, actor: Actor, seed: int = 0, number: str | None = None, **changes: Any) -> str:
    return services.register_version(model, actor=actor, candidate=candidate(seed, **changes), number=number).number


def test_the_first_version_is_1_0_0_in_development(version: Version, author: Actor) -> None:
    assert version.number == str(FIRST) == "1.0.0"
    (interval,) = selectors.intervals(version)
    assert (interval.stage, interval.cause, interval.by, interval.ended_at) == (
        "development", "registered", user(author), None,
    )  # fmt: skip
    assert AuditRecord.objects.filter(action="version.registered", subject="version:claims@1.0.0").count() == 1


def test_a_version_is_found_by_its_models_name_and_number_for_who_may_see_it(version: Version, author: Actor) -> None:
    """With its aliases as they are now, though they are not asked for where there are none."""
    with CaptureQueriesContext(connection) as queries:
        found = selectors.version_located(author, "claims", "1.0.0")
        assert (found, found.stage, aliases_of_version(found)) == (version, "development", [])
    assert len(queries) == 1
    services.set_alias(version.model, actor=author, alias="champion", version=version)
    for number in ("1.0.0", "@champion", "@latest"):
        found = selectors.version_located(author, "claims", number)
        assert (found, aliases_of_version(found)) == (version, ["champion"])
    services.remove_alias(version.model, actor=author, alias="champion")
    assert aliases_of_version(selectors.version_located(author, "claims", "1.0.0")) == []


@pytest.mark.parametrize(
    ("name", "number", "team", "code"),
    [
        ("claims", "1.0.0", "elsewhere", "unknown_model"),
        ("claims", "@latest", "elsewhere", "unknown_model"),
        ("others", "1.0.0", "claims", "unknown_model"),
        ("claims", "1.0.1", "claims", "unknown_version"),
        ("claims", "999999999.0.0", "claims", "unknown_version"),
        ("claims", "@nobody", "claims", "unknown_version"),
    ],
)
def test_what_is_missing_of_a_version_is_said(version: Version, name: str, number: str, team: str, code: str) -> None:
    stranger = Actor.of(person("vera", "viewer", team=team))
    with pytest.raises(NotFound) as raised:
        selectors.version_located(stranger, name, number)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"signature": WIDER}, "2.0.0"),
        ({"signature": {**SIGNATURE, "positive_class": 0}, "params": {"C": 2.0}}, "2.0.0"),
        ({"params": {"C": 2.0}}, "1.1.0"),
        ({"config": {"model_types": ["random_forest"]}}, "1.1.0"),
        ({"data_digest": "d" * 64}, "1.0.1"),
        ({"metrics": {"roc_auc": 0.76}}, "1.0.1"),
        ({"signature": NULLABLE}, "1.0.1"),  # levels and nulls come from the data, not from the interface
        ({"reference": b"another profile"}, "1.0.1"),
        ({"holdout_bytes": holdout([0.5] * 3, label=[0, 1, 1])}, "1.0.1"),
    ],
)
def test_what_changed_decides_which_part_rises(
    model: RegisteredModel, version: Version, author: Actor, changes: dict[str, Any], number: str
) -> None:
    assert register(model, author, **changes) == number


def test_changes_are_told_from_the_highest_version(model: RegisteredModel, version: Version, author: Actor) -> None:
    assert register(model, author, seed=1, params={"C": 2.0}) == "1.1.0"
    assert register(model, author, seed=2) == "1.2.0"  # C is 1.0 again, which differs from 1.1.0
    assert register(model, author, seed=3) == "1.2.1"
    assert register(model, author, seed=4, signature=WIDER) == "2.0.0"


def test_the_same_content_is_the_same_version(model: RegisteredModel, version: Version, author: Actor) -> None:
    again = candidate(lineage={"run": "another"}, mlflow={"run_id": "another"})
    assert services.register_version(model, actor=author, candidate=again).pk == version.pk
    assert Version.objects.count() == 1
    assert AuditRecord.objects.filter(action="version.registered").count() == 1


def test_an_explicit_number_must_be_above_the_highest(model: RegisteredModel, version: Version, author: Actor) -> None:
    assert register(model, author, seed=1, number="4.2.0") == "4.2.0"
    for number in ("4.2.0", "1.0.1", "4.1.99"):
        with pytest.raises(Conflict) as raised:
            register(model, author, seed=2, number=number)
        assert raised.value.code == "number_not_higher"
    assert register(model, author, seed=2) == "4.2.1"


def test_registered_content_cannot_have_a_second_number(
    model: RegisteredModel, version: Version, author: Actor
) -> None:
    assert register(model, author, number="1.0.0") == "1.0.0"
    with pytest.raises(Conflict, match=r"already, as 1\.0\.0") as raised:
        register(model, author, number="2.0.0")
    assert raised.value.code == "already_registered"


@pytest.mark.parametrize(
    "text", ["", "1", "1.0", "01.0.0", "1.0.0-rc1", "1.0.0\n", "1.0.٣", "1.0.9999999999", "v1.0.0"]
)
def test_other_spellings_are_no_version(text: str) -> None:
    with pytest.raises(Invalid, match="must be written like"):
        parse(text)


@given(st.tuples(*[st.integers(0, 999_999_999)] * 3))
def test_a_number_is_read_as_it_is_written(parts: tuple[int, int, int]) -> None:
    assert parse(str(Number(*parts))) == parts


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"signature": {**SIGNATURE, "task_type": "regression", "output": "value"}}, "signature.classes"),
        ({"signature": {"inputs": SIGNATURE["inputs"], "task_type": "regression"}}, "signature.task_type"),
        ({"metrics": {"roc_auc": float("nan")}}, "metrics.roc_auc"),
        ({"metrics": {"roc_auc": {"value": 0.7, "ci95": [0.6]}}}, "metrics.roc_auc"),
        ({"metrics": {"roc_auc": {"value": 0.7, "ci95": 0.6}}}, "metrics.roc_auc"),
        ({"metrics": {"roc_auc": "0.7"}}, "metrics.roc_auc"),
        ({"metrics": {"rmse": 10**400}}, "metrics.rmse"),
        ({"params": {"C": float("inf")}}, "config"),
        ({"params": {"name": "a\0b"}}, "config"),
        ({"tags": {"note": "\ud800"}}, "tags"),
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": 1.5}, "threshold"),
        ({"format": "pickle"}, "format"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_kept(
    model: RegisteredModel, author: Actor, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as raised:
        register(model, author, **changes)
    assert raised.value.errors[0].field == field
    assert not Version.objects.exists()
    assert not Artifact.objects.exists()


def test_only_those_who_may_register(
    model: RegisteredModel, approver: Actor, outsider: Actor, clean_artifacts: None
) -> None:
    for actor in (approver, outsider):
        with pytest.raises(Forbidden):
            register(model, actor)
    assert not Version.objects.exists()
    assert AuditRecord.objects.filter(action="version.register.refused").count() == 2


def test_bytes_are_stored_under_their_digest_once(model: RegisteredModel, version: Version, author: Actor) -> None:
    assert store.read(version.artifact_id) == artifact()
    register(model, author, metrics={"roc_auc": 0.9})
    assert Artifact.objects.count() == 1


def test_listeners_are_told_in_the_transaction_and_can_undo_it(model: RegisteredModel, author: Actor) -> None:
    def refuse(version: Version, **kwargs: Any) -> None:
        raise RuntimeError(version.number)

    version_registered.connect(refuse)
    try:
        with pytest.raises(RuntimeError, match=r"1\.0\.0"):
            register(model, author)
    finally:
        version_registered.disconnect(refuse)
    assert not Version.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("value", [1e16, -1e22, -0.0, 0.1, 1e-7, 5e-324, 12345678901234567890, 1e300, 3.0])
def test_numbers_come_back_from_the_database_with_the_same_digest(
    model: RegisteredModel, author: Actor, value: float
) -> None:
    version = services.register_version(model, actor=author, candidate=candidate(params={"value": [value]}))
    stored = Version.objects.get(pk=version.pk)
    assert stored.params == {"value": [value]}
    assert plain_json("params", stored.params) == plain_json("params", version.params)
    assert repr(stored.params) == repr(plain_json("params", {"value": [value]}))
