"""A metric over the versions of a model."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import RegisteredModel
from registry.selectors import trend
from tests.kept import kept_fixture
from tests.registry.http import Person
from tests.registry.parts import candidate, into_production


@kept_fixture
def history(model: RegisteredModel, author: Actor, approver: Actor) -> RegisteredModel:
    """1.0.0 served and serves again after a rollback; 1.0.1 served; 1.0.2 has another metric only."""
    into_production(model, author=author, approver=approver, seed=0, metrics={"roc_auc": 0.7, "brier": 0.2})
    into_production(
        model, author=author, approver=approver, seed=1, metrics={"roc_auc": {"value": 0.8, "ci95": [0.7, 0.9]}}
    )
    services.rollback(model, actor=approver, reason="worse in practice")
    services.register_version(model, actor=author, candidate=candidate(2, metrics={"brier": 0.1}))
    return model


def test_values_stages_and_what_served_when(history: RegisteredModel) -> None:
    found = selectors.metric_trend(history)
    assert (found.metric, found.greater_is_better, found.known, found.left_out) == (
        "roc_auc", True, ["roc_auc", "brier"], 0,
    )  # fmt: skip
    first, second = found.points
    assert (first.version, first.value, first.ci95, first.stage) == ("1.0.0", 0.7, None, "production")
    assert (second.value, second.ci95, second.stage) == (0.8, [0.7, 0.9], "staging")
    one, two = first.production
    assert one.to is not None
    assert (two.to, len(second.production), second.production[0].since) == (None, 1, one.to)
    assert [point.version for point in selectors.metric_trend(history, metric="brier").points] == ["1.0.0", "1.0.2"]


def test_the_number_of_versions_is_bounded_and_the_rest_counted(
    history: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trend, "MAX_VERSIONS", 2)
    found = selectors.metric_trend(history, metric="brier")
    assert ([point.version for point in found.points], found.left_out) == (["1.0.2"], 1)


def test_it_takes_three_statements_at_most(history: RegisteredModel) -> None:
    with CaptureQueriesContext(connection) as captured:
        selectors.metric_trend(history)
    assert len(captured) == 2


def test_without_versions_there_is_nothing_to_show(model: RegisteredModel) -> None:
    assert selectors.metric_trend(model) == (None, None, [], [], 0)
    with pytest.raises(Invalid, match="has \\(none\\) but got 'mae'"):
        selectors.metric_trend(model, metric="mae")


def test_over_http(history: RegisteredModel, engineer: Person, stranger: Person) -> None:
    status, found = engineer.get("/models/claims/metrics", metric="brier")
    assert (status, found["metric"], found["greater_is_better"]) == (200, "brier", False)
    assert [point["version"] for point in found["points"]] == ["1.0.0", "1.0.2"]
    assert found["points"][0]["production"][1]["to"] is None
    status, problem = engineer.get("/models/claims/metrics", metric="lift")
    assert (status, problem["code"], problem["errors"][0]["field"]) == (422, "unknown_metric", "metric")
    assert "'lift'" in problem["detail"]
    assert stranger.get("/models/claims/metrics")[0] == 404
