"""Features that are left out, read from the feature sets of the version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from abtesting.models import ShadowAnswer
from abtesting.services.shadow import score_queued
from abtesting.stats.assignment import assign
from mlops_site.api.serializers import CompletedAnswer
from mlops_site.core.errors import Conflict, Invalid
from mlops_site.core.permissions import Actor
from mlops_site.serving import Answer, Question, predict
from monitoring.models import Completion, Prediction
from registry import services as registry
from registry.models import RegisteredModel, Version
from registry.selectors.served import served as served_as
from tests.abtesting.parts import begun, challenger
from tests.kept import kept_fixture
from tests.people import actor, bearer
from tests.registry.http import Person
from tests.registry.parts import artifact, candidate, explained, into_production
from tests.training.features import DAY, feature_set, known
from training.models import FeatureSetVersion, FeatureUse
from training.selectors.completing import rows_then
from training.selectors.features import plan_of

pytestmark = pytest.mark.django_db
VISITS = [{"name": "visits", "kind": "number"}, {"name": "unused", "kind": "category"}]


@kept_fixture
def history(author: Actor) -> FeatureSetVersion:
    found = feature_set(author, columns=VISITS)
    known(found, author, "p1", {"visits": 3, "unused": "x"})
    known(found, author, "stale", {"visits": 9, "unused": None}, days_ago=31)
    known(found, author, "null", {"visits": None, "unused": None})
    return found


@kept_fixture
def served(model: RegisteredModel, author: Actor, approver: Actor, history: FeatureSetVersion) -> Version:
    """1.0.0, which reads claim_history@1 for `visits`."""
    return into_production(model, author=author, approver=approver, seed=0, feature_sets=(str(history),), **explained())


def ask(machine: Actor, *questions: Question, **options: Any) -> list[Answer]:
    return predict("high_cost", actor=machine, questions=questions, **options).predictions


def test_what_is_left_out_is_read_and_kept(machine: Actor, served: Version, history: FeatureSetVersion) -> None:
    (whole,) = ask(machine, Question({"age": 50, "visits": 3}, unit_id="p1"))
    (answer,) = ask(machine, Question({"age": 50}, unit_id="p1", request_id="r"))
    assert (answer.score, whole.completed) == (whole.score, None)
    row = Prediction.objects.get(request_id="r")
    assert row.features == {"age": 50, "visits": 3}
    assert set(row.completion.features) == {"visits"}
    said = row.completion.features["visits"]
    assert answer.completed == {"visits": said}
    assert said["feature_set"] == "claim_history@1"
    assert datetime.fromisoformat(said["event_at"]) == datetime.fromisoformat(said["ingested_at"]) < row.predicted_at
    assert row.completion.as_of == row.predicted_at
    assert Completion.objects.count() == 1


def test_what_was_sent_stays_even_null(machine: Actor, served: Version) -> None:
    ask(machine, Question({"age": 50, "visits": 8}, unit_id="p1", request_id="r"))
    assert Prediction.objects.get(request_id="r").features["visits"] == 8
    with pytest.raises(Invalid) as caught:
        ask(machine, Question({"age": 50, "visits": None}, unit_id="p1"))
    assert [(each.field, each.code) for each in caught.value.errors] == [("features.visits", "null")]


@pytest.mark.parametrize(
    ("unit", "code", "said"),
    [
        ("nobody", "missing", "claim_history@1 knows nothing of 'nobody'"),
        ("stale", "missing", "claim_history@1 has only a stale value, of 20"),
        ("", "missing", "give the unit_id to read it from claim_history@1"),
        ("null", "null", "must be a number but got None"),
    ],
)
def test_what_cannot_be_read_is_missing(machine: Actor, served: Version, unit: str, code: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        ask(machine, Question({"age": 50}, unit_id="p1"), Question({"age": 50}, unit_id=unit), is_batch=True)
    (error,) = caught.value.errors
    assert (error.field, error.code) == ("rows[1].features.visits", code)
    assert said in error.message
    assert not Prediction.objects.exists()


def test_a_version_that_reads_none_is_asked_as_ever(
    machine: Actor, model: RegisteredModel, author: Actor, approver: Actor, history: FeatureSetVersion
) -> None:
    into_production(model, author=author, approver=approver, seed=0)
    with pytest.raises(Invalid) as caught:
        ask(machine, Question({"age": 50}, unit_id="p1"))
    assert [each.message for each in caught.value.errors] == ["must be given: a number"]


def statements(machine: Actor, *questions: Question, **options: Any) -> list[str]:
    ask(machine, *questions, **options)
    with CaptureQueriesContext(connection) as found:
        ask(machine, *questions, **options)
    return [each["sql"] for each in found if not each["sql"].startswith(("SAVEPOINT", "RELEASE"))]


def test_it_costs_one_statement_and_only_where_something_is_missing(machine: Actor, served: Version) -> None:
    whole = statements(machine, Question({"age": 50, "visits": 3}, unit_id="p1"))
    assert not [sql for sql in whole if "feature" in sql.replace('"features"', "")]
    one = statements(machine, Question({"age": 50}, unit_id="p1"))
    many = statements(machine, *(Question({"age": 50 + n}, unit_id="p1") for n in range(9)), is_batch=True)
    for found in (one, many):
        assert len([sql for sql in found if "training_featurerow" in sql]) == 1
        assert len(found) == len(whole) + 2  # and what was read is written


def test_a_repeated_request_gets_its_first_answer(
    machine: Actor, served: Version, author: Actor, history: FeatureSetVersion
) -> None:
    question = Question({"age": 50}, unit_id="p1", request_id="r")
    (first,) = ask(machine, question)
    known(history, author, "p1", {"visits": 40, "unused": None}, days_ago=0)
    assert ask(machine, question) == [first._replace(duplicate=True)]
    (later,) = ask(machine, question._replace(request_id="s"))
    assert later.score != first.score
    with pytest.raises(Conflict, match="used for other features"):
        ask(machine, question._replace(features={"age": 50, "visits": 3}))


def test_reasons_tell_no_value_that_the_caller_did_not_send(machine: Actor, served: Version) -> None:
    question = Question({"age": 50}, unit_id="p1", request_id="r")
    for _ in range(2):  # the first answer, and the same again
        (answer,) = ask(machine, question, reasons=2)
        assert {each.feature: each.value for each in answer.reasons or []} == {"age": 50, "visits": None}


def test_a_dry_run_reads_and_keeps_nothing(machine: Actor, served: Version) -> None:
    (answer,) = ask(machine, Question({"age": 50}, unit_id="p1"), dry_run=True)
    assert answer.completed
    assert not Completion.objects.exists()


def test_with_nothing_but_a_unit(
    model: RegisteredModel, author: Actor, approver: Actor, history: FeatureSetVersion
) -> None:
    people = feature_set(author, name="people", columns=[{"name": "age", "kind": "number"}])
    known(people, author, "p1", {"age": 50})
    sets = (str(history), str(people))
    into_production(model, author=author, approver=approver, seed=0, feature_sets=sets)
    client = Client(headers=bearer(actor("claims-app", "service").user))  # type: ignore[arg-type]
    body = {"unit_id": "p1"}
    answer = client.post("/api/v1/models/high_cost/predict", body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    (said,) = answer.json()["predictions"]
    assert {name: each["feature_set"] for name, each in said["completed"].items()} == {
        "age": "people@1", "visits": "claim_history@1",
    }  # fmt: skip
    assert {*said["completed"]["age"]} == set(CompletedAnswer().fields)
    assert Prediction.objects.get().features == {"age": 50, "visits": 3}
    answer = client.post("/api/v1/models/high_cost/predict", {}, content_type="application/json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "features")


class TestInAnExperiment:
    """Each arm is asked with what its own version reads."""

    @pytest.fixture
    def other(self, author: Actor) -> FeatureSetVersion:
        found = feature_set(author, name="newer_history", columns=[{"name": "visits", "kind": "number"}])
        known(found, author, "p1", {"visits": 7})
        return found

    def began(self, served: Version, author: Actor, *sets: str) -> None:
        """With the fixed salt, p1 is in B."""
        epoch = begun(served, challenger(served, author=author, feature_sets=sets), author=author, share_b=0.99)
        assert assign(epoch.split(epoch.experiment), "p1") == "b"

    def test_b_reads_its_own(self, machine: Actor, served: Version, author: Actor, other: FeatureSetVersion) -> None:
        self.began(served, author, str(other))
        (answer,) = ask(machine, Question({"age": 50}, unit_id="p1", request_id="r"))
        assert answer.arm == "b"
        assert {name: each["feature_set"] for name, each in (answer.completed or {}).items()} == {
            "visits": "newer_history@1"
        }
        assert Prediction.objects.get(request_id="r").features == {"age": 50, "visits": 7}

    def test_where_b_cannot_be_asked_a_reads_its_own(self, machine: Actor, served: Version, author: Actor) -> None:
        self.began(served, author)
        (answer,) = ask(machine, Question({"age": 50}, unit_id="p1", request_id="r"))
        row = Prediction.objects.get(request_id="r")
        assert (answer.version, row.error_code, row.features["visits"]) == ("1.0.0", "arm_failed", 3)
        assert (answer.completed or {}).keys() == {"visits"}


class TestSilently:
    """A shadow's version is asked as `predict` would have asked it."""

    @pytest.fixture
    def other(self, author: Actor) -> FeatureSetVersion:
        found = feature_set(author, name="newer_history", columns=[{"name": "visits", "kind": "number"}])
        known(found, author, "p1", {"visits": 7})
        known(found, author, "p2", {"visits": 5})
        return found

    def shadowed(self, served: Version, author: Actor, *sets: str) -> Version:
        b = challenger(served, author=author, feature_sets=sets)
        begun(served, b, author=author, design="shadow", share_b=1.0)
        return b

    def test_it_reads_its_own_as_of_the_claim(
        self, machine: Actor, served: Version, author: Actor, other: FeatureSetVersion
    ) -> None:
        b = self.shadowed(served, author, str(other))
        ask(machine, Question({"age": 50}, unit_id="p1", request_id="r"))
        ask(machine, Question({"age": 50, "visits": 1}, unit_id="p2", request_id="s"))
        known(other, author, "p1", {"visits": 40}, days_ago=0.5)  # history that came after the claim
        with CaptureQueriesContext(connection) as found:
            assert score_queued() == 2
        assert len([each for each in found if "training_featurerow" in each["sql"]]) == 1
        expected = [self.said(b, {"age": 50, "visits": visits}) for visits in (7, 1)]
        rows = ShadowAnswer.objects.order_by("queued_at")
        assert [(row.state, row.score) for row in rows] == [("scored", score) for score in expected]
        assert Prediction.objects.get(request_id="r").features["visits"] == 3  # what A read is A's

    def said(self, b: Version, features: dict[str, Any]) -> float | None:
        with served_as(b.pk).scorer() as scorer:
            return served_as(b.pk).say(scorer, scorer.check_rows([features]))[0].score

    @pytest.mark.parametrize("unit", ["stale", "p1"])
    def test_what_it_would_not_know_in_production_it_does_not_know_here(
        self, machine: Actor, served: Version, author: Actor, unit: str
    ) -> None:
        """p1 is known to A's feature set alone; B reads none."""
        self.shadowed(served, author)
        given = {"age": 50} if unit == "p1" else {"age": 50, "visits": 2}
        ask(machine, Question(given, unit_id=unit))
        score_queued()
        row = ShadowAnswer.objects.get()
        assert (row.state, row.error_code) == (("failed", "bad_features") if unit == "p1" else ("scored", ""))


