"""Models and versions found by words and by what they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.people import actor as somebody
from tests.registry.http import Person
from tests.registry.parts import candidate, into_production


@kept_fixture
def fleet(author: Actor, approver: Actor) -> dict[str, RegisteredModel]:
    """Three models: high_cost serves and is tagged, readmission is of high risk, old is archived."""
    made = {
        name: services.create_model(actor=author, name=name, task_type=task, description=about, risk_tier=tier)
        for name, task, about, tier in (
            ("high_cost", "classification", "Will a Claim be among the top tenth?", "medium"),
            ("readmission", "classification", "Back within 30 days", "high"),
            ("old", "regression", "What a claim cost", "low"),
        )
    }
    into_production(made["high_cost"], author=author, approver=approver, seed=0, tags={"site": "5"})
    services.register_version(
        made["high_cost"], actor=author, candidate=candidate(1, params={"model_type": "random_forest"})
    )
    services.set_tag(made["high_cost"], actor=author, key="domain", value="Inpatient")
    services.archive_model(made["old"], actor=author, reason="replaced")
    return made


def names(actor: Actor, **filters: Any) -> list[str]:
    return [model.name for model in selectors.models(actor, **filters)]


def numbers(actor: Actor, **filters: Any) -> list[str]:
    return [str(version) for version in selectors.versions_found(actor, **filters)]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["high_cost", "readmission"]),
        ({"search": "claim"}, ["high_cost"]),
        ({"search": "CLAIM tenth"}, ["high_cost"]),
        ({"search": "cost"}, ["high_cost"]),
        ({"search": "claim nowhere"}, []),
        ({"search": "100%"}, []),
        ({"search": "inpatient"}, ["high_cost"]),
        ({"search": "domain=inpatient"}, ["high_cost"]),
        ({"search": "tags.domain = 'Inpatient' and cost"}, ["high_cost"]),
        ({"tag": ["domain"]}, ["high_cost"]),
        ({"tag": ["domain=Inpatient"]}, ["high_cost"]),
        ({"tag": ["domain=Inpatient", "site"]}, []),
        ({"risk_tier": "high"}, ["readmission"]),
        ({"stage": "production"}, ["high_cost"]),
        ({"owner": "author"}, ["high_cost", "readmission"]),
        ({"owner": "approver"}, []),
        ({"team": "claims", "task_type": "regression"}, []),
        ({"archived": "yes"}, ["old"]),
        ({"archived": "all", "search": "cost"}, ["high_cost", "old"]),
    ],
)
def test_models(fleet: Any, author: Actor, filters: dict[str, Any], found: list[str]) -> None:
    assert names(author, **filters) == found


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["high_cost 1.1.0", "high_cost 1.0.0"]),
        ({"search": "random_forest"}, ["high_cost 1.1.0"]),
        ({"search": "site=5"}, ["high_cost 1.0.0"]),
        ({"search": "1.1"}, ["high_cost 1.1.0"]),
        ({"tag": ["site"]}, ["high_cost 1.0.0"]),
        ({"stage": "development"}, ["high_cost 1.1.0"]),
        ({"model": "readmission"}, []),
        ({"risk_tier": "medium", "deprecated": False}, ["high_cost 1.1.0", "high_cost 1.0.0"]),
        ({"deprecated": True}, []),
        ({"alias": "champion"}, []),
    ],
)
def test_versions(fleet: Any, author: Actor, filters: dict[str, Any], found: list[str]) -> None:
    assert numbers(author, **filters) == found


def test_what_is_said_later_is_found(fleet: Any, author: Actor) -> None:
    version = selectors.version_numbered(fleet["high_cost"], "1.1.0")
    services.describe_version(version, actor=author, description="Without the Zürich claims")
    services.set_alias(fleet["high_cost"], actor=author, alias="champion", version=version)
    assert numbers(author, search="zürich") == numbers(author, alias="champion") == ["high_cost 1.1.0"]
    services.edit_model(fleet["readmission"], actor=author, description="Comes back")
    assert names(author, search="comes") == ["readmission"]
    assert names(author, search="30 days") == []


def test_another_team_finds_nothing_and_counts_nothing(fleet: Any, outsider: Actor) -> None:
    assert names(outsider, archived="all") == numbers(outsider) == []
    assert selectors.model_facets(selectors.found_models(outsider)) == []


@pytest.mark.parametrize(
    "filters",
    [{"risk_tier": "huge"}, {"task_type": "x"}, {"stage": "prod"}, {"archived": "maybe"}, {"search": "a " * 11}],
)
def test_what_is_no_filter_is_refused(fleet: Any, author: Actor, engineer: Person, filters: dict[str, Any]) -> None:
    for search in (selectors.found_models, selectors.found_versions):
        with pytest.raises(Invalid) as raised:
            list(search(author, **filters))
        assert raised.value.errors[0].field in filters
    assert engineer.get("/models", **filters)[0] == engineer.get("/versions", **filters)[0] == 422


def test_facets_count_what_was_found(fleet: Any, author: Actor, engineer: Person) -> None:
    status, said = engineer.get("/models", facets="true")
    assert (status, said["count"]) == (200, 2)
    assert said["facets"] == {
        "team": [{"value": "claims", "count": 2}],
        "risk_tier": [{"value": "high", "count": 1}, {"value": "medium", "count": 1}],
        "owner": [{"value": "author", "count": 2}],
        "task_type": [{"value": "classification", "count": 2}],
        "stage": [{"value": "development", "count": 1}, {"value": "production", "count": 1}],
        "tag": [{"value": "domain=Inpatient", "count": 1}],
    }
    versions = engineer.get("/versions", facets="true", search="high_cost")[1]
    assert versions["facets"]["model"] == [{"value": "high_cost", "count": 2}]
    assert versions["facets"]["tag"] == [{"value": "site=5", "count": 1}]
    assert "facets" not in engineer.get("/models")[1]


def test_several_tags_over_http(fleet: Any, engineer: Person) -> None:
    assert engineer.get("/models", tag=["domain=Inpatient", "domain"])[1]["count"] == 1
    assert engineer.get("/models", tag=["domain", "site"])[1]["count"] == 0
    assert engineer.get("/models", tag=["k"] * 6)[0] == 422


def test_as_many_queries_for_many_rows(fleet: Any, author: Actor, engineer: Person) -> None:
    def counts() -> list[int]:
        found = []
        for path in ("/models", "/versions"):
            with CaptureQueriesContext(connection) as captured:
                assert engineer.get(path, facets="true", search="o")[0] == 200
            found.append(len(captured))
        return found

    counts()
    before = counts()
    for seed in range(2, 6):
        version = services.register_version(fleet["high_cost"], actor=author, candidate=candidate(seed))
        services.set_tag(version, actor=author, key="site", value=str(seed))
        services.set_alias(fleet["high_cost"], actor=author, alias=f"alias-{seed}", version=version)
        services.create_model(actor=author, name=f"model_{seed}", task_type="regression")
    assert counts() == before
    assert max(before) <= 7


def test_versions_without_a_remark_are_listed(version: Version, author: Actor) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM registry_remark")
        assert cursor.fetchone() == (1,)
    assert numbers(somebody("olga", "auditor")) == ["claims 1.0.0"]
