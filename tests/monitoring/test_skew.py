"""Skew: what predictions were made of against feature sets as of then, late arrivals told apart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mlops_site.core.permissions import Actor
from mlops_site.serving import Question, predict
from monitoring.models import Prediction
from monitoring.selectors.periods import period
from monitoring.selectors.skew import skew
from monitoring.stats.skew import NONE, FeatureSkew, Pair, feature_skew
from registry import services as registry
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.people import actor, bearer
from tests.registry.parts import into_production
from tests.training.features import feature_set, known
from training.models import FeatureSetVersion

pytestmark = pytest.mark.django_db
Clock = Callable[[float], datetime]
COLUMNS = [{"name": "visits", "kind": "number"}, {"name": "age", "kind": "number", "pii": True}]


@kept_fixture
def author(db: None) -> Actor:
    return actor("author", "ml_engineer")


@kept_fixture
def history(author: Actor) -> FeatureSetVersion:
    return feature_set(author, columns=COLUMNS)


@kept_fixture
def served(author: Actor, history: FeatureSetVersion) -> Version:
    model: RegisteredModel = registry.create_model(actor=author, name="high_cost", task_type="classification")
    approver = actor("approver", "approver")
    return into_production(model, author=author, approver=approver, seed=0, feature_sets=(str(history),))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets by how many minutes before now the next loads are received; answers that time."""

    def to(minutes: float) -> datetime:
        at = timezone.now() - timedelta(minutes=minutes)
        monkeypatch.setattr("training.services.feature_values.stamp", lambda subjects: at)
        return at

    return to


def ask(unit: str, at: datetime | None = None, **features: Any) -> Prediction:
    machine, request_id = actor("claims-app", "service"), f"{unit} {Prediction.objects.count()}"
    question = Question(features, unit_id=unit, request_id=request_id)
    predict("high_cost", actor=machine, questions=[question], now=at)
    return Prediction.objects.get(request_id=request_id)


def found(version: Version, who: Actor) -> dict[str, FeatureSkew]:
    return {each.feature: each for each in skew(version, period(), actor=who).features}


def test_what_was_read_is_the_same_then_and_now(
    served: Version, author: Actor, history: FeatureSetVersion, clock: Clock
) -> None:
    clock(60)
    known(history, author, "p1", {"visits": 3, "age": 50})
    ask("p1")
    visits = found(served, author)["visits"]
    assert (visits.compared, visits.completed, visits.given, visits.different, visits.late) == (1, 1, 0, 0, 0)
    assert visits.mean_abs_difference == 0.0


def test_what_was_sent_may_differ(served: Version, author: Actor, history: FeatureSetVersion, clock: Clock) -> None:
    clock(60)
    known(history, author, "p1", {"visits": 3, "age": 50})
    first = ask("p1", visits=3.0, age=51)
    ask("p1", visits=7, age=50)
    ask("nobody", visits=7, age=50)
    told = found(served, author)
    visits, age = told["visits"], told["age"]
    assert (visits.compared, visits.given, visits.unknown) == (2, 3, 1)
    assert (visits.different, visits.different_share, visits.mean_abs_difference) == (1, 0.5, 2.0)
    assert [(each.served, each.recomputed, each.verdict) for each in visits.examples] == [(7, 3, "different")]
    assert (age.masked, age.different, age.mean_abs_difference) == (True, 1, None)
    assert [(each.prediction_id, each.served, each.recomputed) for each in age.examples] == [
        (str(first.pk), None, None)
    ]


def test_what_arrives_later_is_no_skew(
    served: Version, author: Actor, history: FeatureSetVersion, clock: Clock
) -> None:
    clock(60)
    known(history, author, "p1", {"visits": 3, "age": 50}, days_ago=2)
    ask("p1", clock(30))
    clock(10)  # of yesterday, as the source says: a training set made now has it, and the claim had not
    known(history, author, "p1", {"visits": 8, "age": 50}, days_ago=1)
    visits = found(served, author)["visits"]
    assert (visits.different, visits.late, visits.compared) == (0, 1, 1)
    assert [(each.served, each.recomputed, each.verdict) for each in visits.examples] == [(3, 8, "late")]
    assert visits.mean_abs_difference == 5.0


AT = datetime(2026, 1, 1)


@pytest.mark.parametrize(
    ("served", "then", "before", "now", "verdict"),
    [
        (3, 3.0, 3, 3, "same"),
        (3, 3 + 1e-12, 3, 3, "same"),
        (None, None, None, None, "same"),
        (None, 3, 3, 3, "different"),
        (3, None, None, None, "different"),
        ("a", "b", "b", "b", "different"),
        ("3", 3, 3, 3, "different"),
        (3, 4, 3, 4, "late"),  # under way when it was asked
        (3, 4, 5, 3, "different"),  # right again by chance
        (3, NONE, NONE, 4, "late"),
        (3, NONE, NONE, 3, "same"),
        (3, NONE, NONE, NONE, "unknown"),
        (3, 3, 3, NONE, "late"),
    ],
)
def test_verdicts(served: Any, then: Any, before: Any, now: Any, verdict: str) -> None:
    pair = Pair("p", "u", AT, False, served, then, before, now)
    told = feature_skew("f", "s@1", [pair], masked=False)
    counts = {"different": told.different, "late": told.late, "unknown": told.unknown}
    assert {name for name, count in counts.items() if count} == ({verdict} - {"same"})
    assert told.compared == (0 if verdict == "unknown" else 1)


def test_examples_are_bounded_and_skew_comes_first() -> None:
    late = [Pair(f"l{n}", "u", AT + timedelta(hours=n), True, 1, 1, 1, 2) for n in range(9)]
    wrong = [Pair(f"w{n}", "u", AT + timedelta(hours=n), True, 1, 2, 2, 2) for n in range(3)]
    told = feature_skew("f", "s@1", [*late, *wrong], masked=False)
    assert [each.prediction_id for each in told.examples] == ["w2", "w1", "w0", "l8", "l7"]


def test_over_http_and_as_a_page(served: Version, author: Actor, history: FeatureSetVersion) -> None:
    known(history, author, "p1", {"visits": 3, "age": 50})
    ask("p1", timezone.now() - timedelta(seconds=1), visits=7, age=50.5)
    assert author.user is not None
    client = Client(headers=bearer(author.user))
    said = client.get("/api/v1/monitoring/skew/high_cost?window=24h")
    assert said.status_code == 200, said.content
    body = said.json()
    assert (body["version"], body["feature_sets"], body["predictions"], body["of"]) == (
        "1.0.0", ["claim_history@1"], 1, 1,
    )  # fmt: skip
    viewer = Client(headers=bearer(actor("vera", "viewer").user))  # type: ignore[arg-type]
    told = viewer.get("/api/v1/monitoring/skew/high_cost").json()
    assert [each["examples"] for each in told["features"]] == [[], []]
    other = Client(headers=bearer(actor("otto", "ml_engineer", team="elsewhere").user))  # type: ignore[arg-type]
    assert other.get("/api/v1/monitoring/skew/high_cost").status_code == 404
    assert client.get("/api/v1/monitoring/skew/high_cost?window=1y").status_code == 422
    browser = Client()
    browser.force_login(author.user, backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get("/models/high_cost/skew").content.decode()
    assert "claim_history@1" in page
    assert "50.5" not in page