class TestThen:
    """What was the latest known value at several times at once."""

    def test_each_claim_finds_what_there_was(self, author: Actor, history: FeatureSetVersion) -> None:
        now = timezone.now()
        known(history, author, "p1", {"visits": 4, "unused": None}, days_ago=0.5)
        later = timezone.now()
        asked = [("p1", now), ("p1", later), ("p1", now - 2 * DAY), ("nobody", later), ("stale", later)]
        found = rows_then([history.pk], asked)
        assert {each: found[history.pk, each].values["visits"] for each in asked if (history.pk, each) in found} == {
            asked[0]: 3, asked[1]: 4, asked[4]: 9,
        }  # fmt: skip
        assert rows_then([], asked) == rows_then([history.pk], []) == {}


class TestWhatAVersionReads:
    """Said when it is registered, and kept for good."""

    def test_it_is_part_of_what_it_is(self, model: RegisteredModel, author: Actor, history: FeatureSetVersion) -> None:
        first = registry.register_version(model, actor=author, candidate=candidate(0))
        second = registry.register_version(model, actor=author, candidate=candidate(0, feature_sets=(str(history),)))
        assert (first.number, second.number) == ("1.0.0", "1.1.0")
        assert second.lineage["feature_sets"] == ["claim_history@1"]
        assert [use.feature_set for use in FeatureUse.objects.filter(version=second)] == [history]
        feature_set(author, columns=VISITS, freshness_secs=5)  # a later definition changes nothing for it
        assert [each.reference for each in plan_of(second.pk)] == ["claim_history@1"]
        assert plan_of(first.pk) == ()

    def test_an_upload_says_it_in_its_metadata(
        self, model: RegisteredModel, author: Actor, history: FeatureSetVersion
    ) -> None:
        engineer, rows = Person(author), [{"age": 30 + n, "visits": n % 5} for n in range(60)]
        about: dict[str, Any] = {"reference": rows, "feature_sets": ["claim_history@1"]}
        status, made = engineer.upload(artifact(), name="high_cost", metadata=about)
        assert (status, made["lineage"]) == (201, {"feature_sets": ["claim_history@1"]})
        assert [each.reference for each in plan_of(Version.objects.get().pk)] == ["claim_history@1"]
        status, said = engineer.upload(artifact(1), name="high_cost", metadata={**about, "feature_sets": ["nothing@1"]})
        assert (status, said["code"], said["errors"][0]["field"]) == (422, "unknown_feature_set", "feature_sets")
        assert Version.objects.count() == 1

    @pytest.mark.parametrize(
        ("sets", "code", "said"),
        [
            (("claim_history@1", "twin@1"), "ambiguous_feature", "claim_history@1 and twin@1 have visits"),
            (("nothing@1",), "unknown_feature_set", "there is no nothing@1 in claims"),
            (("claim_history",), "malformed", "must be texts such as"),
            (("claim_history@1", "claim_history@2"), "repeated", "claim_history"),
            (("claim_history@1", "offices@1"), "different_entities", "offices@1 is of office"),
            (("words@1",), "feature_kind", "visits of words@1 is a category"),
            (("other@1",), "unused_feature_set", "other@1, which has no input"),
            (("theirs@1",), "unknown_feature_set", "no theirs@1 in claims"),
        ],
    )
    def test_what_it_cannot_read_is_refused(
        self,
        model: RegisteredModel,
        author: Actor,
        history: FeatureSetVersion,
        sets: tuple[str, ...],
        code: str,
        said: str,
    ) -> None:
        feature_set(author, columns=VISITS, freshness_secs=5)
        feature_set(author, name="twin", columns=VISITS)
        feature_set(author, name="offices", entity="office", columns=[{"name": "age", "kind": "number"}])
        feature_set(author, name="words", columns=[{"name": "visits", "kind": "category"}])
        feature_set(author, name="other", columns=[{"name": "other", "kind": "category"}])
        feature_set(actor("otto", "ml_engineer", team="elsewhere"), name="theirs", columns=VISITS)
        with pytest.raises(Invalid) as caught:
            registry.register_version(model, actor=author, candidate=candidate(0, feature_sets=sets))
        assert caught.value.code == code
        assert said in caught.value.detail
        assert not Version.objects.exists()
